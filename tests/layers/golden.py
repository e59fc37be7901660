"""Numbers that Tensor2Tensor computed, and its weights in our layers.

T2T's variables stand for ours in a `keras.StatelessScope`, so that gradients reach
them through our layers and can be compared under T2T's names.
"""

import contextlib
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

FOLDER = pathlib.Path(__file__).parents[1] / "golden"
VERSIONS = ("v1.0.3", "v1.4.4")


def read(part: str, version: str, case: str) -> dict[str, np.ndarray]:
    """Returns the arrays of one case, without the case's name in the keys."""
    with np.load(FOLDER / f"{part}__{version}.npz") as file:
        start = f"{case}/"
        return {
            k.removeprefix(start): file[k] for k in file.files if k.startswith(start)
        }


def variables(golden: dict[str, np.ndarray]) -> dict[str, tf.Variable]:
    """Returns T2T's variables of a case by their names."""
    return {
        key.removeprefix("var/"): tf.Variable(value)
        for key, value in golden.items()
        if key.startswith("var/")
    }


class Pairs(list):
    """Our variables, each with the tensor of T2T's that stands for it."""

    def add(self, variable: keras.Variable, value: Any) -> None:
        """Adds a pair; T2T's axes of length 1 may differ from ours."""
        self.append((variable, tf.reshape(value, variable.shape)))

    def add_norm(self, norm: Any, v: dict, name: str) -> None:
        """Adds the scale and bias of a layer norm; `name` is T2T's scope."""
        self.add(norm.scale, v[f"{name}/layer_norm_scale"])
        self.add(norm.bias, v[f"{name}/layer_norm_bias"])

    def add_step(self, step: Any, v: dict, scope: str, index: int = 0) -> None:
        """Adds convolution step `index` of T2T's conv block `scope`.

        Three rules make T2T's variants plain separable convolutions: its groups
        ("super-separable") are blocks on the diagonal of the pointwise kernel, fewer
        taps are taps of zeros, and an ordinary 1x1 kernel is a pointwise one.

        Args:
            step: A built `ConvStep` or `ConvStep2D`.
            v: T2T's variables by name.
            scope: Scope of the block, up to `conv_block_norm_0`.
            index: Number of the step in it.
        """
        conv = getattr(step, "conv", step)  # a ConvStep wraps one, ConvStep2D is one
        parts = _kernels(v, scope, index)
        if hasattr(conv, "depthwise"):
            if "kernel" in parts[0]:
                self.add(conv.depthwise, tf.ones(conv.depthwise.shape))
                self.add(conv.pointwise, parts[0]["kernel"])
            else:
                depthwise = tf.concat([p["depthwise_kernel"] for p in parts], axis=2)
                self.add(conv.depthwise, _more_taps(depthwise, conv))
                self.add(conv.pointwise, _block_diagonal(parts))
        else:
            self.add(conv.kernel, parts[0]["kernel"])
        self.add_norm(step.norm, v, f"{scope}/conv_block_norm_{index}")

    @contextlib.contextmanager
    def in_place(self):
        """Inside, our layers compute with T2T's variables."""
        with keras.StatelessScope(state_mapping=list(self)):
            yield


def _kernels(v: dict, scope: str, index: int) -> list[dict]:
    """Returns the kernels of a step by kind, one dict a group."""
    groups = [f"{scope}/part_{p}" for p in range(4)]
    groups = [g for g in groups if any(k.startswith(f"{g}/") for k in v)] or [scope]
    found: list[dict] = [{} for _ in groups]
    for group, kernels in zip(groups, found, strict=True):
        for width in ("single", "std"):  # v1.0.3's name where columns are several
            start = f"{group}/conv_block_{index}_{width}/"
            kernels |= {
                k.removeprefix(start): x for k, x in v.items() if k.startswith(start)
            }
    return [kernels for kernels in found if kernels]


def _more_taps(kernel: tf.Tensor, conv: Any) -> tf.Tensor:
    """Adds taps of zeros: in front of causal kernels, else on both sides."""
    missing = conv.depthwise.shape[0] - kernel.shape[0]
    after = 0 if getattr(conv, "causal", False) else missing // 2
    return tf.pad(kernel, [(missing - after, after), (0, 0), (0, 0), (0, 0)])


def _block_diagonal(parts: list[dict]) -> tf.Tensor:
    """Returns one pointwise kernel of the groups' own."""
    kernels = [p["pointwise_kernel"][0, 0] for p in parts]
    blocks = [tf.linalg.LinearOperatorFullMatrix(k) for k in kernels]
    return tf.linalg.LinearOperatorBlockDiag(blocks).to_dense()


def check(run, inputs, golden, v, pairs, *, atol=1e-5, gradient_tolerance=1e-4):
    """Compares the output and every gradient with T2T's.

    Args:
        run: Function of the inputs; our layers, called.
        inputs: T2T's inputs by name (`"x"`), in the shape that `run` takes.
        golden: The case, from `read`.
        v: From `variables`.
        pairs: Function that returns the `Pairs`; called under the tape.
        atol: Largest difference of outputs.
        gradient_tolerance: Largest difference of a gradient, beside its largest entry
            if that is above 1: gradients sum over all positions.
    """
    inputs = {name: tf.convert_to_tensor(x) for name, x in inputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(list(inputs.values()))
        with pairs().in_place():
            y = run(*inputs.values())
        loss = tf.reduce_sum(y * golden["ct/y"].reshape(y.shape))
    np.testing.assert_allclose(y, golden["out/y"].reshape(y.shape), rtol=0, atol=atol)
    sources = {f"grad_var/{name}": value for name, value in v.items()}
    sources |= {f"grad_in/{name}": value for name, value in inputs.items()}
    check_gradients(tape, loss, sources, golden, gradient_tolerance)


def check_gradients(tape, loss, sources, golden, tolerance) -> int:
    """Compares every gradient that T2T recorded; returns how many there were."""
    sources = {name: x for name, x in sources.items() if name in golden}
    for name, got in tape.gradient(loss, sources).items():
        want = golden[name]
        largest = np.abs(want).max()
        got = np.zeros_like(want) if got is None else tf.convert_to_tensor(got)
        np.testing.assert_allclose(
            tf.reshape(got, want.shape),
            want,
            rtol=0,
            atol=tolerance * max(largest, 1),
            err_msg=name,
        )
    return len(sources)
