"""The devices of a run, from its flags and TF_CONFIG."""

import contextlib
import os

import tensorflow as tf

from t2t_multimodel.errors import UserError, unknown
from t2t_multimodel.training.cluster import worker_of
from t2t_multimodel.training.replicas import Replicas

ALL_REDUCE = ("auto", "nccl", "ring", "hierarchical_copy", "reduce_to_one")
"""Ways of adding up gradients; which of them there are depends on the devices."""

_WITHIN_A_PROCESS = {
    "nccl": tf.distribute.NcclAllReduce,
    "hierarchical_copy": tf.distribute.HierarchicalCopyAllReduce,
    "reduce_to_one": tf.distribute.ReductionToOneDevice,
}
_BETWEEN_PROCESSES = {
    "auto": tf.distribute.experimental.CommunicationImplementation.AUTO,
    "nccl": tf.distribute.experimental.CommunicationImplementation.NCCL,
    "ring": tf.distribute.experimental.CommunicationImplementation.RING,
}


_PEER_LOSS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


def make_replicas(
    worker_gpu: int = 1, all_reduce: str = "auto", tf_config: str | None = None
) -> Replicas:
    """Returns the replicas of this process and how they act with all others.

    With a TF_CONFIG of several workers, this process becomes one of them, and it must
    not have used TensorFlow before; the call returns when all are there.

    Args:
        worker_gpu: Devices of this process (T2T's flag). On a machine without
            accelerators this many logical CPUs stand in for them.
        all_reduce: One of `ALL_REDUCE`.
        tf_config: In place of the environment's TF_CONFIG.

    Raises:
        UserError: If the flags, TF_CONFIG and the devices do not go together.
    """
    if worker_gpu < 1:
        raise UserError(f"--worker_gpu={worker_gpu} must be positive")
    if all_reduce not in ALL_REDUCE:
        raise UserError(unknown("--all_reduce", all_reduce, ALL_REDUCE))
    text = os.environ.get("TF_CONFIG", "") if tf_config is None else tf_config
    worker, num_workers = worker_of(text) if text else (0, 1)
    if num_workers > 1:
        return _among_workers(worker, num_workers, worker_gpu, all_reduce)
    devices = _local_devices(worker_gpu)
    if len(devices) == 1:
        return Replicas(tf.distribute.get_strategy())
    if all_reduce == "ring":
        raise UserError(
            "--all_reduce=ring is for several workers (TF_CONFIG); within one process "
            f"take one of auto, {', '.join(_WITHIN_A_PROCESS)}"
        )
    operations = _WITHIN_A_PROCESS.get(all_reduce)
    strategy = tf.distribute.MirroredStrategy(
        devices, cross_device_ops=operations() if operations else None
    )
    return Replicas(strategy, num_local=len(devices))


def _among_workers(
    worker: int, num_workers: int, worker_gpu: int, all_reduce: str
) -> Replicas:
    if all_reduce not in _BETWEEN_PROCESSES:
        raise UserError(
            f"--all_reduce={all_reduce} is for the devices of one process; several "
            f"workers take one of {', '.join(_BETWEEN_PROCESSES)}"
        )
    gpus = tf.config.list_physical_devices("GPU")
    available = max(1, len(gpus))
    if worker_gpu > available:
        raise UserError(
            f"--worker_gpu={worker_gpu}: this worker has {len(gpus)} GPUs; several "
            "workers without any have one replica each"
        )
    if gpus:
        tf.config.set_visible_devices(gpus[:worker_gpu], "GPU")
    strategy = tf.distribute.MultiWorkerMirroredStrategy(
        communication_options=tf.distribute.experimental.CommunicationOptions(
            implementation=_BETWEEN_PROCESSES[all_reduce]
        )
    )
    return Replicas(
        strategy,
        first=worker * worker_gpu,
        num_local=worker_gpu,
        worker=worker,
        num_workers=num_workers,
    )


def _local_devices(count: int) -> list[str]:
    """Returns the names of `count` devices: accelerators, or else logical CPUs."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if count > len(gpus):
            raise UserError(
                f"--worker_gpu={count}: this machine has {len(gpus)}; give as many at "
                "most"
            )
        return [f"GPU:{index}" for index in range(count)]
    cpu = tf.config.list_physical_devices("CPU")[0]
    if count > 1:
        # A caller from Python may have made them already.
        with contextlib.suppress(RuntimeError):
            parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
            tf.config.set_logical_device_configuration(cpu, parts)
        made = len(tf.config.list_logical_devices("CPU"))
        if made < count:
            raise UserError(
                f"--worker_gpu={count}: TensorFlow is at work with {made} logical "
                "CPUs in this process already; start another"
            )
    return [f"CPU:{index}" for index in range(count)]


def is_peer_loss(error: tf.errors.OpError) -> bool:
    """Whether an error says that another worker of the group is gone.

    Those that collective operations raise when the connection breaks, or when a
    worker's heartbeat stops.
    """
    return isinstance(error, _PEER_LOSS)
