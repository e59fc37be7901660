"""Exports: their size, how long they load, and their speed beside the decoder's.

    python -m benchmarks.export --hparams_set multimodel_base

Makes a model of the eight miniature problems with drawn weights, exports it, loads it
in a fresh process, and decodes the same sentences with the export and with the decoder,
in turn. Prints each number beside its floor.

With `--examples 200` it counts instead, for every problem, the outputs of the decoder
alone, of the export in batches and of the export alone that are not those of the
decoder in batches.
"""

import argparse
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks.timing import best_ms  # noqa: E402
from t2t_multimodel import problems  # noqa: E402, F401  (registers)
from t2t_multimodel.data import vocabularies  # noqa: E402
from t2t_multimodel.decoding.decoder import Decoder  # noqa: E402
from t2t_multimodel.export.saved_model import Exported, export_model  # noqa: E402
from t2t_multimodel.hparams import make_hparams  # noqa: E402
from t2t_multimodel.models.factory import make_model  # noqa: E402
from t2t_multimodel.models.problem_spec import ProblemSpec  # noqa: E402
from t2t_multimodel.registry import PROBLEMS, problem_names  # noqa: E402

LARGEST_SIZE_RATIO, MOST_SECONDS, LARGEST_TIME_RATIO = 1.05, 5.0, 1.1

_LOAD = """
import sys, time
import tensorflow as tf, tensorflow_text
start = time.perf_counter()
tf.saved_model.load(sys.argv[1])
print(time.perf_counter() - start)
"""


def made_model(hparams_set: str, folder: pathlib.Path):
    """Returns model, problems and encoders of `mini8`; writes the vocabularies."""
    made = [PROBLEMS.get(name)() for name in problem_names("mini8")]
    vocabularies.build_missing(made, folder, folder)
    encoders = {
        vocabulary.name: vocabularies.load(vocabulary, folder, problem.name)
        for problem in made
        for vocabulary in problem.vocabularies()
    }
    sizes = {name: encoder.vocab_size for name, encoder in encoders.items()}
    specs = [ProblemSpec(p.name, p.inputs, p.targets, sizes) for p in made]
    # Orthogonal matrices would take long to draw, and nothing here hangs on them.
    hparams = make_hparams(hparams_set, "initializer=uniform_unit_scaling")
    return make_model(specs, hparams), made, encoders


def load_seconds(exported: Exported, rounds: int) -> float:
    """Returns the shortest time that a fresh process takes to load the export."""
    command = [sys.executable, "-c", _LOAD, str(exported.path)]
    runs = (
        subprocess.run(command, capture_output=True, text=True, check=True)
        for _ in range(rounds)
    )
    return min(float(run.stdout.split()[-1]) for run in runs)


def test_inputs(problem, count: int) -> list:
    """Returns raw inputs of the test split."""
    examples = problem.examples("test", tmp_dir=pathlib.Path(), seed=0)
    return [example["inputs"] for example in itertools.islice(examples, count)]


def request(problem, raw: list) -> dict[str, tf.Tensor]:
    """Returns a batch as a signature takes it."""
    if problem.inputs.kind != "audio":
        return {problem.inputs.kind: tf.constant(raw)}
    lengths = [len(wave) for wave in raw]
    padded = [np.pad(wave, (0, max(lengths) - len(wave))) for wave in raw]
    return {"waveform": tf.constant(padded), "num_samples": tf.constant(lengths)}


def count_differing(decoder: Decoder, serve, problem, count: int) -> None:
    """Prints how many outputs differ from those of the decoder in batches of 32."""
    raw = test_inputs(problem, count)
    batches = [raw[i : i + 32] for i in range(0, count, 32)]
    expected = [result.text for result in decoder.decode(problem.name, raw)]

    def served(batches):
        key = "labels" if problem.targets.kind == "class_label" else "outputs"
        rows = [r for b in batches for r in serve(**request(problem, b))[key].numpy()]
        return [(row[0] if key == "labels" else row).decode() for row in rows]

    alone = [[one] for one in raw]
    others = {
        "decoder alone": [decoder.decode(problem.name, one)[0].text for one in alone],
        "export": served(batches),
        "export alone": served(alone),
    }
    for name, texts in others.items():
        differing = sum(a != b for a, b in zip(texts, expected, strict=True))
        print(f"{problem.name}, {name}: {differing} of {count} differ", flush=True)


def compare_speed(
    decoder: Decoder, exported: Exported, problem, batch: int, rounds: int
) -> dict[str, float]:
    """Returns the shortest times of both for a batch of sentences, in ms."""
    texts = test_inputs(problem, batch)
    serve = tf.saved_model.load(str(exported.path)).signatures[problem.name]
    tensor = tf.constant(texts)
    results = decoder.decode(problem.name, texts)
    served = [text.decode() for text in serve(text=tensor)["outputs"].numpy()]
    differing = sum(a.text != b for a, b in zip(results, served, strict=True))
    symbols = np.mean([result.num_symbols for result in results])
    print(f"batch {batch}: {symbols:.0f} symbols an output, {differing} differ")
    return best_ms(
        {
            "decoder": lambda: decoder.decode(problem.name, texts),
            "export": lambda: serve(text=tensor)["outputs"].numpy(),
        },
        rounds,
    )


def main() -> None:
    """Prints size, loading time and speed, or how many outputs differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hparams_set", default="multimodel_base")
    parser.add_argument("--problem", default="translate_ende_mini")
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=0)
    parser.add_argument("--problems", default="mini8", help="of those to count")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model, made, encoders = made_model(arguments.hparams_set, folder)
        files = sum(file.stat().st_size for file in folder.glob("vocab.*"))
        exported = export_model(model, made, encoders, folder / "exports", step=0)
        ratio = exported.num_bytes / (exported.num_weight_bytes + files)
        print(
            f"size {exported.num_bytes / 1e6:.1f} MB, weights "
            f"{exported.num_weight_bytes / 1e6:.1f} MB, vocabularies "
            f"{files / 1e6:.3f} MB: ratio {ratio:.4f} (floor {LARGEST_SIZE_RATIO})"
        )
        decoder = Decoder(model, made, encoders)
        if arguments.examples:
            signatures = tf.saved_model.load(str(exported.path)).signatures
            for name in problem_names(arguments.problems):
                problem = PROBLEMS.get(name)()
                count_differing(decoder, signatures[name], problem, arguments.examples)
            return
        seconds = load_seconds(exported, rounds=3)
        print(f"loading {seconds:.2f} s (floor {MOST_SECONDS:g} s)")
        problem = PROBLEMS.get(arguments.problem)()
        for batch in arguments.batches:
            ms = compare_speed(decoder, exported, problem, batch, arguments.rounds)
            print(
                f"batch {batch}: decoder {ms['decoder']:.1f} ms, export "
                f"{ms['export']:.1f} ms: ratio {ms['export'] / ms['decoder']:.3f} "
                f"(floor {LARGEST_TIME_RATIO})"
            )


if __name__ == "__main__":
    main()
