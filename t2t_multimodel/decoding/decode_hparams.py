"""The numbers of decoding, written as T2T's `--decode_hparams`."""

import dataclasses
from typing import Self

from t2t_multimodel.errors import UserError, unknown

# T2T's (v1.4.4) that are not offered: the reader's habit deserves an answer.
_NOT_OFFERED = (
    "alpha",
    "beam_size",
    "return_beams",
    "write_beam_scores",
    "num_samples",
    "max_input_size",
    "identity_output",
    "save_images",
    "delimiter",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodeHParams:
    """How inputs are decoded; names are T2T's.

    Attributes:
        batch_size: Inputs decoded at once.
        extra_length: Symbols that an output may have beyond those of its input.
    """

    batch_size: int = 32
    extra_length: int = 50

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"batch_size={self.batch_size} must be positive")
        if self.extra_length < 0:
            raise UserError(f"extra_length={self.extra_length} must not be negative")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the values of `"batch_size=8,extra_length=20"`; empty: defaults.

        Raises:
            UserError: If a name is unknown or a value no whole number.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        values: dict[str, int] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = (side.strip() for side in part.partition("="))
            if (name, value) == ("beam_size", "1"):
                continue  # what is done anyway
            if name in _NOT_OFFERED:
                raise UserError(
                    f"--decode_hparams: {name} is not offered: decoding is greedy; "
                    f"known are {', '.join(known)}"
                )
            if name not in known:
                raise UserError(
                    f"--decode_hparams: {unknown('hyperparameter', name, known)}"
                )
            try:
                values[name] = int(value)
            except ValueError:
                raise UserError(
                    f"--decode_hparams: {part!r} must be {name}=a whole number"
                ) from None
        return cls(**values)
