"""Which worker of which group a process is: its TF_CONFIG.

Read before TensorFlow is loaded, which some decisions come before.
"""

import json
from collections.abc import Mapping
from typing import Any

from t2t_multimodel.errors import UserError


def worker_of(tf_config: str) -> tuple[int, int]:
    """Returns (number of this worker, number of workers) that TF_CONFIG says.

    A `chief` is worker 0, before those called `worker`.

    Raises:
        UserError: If it is not a TF_CONFIG of workers.
    """
    try:
        content = json.loads(tf_config)
    except ValueError as error:
        raise _bad(f"it is not JSON ({error})") from error
    cluster = content.get("cluster") if isinstance(content, dict) else None
    if not cluster:  # as TensorFlow has it: a process on its own
        return 0, 1
    others = sorted(set(cluster) - {"chief", "worker"})
    if others:
        raise _bad(
            f"its cluster has {', '.join(others)}, and there are only a chief and "
            "workers here (no parameter servers)"
        )
    chiefs, workers = (_addresses(cluster, kind) for kind in ("chief", "worker"))
    task: Mapping[str, Any] = content.get("task") or {}
    kind, index = task.get("type"), task.get("index")
    sizes = {"chief": chiefs, "worker": workers}
    if kind not in sizes or not isinstance(index, int):
        raise _bad(
            f"its task is {task!r}; expected a type, chief or worker, and an index"
        )
    if not 0 <= index < sizes[kind]:
        raise _bad(f"its task is {kind} {index}, of {sizes[kind]} in the cluster")
    return index + (chiefs if kind == "worker" else 0), chiefs + workers


def _addresses(cluster: Mapping[str, Any], kind: str) -> int:
    """Returns the number of addresses of a kind of task."""
    addresses = cluster.get(kind, [])
    if not isinstance(addresses, list):
        raise _bad(f"{kind} is {addresses!r}; expected a list of host:port")
    return len(addresses)


def _bad(what: str) -> UserError:
    return UserError(f"TF_CONFIG: {what}; t2t-mm-make-tf-configs prints correct ones")
