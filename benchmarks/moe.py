"""Time of a mixture of experts: it grows with k, and little with the number of experts.

    python -m benchmarks.moe --tokens 2048 --depth 128 --hidden 512

Prints forward and backward of the layer in training for each number of experts, their
ratios to the first, the same with all tokens on the same k experts, and the optimizer's
update of the expert weights alone, which any layer with so many weights pays.

On two cores with AVX-512 240 experts took 1.2 times as long as 16 at 2048 tokens, depth
128 and 512 hidden units, and 2.0 times at depth 512. With 512 tokens it is 3.5 times:
reading 31 million weights and writing their gradients is then most of the work, and the
bare matrix products for exactly balanced experts are 3 times as slow, too.
"""

import argparse
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks.timing import best_ms
from t2t_multimodel import layers


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


def main() -> None:
    """Prints a line for each number of experts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experts", type=int, nargs="+", default=[16, 60, 240])
    parser.add_argument("--k", type=int, default=4, help="experts a token")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens a step")
    parser.add_argument("--depth", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=512, help="units of an expert")
    parser.add_argument("--rounds", type=int, default=10, help="timed calls of each")
    arguments = parser.parse_args()
    first = None
    for num_experts in arguments.experts:
        times = best_ms(steps(arguments, num_experts), arguments.rounds)
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
