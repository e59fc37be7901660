"""Two logical CPUs, so that every run of the tests has two replicas to offer."""

import tensorflow as tf

_cpu = tf.config.list_physical_devices("CPU")[0]
if not tf.config.get_logical_device_configuration(_cpu):
    # Works only before anything touches TensorFlow: at collection, nothing has.
    tf.config.set_logical_device_configuration(
        _cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
    )
