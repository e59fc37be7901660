"""The vocabularies of a run: built once, kept as files, shared by name."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

from t2t_multimodel.data import disk, vocabulary_record
from t2t_multimodel.data.features import Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.text_encoder import (
    ByteTextEncoder,
    SubwordTextEncoder,
    TextEncoder,
    count_tokens,
)
from t2t_multimodel.data.vocabulary_record import VocabularyRecord
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

ENGLISH_BYTES = 350_000
"""English text that a corpus gives to a shared vocabulary (T2T v1.1.5)."""

OTHER_BYTES = 700_000
"""Text of other languages that it gives; English is a side of most corpora."""

_ENGLISH = (SpaceId.ENGLISH_TOKENS, SpaceId.ENGLISH_BPE, SpaceId.ENGLISH_CHARACTERS)


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
    *,
    keep: bool = False,
) -> None:
    """Builds the vocabularies of the problems that have no file yet.

    Args:
        problems: Those of a run; problems that name one vocabulary build it together.
        data_dir: Where the files go; one that is there is left as it is.
        tmp_dir: Folder of the sources.
        say: Prints a line.
        keep: Whether a vocabulary that is there also serves problems without whose
            text it was built.

    Raises:
        UserError: If there is no text to build a vocabulary from, or one that is
            there was built from other problems.
    """
    users: dict[Vocabulary, list[Problem]] = {}
    for problem in problems:
        for vocabulary in problem.vocabularies():
            users.setdefault(vocabulary, []).append(problem)
    for vocabulary, sharing in users.items():
        if not vocabulary.target_size:
            continue
        if (pathlib.Path(data_dir) / vocabulary.file_name).is_file():
            _check_history(vocabulary, sharing, data_dir, keep, say)
        else:
            _build(vocabulary, sharing, data_dir, pathlib.Path(tmp_dir), say)


def _build(
    vocabulary: Vocabulary,
    sharing: Sequence[Problem],
    data_dir: str | os.PathLike[str],
    tmp_dir: pathlib.Path,
    say: Callable[[str], None],
) -> None:
    path = pathlib.Path(data_dir) / vocabulary.file_name
    text_bytes: dict[str, int] = {}
    counts = count_tokens(_texts(vocabulary, sharing, tmp_dir, text_bytes))
    if not counts:
        names = ", ".join(problem.name for problem in sharing)
        raise UserError(
            f"no text to build {vocabulary.file_name} from; its problems are {names}"
        )
    encoder = SubwordTextEncoder.build_to_target_size(vocabulary.target_size, counts)
    unfinished = path.with_name(f"unfinished.{path.name}")
    with disk.writing(path):
        encoder.save(unfinished)
        # First the record: without its vocabulary it means nothing.
        record = VocabularyRecord(file_sha256(unfinished), text_bytes)
        record.write(data_dir, vocabulary)
        unfinished.replace(path)
    share = [f"{name} ({given:,} bytes)" for name, given in text_bytes.items()]
    origin = f", built from {', '.join(share)}" if share else ""
    say(f"{path.name}: {encoder.vocab_size} sub-words{origin}")


def _check_history(
    vocabulary: Vocabulary,
    sharing: Sequence[Problem],
    data_dir: str | os.PathLike[str],
    keep: bool,
    say: Callable[[str], None],
) -> None:
    """Refuses problems that a vocabulary was built without, unless it is kept."""
    record = vocabulary_record.read(data_dir, vocabulary)
    if record is None or not record.text_bytes:
        return  # T2T's or the user's own, or with texts of its own.
    name = vocabulary.file_name
    if record.sha256 != file_sha256(pathlib.Path(data_dir) / name):
        say(f"{name}: not the file that was built here; taken as it is")
        return
    known = (*record.text_bytes, *record.kept_for)
    names = list(dict.fromkeys(problem.data_name for problem in sharing))
    others = [other for other in names if other not in known]
    if not others:
        return
    built_from = ", ".join(record.text_bytes)
    if not keep:
        together = datagen_command(data_dir, [*record.text_bytes, *others])
        raise UserError(
            f"{name} in {data_dir} was built from the text of {built_from}, without "
            f"that of {', '.join(others)}; give t2t-mm-datagen --keep_vocabulary to "
            f"write them in it all the same, or delete {name} and make all anew: "
            f"{together}"
        )
    kept_for = (*record.kept_for, *others)
    with disk.writing(vocabulary_record.path(data_dir, vocabulary)):
        dataclasses.replace(record, kept_for=kept_for).write(data_dir, vocabulary)
    say(f"{name}: built from {built_from}; kept for {', '.join(others)}")


def _texts(
    vocabulary: Vocabulary,
    problems: Sequence[Problem],
    tmp_dir: pathlib.Path,
    text_bytes: dict[str, int],
) -> Iterator[str]:
    """Yields the texts to build from, and counts what each problem gives."""
    # The entry that was met first may lack the function that another one has.
    for problem in problems:
        for named in problem.vocabularies():
            if named == vocabulary and named.texts is not None:
                yield from named.texts(tmp_dir)
                return
    for problem in {problem.data_name: problem for problem in problems}.values():
        text_bytes[problem.data_name] = 0
        for feature, texts in problem.vocabulary_texts(tmp_dir):
            if feature.vocabulary != vocabulary:
                continue
            left = ENGLISH_BYTES if feature.space in _ENGLISH else OTHER_BYTES
            for text in texts:
                yield text
                size = len(text.encode("utf-8", "replace"))
                text_bytes[problem.data_name] += size
                left -= size
                if left <= 0:
                    break
