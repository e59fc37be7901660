"""The numbers of decoding, written as T2T's `--decode_hparams`."""

import dataclasses
import math
from typing import Any, Self

from t2t_multimodel.errors import UserError, unknown

_NOT_OFFERED = {
    "max_input_size": "inputs are decoded whole; cut the lines of the file",
    "identity_output": "outputs are texts, or names of classes",
    "save_images": "pictures stay where they are",
    "delimiter": "an input is a line",
    "force_decode_length": "an output ends with its EOS",
}
"""T2T's (v1.4.4) that are not offered: the reader's habit deserves an answer."""

_OF_SAMPLING = ("top_k", "samples_per_input", "seed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodeHParams:
    """How inputs are decoded; names and meaning are T2T's where it has them.

    Attributes:
        batch_size: Inputs decoded at once.
        extra_length: Symbols that an output may have beyond those of its input.
        beam_size: Hypotheses that a beam search follows; 1 is greedy decoding (T2T's
            default is 4).
        alpha: Of the length penalty ((5 + length) / 6) ^ alpha of a beam search.
        return_beams: Whether all outputs of an input are given and not the best
            alone, separated by tabs.
        write_beam_scores: Whether the score follows each output, after a tab; of
            classes it is the probability.
        num_samples: Examples of a split that are decoded; -1 means all.
        temperature: Ours: outputs are drawn at this temperature; 0 draws none.
        top_k: Ours: the symbols drawn from, the likeliest; 0 means all.
        samples_per_input: Ours: outputs drawn of each input.
        seed: Ours: of the random numbers, which go by it and the input's place.
    """

    batch_size: int = 32
    extra_length: int = 50
    beam_size: int = 1
    alpha: float = 0.6
    return_beams: bool = False
    write_beam_scores: bool = False
    num_samples: int = -1
    temperature: float = 0.0
    top_k: int = 0
    samples_per_input: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "beam_size", "samples_per_input"):
            if getattr(self, name) < 1:
                raise _wrong(f"{name}={getattr(self, name)} must be positive")
        for name in ("extra_length", "alpha", "temperature", "top_k", "seed"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise _wrong(f"{name}={value} must not be negative")
        if self.seed >= 2**31:
            raise _wrong(f"seed={self.seed} must be below 2147483648")
        if self.num_samples < 1 and self.num_samples != -1:
            raise _wrong(
                f"num_samples={self.num_samples} must be positive, or -1 for all "
                "examples of the split; outputs of an input are samples_per_input"
            )
        if self.temperature and self.beam_size > 1:
            raise _wrong(
                f"beam_size={self.beam_size} and temperature={self.temperature}: "
                "outputs are searched or drawn, not both; for several drawn ones give "
                f"samples_per_input={self.beam_size}"
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in _OF_SAMPLING and value != field.default:
                if not self.temperature:
                    raise _wrong(
                        f"{field.name}={value} is of drawn outputs; give a "
                        "temperature, e.g. temperature=1"
                    )
        if self.return_beams and self.num_outputs == 1:
            raise _wrong(
                "return_beams=true, but there is one output; give beam_size=4 (here "
                "the default is 1, greedy), or temperature and samples_per_input"
            )

    @property
    def num_outputs(self) -> int:
        """Outputs of each input that the search gives."""
        return max(self.beam_size, self.samples_per_input)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the values of `"batch_size=8,beam_size=4"`; empty: defaults.

        Raises:
            UserError: If a name is unknown or given twice, a value is not of its type
                or out of range, or two contradict each other.
        """
        types = {field.name: type(field.default) for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = (side.strip() for side in part.partition("="))
            if name in _NOT_OFFERED:
                raise _wrong(f"{name} is not offered: {_NOT_OFFERED[name]}")
            if name not in types:
                raise _wrong(unknown("hyperparameter", name, types))
            if name in values:
                raise _wrong(f"{name} is given twice")
            values[name] = _parsed(name, value, types[name])
        if "alpha" in values and values.get("beam_size", 1) == 1:
            raise _wrong(
                "alpha is of beam search; give beam_size too, e.g. beam_size=4 (here "
                "the default is 1, greedy)"
            )
        return cls(**values)


def _parsed(name: str, value: str, of_type: type) -> Any:
    expected = {bool: "true or false", int: "a whole number", float: "a number"}
    try:
        if of_type is bool:
            return {"true": True, "false": False}[value.lower()]
        return of_type(value)
    except (KeyError, ValueError):
        raise _wrong(f"{name}={value} must be {name}={expected[of_type]}") from None


def _wrong(text: str) -> UserError:
    return UserError(f"--decode_hparams: {text}")
