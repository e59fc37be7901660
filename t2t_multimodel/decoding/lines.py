"""Decodes a file line by line; a broken line does not lose the others."""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.decoder import Decoder, Result
from t2t_multimodel.decoding.shown_trees import in_brackets, is_parser
from t2t_multimodel.errors import UserError

_BATCHES_SORTED_TOGETHER = 64


@dataclasses.dataclass(frozen=True)
class DecodedLine:
    """What became of one line.

    Attributes:
        number: Of the line, from 1.
        text: What it decoded to, see `result_line`; empty for empty and broken lines.
        error: What is wrong with the line; empty if nothing is.
    """

    number: int
    text: str
    error: str = ""


def decode_lines(
    decoder: Decoder,
    problem: str,
    lines: Iterable[bytes],
    *,
    max_length: int | None = None,
) -> Iterator[DecodedLine]:
    """Yields what each line decodes to, in their order.

    Args:
        decoder: Decodes.
        problem: Name of the problem.
        lines: UTF-8, without the line's end: texts, or paths of images or sounds.
        max_length: See `Decoder.decode`.
    """
    numbered = enumerate(lines, start=1)
    size = _BATCHES_SORTED_TOGETHER * decoder.batch_size
    while window := list(itertools.islice(numbered, size)):
        prepared: dict[int, np.ndarray] = {}
        errors: dict[int, str] = {}
        sentences: dict[int, str] = {}
        for number, line in window:
            try:
                text = _decode_utf8(line).strip()
                if text:
                    prepared[number] = decoder.prepare(problem, text)
                if is_parser(decoder.problem(problem)):
                    sentences[number] = text
            except UserError as error:
                errors[number] = str(error)
        results = decoder.decode_prepared(
            problem,
            list(prepared.values()),
            max_length=max_length,
            numbers=list(prepared),
        )
        texts = {
            number: result_line(result, decoder.hparams, sentences.get(number))
            for number, result in zip(prepared, results, strict=True)
        }
        for number, _ in window:
            yield DecodedLine(number, texts.get(number, ""), errors.get(number, ""))


def first_inputs(
    decoder: Decoder, problem: str, lines: Iterable[bytes], count: int
) -> list[np.ndarray]:
    """Returns the first inputs that can be read, as `Decoder.prepare` gives them."""
    rows: list[np.ndarray] = []
    for line in lines:
        try:
            text = _decode_utf8(line).strip()
            if text:
                rows.append(decoder.prepare(problem, text))
        except UserError:
            continue  # told when the line's turn comes
        if len(rows) == count:
            break
    return rows


def result_line(
    result: Result, hparams: DecodeHParams, sentence: str | None = None
) -> str:
    """Returns what was decoded from one input as a line (T2T's form).

    The best output, or with `return_beams` all of them, separated by tabs; with
    `write_beam_scores` each one's score follows it after a tab: of a text the
    log-probability over the length penalty, of a class the probability.

    Args:
        result: What was decoded.
        hparams: How it was decoded.
        sentence: The input of a parser, whose outputs are written as legal trees in
            brackets over its words; `None` for all others.
    """

    def shown(text: str) -> str:
        return in_one_line(text if sentence is None else in_brackets(text, sentence))

    scored = [(output.text, output.score) for output in result.outputs] or [
        (of_class.name, of_class.probability) for of_class in result.classes
    ]
    if not hparams.return_beams and not hparams.write_beam_scores:
        return shown(result.text)
    parts = []
    for text, score in scored[: hparams.num_outputs if hparams.return_beams else 1]:
        parts.append(shown(text).replace("\t", " "))
        if hparams.write_beam_scores:
            parts.append(f"{score:.4f}")
    return "\t".join(parts)


def read_lines(path: str | os.PathLike) -> list[bytes]:
    """Returns the lines of a file.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        content = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    return content.removesuffix(b"\n").split(b"\n") if content else []


def write_lines(path: str | os.PathLike, lines: Iterable[str]) -> None:
    """Writes a file that appears when it is complete.

    Raises:
        UserError: If it cannot be written.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{in_one_line(line)}\n" for line in lines)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def check_writable(path: str | os.PathLike) -> None:
    """Refuses, before any work is done, a path that cannot be written.

    Raises:
        UserError: If the folder is not there, or the path is a folder.
    """
    path = pathlib.Path(path)
    if not path.parent.is_dir():
        raise UserError(f"cannot write {path}: {path.parent} is not a folder; make it")
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder; give a file in it")


def in_one_line(text: str) -> str:
    """Returns the text with the ends of lines in it made spaces."""
    return text.replace("\r", " ").replace("\n", " ")


def _decode_utf8(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"not UTF-8 at byte {error.start} ({error.reason}); convert the file, e.g. "
            "with iconv"
        ) from None
