"""Hyperparameters: the frozen dataclass and the named sets."""

if __name__ != "t2t_multimodel.hparams":
    raise ImportError("import t2t_multimodel.hparams, not hparams: see setup.py")

from t2t_multimodel.hparams import multimodel  # noqa: F401  (registers the sets)
from t2t_multimodel.hparams.base import HParams
from t2t_multimodel.registry import HPARAMS_SETS

__all__ = ["HParams", "make_hparams"]


def make_hparams(set_name: str, overrides: str = "") -> HParams:
    """Returns the named set with `overrides` such as `"dropout=0.0,moe_k=4"` applied.

    Raises:
        UserError: If the set or a name in `overrides` is unknown, or a value is bad.
    """
    hparams: HParams = HPARAMS_SETS.get(set_name)()
    return hparams.override(overrides)
