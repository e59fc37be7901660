"""docs/miniature.md shows what the miniature world's problems hold today."""

import importlib.util
import pathlib
import zlib

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script():
    path = DOCS / "make_miniature_page.py"
    spec = importlib.util.spec_from_file_location("make_miniature_page", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pixels(png: bytes) -> bytes:
    """Returns a PNG file's filtered rows: compressed, they differ between zlibs."""
    return zlib.decompressobj().decompress(png[png.index(b"IDAT") + 4 :])


def test_the_page_is_what_the_script_writes(script):
    written = (DOCS / "miniature.md").read_text(encoding="utf-8")
    assert written == script.page(), "run python docs/make_miniature_page.py"


def test_every_picture_of_the_page_is_there(script):
    for number in script.SCENES:
        for suffix in ("", "_speech"):
            content = (DOCS / "images" / f"scene_{number}{suffix}.png").read_bytes()
            assert content.startswith(b"\x89PNG")


def test_the_pictures_are_those_of_the_world(script):
    for number in script.SCENES:
        picture = script.enlarged(script.shown_scene(number).picture, 4)
        shown = (DOCS / "images" / f"scene_{number}.png").read_bytes()
        assert pixels(shown) == pixels(script.rendering.encode_png(picture))
