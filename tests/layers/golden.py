"""Numbers that Tensor2Tensor computed, for the tests of the layers."""

import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parents[1] / "golden"
VERSIONS = ("v1.0.3", "v1.4.4")


def read(part: str, version: str, case: str) -> dict[str, np.ndarray]:
    """Returns the arrays of one case, without the case's name in the keys."""
    with np.load(FOLDER / f"{part}__{version}.npz") as file:
        start = f"{case}/"
        return {
            k.removeprefix(start): file[k] for k in file.files if k.startswith(start)
        }
