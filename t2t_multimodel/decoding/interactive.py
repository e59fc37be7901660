"""The prompt: a line in, what the model makes of it out."""

from collections.abc import Callable

from t2t_multimodel.decoding.decoder import Decoder, Result
from t2t_multimodel.errors import UserError

_INPUTS = {
    "text": "a line of text",
    "image": "the path of a PNG or JPEG file",
    "audio": "the path of a WAV file",
}
_COMMANDS = """\
  pr=NAME or pr=NUMBER  another problem
  dl=NUMBER             longest output in symbols; dl=0 goes by the input again
  ?                     this list
  q                     quit (so does Ctrl-D)
  anything else is decoded"""


class Prompt:
    """Decodes line after line; what is wrong with one is told in one line.

    Args:
        decoder: Decodes.
        problem: Name of the problem to begin with.
        read: Reads a line after showing a prompt; raises EOFError at the end.
        say: Prints a line.
    """

    def __init__(
        self,
        decoder: Decoder,
        problem: str,
        *,
        read: Callable[[str], str] = input,
        say: Callable[[str], None] = print,
    ) -> None:
        self.decoder = decoder
        self.problem = decoder.problem(problem).name
        self.max_length: int | None = None
        self._read = read
        self._say = say

    def run(self) -> None:
        """Goes on until `q` or the end of the input."""
        self._help()
        while True:
            try:
                line = self._read(f"{self.problem}> ").strip()
            except (EOFError, KeyboardInterrupt):
                self._say("")
                return
            except UnicodeDecodeError as error:
                self._say(f"that line is not UTF-8 ({error.reason}); type it again")
                continue
            if line == "q":
                return
            if line:
                self._answer(line)

    def _answer(self, line: str) -> None:
        try:
            if line == "?":
                self._help()
            elif line.startswith("pr="):
                self._choose(line.removeprefix("pr=").strip())
            elif line.startswith("dl="):
                self._limit(line.removeprefix("dl=").strip())
            else:
                self._show(self._decode(line))
        except UserError as error:
            self._say(f"error: {error}")

    def _decode(self, line: str) -> Result:
        return self.decoder.decode(self.problem, [line], max_length=self.max_length)[0]

    def _show(self, result: Result) -> None:
        if not result.classes:
            self._say(result.text)
        for scored in result.classes:
            self._say(f"{scored.probability:7.2%}  {scored.name}")

    def _choose(self, wanted: str) -> None:
        names = list(self.decoder.problems)
        if wanted.isdecimal():
            if int(wanted) >= len(names):
                raise UserError(f"pr={wanted}: numbers go from 0 to {len(names) - 1}")
            wanted = names[int(wanted)]
        self.problem = self.decoder.problem(wanted).name
        self._say(self._expects())

    def _limit(self, wanted: str) -> None:
        if not wanted.isdecimal():
            raise UserError(f"dl={wanted} must be a whole number, e.g. dl=100")
        self.max_length = int(wanted) or None

    def _help(self) -> None:
        self._say("problems:")
        for number, name in enumerate(self.decoder.problems):
            mark = "*" if name == self.problem else " "
            self._say(f"  {mark} {number} {name}")
        self._say("commands:")
        self._say(_COMMANDS)
        self._say(self._expects())

    def _expects(self) -> str:
        kind = self.decoder.problem(self.problem).inputs.kind
        return f"{self.problem} takes {_INPUTS[kind]}"
