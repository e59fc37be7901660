"""Programs that are called as functions, in the process of the tests."""

import sys

import pytest


@pytest.fixture
def leave_the_environment(monkeypatch, forget_new_problems):
    """What a program changes of its process is as it was after the test."""
    # t2t-mm-datagen hides the GPU from its own process.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setattr(sys, "path", list(sys.path))
