"""Each kind of broken source is refused with its place, or skipped when that is asked.

A table of sources: what is broken, where that must be told, and whether it concerns one
example alone, which can be skipped, or the whole file, which cannot.
"""

import gzip
import os
import struct
import zlib

import numpy as np
import pytest

from t2t_multimodel import exit_status
from t2t_multimodel.bin import t2t_mm_datagen
from t2t_multimodel.data import manifest

BAD = 5  # number of the broken example, in a file of 8; the 6th line


pytestmark = pytest.mark.usefixtures("leave_the_environment")


def png(number):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rng = np.random.default_rng(number)
    rows = b"".join(b"\0" + rng.bytes(3 * 20) for _ in range(20))
    header = struct.pack(">IIBBBBB", 20, 20, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def jpeg(number):
    import tensorflow as tf

    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (20, 20, 3), np.uint8)
    return tf.io.encode_jpeg(pixels).numpy()


def wav(samples):
    data = np.asarray(samples, "<i2").tobytes()
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    body = b"WAVE" + head + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())


def texts(folder):
    lines = "".join(f"line {number}\n" for number in range(8))
    write(folder, {"a.en": lines, "a.de": lines})
    return """
        kind = "text_pairs"
        inputs_space = "generic"
        targets_space = "generic"
        vocabulary = "bytes"
        train = {inputs = "a.en", targets = "a.de"}
        dev = {from = "train", every = 8}
    """


def gzipped_texts(folder):
    declared = texts(folder)
    packed = gzip.compress((folder / "a.en").read_bytes())
    (folder / "a.en.gz").write_bytes(packed)
    return declared.replace("a.en", "a.en.gz")


def pictures(folder):
    make = {"train": png, "dev": png}
    for split, encode in make.items():
        for name in ("cat", "dog"):
            files = {f"{split}/{name}/{i}.png": encode(i) for i in range(4)}
            write(folder, files)
    return """
        kind = "image_folder"
        image_size = [8, 8]
        train = "train"
        dev = "dev"
    """


def captions(folder):
    write(folder, {f"{i}.jpg": jpeg(i) for i in range(8)})
    rows = "".join(f"{i}.jpg\tpicture {i}\n" for i in range(8))
    write(folder, {"a.tsv": rows})
    return """
        kind = "tsv_captions"
        image_size = [8, 8]
        targets_space = "english_characters"
        vocabulary = "bytes"
        train = "a.tsv"
        dev = {from = "train", every = 8}
    """


def sounds(folder):
    rng = np.random.default_rng(0)
    waves = {f"{i}.wav": wav(rng.integers(-99, 99, 900)) for i in range(8)}
    write(folder, waves)
    rows = "".join(f"{i}.wav\tsound {i}\n" for i in range(8))
    write(folder, {"a.tsv": rows})
    return """
        kind = "speech"
        targets_space = "english_characters"
        vocabulary = "bytes"
        sample_rate_hz = 8000
        num_bins = 20
        train = "a.tsv"
        dev = {from = "train", every = 8}
    """


def trees(folder):
    rows = "".join(f"(S (NP (NN rain{i})) (VP (VBZ falls)))\n" for i in range(8))
    write(folder, {"a.mrg": rows})
    return """
        kind = "trees"
        inputs_space = "english_characters"
        targets_space = "parse_characters"
        vocabulary = "bytes"
        train = "a.mrg"
        dev = {from = "train", every = 8}
    """


def line(name, new):
    """Returns what puts a new 6th line into a file."""

    def change(folder):
        lines = (folder / name).read_bytes().splitlines(keepends=True)
        lines[BAD] = new
        (folder / name).write_bytes(b"".join(lines))

    return change


def cut(name, share=0.5):
    """Returns what cuts a file off."""

    def change(folder):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return change


def content(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def gone(name):
    return lambda folder: (folder / name).unlink()


CASES = {
    # name: (sources, what breaks them, what is told, whether it can be skipped)
    "text, wrong encoding": (texts, line("a.en", b"caf\xe9\n"), "a.en:6", True),
    "text, one side empty": (texts, line("a.de", b"\n"), "a.en:6", True),
    "text, fewer lines": (texts, cut("a.de"), "a.de ends after line 4", False),
    "text, no file": (texts, gone("a.de"), "a.de", False),
    "text, cut off gzip": (gzipped_texts, cut("a.en.gz"), "a.en.gz", False),
    "image, cut off": (pictures, cut("train/dog/2.png"), "train/dog/2.png", True),
    "image, empty": (pictures, cut("train/dog/2.png", 0), "train/dog/2.png", True),
    "image, other content": (
        pictures,
        content("train/dog/2.png", b"GIF89a"),
        "train/dog/2.png",
        True,
    ),
    "caption, cut off JPEG": (captions, cut("5.jpg", 0.8), "a.tsv:6", True),
    "caption, no picture": (captions, gone("5.jpg"), "5.jpg", True),
    "caption, no words": (captions, line("a.tsv", b"5.jpg\t\n"), "a.tsv:6", True),
    "speech, no words": (sounds, line("a.tsv", b"5.wav\t\n"), "a.tsv:6", True),
    "speech, no samples": (sounds, content("5.wav", wav([])), "5.wav", True),
    "speech, cut off": (sounds, cut("5.wav"), "5.wav", True),
    "speech, no file": (sounds, gone("5.wav"), "5.wav", True),
    "tree, unbalanced": (trees, line("a.mrg", b"(S (NP (NN rain))\n"), "a.mrg:6", True),
}


def run(capsys, folder, declared, *flags):
    (folder / "mine.toml").write_text(f'[[problem]]\nname = "mine"\n{declared}')
    status = t2t_mm_datagen.main(
        [
            f"--problem_file={folder / 'mine.toml'}",
            "--problems=mine",
            f"--data_dir={folder / 'data'}",
            f"--tmp_dir={folder / 'tmp'}",
            "--num_concurrent_processes=1",
            *flags,
        ]
    )
    return status, capsys.readouterr()


@pytest.mark.parametrize("name", CASES)
def test_what_is_broken_is_refused_with_its_place_or_skipped(capsys, tmp_path, name):
    sources, damage, place, can_be_skipped = CASES[name]
    declared = sources(tmp_path)
    damage(tmp_path)
    status, captured = run(capsys, tmp_path, declared)
    assert status == exit_status.USER_ERROR, captured
    assert captured.err.count("\n") == 1
    assert place in captured.err
    assert not list((tmp_path / "data").glob("mine-train-*"))

    status, captured = run(capsys, tmp_path, declared, "--skip_bad_examples=1")
    if not can_be_skipped:
        assert status == exit_status.USER_ERROR
        assert place in captured.err
        return
    assert (status, captured.err) == (0, "")
    splits = manifest.read(tmp_path / "data", "mine")["splits"]
    [skipped] = splits["train"]["skipped"]
    assert place in skipped["told"]
    assert skipped["told"] in captured.out
    assert splits["train"]["examples"] == (7 if sources is pictures else 6)


@pytest.mark.parametrize(
    "sources", [texts, gzipped_texts, pictures, captions, sounds, trees]
)
def test_nothing_of_it_is_broken_to_begin_with(capsys, tmp_path, sources):
    status, captured = run(capsys, tmp_path, sources(tmp_path))
    assert (status, captured.err) == (0, "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_told(capsys, tmp_path):
    declared = pictures(tmp_path)
    (tmp_path / "train" / "dog").chmod(0)
    status, captured = run(capsys, tmp_path, declared)
    (tmp_path / "train" / "dog").chmod(0o755)
    assert status == exit_status.USER_ERROR
    assert f"{tmp_path / 'train' / 'dog'}" in captured.err
    assert captured.err.count("\n") == 1
