"""The vocabularies of a run: built once, kept as files, shared by name."""

import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

from t2t_multimodel.data.features import Vocabulary
from t2t_multimodel.data.text_encoder import (
    ByteTextEncoder,
    SubwordTextEncoder,
    TextEncoder,
    count_tokens,
)
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

BYTES_PER_PROBLEM = 1_000_000
"""Text that each problem gives to a shared vocabulary (T2T v1.2.9: a source file)."""


def encoders_for(
    problem: Problem, data_dir: str | os.PathLike[str]
) -> dict[str, TextEncoder]:
    """Returns the encoders of the text sides: `{"inputs": ..., "targets": ...}`.

    Two sides with one vocabulary share one encoder.

    Raises:
        UserError: If a vocabulary file is missing or broken.
    """
    loaded: dict[Vocabulary, TextEncoder] = {}
    encoders = {}
    for name, feature in (("inputs", problem.inputs), ("targets", problem.targets)):
        if feature.kind != "text":
            continue
        vocabulary = feature.vocabulary
        if vocabulary not in loaded:
            loaded[vocabulary] = load(vocabulary, data_dir, problem.name)
        encoders[name] = loaded[vocabulary]
    return encoders


def load(
    vocabulary: Vocabulary, data_dir: str | os.PathLike[str], problem_name: str
) -> TextEncoder:
    """Returns the encoder of a vocabulary.

    Raises:
        UserError: If its file is missing or broken.
    """
    if not vocabulary.target_size:
        return ByteTextEncoder()
    path = pathlib.Path(data_dir) / vocabulary.file_name
    if not path.is_file():
        raise UserError(
            f"no vocabulary {path}, which problem {problem_name!r} needs; make it "
            f"with: {datagen_command(data_dir, [problem_name])}"
        )
    return SubwordTextEncoder.from_file(path)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def datagen_command(
    data_dir: str | os.PathLike[str], problem_names: Sequence[str]
) -> str:
    """Returns the command line that makes the data of the problems."""
    return f"t2t-mm-datagen --data_dir={data_dir} --problems={'-'.join(problem_names)}"


def build_missing(
    problems: Sequence[Problem],
    data_dir: str | os.PathLike[str],
    tmp_dir: str | os.PathLike[str],
    say: Callable[[str], None] = print,
) -> None:
    """Builds the vocabularies of the problems that have no file yet.

    Args:
        problems: Those of a run; problems that name one vocabulary build it together.
        data_dir: Where the files go; one that is there is left as it is.
        tmp_dir: Folder of the sources.
        say: Prints a line.

    Raises:
        UserError: If there is no text to build a vocabulary from.
    """
    users: dict[Vocabulary, list[Problem]] = {}
    for problem in problems:
        for vocabulary in problem.vocabularies():
            users.setdefault(vocabulary, []).append(problem)
    for vocabulary, sharing in users.items():
        path = pathlib.Path(data_dir) / vocabulary.file_name
        if not vocabulary.target_size or path.is_file():
            continue
        counts = count_tokens(_texts(vocabulary, sharing, pathlib.Path(tmp_dir)))
        if not counts:
            names = ", ".join(problem.name for problem in sharing)
            raise UserError(
                f"no text to build {vocabulary.file_name} from; its problems are "
                f"{names}"
            )
        encoder = SubwordTextEncoder.build_to_target_size(
            vocabulary.target_size, counts
        )
        unfinished = path.with_name(f"unfinished.{path.name}")
        encoder.save(unfinished)
        unfinished.replace(path)
        say(f"{path.name}: {encoder.vocab_size} sub-words")


def _texts(
    vocabulary: Vocabulary, problems: Sequence[Problem], tmp_dir: pathlib.Path
) -> Iterator[str]:
    # The entry that was met first may lack the function that another one has.
    for problem in problems:
        for named in problem.vocabularies():
            if named == vocabulary and named.texts is not None:
                yield from named.texts(tmp_dir)
                return
    seen: set[str] = set()
    for problem in problems:
        if problem.data_name in seen:
            continue
        seen.add(problem.data_name)
        yield from _budget(problem.vocabulary_texts(tmp_dir), BYTES_PER_PROBLEM)


def _budget(texts: Iterator[str], num_bytes: int) -> Iterator[str]:
    """Yields from the top until `num_bytes` of text are used up."""
    for text in texts:
        yield text
        num_bytes -= len(text.encode("utf-8", "replace"))
        if num_bytes <= 0:
            return
