"""Members of tar files, found and read one by one; nothing is unpacked."""

import contextlib
import dataclasses
import pathlib
import tarfile
from collections.abc import Iterator

from t2t_multimodel.errors import UserError


@dataclasses.dataclass(frozen=True)
class TarMember:
    """A file within a tar file, or within a tar file within one.

    Args:
        path: The tar file.
        name: Name of the member, with its folder.
        offset: Byte at which its content begins.
        size: Bytes of its content.
    """

    path: pathlib.Path
    name: str
    offset: int
    size: int

    @property
    def place(self) -> str:
        """The member as messages name it."""
        return f"{self.path}:{self.name}"

    def read(self) -> bytes:
        """Returns the content; an `OSError` if the tar file cannot be read."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def members(path: pathlib.Path) -> Iterator[TarMember]:
    """Yields the files of an uncompressed tar file, in its order.

    Only their heads are read, each when it is asked for.

    Raises:
        UserError: If it cannot be read, is no tar file, or is cut off.
    """
    with _opened(path) as tar:
        for member in _files(tar, path):
            yield TarMember(path, member.name, member.offset_data, member.size)


@contextlib.contextmanager
def tars_within(path: pathlib.Path) -> Iterator[dict[str, Iterator[TarMember]]]:
    """Opens a tar file of tar files, to walk through the files of those.

    Heads are read as in `members`: as many files as there are tars within can be
    walked through side by side, of 138 GB as of 1 MB.

    Args:
        path: An uncompressed tar file of uncompressed tar files.

    Yields:
        Name of each tar within, without `.tar`, to its files; only as long as it is
        open they can be walked through, and read ever after.

    Raises:
        UserError: As `members`; also while the files are walked through.
    """
    with _opened(path) as outer:
        yield {
            pathlib.PurePosixPath(member.name).stem: _inner(path, outer, member)
            for member in _files(outer, path)
        }


def _inner(
    path: pathlib.Path, outer: tarfile.TarFile, tar_within: tarfile.TarInfo
) -> Iterator[TarMember]:
    try:
        content = outer.extractfile(tar_within)
        with tarfile.open(fileobj=content, mode="r:") as inner:
            for member in _files(inner, path):
                start = tar_within.offset_data + member.offset_data
                name = f"{tar_within.name}:{member.name}"
                yield TarMember(path, name, start, member.size)
    except tarfile.TarError as error:
        raise _broken(path, error, tar_within.name) from None


def _opened(path: pathlib.Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, mode="r:")
    except tarfile.TarError as error:
        raise _broken(path, error) from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None


def _files(tar: tarfile.TarFile, path: pathlib.Path) -> Iterator[tarfile.TarInfo]:
    try:
        while (member := tar.next()) is not None:
            # It would keep a million heads in memory.
            tar.members.clear()  # type: ignore[attr-defined]
            if member.isfile():
                yield member
    except tarfile.TarError as error:
        raise _broken(path, error) from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None


def _broken(path: pathlib.Path, error: Exception, inner: str = "") -> UserError:
    where = f"{path}:{inner}" if inner else str(path)
    return UserError(
        f"{where} is no tar file, or is cut off ({error}); get it again and compare "
        "its check sum"
    )
