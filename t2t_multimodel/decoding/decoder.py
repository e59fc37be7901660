"""Decodes inputs of any problem of a model, in batches of like length."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.raw_inputs import RawInput, batch_inputs, read_input
from t2t_multimodel.decoding.search import NO_SCORE
from t2t_multimodel.decoding.traced import TracedModel, until_eos
from t2t_multimodel.errors import UserError, unknown
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.multimodel import MultiModel
from t2t_multimodel.problems.problem import Problem
from t2t_multimodel.training.checkpoint import load_weights
from t2t_multimodel.training.run_directory import Run

NON_TEXT_LENGTH = 100
"""Most symbols decoded from an image or a sound (T2T)."""

TOP_CLASSES = 5


class ClassScore(NamedTuple):
    """A class and its probability.

    Attributes:
        index: Of the class, in the problem's names; names need not be distinct.
        name: Of the class.
        probability: Within [0, 1].
    """

    index: int
    name: str
    probability: float


class Output(NamedTuple):
    """A decoded text.

    Attributes:
        text: The text.
        score: Log-probability over the length penalty.
        log_prob: What the model gives it, its end included.
        num_symbols: Its length, EOS not counted.
    """

    text: str
    score: float
    log_prob: float
    num_symbols: int


@dataclasses.dataclass(frozen=True)
class Result:
    """What was decoded from one input.

    Attributes:
        text: The text, of several the best or first, or the name of the likeliest
            class.
        classes: The likeliest classes, best first; empty for texts.
        num_symbols: Symbols decoded, EOS not counted; 0 for classes.
        outputs: All texts: of a beam search best first, or as they were drawn; empty
            for classes.
    """

    text: str
    classes: tuple[ClassScore, ...] = ()
    num_symbols: int = 0
    outputs: tuple[Output, ...] = ()


class Decoder:
    """Decodes inputs of the problems of a model.

    Args:
        model: The model; its weights may change between calls.
        problems: The problems that it was made for.
        encoders: Vocabulary name to text encoder.
        hparams: How inputs are decoded.
    """

    def __init__(
        self,
        model: MultiModel,
        problems: Sequence[Problem],
        encoders: Mapping[str, Any],
        hparams: DecodeHParams = DecodeHParams(),  # noqa: B008  (frozen)
    ) -> None:
        self.problems = {problem.name: problem for problem in problems}
        self.encoders = dict(encoders)
        self.model = model
        self.hparams = hparams
        self.model = model
        self._traced = TracedModel(model, hparams)

    def with_hparams(self, **changes: Any) -> "Decoder":
        """Returns a decoder of the same model that decodes otherwise.

        Raises:
            UserError: If the changed hyperparameters contradict each other.
        """
        hparams = dataclasses.replace(self.hparams, **changes)
        return Decoder(self.model, list(self.problems.values()), self.encoders, hparams)

    @property
    def batch_size(self) -> int:
        """Inputs decoded at once."""
        return self.hparams.batch_size

    def problem(self, name: str) -> Problem:
        """Returns the problem of that name.

        Raises:
            UserError: If the model was not made for it.
        """
        if name not in self.problems:
            raise UserError(unknown("problem of this model", name, self.problems))
        return self.problems[name]

    def check_route(self, inputs_of: str, outputs_of: str) -> None:
        """Checks that inputs of one problem can give outputs of another.

        Texts can be decoded from whatever the encoder made. The classes of a problem
        are read off inputs of its own kind: the net before them sees a picture as
        rows and columns, and a text or a sound as one row.

        Raises:
            UserError: If they do not fit, or there is no such problem.
        """
        source, target = self.problem(inputs_of), self.problem(outputs_of)
        kinds = (source.inputs.kind, target.inputs.kind)
        if target.targets.kind == "class_label" and kinds[0] != kinds[1]:
            raise UserError(
                f"the classes of {outputs_of} are of {kinds[1]} inputs, and the inputs "
                f"of {inputs_of} are {kinds[0]}; choose a problem with text outputs"
            )

    def prepare(self, problem: str, raw: RawInput) -> np.ndarray:
        """Returns a raw input as `decode_prepared` takes it; see `read_input`.

        Raises:
            UserError: If it cannot be read.
        """
        feature = self.problem(problem).inputs
        return read_input(feature, raw, self._encoder(feature))

    def decode(
        self,
        problem: str,
        raw_inputs: Sequence[RawInput],
        *,
        max_length: int | None = None,
    ) -> list[Result]:
        """Returns what each raw input decodes to, in their order.

        Args:
            problem: Name of the problem.
            raw_inputs: Texts, paths of images or sounds, or their content.
            max_length: Most symbols of a text; `None` takes the input's length plus
                `extra_length` for texts, `NON_TEXT_LENGTH` for images and sounds.

        Raises:
            UserError: If an input cannot be read; nothing is decoded then.
        """
        prepared = [self.prepare(problem, raw) for raw in raw_inputs]
        return self.decode_prepared(problem, prepared, max_length=max_length)

    def decode_prepared(
        self,
        problem: str,
        prepared: Sequence[np.ndarray],
        *,
        max_length: int | None = None,
        numbers: Sequence[int] | None = None,
        inputs_of: str | None = None,
    ) -> list[Result]:
        """Returns what each input from `prepare` decodes to, in their order.

        The longest are decoded first, so that too little memory shows at once.

        Args:
            problem: Name of the problem.
            prepared: From `prepare`.
            max_length: See `decode`.
            numbers: Of the inputs, which random numbers go by; from 0 if not given.
            inputs_of: Problem whose inputs they are, if another one's; see
                `check_route`.
        """
        route = (self.problem(inputs_of or problem), self.problem(problem))
        if numbers is None:
            numbers = range(len(prepared))
        order = sorted(range(len(prepared)), key=lambda i: -len(prepared[i]))
        results: dict[int, Result] = {}
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            rows = [prepared[index] for index in chosen]
            if route[1].targets.kind == "class_label":
                decoded = self._classify(route, rows)
            else:
                decoded = self._decode_texts(
                    route, rows, max_length, [numbers[index] for index in chosen]
                )
            results |= zip(chosen, decoded, strict=True)
        return [results[index] for index in range(len(prepared))]

    def _decode_texts(
        self,
        route: tuple[Problem, Problem],
        rows: list[np.ndarray],
        max_length: int | None,
        numbers: Sequence[int],
    ) -> list[Result]:
        source, target = route
        lengths = [self.max_length(source.name, row, max_length) for row in rows]
        found = self._traced.search(
            batch_inputs(source.inputs, rows),
            target.name,
            np.array(lengths, np.int32),
            np.array(numbers),
            inputs_of=source.name,
        )
        encoder = self._encoder(target.targets)
        results = []
        for of_input in zip(found.ids, found.scores, found.log_probs, strict=True):
            outputs = []
            for ids, score, log_prob in zip(*of_input, strict=True):
                symbols = until_eos(ids)
                text = encoder.decode(symbols)
                outputs.append(
                    Output(text, float(score), float(log_prob), len(symbols))
                )
            kept = tuple(o for o in outputs if o.score > NO_SCORE)
            results.append(
                Result(kept[0].text, num_symbols=kept[0].num_symbols, outputs=kept)
            )
        return results

    def max_length(
        self, inputs_of: str, prepared: np.ndarray, wanted: int | None = None
    ) -> int:
        """Returns the most symbols that an input may decode to.

        It goes by the input and not, as in T2T, by the batch: what an input decodes
        to does not depend on its neighbours.

        Args:
            inputs_of: Problem whose input it is.
            prepared: The input, from `prepare`.
            wanted: See `decode`.
        """
        if wanted is not None:
            return wanted
        if self.problem(inputs_of).inputs.kind == "text":
            return len(prepared) + self.hparams.extra_length
        return NON_TEXT_LENGTH

    def _classify(
        self, route: tuple[Problem, Problem], rows: list[np.ndarray]
    ) -> list[Result]:
        source, target = route
        names = target.targets.names
        results = []
        for row in self._traced.probabilities(
            batch_inputs(source.inputs, rows), target.name, inputs_of=source.name
        ):
            most = max(TOP_CLASSES, self.hparams.num_outputs)
            best = np.argsort(-row, kind="stable")[:most]
            classes = tuple(
                ClassScore(int(index), names[index], float(row[index]))
                for index in best
            )
            results.append(Result(classes[0].name, classes))
        return results

    def _encoder(self, feature: Any) -> Any:
        return (
            self.encoders[feature.vocabulary.name] if feature.kind == "text" else None
        )


def load_decoder(
    run: Run,
    *,
    problem_names: Sequence[str] = (),
    checkpoint_path: str | os.PathLike | None = None,
    hparams: DecodeHParams | None = None,
) -> tuple[Decoder, int]:
    """Returns the decoder of a trained run, and the step of its checkpoint.

    It computes in float32, also what was trained in bfloat16.

    Args:
        run: The run.
        problem_names: Problems to make the model for, in order; none means all.
        checkpoint_path: A checkpoint; `None` takes the latest of the run.
        hparams: How inputs are decoded.

    Raises:
        UserError: If the run has no such problem or no checkpoint.
    """
    names = problem_names or [problem.name for problem in run.problems]
    problems = [run.problem(name) for name in names]
    specs = [spec for spec in run.specs() if spec.name in names]
    # Whatever it was trained in: rounding would only take from what weights know.
    hparams_in_float32 = dataclasses.replace(run.hparams, compute_dtype="float32")
    model = make_model(specs, hparams_in_float32)
    step = load_weights(checkpoint_path or run.output_dir, model)
    return Decoder(model, problems, run.encoders, hparams or DecodeHParams()), step
