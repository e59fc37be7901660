"""Time of a mixture of experts: it grows with k, and little with the number of experts.

    python -m benchmarks.moe --tokens 2048 --depth 128 --hidden 512

Prints forward and backward of the layer in training for each number of experts, their
ratios to the first, the same with all tokens on the same k experts, and the optimizer's
update of the expert weights alone, which any layer with so many weights pays.

With `--step` it times instead a training step of `multimodel_tiny`, English to German,
with so many experts: loss and gradients, and the update apart.
"""

import argparse
from collections.abc import Callable

import numpy as np

from t2t_multimodel.training.cpu_memory import keep_freed_memory

keep_freed_memory()  # as the trainer does

import tensorflow as tf  # noqa: E402

from benchmarks.timing import best_ms  # noqa: E402
from benchmarks.train_step import Shapes, Step  # noqa: E402
from t2t_multimodel import layers  # noqa: E402
from t2t_multimodel.hparams import make_hparams  # noqa: E402
from t2t_multimodel.training.determinism import repeat_exactly  # noqa: E402


def steps(
    arguments: argparse.Namespace, num_experts: int
) -> dict[str, Callable[[], object]]:
    """Returns the calls to time for one number of experts."""
    depth = arguments.depth
    layer = layers.MixtureOfExperts(
        num_experts,
        arguments.k,
        arguments.hidden,
        kernel_initializer="he_normal",  # orthogonal takes minutes for 240 experts
    )
    layer.build((None, None, depth))
    weights = [w.value for w in layer.trainable_weights]
    moments = [[tf.Variable(tf.zeros_like(w)) for w in weights] for _ in range(2)]
    rng = np.random.default_rng(0)
    x = tf.constant(
        rng.normal(size=(16, arguments.tokens // 16, depth)).astype("float32")
    )

    @tf.function(input_signature=[tf.TensorSpec((None, None, depth))])
    def run(x):
        with tf.GradientTape() as tape, layers.random_scope((1, 2)):
            tape.watch(x)
            y, importance, load = layer(x, training=True)
            loss = tf.reduce_sum(tf.square(y))
            loss += layers.moe_balance_loss(importance, load)
        return tape.gradient(loss, [x, *weights])

    gate = layer.gate_kernel
    favours_some = np.zeros(gate.shape, "float32")
    favours_some[0, : arguments.k] = 100

    def balanced():
        return run(x)

    def unbalanced():  # one channel that is always on chooses the first k
        gate.assign(favours_some)
        always = tf.concat([tf.ones_like(x[..., :1]), x[..., 1:]], axis=-1)
        result = run(always)
        gate.assign(tf.zeros_like(favours_some))
        return result

    grads = run(x)[1:]

    @tf.function
    def update():
        for weight, grad, mean, square in zip(weights, grads, *moments, strict=True):
            mean.assign_add(0.1 * (grad - mean))
            square.assign_add(0.01 * (tf.square(grad) - square))
            weight.assign_sub(1e-9 * mean / (tf.sqrt(square) + 1e-8))

    return {"balanced": balanced, "unbalanced": unbalanced, "update": update}


def training_steps(
    arguments: argparse.Namespace, num_experts: int
) -> dict[str, Callable[[], object]]:
    """Returns the gradients and the update of a whole model, as calls to time."""
    hparams = make_hparams(
        "multimodel_tiny",
        f"moe_num_experts={num_experts},moe_k={arguments.k},"
        f"moe_hidden_size={arguments.hidden},hidden_size={arguments.depth},"
        f"batch_size={arguments.tokens}",
    )
    step = Step("text", hparams, Shapes())
    result = step.train_step.gradients(step.batches, 0)
    return {
        "gradients": lambda: step.train_step.gradients(step.batches, 0),
        "update": lambda: step.train_step.update(result, 0.0),
    }


def main() -> None:
    """Prints a line for each number of experts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experts", type=int, nargs="+", default=[16, 60, 240])
    parser.add_argument("--k", type=int, default=4, help="experts a token")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens a step")
    parser.add_argument("--depth", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=512, help="units of an expert")
    parser.add_argument("--rounds", type=int, default=10, help="timed calls of each")
    parser.add_argument(
        "--step", action="store_true", help="time a whole model's training step"
    )
    arguments = parser.parse_args()
    if arguments.step:
        repeat_exactly()
    first = None
    for num_experts in arguments.experts:
        calls = (training_steps if arguments.step else steps)(arguments, num_experts)
        times = best_ms(calls, arguments.rounds)
        first = first or times
        print(
            f"{num_experts} experts: "
            + ", ".join(
                f"{name} {ms:.1f} ms ({ms / first[name]:.2f})"
                for name, ms in times.items()
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
