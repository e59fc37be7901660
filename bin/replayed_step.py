"""What `t2t-mm-trainer --replay` does: computes a bad step again and tells of it."""

import os
import pathlib

EXIT_NOT_FINITE = 1
"""Exit status if the step is not finite again; 0 if all of it is."""


def show(file: str, data_dir: str) -> int:
    """Prints a step that was not finite, computed again; returns the exit status.

    Args:
        file: The file that the run wrote.
        data_dir: Folder of the shards, if they have moved; else empty.

    Raises:
        UserError: If a file or data is missing, or the data is not what it was.
    """
    from t2t_multimodel.data import quiet_tensorflow

    quiet_tensorflow.load()
    from t2t_multimodel.training.determinism import repeat_exactly
    from t2t_multimodel.training.replay import replay, replay_lines

    repeat_exactly()
    moved = os.path.expanduser(data_dir) if data_dir else None
    replayed = replay(pathlib.Path(file).expanduser(), moved)
    for line in replay_lines(replayed):
        print(line)
    return 0 if replayed.is_finite else EXIT_NOT_FINITE
