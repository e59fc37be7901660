"""Freed memory stays with TensorFlow, which a process of its own has to show."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from t2t_multimodel.training.cpu_memory import keep_freed_memory
keep_freed_memory()
import tensorflow as tf
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tf.ones([1 << 24])  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(min(faults() for _ in range(3)))
"""


@pytest.mark.parametrize(("chosen", "is_kept"), [(None, True), ("0", False)])
def test_memory_of_a_freed_tensor_is_used_again(chosen, is_kept):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_CPU_")}
    if chosen is not None:
        environment["TF_CPU_ALLOCATOR_USE_BFC"] = chosen
    page_faults = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert (int(page_faults) < 100) == is_kept
