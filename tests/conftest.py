"""What tests of several folders need."""

import pytest


@pytest.fixture
def forget_new_problems():
    """Problems that the test registers are gone after it."""
    from tests.registered_problems import new_ones_forgotten

    with new_ones_forgotten():
        yield
