"""Steps that repeat themselves to the bit, whatever else a machine does."""

import tensorflow as tf


def repeat_exactly() -> None:
    """Makes TensorFlow give the same bits for the same numbers, in this process.

    Call it before anything is computed. Without it a run that was killed and continued
    would not end with the weights of one that was not.
    """
    tf.config.experimental.enable_op_determinism()
    # It merges additions into one of many terms, whose order depends on which of them
    # is in memory that may be overwritten; see `ProblemGradients`.
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
