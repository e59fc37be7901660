"""What the benchmarks of replicas and checkpoints count and print."""

import types

import keras
import pytest

from benchmarks.checkpointing import Cost
from benchmarks.checkpointing import report as report_of_checkpoints
from benchmarks.replicas import reduced_bytes
from benchmarks.replicas import report as report_of_replicas


@pytest.mark.parametrize(("dtype", "num_bytes"), [("float64", 8), ("float32", 4)])
def test_every_variable_is_reduced_once(dtype, num_bytes):
    shapes = [(300, 200), (7,), (5, 3), (1 << 15,)]
    model = types.SimpleNamespace(
        trainable_variables=[keras.Variable(keras.ops.zeros(s)) for s in shapes]
    )
    counted = reduced_bytes(model, num_problems=8, dtype=dtype)
    small, large = 7 + 15, 300 * 200 + 32768
    assert counted["2 small gradients, as one vector"] == num_bytes * small
    assert counted["2 large gradients"] == num_bytes * large
    assert sum(counted.values()) == num_bytes * (small + large + 8 * 4 + 1)


def test_a_workers_step_is_told_by_its_parts():
    alone = {"step": 400.0, "by count": {"2 large gradients": 1234}}
    group = [
        {
            "step": step,
            "compute": 300.0,
            "update": 20.0,
            "all-reduce": 30.0,
            "waiting": step - 350.0,
            "problems": ["image_mini"],
            "sent": 1234,
        }
        for step in (500.0, 490.0)
    ]
    lines = report_of_replicas(alone, group)
    assert "  in all: 1,234; as traced: 1,234" in lines
    assert lines[-3].endswith("500 ms a joint step, 1.25 times as long")
    assert lines[-2] == (
        "  worker 0: compute 300 ms, update 20 ms, all-reduce 30 ms, waiting 150 ms "
        "(image_mini)"
    )


def test_a_checkpoint_costs_what_blocks_and_what_slows():
    cost = Cost(0.1, 1.9, 0.2, 2**20)
    assert cost.seconds == pytest.approx(0.3)
    lines = report_of_checkpoints([cost], step_seconds=0.5, every_steps=100)
    assert lines[-1] == (
        "a checkpoint every 100 steps costs 0.60 % of the time of steps (median of 1); "
        "4.00 % if no step were taken meanwhile"
    )
