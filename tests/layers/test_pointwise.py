"""The product of every position with a matrix: values, gradients, and its sums."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.layers.pointwise import pointwise


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_products_and_gradients_are_numpys(dtype):
    generator = np.random.default_rng(0)
    # Small whole numbers: exact in bfloat16, too.
    x, kernel, upstream = (
        generator.integers(-3, 4, shape).astype("float32")
        for shape in ((2, 5, 4), (4, 3), (2, 5, 3))
    )
    x_tensor, kernel_tensor = (tf.constant(a, dtype) for a in (x, kernel))
    with tf.GradientTape() as tape:
        tape.watch([x_tensor, kernel_tensor])
        y = pointwise(x_tensor, kernel_tensor)
    assert y.dtype == dtype
    np.testing.assert_array_equal(tf.cast(y, "float32"), x @ kernel)
    d_x, d_kernel = tape.gradient(
        y, [x_tensor, kernel_tensor], output_gradients=tf.constant(upstream, dtype)
    )
    np.testing.assert_array_equal(tf.cast(d_x, "float32"), upstream @ kernel.T)
    np.testing.assert_array_equal(
        tf.cast(d_kernel, "float32"), np.einsum("blc,blf->cf", x, upstream)
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_kernels_gradient_is_summed_in_float32(dtype):
    kernel = tf.ones([8, 8], dtype)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        y = pointwise(tf.ones([2, 1800, 8], dtype), kernel)
    # In bfloat16, a sum of ones would end below.
    assert np.all(tf.cast(tape.gradient(y, kernel), "float32") == 3600)
