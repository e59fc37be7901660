"""Two trainers never write to one directory."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from t2t_multimodel.errors import UserError
from t2t_multimodel.training.output_lock import OutputLock

HOLD = """
import sys
from t2t_multimodel.training.output_lock import OutputLock
lock = OutputLock(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_one_is_refused_and_told_who_has_it(tmp_path):
    with OutputLock(tmp_path / "new" / "run"):
        with pytest.raises(UserError) as error:
            OutputLock(tmp_path / "new" / "run")
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        assert str(error.value).startswith(f"{holder} is training in {tmp_path}")
        assert "give another --output_dir" in str(error.value)
        OutputLock(tmp_path / "other").close()
    OutputLock(tmp_path / "new" / "run").close()


def test_an_error_inside_frees_it(tmp_path):
    with pytest.raises(RuntimeError), OutputLock(tmp_path):
        raise RuntimeError
    OutputLock(tmp_path).close()


def test_a_killed_process_frees_it(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"process {process.pid} on "):
            OutputLock(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        OutputLock(tmp_path).close()
    finally:
        process.kill()
        process.communicate()


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write .*/file/run: Not a directory"):
        OutputLock(tmp_path / "file" / "run")
