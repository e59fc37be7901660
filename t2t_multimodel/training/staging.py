"""Where workers gather a folder, until one of them commits it: two phases.

First every worker writes its files into `<name>.partial` and then, when they are on
the disk, a file that says so (`worker-<w>-of-<n>.done`, with their check sums). When
all have, the chief writes the check sums of all and renames the folder. So a folder of
the final name is always whole. Workers meet in the file system alone, as a collective
operation in a thread would come in between those of the training that goes on.
"""

import os
import pathlib
import shutil
import time

from t2t_multimodel.data import disk
from t2t_multimodel.errors import UserError
from t2t_multimodel.training.checksums import (
    CHECKSUMS_FILE,
    Checksum,
    checksum_of,
    from_json,
    to_json,
)

_PARTIAL = ".partial"
_POLL_SECONDS = 0.02
# Workers end a step together and their parts are small. A network's file system may
# show files of others only after a minute.
_PATIENCE_SECONDS = 300.0


class Staging:
    """One worker's view of a folder that is being written.

    Args:
        final: The folder's path once it is committed.
        worker: Number of this worker; 0 is the chief, which commits.
        num_workers: Workers that have a part in it.
    """

    def __init__(
        self, final: pathlib.Path, worker: int = 0, num_workers: int = 1
    ) -> None:
        self.final = final
        self.directory = final.with_name(final.name + _PARTIAL)
        self._worker = worker
        self._num_workers = num_workers
        self._checksums: dict[str, Checksum] = {}
        with disk.writing(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, text: str) -> None:
        """Writes a file of this worker's part."""
        with disk.writing(self.directory / name):
            (self.directory / name).write_text(text, encoding="utf-8")
        self.add(name)

    def add(self, name: str) -> None:
        """Takes a file that was written into `directory` as of this worker's part."""
        with disk.writing(self.directory / name):
            sync(self.directory / name)
            self._checksums[name] = checksum_of(self.directory / name)

    def finish_part(self) -> None:
        """Says that this worker's part is on the disk: the end of the first phase."""
        self._replace(_done_file(self._worker, self._num_workers), self._checksums)

    def commit(self) -> None:
        """Waits for the parts of all workers and gives the folder its name.

        For the chief. What has the name already is replaced.

        Raises:
            UserError: If a worker does not write its part, or the disk is full.
        """
        everything: dict[str, Checksum] = {}
        for worker in range(self._num_workers):
            done = self.directory / _done_file(worker, self._num_workers)
            self._await(done, worker)
            with disk.writing(done):
                everything |= from_json(done.read_text(encoding="utf-8"))
                done.unlink()
        self._replace(CHECKSUMS_FILE, everything)
        with disk.writing(self.final):
            sync(self.directory)
            if self.final.exists():
                remove(self.final)
            os.rename(self.directory, self.final)
            sync(self.final.parent)

    def discard(self) -> None:
        """Removes what was written, so that it takes no room; tries as well as it can.

        The chief removes the parts of all, another worker its own.
        """
        if self._worker == 0:
            shutil.rmtree(self.directory, ignore_errors=True)
            return
        for name in (*self._checksums, _done_file(self._worker, self._num_workers)):
            (self.directory / name).unlink(missing_ok=True)

    def _replace(self, name: str, checksums: dict[str, Checksum]) -> None:
        """Writes check sums so that nobody sees half of them."""
        path = self.directory / name
        unfinished = path.with_name(f"{name}.unfinished")
        with disk.writing(path):
            unfinished.write_text(to_json(checksums), encoding="utf-8")
            disk.replace(unfinished, path)

    def _await(self, done: pathlib.Path, worker: int) -> None:
        limit = time.monotonic() + _PATIENCE_SECONDS
        while not done.exists():
            if time.monotonic() > limit:
                raise UserError(
                    f"cannot write {self.final}: worker {worker} of "
                    f"{self._num_workers} has not written its part within "
                    f"{_PATIENCE_SECONDS:g} s; see to it that all workers share the "
                    "folder, and start them again"
                )
            time.sleep(_POLL_SECONDS)


def clear_unfinished(directory: pathlib.Path, pattern: str) -> None:
    """Removes what a process that was killed had begun to write or to remove.

    Args:
        directory: The folder that it was writing in.
        pattern: `glob` pattern of final names.

    Raises:
        UserError: If the folder cannot be written.
    """
    for unfinished in directory.glob(pattern + _PARTIAL):
        with disk.writing(unfinished):
            shutil.rmtree(unfinished)


def remove(path: pathlib.Path) -> None:
    """Removes a folder; a kill leaves none of it under its good name."""
    removed = path.with_name(f"{path.name}.old{_PARTIAL}")
    os.rename(path, removed)
    shutil.rmtree(removed)


def sync(path: pathlib.Path) -> None:
    """Returns when a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _done_file(worker: int, num_workers: int) -> str:
    return f"worker-{worker}-of-{num_workers}.done"
