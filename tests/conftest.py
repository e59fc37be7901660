"""What tests of several folders need."""

import gc

import pytest

# TensorFlow's objects are many and stay; looking through them for garbage as often as
# Python would takes a twentieth of the tests' time.
gc.set_threshold(50_000, 20, 100)


@pytest.fixture
def forget_new_problems():
    """Problems that the test registers are gone after it."""
    from tests.registered_problems import new_ones_forgotten

    with new_ones_forgotten():
        yield


@pytest.fixture(scope="session")
def shared_run(tmp_path_factory):
    """A run of random weights; who changes its files takes a copy."""
    from tests.decoding import tiny_run

    return tiny_run.write_tiny_run(tmp_path_factory.mktemp("shared"))
