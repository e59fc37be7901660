"""Shows examples as they are prepared: sub-words, sizes, trees, pictures, sounds.

What is shown is read back from records: those of the data folder where its data is
complete, else records of a few examples that are made in a temporary folder.
"""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from t2t_multimodel.data import manifest, shards, vocabularies
from t2t_multimodel.data.features import Audio, Feature, Text
from t2t_multimodel.data.generate import generate
from t2t_multimodel.data.reserved_ids import EOS_ID
from t2t_multimodel.data.text_encoder import SubwordTextEncoder, TextEncoder
from t2t_multimodel.data.trees import unlinearise
from t2t_multimodel.decoding.tree_drawing import draw
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

SPLIT = "train"
_BIN_HEIGHT_PX = 3
Say = Callable[[str], None]


def show(
    problems: Sequence[Problem],
    data_dir: pathlib.Path | None,
    tmp_dir: pathlib.Path,
    *,
    count: int,
    folder: pathlib.Path,
    seed: int,
    skip_bad_examples: int = 0,
    say: Say = print,
) -> None:
    """Prints training examples of each problem; pictures go into a folder.

    Args:
        problems: Whose examples to show.
        data_dir: Folder with data or vocabularies, if there is one; only read.
        tmp_dir: Folder with the sources.
        count: Examples of each problem.
        folder: Where pictures and spectrograms go as PNG files; made if missing.
        seed: Decides what is generated or sampled where data is not there yet.
        skip_bad_examples: How many bad examples may be among those made.
        say: Prints a line.

    Raises:
        UserError: If a source is missing or broken, or the folder cannot be written.
    """
    for problem in problems:
        if SPLIT not in problem.num_shards:
            raise UserError(f"problem {problem.name!r} has no {SPLIT} split to show")
    with tempfile.TemporaryDirectory() as made:
        made_dir = pathlib.Path(made)
        todo = [p for p in problems if data_dir is None or not _is_ready(p, data_dir)]
        for vocabulary in {v for p in todo for v in p.vocabularies()}:
            if data_dir is not None and (data_dir / vocabulary.file_name).is_file():
                shutil.copy(data_dir / vocabulary.file_name, made_dir)
        generate(
            todo,
            made_dir,
            tmp_dir,
            seed=seed,
            num_processes=1,
            max_cases=count,
            skip_bad_examples=skip_bad_examples,
            say=lambda line: say(line) if "skipped" in line else None,
        )
        for problem in problems:
            source = made_dir if problem in todo or data_dir is None else data_dir
            for line in _shown(problem, source, count, folder):
                say(line)


def _is_ready(problem: Problem, data_dir: pathlib.Path) -> bool:
    try:
        manifest.check_ready([problem], data_dir)
    except UserError:
        return False
    return True


def _shown(
    problem: Problem, data_dir: pathlib.Path, count: int, folder: pathlib.Path
) -> Iterator[str]:
    import tensorflow as tf

    from t2t_multimodel.data import records

    encoders = vocabularies.encoders_for(problem, data_dir)
    paths = [str(p) for p in shards.find_shards(data_dir, problem.data_name, SPLIT)]
    taken = tf.data.TFRecordDataset(paths).take(count).as_numpy_iterator()
    for number, record in enumerate(taken):
        batch = tf.constant([record])
        lengths = {
            side: length[0]
            for side, length in records.parse_lengths(problem, batch).items()
        }
        wav_bytes = records.holds_wav_bytes(problem, record)
        parsed = records.parse_batch(
            problem, batch, lengths, wav_bytes_inputs=wav_bytes
        )
        yield f"{problem.name}, {SPLIT} example {number + 1} ({len(record):,} bytes)"
        texts = {}
        for side in ("inputs", "targets"):
            feature: Feature = getattr(problem, side)
            value = parsed[side][0].numpy()
            base = folder / f"{problem.name}.{number}.{side}.png"
            if isinstance(feature, Text):
                ids = [int(i) for i in value if i != EOS_ID]
                texts[side] = encoders[side].decode(ids)
                lines = _text_lines(feature, encoders[side], ids)
            else:
                lines = _LINES[feature.kind](feature, value, base)
            first, *others = lines
            yield f"  {side}: {first}"
            yield from (f"    {line}" for line in others)
        yield from (f"    {line}" for line in _tree_lines(texts))


def _text_lines(feature: Text, encoder: TextEncoder, ids: list[int]) -> Iterator[str]:
    what = f"sub-words of {feature.vocabulary.file_name}"
    if not isinstance(encoder, SubwordTextEncoder):
        what = "bytes"
    yield f"{feature.space.name.lower()}, {len(ids)} {what} and the end mark"
    yield encoder.decode(ids)
    if isinstance(encoder, SubwordTextEncoder):
        pieces = encoder.subtokens
        yield " ".join(f"[{pieces[i]}]" for i in ids)


def _label_lines(feature: Any, label: Any, path: pathlib.Path) -> Iterator[str]:
    yield f"class {int(label)} of {len(feature.names)}, {feature.names[int(label)]!r}"


def _image_lines(feature: Any, pixels: Any, path: pathlib.Path) -> Iterator[str]:
    _write_png(path, pixels)
    height, width, channels = pixels.shape
    yield f"picture of {height} x {width} pixels, {channels} channels"
    yield str(path)


def _audio_lines(feature: Audio, values: Any, path: pathlib.Path) -> Iterator[str]:
    from t2t_multimodel.data import audio_features

    if feature.form == "waveform":
        seconds = len(values) / feature.sample_rate_hz
        yield f"waveform of {len(values):,} samples, {seconds:.2f} s"
        drawn = Audio(form="spectrogram", sample_rate_hz=feature.sample_rate_hz)
        values = audio_features.log_mel_spectrogram_numpy(values, drawn)
    else:
        seconds = len(values) * feature.hop_seconds
        yield (
            f"spectrogram of {len(values):,} frames, {feature.num_bins} bins, "
            f"{seconds:.2f} s"
        )
    # Time goes to the right, frequency up.
    low, high = float(values.min()), float(values.max())
    grey = (255 * (values - low) / max(high - low, 1e-9)).astype(np.uint8).T[::-1]
    _write_png(path, np.repeat(grey, _BIN_HEIGHT_PX, axis=0)[..., np.newaxis])
    yield str(path)


_LINES: dict[str, Callable[[Any, Any, pathlib.Path], Iterator[str]]] = {
    "class_label": _label_lines,
    "image": _image_lines,
    "audio": _audio_lines,
}


def _tree_lines(texts: dict[str, str]) -> list[str]:
    """Returns the drawing of a tree if the targets are the tags of the inputs' one."""
    if len(texts) < 2:
        return []
    for words, tags in (("inputs", "targets"), ("targets", "inputs")):
        if any(tag.startswith("/") for tag in texts[tags].split()):
            tree = unlinearise(texts[tags].split(), texts[words].split())
            if tree is not None:
                return draw(tree)
    return []


def _write_png(path: pathlib.Path, pixels: np.ndarray) -> None:
    import tensorflow as tf

    from t2t_multimodel.data import disk

    with disk.writing(path), tf.device("/CPU:0"):
        os.makedirs(path.parent, exist_ok=True)
        path.write_bytes(tf.io.encode_png(pixels).numpy())
