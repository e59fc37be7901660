"""The flags of benchmarks that train a run."""

import argparse
import pathlib


def run_parser(description: str) -> argparse.ArgumentParser:
    """Returns a parser with the data, the problems and the hyperparameters of a run.

    Args:
        description: What `--help` says of the program, as it is written.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data_dir",
        type=pathlib.Path,
        required=True,
        help="of t2t-mm-datagen --problems=mini8",
    )
    parser.add_argument("--problems", default="mini8")
    parser.add_argument("--hparams_set", default="multimodel_mini")
    parser.add_argument("--hparams", default="", help="overrides: name=value,...")
    return parser
