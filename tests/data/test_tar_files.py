"""Files within tars are found one by one, also in tars within a tar."""

import io
import itertools
import tarfile

import pytest

from t2t_multimodel.data import tar_files
from t2t_multimodel.errors import UserError


def tar(files, **options):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", **options) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


FILES = {"a.txt": b"alpha", f"{'long' * 60}.txt": b"beta" * 300, "folder/c": b""}


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_found_and_read(tmp_path, kind):
    path = tmp_path / "some.tar"
    path.write_bytes(tar(FILES, format=kind))
    found = list(tar_files.members(path))
    assert {member.name: member.read() for member in found} == FILES
    assert found[0].place == f"{path}:a.txt"


def test_tars_within_are_walked_through_side_by_side(tmp_path):
    path = tmp_path / "all.tar"
    inner = {
        "one.tar": {f"1_{i}": b"x" * i for i in range(40)},
        "two.tar": {f"2_{i}": b"y" * i * 999 for i in range(3)},
    }
    path.write_bytes(tar({name: tar(files) for name, files in inner.items()}))
    with tar_files.tars_within(path) as classes:
        assert list(classes) == ["one", "two"]
        side_by_side = list(zip(classes["one"], classes["two"], strict=False))
        others = list(classes["one"])
    assert [[m.read() for m in pair] for pair in side_by_side] == [
        [b"x" * i, b"y" * i * 999] for i in range(3)
    ]
    assert side_by_side[1][1].place == f"{path}:two.tar:2_1"
    # One was taken from the longer tar to see that the shorter one was at its end.
    assert [m.read() for m in others] == [b"x" * i for i in range(4, 40)]


def test_only_the_heads_that_are_asked_for_are_read(tmp_path):
    path = tmp_path / "some.tar"
    whole = tar({"a": b"x" * 9000, "b": b"y" * 9000, "c": b"z"})
    path.write_bytes(whole[:15000])  # within b
    assert [m.name for m in itertools.islice(tar_files.members(path), 1)] == ["a"]
    with pytest.raises(UserError, match="some.tar is no tar file, or is cut off"):
        list(tar_files.members(path))


def test_what_is_no_tar_is_told(tmp_path):
    path = tmp_path / "some.tar"
    path.write_bytes(b"<html>not found</html>" * 100)
    with pytest.raises(UserError, match="some.tar is no tar file, or is cut off"):
        list(tar_files.members(path))
    with pytest.raises(UserError, match="cannot read .*none.tar: No such file"):
        list(tar_files.members(tmp_path / "none.tar"))
    path.write_bytes(tar({"n01440764.tar": b"no tar" * 200}))
    with tar_files.tars_within(path) as classes:
        [inner] = classes.values()
        with pytest.raises(UserError, match="some.tar:n01440764.tar is no tar file"):
            next(inner)
