"""t2t-mm-bleu: BLEU of a file of translations, sacreBLEU's and T2T's own."""

import functools
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from t2t_multimodel.bin import command_line
from t2t_multimodel.errors import UserError

PROGRAM = "t2t-mm-bleu"
DESCRIPTION = """Scores a file of outputs, a line each, against a file of references.

  t2t-mm-bleu --translation=decoded.txt --reference=wanted.txt

Prints sacreBLEU with its signature, the number to report, and the BLEU of T2T's own
t2t-bleu, to compare with what was published with it. The files of t2t-mm-decoder do for
any problem whose targets are texts: <file>.<problem>.decodes and .targets."""


def define_flags() -> flags.FlagValues:
    """Returns the program's flags; names and meanings are those of t2t-bleu."""
    values = flags.FlagValues()
    command_line.define_shared(values)
    string = functools.partial(flags.DEFINE_string, flag_values=values)

    string("translation", "", "File of the outputs, UTF-8, a line each.")
    flags.DEFINE_multi_string(
        "reference",
        [],
        "File of the references, line by line; may be repeated for sacreBLEU, T2T's "
        "is of the first.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "bleu_variant",
        "both",
        ["both", "cased", "uncased"],
        "Whether upper and lower case count in T2T's BLEU.",
        flag_values=values,
    )
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; see `command_line.run`."""
    values = define_flags()
    return command_line.run(PROGRAM, DESCRIPTION, values, lambda: score(values), argv)


def score(values: flags.FlagValues) -> int:
    """Prints the scores; returns the exit status."""
    if not values.translation or not values.reference:
        missing = "--reference" if values.translation else "--translation"
        raise UserError(f"{missing} is missing; give a file")
    outputs = _read(values.translation)
    references = [_read(path) for path in values.reference]
    for path, lines in zip(values.reference, references, strict=True):
        if len(lines) != len(outputs):
            raise UserError(
                f"{values.translation} has {len(outputs)} lines, {path} {len(lines)}; "
                "give files that match line by line"
            )
    # Here, so that --help does not wait for sacreBLEU.
    from t2t_multimodel.training.decode_metrics import bleu, t2t_bleu

    several = list(zip(*references, strict=True))
    scores = {"sacreBLEU": bleu(outputs, several)}
    if values.bleu_variant != "uncased":
        scores["T2T BLEU"] = t2t_bleu(outputs, several)
    if values.bleu_variant != "cased":
        scores["T2T BLEU_uncased"] = t2t_bleu(outputs, several, lowercase=True)
    for name, result in scores.items():
        print(f"{name:16} {result.value:6.2f}   {result.signature}")
    return 0


def _read(path: str) -> list[str]:
    try:
        text = pathlib.Path(path).expanduser().read_bytes().decode("utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 at byte {error.start}") from None
    return text.removesuffix("\n").split("\n") if text else []


if __name__ == "__main__":
    sys.exit(main())
