"""Every file of recorded numbers is read by some test."""

import json
import pathlib
import re

import pytest

from tests.layers.golden import FOLDER, VERSIONS

FILES = sorted(
    path for path in FOLDER.rglob("*") if path.is_file() and path.name != "README.md"
)
SOURCES = [
    path.read_text(encoding="utf-8")
    for path in FOLDER.parent.rglob("*.py")
    if path.name != pathlib.Path(__file__).name
]


def is_read(path: pathlib.Path) -> bool:
    """Says whether a test's source names the file, or what it puts the name from."""
    if path.suffix == ".npz":
        part, _, version = path.stem.rpartition("__")
        return any(names(source, part, version) for source in SOURCES)
    if path.parent.name == "subword":  # test_text_encoder.py reads all that this names
        reference = json.loads(
            (FOLDER / "subword" / "subword_v1.4.4.json").read_text(encoding="utf-8")
        )
        listed = {vocab["file"] for vocab in reference["vocabs"].values()}
        if path.name in listed:
            return True
        stem, _, release = path.name.partition(".v")  # f"vocab.mincount100.{release}"
        if any(f'{stem}.{{release}}"' in s and f'"v{release}"' in s for s in SOURCES):
            return True
    shard = re.sub(r"-\d{5}-of-\d{5}$", "", path.name)
    problem = re.sub(r"-(train|dev|test)$", "", shard)
    return any(name in s for s in SOURCES for name in (shard, f'"{problem}"'))


def names(source: str, part: str, version: str) -> bool:
    """Says whether a source names a part, whole or behind a prefix, and a version."""
    quoted = {f'"{part}"', f'"{part}__{version}.npz"', f'"{part}__{{version}}.npz"'}
    for prefix in re.findall(r'f"(\w+)\{name\}"', source):  # f"modality_{name}"
        if part.startswith(prefix):
            quoted.add(f'"{part.removeprefix(prefix)}"')
    has_version = version in source or ("VERSIONS" in source and version in VERSIONS)
    return has_version and any(name in source for name in quoted)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_recorded_file_is_read(path):
    assert is_read(path)


@pytest.mark.parametrize(
    "name",
    [
        "conv_gru__v1.0.3.npz",
        "conv__v9.9.9.npz",
        "subword/vocab.mincount7.v1.4.4",
        "shards/image_nobody-dev-00000-of-00001",
    ],
)
def test_a_file_that_nobody_reads_is_found(name):
    assert not is_read(FOLDER / name)
