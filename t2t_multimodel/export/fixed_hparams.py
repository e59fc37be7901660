"""The numbers of decoding that are fixed when a run is exported."""

import dataclasses
from typing import Any

from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.errors import UserError

_NOT_FIXED = {
    "batch_size": "requests may be of any size",
    "num_samples": "there is no split to decode",
    "write_beam_scores": "scores always come with the outputs",
}


def parse(text: str) -> DecodeHParams:
    """Returns how texts will be decoded.

    Args:
        text: As `DecodeHParams.parse` takes it.

    Raises:
        UserError: If a name or value is wrong, or an export has no use for it.
    """
    for part in text.split(","):
        name = part.partition("=")[0].strip()
        if name in _NOT_FIXED:
            raise UserError(
                f"--decode_hparams: {name} is not of an export: {_NOT_FIXED[name]}; "
                "leave it out"
            )
    return DecodeHParams.parse(text)


def to_json(hparams: DecodeHParams) -> dict[str, Any]:
    """Returns the numbers that are of an export, by name."""
    settings = dataclasses.asdict(hparams)
    return {name: settings[name] for name in settings if name not in _NOT_FIXED}
