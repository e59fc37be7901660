"""One trainer an output directory: a second one would ruin what the first writes."""

import contextlib
import errno
import fcntl
import logging
import os
import pathlib
import socket
from types import TracebackType
from typing import Self

from t2t_multimodel.data import disk
from t2t_multimodel.errors import UserError

_log = logging.getLogger(__name__)
_LOCK_FILE = ".lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class OutputLock:
    """Held by the chief of a run while it trains; use as a context manager.

    The system holds the lock (flock) for the process and takes it back when the
    process ends, however it does. The file `.lock` stays; it says who has it.

    Args:
        output_dir: The run's folder; made if it is not there.

    Raises:
        UserError: If another process trains there, or the folder cannot be made or
            written.
    """

    def __init__(self, output_dir: str | os.PathLike[str]) -> None:
        directory = pathlib.Path(output_dir)
        with disk.writing(directory):
            directory.mkdir(parents=True, exist_ok=True)
            # Not "w": what the holder wrote must be there to be told.
            self._file = (directory / _LOCK_FILE).open("a+", encoding="utf-8")
        try:
            self._take(directory)
        except BaseException:
            self._file.close()
            raise

    def _take(self, directory: pathlib.Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            raise UserError(
                f"{holder} is training in {directory} already; wait for its end, stop "
                "it, or give another --output_dir"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _log.warning(
                "%s cannot be locked (%s): see to it that no other process trains "
                "there",
                directory,
                error.strerror,
            )
        with disk.writing(directory / _LOCK_FILE):
            self._file.truncate(0)
            self._file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            self._file.flush()

    def close(self) -> None:
        """Lets others train in the folder."""
        # Closing alone would leave it with processes that were forked meanwhile.
        with contextlib.suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
