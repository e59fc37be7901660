"""Speed of making data: real files, as the problems read them, to finished shards.

    python -m benchmarks.datagen speech

Each family of problems is a sub-command; `FAMILIES` says what it needs. The small real
corpora under `../shared/data` are listed several times over until a run takes long
enough to be measured. Prints the median of the rounds, the speed by the time of the
processors alone (which other work on the machine disturbs less), the machine's load,
and the memory of the largest process. The time is that of `t2t-mm-datagen` but for
starting Python: starting the processes that write, which takes some seconds each, and
reading, preparing, shuffling and indexing the examples of all splits.
"""

import argparse
import gzip
import itertools
import os
import pathlib
import resource
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from t2t_multimodel.data import imagenet_files  # noqa: E402
from t2t_multimodel.data.generate import generate  # noqa: E402
from t2t_multimodel.problems import make_problem  # noqa: E402
from t2t_multimodel.problems.from_files import load_problem_file  # noqa: E402
from t2t_multimodel.problems.problem import Problem  # noqa: E402

_BATCH_SIZE, _BATCHES_READ = 32, 20

SHARED = pathlib.Path(__file__).parents[2] / "shared" / "data"
"""Small real corpora, not a part of the project."""


class Work(NamedTuple):
    """What a round makes.

    Attributes:
        problem: The problem to generate.
        amount: How much it is, in units.
        unit: What is counted, for people: `"hours of sound"`.
        per_seconds: Time that the speed is told for: 1 or 60.
        tmp_dir: Folder with the sources, if the problem looks for them there.
    """

    problem: Problem
    amount: float
    unit: str
    per_seconds: int = 1
    tmp_dir: pathlib.Path | None = None


def speech(folder: pathlib.Path, options: argparse.Namespace) -> Work:
    """Returns AN4's SPHERE files, listed `--repeat` times over, every 50th for dev."""
    from t2t_multimodel.data import sphere

    corpus = SHARED / "an4"
    for ending in ("fileids", "transcription"):
        text = (corpus / "etc" / f"an4_train.{ending}").read_text()
        (folder / f"an4.{ending}").write_text(text * options.repeat)
    problem = _declared(
        folder,
        f"""
        [[problem]]
        name = "audio_an4"
        kind = "speech"
        form = "{options.form}"
        targets_space = "english_characters"
        vocabulary = "bytes"
        train = "an4.fileids"
        dev = {{from = "train", every = 50}}
        sound_folder = "{corpus / "wav"}"
        """,
    )
    seconds = 0.0
    for path in sorted(corpus.glob("wav/**/*.sph")):
        with open(path, "rb") as file:
            header = sphere.parse_header(file.read(1024))
        seconds += (header.num_samples or 0) / header.sample_rate_hz
    return Work(problem, seconds * options.repeat / 3600, "hours of sound", 60)


def _speech_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeat", type=int, default=10, help="times that AN4 is read")
    parser.add_argument("--form", default="spectrogram", help="or waveform")


def translation(folder: pathlib.Path, options: argparse.Namespace) -> Work:
    """Returns Multi30k's English-German training pairs, over and over."""
    for language in ("en", "de"):
        with gzip.open(SHARED / "multi30k" / f"train.{language}.gz") as file:
            lines = file.readlines()
        repeated = itertools.islice(itertools.cycle(lines), options.pairs)
        with open(folder / f"train.{language}", "wb") as file:
            file.writelines(repeated)
    problem = _declared(
        folder,
        f"""
        [[problem]]
        name = "translate_multi30k"
        kind = "text_pairs"
        inputs_space = "english_tokens"
        targets_space = "german_tokens"
        vocabulary = {{name = "multi30k", size = {options.vocabulary_size}}}
        num_shards = {options.shards}
        train = {{inputs = "train.en", targets = "train.de"}}
        dev = {{from = "train", every = 1000}}
        """,
    )
    return Work(problem, options.pairs, "sentence pairs")


def _translation_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=50_000, help="lines of each side")
    parser.add_argument("--shards", type=int, default=10, help="of the training data")
    parser.add_argument("--vocabulary_size", type=int, default=8192)


def images(folder: pathlib.Path, options: argparse.Namespace) -> Work:
    """Returns COCO's 20 photographs of 640 pixels as ImageNet's tars, over and over."""
    photographs = sorted((SHARED / "coco_captions" / "images_original_size").iterdir())
    ids = list(imagenet_files.synsets())[:20]
    target = folder / "tmp" / "imagenet"
    target.mkdir(parents=True)
    with tarfile.open(target / imagenet_files.TRAIN_TAR, "w") as outer:
        for synset, path in zip(ids, photographs, strict=True):
            packed = folder / f"{synset}.tar"
            with tarfile.open(packed, "w") as inner:
                for number in range(options.copies):
                    inner.add(path, f"{synset}_{number}.JPEG")
            outer.add(packed, packed.name)
            packed.unlink()
    problem = make_problem("image_imagenet")
    problem.num_shards = {"train": options.shards}
    amount = len(ids) * options.copies
    return Work(problem, amount, "pictures", tmp_dir=folder / "tmp")


def _images_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--copies", type=int, default=50, help="of each photograph")
    parser.add_argument("--shards", type=int, default=10, help="of the training data")


FAMILIES: dict[
    str,
    tuple[
        Callable[[pathlib.Path, argparse.Namespace], Work],
        Callable[[argparse.ArgumentParser], None],
    ],
] = {
    "images": (images, _images_options),
    "speech": (speech, _speech_options),
    "translation": (translation, _translation_options),
}
"""Sub-command to (what makes the work, what adds its options)."""


def measure(work: Work, options: argparse.Namespace) -> tuple[list[float], float]:
    """Returns the seconds of each round, and examples a second of reading the last."""
    seconds = []
    reading = 0.0
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as data_dir:
            began = time.perf_counter()
            generate(
                [work.problem],
                data_dir,
                work.tmp_dir or pathlib.Path(data_dir) / "tmp",
                num_processes=options.processes,
                say=lambda line: None,
            )
            seconds.append(time.perf_counter() - began)
            if options.read and number == options.rounds - 1:
                reading = _read(work.problem, data_dir)
    return seconds, reading


def _read(problem: Problem, data_dir: str) -> float:
    """Returns the training examples a second that are read from finished shards."""
    from t2t_multimodel.data.train_reader import TrainReader

    batches = TrainReader(
        problem, data_dir, batch_size=1, examples_per_batch=_BATCH_SIZE, seed=0
    )
    next(batches)  # traces
    began = time.perf_counter()
    for _ in range(_BATCHES_READ):
        next(batches)
    return _BATCHES_READ * _BATCH_SIZE / (time.perf_counter() - began)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one sub-command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    families = parser.add_subparsers(dest="family", required=True)
    for name, (make, add_options) in FAMILIES.items():
        sub = families.add_parser(name, help=make.__doc__.splitlines()[0])
        sub.add_argument("--processes", type=int, default=2)
        sub.add_argument("--rounds", type=int, default=3)
        sub.add_argument("--read", action="store_true", help="also measure reading it")
        add_options(sub)
    options = parser.parse_args(argv)
    make, _ = FAMILIES[options.family]
    with tempfile.TemporaryDirectory() as folder:
        work = make(pathlib.Path(folder), options)
        load, processor_seconds = os.getloadavg()[0], _processor_seconds()
        seconds, reading = measure(work, options)
        processor_seconds = _processor_seconds() - processor_seconds
    speeds = [work.amount * work.per_seconds / each for each in seconds]
    per = {1: "a second", 60: "a minute"}[work.per_seconds]
    print(
        f"{options.family}: {work.amount:.4g} {work.unit}, {options.processes} "
        f"processes: median {statistics.median(speeds):.4g} {per} "
        f"(rounds: {', '.join(f'{speed:.4g}' for speed in speeds)})"
    )
    alone = work.amount * options.rounds * work.per_seconds / processor_seconds
    print(f"by the time of the processors: {alone:.4g} {per} of one core")
    if options.read:
        print(f"training batches read from the shards: {reading:.4g} examples a second")
    peak = max(
        resource.getrusage(who).ru_maxrss / 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(
        f"load of the machine {load:.1f} before, {os.getloadavg()[0]:.1f} after, on "
        f"{os.cpu_count()} cores; largest process {peak:.0f} MiB"
    )


def _processor_seconds() -> float:
    """Returns what this process and the ended ones that it started have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _declared(folder: pathlib.Path, toml: str) -> Problem:
    """Returns the one problem that a problem file of this text declares."""
    path = folder / "problems.toml"
    path.write_text(toml, encoding="utf-8")
    [name] = load_problem_file(path)
    return make_problem(name)


if __name__ == "__main__":
    main()
