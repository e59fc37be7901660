"""t2t-mm-query: send a line, an image or a sound to a running TensorFlow Serving."""

import functools
import sys
from collections.abc import Iterator, Sequence

from absl import flags

from t2t_multimodel.bin import command_line
from t2t_multimodel.errors import UserError

PROGRAM = "t2t-mm-query"
DESCRIPTION = """Asks a TensorFlow Serving that has an export of t2t-mm-exporter.

  t2t-mm-query --servable_name=NAME --problem=PROBLEM --inputs_once="a red circle"
  t2t-mm-query --servable_name=NAME --problem=PROBLEM     type lines; q quits

What the problem takes is sent: a text as it is, an image (PNG, JPEG) or a sound (WAV,
SPHERE; others with the package soundfile) by the path of its file."""

EXIT_SOME_LINES_FAILED = 1


def define_flags() -> flags.FlagValues:
    """Returns the program's flags; names and meanings are those of t2t-query-server."""
    values = flags.FlagValues()
    command_line.define_shared(values)
    string = functools.partial(flags.DEFINE_string, flag_values=values)

    string("server", "localhost:8501", "host:port of the REST interface.")
    string("servable_name", "", "Name of the model on the server.")
    string("problem", "serving_default", "The problem: a signature of the model.")
    string("inputs_once", "", "Send this and stop, rather than read lines.")
    flags.DEFINE_float(
        "timeout_secs",
        10.0,
        "Seconds to wait for an answer.",
        lower_bound=0.001,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "sample_rate",
        16000,
        "Samples a second of the sounds that the problem was trained with.",
        lower_bound=1,
        flag_values=values,
    )
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; see `command_line.run`."""
    values = define_flags()
    return command_line.run(PROGRAM, DESCRIPTION, values, lambda: query(values), argv)


def query(values: flags.FlagValues) -> int:
    """Does what the flags say; returns the exit status."""
    if not values.servable_name:
        raise UserError(
            "--servable_name is missing; give the name that the server has for the "
            "model (its --model_name)"
        )
    from t2t_multimodel.export import serving_client

    client = serving_client.ServingClient(
        values.server, values.servable_name, values.timeout_secs
    )
    names = client.inputs(values.problem)

    def answer(line: str) -> None:
        inputs = serving_client.request_inputs(names, line, values.sample_rate)
        outputs = client.predict(values.problem, inputs)
        print("\n".join(serving_client.readable(outputs)), flush=True)

    if values.inputs_once:
        answer(values.inputs_once)
        return 0
    failed = False
    for line in _lines(f"{values.problem}> "):
        try:
            answer(line)
        except UserError as error:
            failed = True
            print(f"{PROGRAM}: {error}", file=sys.stderr, flush=True)
    return EXIT_SOME_LINES_FAILED if failed and not sys.stdin.isatty() else 0


def _lines(prompt: str) -> Iterator[str]:
    """Yields what is typed, or the lines of standard input, until the end or `q`."""
    while True:
        try:
            line = input(prompt if sys.stdin.isatty() else "").strip()
        except EOFError:
            return
        except UnicodeDecodeError as error:
            raise UserError(f"standard input is not UTF-8 ({error.reason})") from None
        if line == "q":
            return
        if line:
            yield line


if __name__ == "__main__":
    sys.exit(main())
