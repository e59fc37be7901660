"""t2t-mm-exporter: write a trained run as a SavedModel for TensorFlow Serving."""

import functools
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from t2t_multimodel.bin import command_line
from t2t_multimodel.bin.t2t_mm_decoder import chosen_problems

PROGRAM = "t2t-mm-exporter"
DESCRIPTION = """Writes a trained run as a SavedModel: raw texts, images and sounds in.

  t2t-mm-exporter --output_dir=RUN --export_dir=DIR      all problems of the run
  t2t-mm-exporter --output_dir=RUN --export_dir=DIR --problems=NAME

Each call makes DIR/<version>, one above the versions there, with one signature for
each problem. Only tensorflow and tensorflow-text are needed to use it."""


def define_flags() -> flags.FlagValues:
    """Returns the program's flags; names and meanings are those of t2t-exporter."""
    values = flags.FlagValues()
    command_line.define_shared(values)
    string = functools.partial(flags.DEFINE_string, flag_values=values)

    string("output_dir", "", "Folder of the trained run.")
    string(
        "export_dir",
        "",
        "Folder of the versions, which a server watches; <output_dir>/export if not "
        "given.",
    )
    string(
        "problems",
        "",
        "Problems to export, joined by -, the first one also as serving_default; all "
        "if not given. What the others alone use is left out.",
    )
    string("checkpoint_path", "", "A checkpoint, if not the latest of --output_dir.")
    string(
        "decode_hparams",
        "",
        "How texts are decoded, as for t2t-mm-decoder and fixed from here on, e.g. "
        "beam_size=4,alpha=0.6,return_beams=true,extra_length=20.",
    )
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; see `command_line.run`."""
    values = define_flags()
    return command_line.run(PROGRAM, DESCRIPTION, values, lambda: export(values), argv)


def export(values: flags.FlagValues) -> int:
    """Does what the flags say; returns the exit status."""
    output_dir = command_line.run_folder(values)
    from t2t_multimodel.export import fixed_hparams
    from t2t_multimodel.training.run_directory import read_run

    # All that can be wrong is looked at before TensorFlow is loaded.
    hparams = fixed_hparams.parse(values.decode_hparams)
    run = read_run(output_dir)
    names = chosen_problems(run, values.problems)
    export_dir = pathlib.Path(values.export_dir or output_dir / "export").expanduser()

    from t2t_multimodel.data import quiet_tensorflow

    quiet_tensorflow.load()
    from t2t_multimodel.export.saved_model import export_run

    exported = export_run(
        run,
        export_dir,
        problem_names=names,
        checkpoint_path=values.checkpoint_path or None,
        hparams=hparams,
    )
    print(
        f"{exported.path}: {', '.join(names)} at step {exported.step}, "
        f"{exported.num_bytes / 1e6:.1f} MB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
