"""What is printed for a cluster is what a shell on every host can run."""

import json
import subprocess

import pytest

from t2t_multimodel.bin.t2t_mm_make_tf_configs import main

WORKERS = "--workers=one:2222,two:2222"


def test_every_line_is_a_command_of_its_host(capsys):
    assert main([WORKERS, "--", "printf", "%s|", "a b", "it's"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for index, line in enumerate(lines):
        shown = subprocess.run(
            ["sh", "-c", f"{line}; {line.split(' printf')[0]} printenv TF_CONFIG"],
            capture_output=True,
            text=True,
            check=True,
        )
        first, second, config = shown.stdout.split("|")
        assert (first, second) == ("a b", "it's")
        assert json.loads(config) == {
            "cluster": {"worker": ["one:2222", "two:2222"]},
            "task": {"type": "worker", "index": index},
        }


@pytest.mark.parametrize(
    ("after", "command"),
    [
        ([], "t2t-mm-trainer"),
        (["--"], "t2t-mm-trainer"),
        (["--", "--problems=mini8"], "t2t-mm-trainer --problems=mini8"),
        (
            ["--", "t2t-mm-trainer", "--problems=mini8"],
            "t2t-mm-trainer --problems=mini8",
        ),
    ],
)
def test_the_trainer_is_what_is_run_if_nothing_else_is_said(capsys, after, command):
    assert main([WORKERS, *after]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert line.startswith("TF_CONFIG='{")
        assert line.endswith(f"}}' {command}")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "--workers is missing; give the address of every worker"),
        (["--workers=one,two"], "'one' is not host:port"),
        (["--workers=one:1,one:1"], "--workers=one:1,one:1 has one:1 2 times"),
        ([WORKERS, "--problems=mini8"], "Unknown command line flag 'problems'"),
        ([WORKERS, "t2t-mm-trainer"], "unexpected argument 't2t-mm-trainer'"),
    ],
)
def test_mistakes_are_told_in_one_line(capsys, argv, said):
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("t2t-mm-make-tf-configs: ") and said in line
