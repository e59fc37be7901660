"""The prompt: a line, picture or sound in, what the model makes of it out."""

import sys
from collections.abc import Callable, Iterable

import numpy as np

from t2t_multimodel.data.spaces import PARSE_SPACES
from t2t_multimodel.data.tree_repair import legal_tree
from t2t_multimodel.data.trees import linearise
from t2t_multimodel.decoding.decoder import ClassScore, Decoder
from t2t_multimodel.decoding.line_editor import line_reader
from t2t_multimodel.decoding.raw_inputs import batch_inputs
from t2t_multimodel.decoding.streaming import Streamer, text_pieces
from t2t_multimodel.decoding.tree_drawing import draw
from t2t_multimodel.errors import UserError, unknown
from t2t_multimodel.problems.problem import Problem

_INPUTS = {
    "text": "a line of text",
    "image": "the path of a PNG or JPEG file",
    "audio": "the path of a sound file (WAV, SPHERE)",
}
_COMMANDS = """\
  pr=PROBLEM  inputs and outputs of another problem (its name or number)
  in=PROBLEM  inputs of that problem, outputs as they are
  ou=PROBLEM  outputs of that problem, inputs as they are
  it=KIND     inputs of the first problem that takes text, image or audio
  ns=NUMBER   outputs for each input: the best of a beam, or samples
  dl=NUMBER   longest output in symbols; dl=0 goes by the input again
  ?           this list
  q           quit (so does Ctrl-D); Ctrl-C stops what is being decoded
  anything else is decoded"""


class Prompt:
    """Decodes line after line; what is wrong with one is told in one line.

    Commands are T2T's. Words appear as they are decoded, unless several outputs are
    asked for or a beam is searched: then the best is known at the end only.

    Args:
        decoder: Decodes; it is loaded once and serves all its problems.
        problem: Name of the problem to begin with.
        read: Reads a line after showing a prompt; raises EOFError at the end. `None`
            reads from the terminal, with completion and history.
        say: Prints a line.
        write: Prints a part of a line at once.
    """

    def __init__(
        self,
        decoder: Decoder,
        problem: str,
        *,
        read: Callable[[str], str] | None = None,
        say: Callable[[str], None] = print,
        write: Callable[[str], None] | None = None,
    ) -> None:
        self.decoder = decoder
        self.inputs_of = self.outputs_of = decoder.problem(problem)
        self.num_outputs = 1
        self.max_length: int | None = None
        self._streamer = Streamer(decoder.model)
        self._decoders: dict[int, Decoder] = {}
        self._commands: dict[str, Callable[[str], None]] = {
            "pr": self._change_problem,
            "in": self._change_inputs,
            "ou": self._change_outputs,
            "it": self._change_kind,
            "ns": self._change_number,
            "dl": self._change_length,
        }
        self._read = read or line_reader(list(self._completions()))
        self._say = say
        self._write = write or _write_to_terminal

    def run(self) -> None:
        """Goes on until `q` or the end of the input."""
        self._help()
        while True:
            try:
                line = self._read(f"{self._route()}> ").strip()
                if line == "q":
                    return
                if line:
                    self._answer(line)
            except EOFError:
                self._say("")
                return
            except KeyboardInterrupt:
                self._say("")
                self._say("(stopped; q quits)")
            except UnicodeDecodeError as error:
                self._say(f"that line is not UTF-8 ({error.reason}); type it again")

    def _answer(self, line: str) -> None:
        name, separator, value = line.partition("=")
        try:
            if line == "?":
                self._help()
            elif separator and name in self._commands:
                self._commands[name](value.strip())
            else:
                self._decode(line)
        except UserError as error:
            self._say(f"error: {error}")

    def _decode(self, line: str) -> None:
        source, target = self.inputs_of, self.outputs_of
        prepared = self.decoder.prepare(source.name, line)
        if self._is_streamed():
            texts = [self._stream(prepared)]
        else:
            (result,) = self._of_several().decode_prepared(
                target.name,
                [prepared],
                max_length=self.max_length,
                inputs_of=source.name,
            )
            self._show_classes(result.classes)
            outputs = result.outputs[: self.num_outputs]
            texts = [output.text for output in outputs]
            for output in outputs:
                self._say(f"{output.log_prob:9.3f}  {output.text}")
        if target.targets.space in PARSE_SPACES and source.inputs.kind == "text":
            for text in texts:
                self._show_tree(text.split(), line.split())

    def _is_streamed(self) -> bool:
        return (
            self.outputs_of.targets.kind == "text"
            and self.num_outputs == 1
            and self.decoder.hparams.num_outputs == 1
            and not self.decoder.hparams.temperature
        )

    def _of_several(self) -> Decoder:
        """Returns the decoder that gives as many outputs as are asked for."""
        if self.num_outputs not in self._decoders:
            hparams, number = self.decoder.hparams, self.num_outputs
            if hparams.temperature:
                changes = {"samples_per_input": number}
            else:
                changes = {"beam_size": max(hparams.beam_size, number)}
            self._decoders[number] = self.decoder.with_hparams(**changes)
        return self._decoders[self.num_outputs]

    def _stream(self, prepared: np.ndarray) -> str:
        source, target = self.inputs_of, self.outputs_of
        ids = self._streamer.ids(
            batch_inputs(source.inputs, [prepared]),
            source.name,
            target.name,
            self.decoder.max_length(source.name, prepared, self.max_length),
        )
        whole = ""
        encoder = self.decoder.encoders[target.targets.vocabulary.name]
        for piece in text_pieces(ids, encoder):
            self._write(piece)
            whole += piece
        self._say("")
        return whole

    def _show_classes(self, classes: Iterable[ClassScore]) -> None:
        for scored in classes:
            self._say(f"{scored.probability:7.2%}  {scored.name}")

    def _show_tree(self, tags: list[str], words: list[str]) -> None:
        tree = legal_tree(tags, words)
        if linearise(tree) != tags:
            self._say("(the tags are no tree over the words; repaired:)")
        for child in tree.children:
            for line in draw(child):
                self._say(line)

    def _change_problem(self, wanted: str) -> None:
        self.inputs_of = self.outputs_of = self._problem("pr", wanted)
        self._say(self._expects())

    def _change_inputs(self, wanted: str) -> None:
        self._cross(self._problem("in", wanted), self.outputs_of)

    def _change_outputs(self, wanted: str) -> None:
        self._cross(self.inputs_of, self._problem("ou", wanted))

    def _change_kind(self, wanted: str) -> None:
        first = {}
        for problem in self.decoder.problems.values():
            first.setdefault(problem.inputs.kind, problem)
        if wanted not in first:
            raise UserError(unknown("kind of inputs", wanted, first))
        self._cross(first[wanted], self.outputs_of)

    def _cross(self, inputs_of: Problem, outputs_of: Problem) -> None:
        self.decoder.check_route(inputs_of.name, outputs_of.name)
        self.inputs_of, self.outputs_of = inputs_of, outputs_of
        self._say(self._expects())

    def _change_number(self, wanted: str) -> None:
        if not wanted.isdecimal() or not int(wanted):
            raise UserError(f"ns={wanted} must be a whole number from 1, e.g. ns=3")
        self.num_outputs = int(wanted)

    def _change_length(self, wanted: str) -> None:
        if not wanted.isdecimal():
            raise UserError(f"dl={wanted} must be a whole number, e.g. dl=100")
        self.max_length = int(wanted) or None

    def _problem(self, command: str, wanted: str) -> Problem:
        names = list(self.decoder.problems)
        if wanted.isdecimal():
            if int(wanted) >= len(names):
                raise UserError(
                    f"{command}={wanted}: numbers go from 0 to {len(names) - 1}"
                )
            wanted = names[int(wanted)]
        return self.decoder.problem(wanted)

    def _completions(self) -> Iterable[str]:
        for command in ("pr", "in", "ou"):
            yield from (f"{command}={name}" for name in self.decoder.problems)
        kinds = {problem.inputs.kind for problem in self.decoder.problems.values()}
        yield from (f"it={kind}" for kind in sorted(kinds))
        yield from ("ns=", "dl=", "?", "q")

    def _help(self) -> None:
        self._say("problems:")
        for number, name in enumerate(self.decoder.problems):
            mark = "*" if name == self.inputs_of.name else " "
            self._say(f"  {mark} {number} {name}")
        self._say("commands:")
        self._say(_COMMANDS)
        self._say(self._expects())

    def _expects(self) -> str:
        return f"{self._route()} takes {_INPUTS[self.inputs_of.inputs.kind]}"

    def _route(self) -> str:
        if self.inputs_of is self.outputs_of:
            return self.inputs_of.name
        return f"{self.inputs_of.name} -> {self.outputs_of.name}"


def _write_to_terminal(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
