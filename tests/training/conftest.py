"""Two logical CPUs, so that every run of the tests has two replicas to offer."""

import pytest
import tensorflow as tf

from t2t_multimodel.training.determinism import repeat_exactly
from t2t_multimodel.training.devices import make_replicas

_cpu = tf.config.list_physical_devices("CPU")[0]
if not tf.config.get_logical_device_configuration(_cpu):
    # Works only before anything touches TensorFlow: at collection, nothing has.
    tf.config.set_logical_device_configuration(
        _cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
    )


@pytest.fixture(scope="session", autouse=True)
def _as_the_programs_do():
    repeat_exactly()


@pytest.fixture(scope="session")
def two():
    """Two replicas; the only ones of the process.

    TensorFlow numbers the all-reduces of every strategy alike, so that those of two
    strategies on the same devices would be taken for each other.
    """
    return make_replicas(2)
