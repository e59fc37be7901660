"""Time of decoding: a token costs the same at any length, and what a beam costs.

    python -m benchmarks.decoding

Prints, for batches of 1 and 32 and outputs of 16 to 256 symbols, the time of a step of
greedy decoding, of beam search, and of greedy decoding that runs the whole decoder on
all symbols again for each one, as T2T does. (T2T runs the encoder again, too, and early
releases score all positions; neither is done here, which favours this form.) Wall time,
and that of the processor, which other work on the machine disturbs less; the forms take
turns. The network is `multimodel_tiny` with random weights whose outputs never end.
"""

import argparse
import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402

from benchmarks.flop_count import counted_flops  # noqa: E402
from benchmarks.train_step import Shapes, specs_of  # noqa: E402
from t2t_multimodel.decoding.decode_hparams import DecodeHParams  # noqa: E402
from t2t_multimodel.decoding.traced import TracedModel  # noqa: E402
from t2t_multimodel.hparams import make_hparams  # noqa: E402
from t2t_multimodel.models.factory import make_model  # noqa: E402
from t2t_multimodel.models.multimodel import MultiModel  # noqa: E402

PROBLEM = "text"
T2T_TOKENS_A_SECOND = {"greedy": 170, "beam 4": 87}
"""Of T2T at H 128, 8,192 sub-words, length 128, batch 32, on two cores."""


def random_model(hparams_set: str, vocab_size: int) -> MultiModel:
    """Returns a translation model whose outputs never end."""
    specs = specs_of(PROBLEM, Shapes(vocab_size=vocab_size))
    model = make_model(specs, make_hparams(hparams_set))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith("/gate"):  # zeros at first: all positions on k experts
            weight.assign(rng.normal(size=weight.shape))
    table = model.net_language_synthetic.softmax_table
    # EOS is scored as the mean of all symbols, which is never the best.
    values = table.numpy()
    values[1] = values.mean(axis=0)
    table.assign(values)
    return model


def rerunning(model: MultiModel) -> Callable[..., tf.Tensor]:
    """Returns greedy decoding that runs the decoder on all symbols for each one."""

    @tf.function(
        input_signature=[
            {"inputs": tf.TensorSpec([None, None], tf.int32)},
            tf.TensorSpec([], tf.int32),
        ],
        autograph=False,
    )
    def decode(features, length):
        encoded = model.encode(features, PROBLEM)
        net = model.net_language_synthetic
        logits_of = net.logits

        def extend(ids):
            # The id at the end is not read: it stands for the symbol that is wanted.
            net.logits = lambda x: logits_of(x[:, -1])[:, None]  # as a step's
            try:
                logits, _ = model.decode(ids, encoded, PROBLEM)
            finally:
                net.logits = logits_of
            best = 1 + tf.argmax(logits[:, -1, 1:], -1, output_type=tf.int32)
            return (tf.concat([ids[:, :-1], best[:, None], best[:, None]], axis=1),)

        start = tf.zeros([tf.shape(features["inputs"])[0], 1], tf.int32)
        (ids,) = tf.while_loop(
            lambda ids: tf.shape(ids)[1] <= length,
            extend,
            (start,),
            shape_invariants=(tf.TensorShape([None, None]),),
        )
        return ids[:, :-1]

    return decode


def best_seconds(
    functions: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, tuple[float, float]]:
    """Returns the shortest wall and processor time of each function, in turns."""
    best = {name: (float("inf"), float("inf")) for name in functions}
    for index in range(rounds + 1):
        for name, function in functions.items():
            wall, processor = time.perf_counter(), time.process_time()
            function()
            spent = time.perf_counter() - wall, time.process_time() - processor
            if index:  # the first call traces
                best[name] = tuple(map(min, best[name], spent))
    return best


def measure(arguments: argparse.Namespace, model: MultiModel, batch: int) -> None:
    """Prints a line for each length, and what follows from all of them."""
    searches = {
        "greedy": TracedModel(model, DecodeHParams()),
        "beam 4": TracedModel(model, DecodeHParams(beam_size=4)),
    }
    again = rerunning(model)
    rng = np.random.default_rng(0)
    shape = (batch, arguments.source_length)
    features = {"inputs": rng.integers(2, arguments.vocab_size, shape, np.int32)}
    tensors = {"inputs": tf.constant(features["inputs"])}
    ms_a_token: dict[tuple[str, int], tuple[float, ...]] = {}

    def search(name: str, length: int) -> None:
        lengths = np.full(batch, length)
        found = searches[name].search(features, PROBLEM, lengths)
        if found.ids.shape[2] != length:
            raise RuntimeError(f"{name} ended after {found.ids.shape[2]} symbols")

    for length in arguments.lengths:
        forms: dict[str, Callable[[], object]] = {
            name: functools.partial(search, name, length) for name in searches
        }
        if length <= arguments.longest_again:
            forms["again"] = functools.partial(again, tensors, tf.constant(length))
        for name, seconds in best_seconds(forms, arguments.rounds).items():
            ms_a_token[name, length] = tuple(1e3 * s / length for s in seconds)
        print(_line(batch, length, ms_a_token, forms), flush=True)
    first, last = arguments.lengths[0], arguments.lengths[-1]
    for kind, index in (("wall", 0), ("processor", 1)):
        ratio = ms_a_token["greedy", last][index] / ms_a_token["greedy", first][index]
        print(
            f"batch {batch}: greedy, a step at {last} / at {first}: {ratio:.2f} {kind}"
        )


def _line(batch, length, ms_a_token, forms) -> str:
    parts = [f"batch {batch:2}, {length:3} symbols:"]
    greedy = ms_a_token["greedy", length]
    for name in forms:
        wall, processor = ms_a_token[name, length]
        tokens = batch / wall * 1e3
        parts.append(
            f"{name} {wall:.2f} ms a step ({processor:.2f} of the processor), "
            f"{tokens:,.0f} tokens/s"
        )
        if name != "greedy":
            ratios = [
                mine / theirs
                for mine, theirs in zip((wall, processor), greedy, strict=True)
            ]
            parts[-1] += f", {ratios[0]:.1f} ({ratios[1]:.1f}) x greedy"
        if batch == 32 and length == 128 and name in T2T_TOKENS_A_SECOND:
            parts[-1] += f", {tokens / T2T_TOKENS_A_SECOND[name]:.1f} x T2T"
    return f"{parts[0]} {'; '.join(parts[1:])}"


def megaflop_a_token(model: MultiModel, length: int, source_length: int) -> float:
    """Returns the operations of a token of a full decoder pass, by count."""
    inputs = {"inputs": tf.fill([1, source_length], 3)}
    encoded = model.encode(inputs, PROBLEM)
    with counted_flops() as count:
        model.decode(tf.fill([1, length], 3), encoded, PROBLEM)
    return count.total / length / 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what the flags say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hparams_set", default="multimodel_tiny")
    parser.add_argument("--vocab_size", type=int, default=8192)
    parser.add_argument("--source_length", type=int, default=32)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=[16, 32, 64, 128, 256]
    )
    parser.add_argument("--longest_again", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3, help="timed calls of each")
    arguments = parser.parse_args(argv)
    model = random_model(arguments.hparams_set, arguments.vocab_size)
    flops = megaflop_a_token(model, 128, arguments.source_length)
    print(f"{flops:.1f} MFLOP a token, the source's keys and values included")
    print(f"load of the machine at the start: {os.getloadavg()[0]:.1f}")
    for batch in arguments.batches:
        measure(arguments, model, batch)
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
