"""The recipes of docs/distributed.md: scripts run, and flags and numbers are right."""

import importlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import yaml

from t2t_multimodel import exit_status
from t2t_multimodel.bin import t2t_mm_launch, t2t_mm_make_tf_configs
from t2t_multimodel.launching.restarts import (
    HEALTHY_SECONDS,
    LONGEST_WAIT_SECONDS,
    Restarts,
)
from t2t_multimodel.launching.supervision import Patience
from t2t_multimodel.training.replicas import Assignment, Replicas

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "distributed.md").read_text(encoding="utf-8")
HOSTS = ["host1", "host2"]


def part(title):
    """Returns a part of the page, up to the next one."""
    return re.split(r"\n##+ ", PAGE.split(f"\n## {title}\n")[1])[0]


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def table(text):
    """Returns the rows of the first table of a text, without its head."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows[2:]]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A folder of programs: ours that prints TF_CONFIGs, and stand-ins."""
    folder = tmp_path_factory.mktemp("programs")

    def write(name, text):
        path = folder / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    # Prints again what it printed for the same arguments: Python starts slowly.
    write(
        "t2t-mm-make-tf-configs",
        f'printed="{folder}/$(cksum <<< "$*")"\n'
        f"[[ -f $printed ]] || PYTHONPATH={ROOT} {sys.executable} -m "
        't2t_multimodel.bin.t2t_mm_make_tf_configs "$@" > "$printed"\n'
        'cat "$printed"',
    )
    # Tells what it was given; ends with the next status of the file, if there is one.
    write(
        "t2t-mm-trainer",
        'echo "$TF_CONFIG $*" >> "$TOLD"\n'
        'status=$(head -n 1 "$STATUSES"); sed -i 1d "$STATUSES"; exit ${status:-0}',
    )
    write("sleep", 'echo "sleep $1" >> "$TOLD"')
    write("scontrol", 'echo "scontrol $*" >> "$TOLD"; printf "host1\\nhost2\\n"')
    write(
        "srun",
        "worst=0; while [[ $1 == --* ]]; do shift; done\n"
        "for SLURM_PROCID in 0 1; do\n"
        '  export SLURM_PROCID; "$@"; status=$?\n'
        "  ((status > worst)) && worst=$status\n"
        "done; exit $worst",
    )
    return folder


@pytest.fixture
def run(programs, tmp_path):
    """Runs a script; returns its status and what the stand-ins told."""

    def run(script, *arguments, statuses=(), **variables):
        told, left = tmp_path / "told", tmp_path / "statuses"
        told.write_text("")
        left.write_text("".join(f"{status}\n" for status in statuses))
        done = subprocess.run(
            ["bash", "-c", script, "script", *arguments],
            env=os.environ
            | {
                "PATH": f"{programs}:{os.environ['PATH']}",
                "TOLD": str(told),
                "STATUSES": str(left),
            }
            | variables,
            capture_output=True,
            text=True,
        )
        return done.returncode, told.read_text().splitlines(), done.stderr

    return run


def check_trainer(line, index, addresses):
    """Holds what a trainer was given against what worker `index` needs."""
    config, _, arguments = line.partition("} --")
    assert json.loads(config + "}") == {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    assert arguments.startswith("worker_gpu=8 --data_dir=/shared/data")


@pytest.mark.parametrize("script", blocks(PAGE, "sh"))
def test_every_script_is_one(script):
    done = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def commands():
    """Returns the command lines of ours on the page, as lists of words."""
    text = "\n".join([*blocks(PAGE, "sh"), job()["args"][0]]).replace("\\\n", " ")
    found = re.findall(r"(?:^|\$\()\s*(t2t-mm-[^|\n]*)", text, re.MULTILINE)
    return [shlex.split(line.rstrip().removesuffix(")")) for line in found]


def job():
    """Returns the container of the Kubernetes Job."""
    _, job = yaml.safe_load_all(blocks(part("Kubernetes"), "yaml")[0])
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container


def check_flags(words):
    program, *arguments = words
    rest = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, rest = arguments[:at], arguments[at + 1 :]
    module = importlib.import_module(f"t2t_multimodel.bin.{program.replace('-', '_')}")
    assert module.define_flags()([program, *arguments]) == [program]
    if rest:
        check_flags(rest if rest[0].startswith("t2t") else ["t2t-mm-trainer", *rest])


def test_every_command_is_understood():
    found = commands()
    assert len(found) == 9
    for words in found:
        check_flags(words)


def test_what_the_page_says_is_printed_is_printed(capsys):
    text = part("Two machines with 8 GPUs each")
    command = shlex.split(blocks(text, "sh")[0].replace("\\\n", " "))
    assert t2t_mm_make_tf_configs.main(command[1:]) == 0
    printed = capsys.readouterr().out.splitlines()
    shown = re.findall(r"^(TF_CONFIG=.*) \.\.\.$", text, re.MULTILINE)
    assert len(shown) == 2
    for line, begins in zip(printed, shown, strict=True):
        assert line.startswith(f"{begins} ")


def test_the_script_of_a_host_starts_its_worker_again(run):
    script = blocks(part("Two machines with 8 GPUs each"), "sh")[1]
    addresses = [f"{host}:2222" for host in HOSTS]
    status, told, said = run(script, "1", statuses=[75, 137, 0])
    assert status == 0
    assert told[1] == told[3] == "sleep 10"
    for line in told[::2]:
        check_trainer(line, 1, addresses)
    assert said.splitlines() == [
        "worker 1 ended with status 75",
        "worker 1 ended with status 137",
    ]
    for final in (exit_status.USER_ERROR, exit_status.INTERRUPTED, 143):
        status, told, _ = run(script, "0", statuses=[final])
        assert (status, len(told)) == (final, 1)
    status, told, _ = run(script, "0", statuses=[75] * 9)
    assert (status, len(told)) == (75, 10)


def test_the_pods_of_kubernetes_find_each_other(run):
    service, job = yaml.safe_load_all(blocks(part("Kubernetes"), "yaml")[0])
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    pods, spec = job["spec"]["template"], job["spec"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == pods["metadata"]["labels"]
    assert pods["spec"]["subdomain"] == service["metadata"]["name"]
    (container,) = pods["spec"]["containers"]
    (number,) = container["env"]
    assert number["name"] == "NUM_WORKERS"
    assert spec["completions"] == spec["parallelism"] == int(number["value"])
    assert spec["completionMode"] == "Indexed"
    (port,) = service["spec"]["ports"]
    assert container["ports"] == [{"containerPort": port["port"]}]
    assert container["command"] == ["/bin/bash", "-c"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pods["spec"]["volumes"]}
    name, subdomain = job["metadata"]["name"], pods["spec"]["subdomain"]
    addresses = [f"{name}-{index}.{subdomain}:{port['port']}" for index in range(2)]
    for index in range(2):
        status, (line,), _ = run(
            container["args"][0],
            statuses=[75],
            NUM_WORKERS=number["value"],
            JOB_COMPLETION_INDEX=str(index),
        )
        assert status == 75  # of the trainer, which took the shell's place
        check_trainer(line, index, addresses)


def test_kubernetes_is_told_what_the_statuses_mean():
    _, job = yaml.safe_load_all(blocks(part("Kubernetes"), "yaml")[0])
    rules = job["spec"]["podFailurePolicy"]["rules"]
    by_status = {
        status: rule["action"]
        for rule in rules
        for status in rule.get("onExitCodes", {"values": []})["values"]
    }
    assert by_status == {
        exit_status.USER_ERROR: "FailJob",
        exit_status.PEER_LOST: "Ignore",
    }
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # podFailurePolicy needs it
    assert pod["terminationGracePeriodSeconds"] > Patience().grace


def test_slurm_starts_all_workers_again_and_goes_on_after_its_time(run):
    (script,) = blocks(part("Slurm"), "sh")
    slurm = {"SLURM_JOB_ID": "1234567", "SLURM_JOB_NODELIST": "host[1-2]"}
    addresses = [f"{host}:24567" for host in HOSTS]
    status, told, _ = run(script, statuses=[75, 137, 143, 143], **slurm)
    assert status == 0
    assert told[0] == "scontrol show hostnames host[1-2]"
    assert told[3] == "sleep 2"
    assert told[6:] == ["scontrol requeue 1234567"]
    for index, line in enumerate([*told[1:3], *told[4:6]]):
        check_trainer(line, index % 2, addresses)
    for statuses, final in (([], 0), ([2, 2], 2), ([130, 130], 130)):
        status, told, _ = run(script, statuses=statuses, **slurm)
        assert (status, len(told)) == (final, 3)
    status, told, _ = run(script, statuses=[75, 2] * 4, **slurm)
    assert status == 75
    assert [line for line in told if "sleep" in line] == [
        f"sleep {seconds}" for seconds in (2, 4, 8, 16)
    ]


def test_the_table_of_replicas_is_what_they_do():
    names = list(range(8))
    rows = table(part("Which replica does what"))
    for count, *cells in rows:
        replicas = Replicas(None, num_local=int(count))
        assignment = Assignment(replicas, names, is_joint=True)
        for replica, cell in zip((0, 1, 2, 7), cells, strict=True):
            if not cell:
                assert replica >= int(count)
                continue
            problems = assignment.problems_of(replica, names)
            if cell.startswith("half of"):
                assert [f"half of {p}'s" in cell for p in problems] == [True]
                assert assignment.shares[problems[0]].count == 2
                continue
            if " to " in cell:
                first, last = map(int, cell.split(" to "))
                cell = ", ".join(map(str, range(first, last + 1)))
            assert cell == ", ".join(map(str, problems))


def test_statuses_are_those_of_the_programs():
    said = {row[0]: row[2] for row in table(part("Exit statuses"))}
    assert "mistake of the user" in said[str(exit_status.USER_ERROR)]
    assert "another worker of the group is gone" in said[str(exit_status.PEER_LOST)]
    assert said[str(exit_status.INTERRUPTED)].startswith("Ctrl-C")
    assert said[str(exit_status.TERMINATED)].startswith("SIGTERM")


def test_numbers_of_the_launcher_are_its_own():
    text = " ".join(part("`t2t-mm-launch`").split())
    flags = t2t_mm_launch.define_flags()
    assert f"`--max_restarts` times ({flags['max_restarts'].default})" in text
    assert f"`--grace_seconds` ({flags['grace_seconds'].default:g})" in text
    assert f"`--finish_seconds` ({flags['finish_seconds'].default:g})" in text
    assert Patience().grace == flags["grace_seconds"].default
    assert Patience().finish == flags["finish_seconds"].default
    assert f"others have {Patience().failure:g} seconds" in text
    assert f"1, 2, 4 and so on to {LONGEST_WAIT_SECONDS:g} seconds" in text
    assert [Restarts(9).next_wait(0.0), HEALTHY_SECONDS] == [1, 60 * 10]


def test_the_ways_to_add_up_are_those_of_the_trainer():
    from t2t_multimodel.training.devices import ALL_REDUCE

    rows = table(part("`--all_reduce`"))
    assert {name.strip("`") for name, *_ in rows} == set(ALL_REDUCE)
    refused = {
        name.strip("`"): [c == "refused" for c in cells] for name, *cells in rows
    }
    assert [name for name, (within, _) in refused.items() if within] == ["ring"]
    assert {name for name, (_, between) in refused.items() if between} == {
        "hierarchical_copy",
        "reduce_to_one",
    }
