"""Running each position through its experts at a cost that grows with k, not with E.

No choice is dropped, however uneven the routing.
"""

from typing import Any

import keras
from keras import ops

from t2t_multimodel.layers.routing import sort_by_expert

if keras.backend.backend() == "tensorflow":
    from t2t_multimodel.layers.own_rows import on_own_rows as _multiply
else:
    from t2t_multimodel.layers.equal_rows import on_equal_rows as _multiply


def mix_experts(
    x: Any, gates: Any, experts: Any, hidden_kernel: Any, output_kernel: Any
) -> Any:
    """Returns the sum over a position's choices of gate * expert(position).

    Args:
        x: `(P, C)` positions.
        gates: `(P, K)` float32, weight of each choice.
        experts: `(P, K)` int32 expert of each choice; E or above: not routed.
        hidden_kernel: `(E, C, hidden)`.
        output_kernel: `(E, hidden, C)`.

    Returns:
        `(P, C)`, in the dtype of `x`.
    """
    routing = sort_by_expert(experts, hidden_kernel.shape[0])
    choices = _multiply(x, routing, hidden_kernel, output_kernel)
    mixed = ops.sum(ops.cast(choices, "float32") * gates[..., None], axis=1)
    return ops.cast(mixed, x.dtype)
