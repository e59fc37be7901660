"""Runs of the trainer that take seconds: their problems, flags and processes."""

import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import tensorflow as tf

from t2t_multimodel.training.checkpoint import checkpoint_path, checkpoint_steps

ROOT = pathlib.Path(__file__).parents[2]
PROBLEM_FILE = """
[[problem]]
name = "tiny_text"
kind = "text_pairs"
inputs_space = "english_tokens"
targets_space = "german_tokens"
vocabulary = {name = "tiny", size = 60}
train = {inputs = "in.txt", targets = "out.txt"}
dev = {from = "train", every = 5}
num_shards = 1
also_reversed = true

[[problem]]
name = "tiny_look"
kind = "image_folder"
image_size = [16, 16]
train = "pictures"
dev = {from = "train", every = 4}
num_shards = 1
"""
HPARAMS = (
    "batch_size=32,hidden_size=16,num_heads=4,num_encoder_blocks=1,"
    "num_mixer_blocks=1,num_decoder_blocks=1,moe_num_experts=4,moe_hidden_size=8,"
    "large_kernel_size=3,large_kernel_dilation=2,image_stem_filters=(4,4),"
    "image_filters=(6,),categorical_filters=(8,12,16),dropout=0.3,"
    "attention_dropout=0.2,problem_choice=distributed,learning_rate=5.0"
)
NUM_STEPS = 40


def flags(folder, output_dir):
    return [
        "--problems=tiny_text-tiny_look",
        f"--problem_file={folder / 'tiny.toml'}",
        f"--data_dir={folder / 'data'}",
        f"--output_dir={output_dir}",
        "--hparams_set=multimodel_tiny",
        f"--hparams={HPARAMS}",
    ]


class Runs:
    """Training runs in processes of their own."""

    def __init__(self, folder):
        self.folder = folder

    def command(self, output_dir, **changes):
        """Returns the command of a run."""
        changes = {"decode_eval_examples": 1, **changes}
        return [
            *(sys.executable, "-m", "t2t_multimodel.bin.t2t_mm_trainer"),
            *flags(self.folder, output_dir),
            f"--train_steps={NUM_STEPS}",
            "--save_checkpoints_steps=5",
            "--local_eval_frequency=15",
            "--eval_steps=1",
            *(f"--{name}={value}" for name, value in changes.items()),
        ]

    def start(self, output_dir, *, launcher=(), environment=(), **changes):
        """Starts a run, perhaps by another program."""
        with (output_dir.parent / f"{output_dir.name}.err").open("ab") as errors:
            return subprocess.Popen(
                [*launcher, *self.command(output_dir, **changes)],
                cwd=ROOT,
                stdout=errors,
                stderr=errors,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | dict(environment),
            )

    def finish(self, output_dir, **changes):
        """Runs to the end; returns the seconds since the first checkpoint."""
        process = self.start(output_dir, **changes)
        self.await_checkpoint(process, output_dir)
        began = time.monotonic()
        self.expect(process, output_dir, 0)
        return time.monotonic() - began

    def await_checkpoint(self, process, output_dir):
        before = checkpoint_steps(output_dir)
        while process.poll() is None and checkpoint_steps(output_dir) == before:
            time.sleep(0.01)

    def expect(self, process, output_dir, status):
        found = process.wait(timeout=300)
        text = (output_dir.parent / f"{output_dir.name}.err").read_text()
        assert found == status, text[-3000:]
        return text


def assert_same_end(output_dir, whole_dir):
    """Holds all that a run leaves against that of a run that was not disturbed."""
    assert checkpoint_steps(output_dir) == checkpoint_steps(whole_dir)
    got, want = (checkpoint_path(d, NUM_STEPS) for d in (output_dir, whole_dir))
    readers = [
        tf.train.load_checkpoint(str(path / "variables")) for path in (got, want)
    ]
    shapes = readers[1].get_variable_to_shape_map()
    assert readers[0].get_variable_to_shape_map() == shapes
    assert any(name.startswith("optimizer/") for name in shapes)
    for name in shapes:
        values = [reader.get_tensor(name) for reader in readers]
        np.testing.assert_array_equal(*values, name)
    states = [(path / "checkpoint.json").read_text() for path in (got, want)]
    assert states[0] == states[1]
    logs = [(d / "metrics.jsonl").read_text() for d in (output_dir, whole_dir)]
    assert logs[0] == logs[1]
