"""t2t-mm-decoder: decode files, splits or typed lines with a trained run."""

import functools
import importlib.util
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from absl import flags

from t2t_multimodel.bin import command_line
from t2t_multimodel.errors import UserError
from t2t_multimodel.registry import PROBLEM_GROUPS

if TYPE_CHECKING:  # these load TensorFlow
    from t2t_multimodel.decoding.decoder import Decoder
    from t2t_multimodel.training.run_directory import Run

PROGRAM = "t2t-mm-decoder"
DESCRIPTION = """Decodes with a trained run; needs nothing but its --output_dir.

  t2t-mm-decoder --output_dir=RUN                         score the test split
  t2t-mm-decoder --output_dir=RUN --decode_interactive    type lines or paths
  t2t-mm-decoder --output_dir=RUN --problems=NAME \\
      --decode_from_file=lines.txt --decode_to_file=decoded.txt

A line is a text, or the path of an image (PNG, JPEG) or a sound (WAV, SPHERE;
FLAC and others with the package soundfile)."""

EXIT_SOME_LINES_FAILED = 1
_EXAMPLES_SHOWN = 3


def define_flags() -> flags.FlagValues:
    """Returns the program's flags; names and meanings are those of t2t-decoder."""
    values = flags.FlagValues()
    command_line.define_shared(values)
    string = functools.partial(flags.DEFINE_string, flag_values=values)

    string("output_dir", "", "Folder of the trained run.")
    string(
        "problems",
        "",
        "Problems of the run to decode, joined by -; all if not given.",
    )
    string("checkpoint_path", "", "A checkpoint, if not the latest of --output_dir.")
    string("data_dir", "", "Folder of the shards, if not where the run found them.")
    string("decode_from_file", "", "File with a text or path a line; - reads stdin.")
    string(
        "decode_to_file",
        "",
        "File for the decoded lines; of splits, what the names of the files "
        "<this>.<problem>.inputs, .targets and .decodes begin with.",
    )
    string(
        "decode_attention",
        "",
        "Folder for pictures of what the first inputs of each problem looked at, and "
        "of the experts that were asked; needs matplotlib.",
    )
    flags.DEFINE_bool(
        "decode_interactive", False, "Decode what is typed.", flag_values=values
    )
    flags.DEFINE_enum(
        "decode_split",
        "test",
        ["train", "dev", "test"],
        "Split that is decoded and scored without the two flags above.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "eval_examples",
        0,
        "Examples of the split of each problem; 0 takes all.",
        lower_bound=0,
        flag_values=values,
    )
    string(
        "decode_hparams",
        "",
        "As name=value,name=value: batch_size (inputs at once, 32), extra_length "
        "(symbols that an output may have beyond those of its input, 50), beam_size "
        "(1: greedy, where T2T has 4), alpha (of the length penalty, 0.6), "
        "return_beams (all outputs and not the best alone, divided by tabs), "
        "write_beam_scores (each followed by its score), num_samples (examples of a "
        "split, -1: all); temperature (above 0: outputs are drawn), top_k (of the "
        "likeliest symbols only), samples_per_input, seed.",
    )
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; see `command_line.run`."""
    values = define_flags()
    return command_line.run(PROGRAM, DESCRIPTION, values, lambda: decode(values), argv)


def decode(values: flags.FlagValues) -> int:
    """Does what the flags say; returns the exit status."""
    output_dir = command_line.run_folder(values)
    _check_flags(values)
    from t2t_multimodel.decoding.decode_hparams import DecodeHParams
    from t2t_multimodel.training.run_directory import read_run

    # All that can be wrong is looked at before TensorFlow is loaded.
    hparams = DecodeHParams.parse(values.decode_hparams)
    if values.eval_examples and hparams.num_samples > 0:
        raise UserError(
            "--eval_examples and num_samples of --decode_hparams are the same; give one"
        )
    run = read_run(output_dir)
    names = chosen_problems(run, values.problems)
    if values.decode_from_file and len(names) > 1:
        raise UserError(
            f"--decode_from_file is of one problem; give --problems=, one of "
            f"{', '.join(names)}"
        )
    from t2t_multimodel.data import quiet_tensorflow

    quiet_tensorflow.load()
    import tensorflow as tf

    from t2t_multimodel.decoding.decoder import load_decoder

    try:
        decoder, step = load_decoder(
            run,
            problem_names=names,
            checkpoint_path=values.checkpoint_path or None,
            hparams=hparams,
        )
        print(f"{run.output_dir}, step {step}", file=sys.stderr)
        if values.decode_interactive:
            from t2t_multimodel.decoding.interactive import Prompt

            Prompt(decoder, names[0]).run()
            return 0
        if values.decode_attention:
            draw_attention(decoder, run, names, values)
        if values.decode_from_file:
            return decode_file(decoder, names[0], values)
        score_splits(decoder, run, names, values)
        return 0
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            f"out of memory at batch_size={hparams.batch_size}; give a smaller one, "
            "e.g. --decode_hparams=batch_size=4"
        ) from error


def chosen_problems(run: "Run", text: str) -> list[str]:
    """Returns the names of the problems to decode: all, or those of `text`.

    Raises:
        UserError: If the run has no such problem, or one is named twice.
    """
    names: list[str] = []
    for name in text.split("-") if text else [p.name for p in run.problems]:
        in_group = name in PROBLEM_GROUPS
        names.extend(PROBLEM_GROUPS.get(name) if in_group else (name,))
    for name in names:
        run.problem(name)
        if names.count(name) > 1:
            raise UserError(f"--problems={text} names {name} more than once")
    return names


def decode_file(decoder: "Decoder", problem: str, values: flags.FlagValues) -> int:
    """Decodes the lines of a file; returns the exit status."""
    from t2t_multimodel.decoding import lines
    from t2t_multimodel.decoding.progress import progress

    source = values.decode_from_file
    if source == "-":
        raw = [line.rstrip(b"\n") for line in sys.stdin.buffer]
    else:
        raw = lines.read_lines(pathlib.Path(source).expanduser())
    failed = 0

    def texts() -> Iterator[str]:
        nonlocal failed
        with progress(len(raw), problem) as advance:
            for line in lines.decode_lines(decoder, problem, raw):
                if line.error:
                    failed += 1
                    _say_error(f"line {line.number}: {line.error}")
                advance(1)
                yield line.text

    target = values.decode_to_file
    if not target and source != "-":
        target = f"{source}.{problem}.decodes"
    if target:
        lines.check_writable(pathlib.Path(target).expanduser())
        lines.write_lines(pathlib.Path(target).expanduser(), texts())
        print(f"{len(raw)} lines decoded to {target}", file=sys.stderr)
    else:
        for text in texts():
            print(text, flush=True)
    if failed:
        _say_error(f"{failed} of {len(raw)} lines are broken and were left empty")
    return EXIT_SOME_LINES_FAILED if failed else 0


def draw_attention(
    decoder: "Decoder", run: "Run", names: Sequence[str], values: flags.FlagValues
) -> None:
    """Draws what went on inside for the first inputs of a file or of the splits."""
    from t2t_multimodel.decoding import insight_pictures, lines
    from t2t_multimodel.decoding.insight import Observer
    from t2t_multimodel.decoding.split import first_inputs

    observer = Observer(decoder)
    insights = []
    for name in names:
        if values.decode_from_file:
            rows = lines.first_inputs(
                decoder,
                name,
                lines.read_lines(pathlib.Path(values.decode_from_file).expanduser()),
                _EXAMPLES_SHOWN,
            )
        else:
            data_dir = pathlib.Path(values.data_dir or run.data_dir).expanduser()
            run.check_data(run.problem(name), data_dir)
            rows = first_inputs(
                decoder, name, data_dir, values.decode_split, _EXAMPLES_SHOWN
            )
        insights += [observer.look_into(name, row) for row in rows]
    folder = pathlib.Path(values.decode_attention).expanduser()
    paths = insight_pictures.save_all(insights, folder)
    print(f"{len(paths)} pictures drawn in {folder}", file=sys.stderr, flush=True)


def score_splits(
    decoder: "Decoder", run: "Run", names: Sequence[str], values: flags.FlagValues
) -> None:
    """Decodes a split of each problem, prints its scores and writes its files."""
    from t2t_multimodel.decoding import lines
    from t2t_multimodel.decoding.progress import progress
    from t2t_multimodel.decoding.scoring import Scorer

    data_dir = pathlib.Path(values.data_dir or run.data_dir).expanduser()
    split, base = values.decode_split, values.decode_to_file
    if base:
        base = str(pathlib.Path(base).expanduser())
        lines.check_writable(f"{base}.{names[0]}.decodes")
    scorer = Scorer(decoder, data_dir)
    for name in names:
        run.check_data(run.problem(name), data_dir)
        total = scorer.count(name, split)
        total = min(total, values.eval_examples or total)
        if decoder.hparams.num_samples > 0:
            total = min(total, decoder.hparams.num_samples)
        with progress(total, name) as advance:
            scored = scorer.score(name, split, max_examples=total, progress=advance)
        decoded = scored.decoded
        print("\n".join(scored.report(_EXAMPLES_SHOWN)), flush=True)
        if base:
            lines.write_lines(f"{base}.{name}.inputs", decoded.inputs)
            lines.write_lines(f"{base}.{name}.targets", decoded.shown_targets)
            decodes = (
                lines.result_line(result, decoder.hparams, sentence)
                for result, sentence in zip(
                    decoded.results, decoded.sentences, strict=True
                )
            )
            lines.write_lines(f"{base}.{name}.decodes", decodes)
            print(f"  files: {base}.{name}.inputs, .targets, .decodes", flush=True)


def _check_flags(values: flags.FlagValues) -> None:
    if values.decode_interactive and values.decode_from_file:
        raise UserError("give --decode_interactive or --decode_from_file, not both")
    if values.decode_interactive and values.decode_to_file:
        raise UserError("--decode_to_file does nothing with --decode_interactive")
    if values.decode_attention:
        if values.decode_interactive:
            raise UserError("--decode_attention does nothing with --decode_interactive")
        if values.decode_from_file == "-":
            raise UserError(
                "--decode_attention reads the lines before they are decoded, which "
                "cannot be done with --decode_from_file=-; give a file"
            )
        if importlib.util.find_spec("matplotlib") is None:
            raise UserError(
                "--decode_attention needs matplotlib, which is not installed; "
                "pip install 't2t-multimodel[plots]'"
            )


def _say_error(text: str) -> None:
    print(f"{PROGRAM}: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
