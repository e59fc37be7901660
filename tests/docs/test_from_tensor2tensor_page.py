"""docs/from_tensor2tensor.md says of the programs what they do."""

import importlib.util
import pathlib
import shlex
import types

import pytest

from t2t_multimodel.bin.t2t_flags.table import STANDS_FOR, TABLE, program_of_ours
from t2t_multimodel.decoding.interactive import Prompt

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script():
    path = DOCS / "make_from_tensor2tensor_page.py"
    spec = importlib.util.spec_from_file_location("make_from_tensor2tensor_page", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page():
    return (DOCS / "from_tensor2tensor.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_script_writes(script, page):
    assert page == script.page(), "run python docs/make_from_tensor2tensor_page.py"


@pytest.mark.parametrize("program", sorted({row.program for row in TABLE}))
def test_every_row_is_printed_in_the_part_of_its_program(page, program):
    ours = program_of_ours(program)
    part = page.split(f"## Flags of `{program}`, and of `{ours}`\n")[1]
    part = part.split("\n## ")[0]
    for row in TABLE:
        if row.program == program:
            assert f"`--{row.name}" in part
            assert row.text in part


def test_our_commands_are_understood_and_t2ts_are_not(script):
    for task, theirs, ours in script.COMMANDS:
        program, *arguments = shlex.split(ours.removesuffix(" ..."))
        name = f"t2t_multimodel.bin.{program.replace('-', '_')}"
        flags = importlib.import_module(name).define_flags()
        assert flags([program, *arguments]) == [program], task
        assert theirs.split()[0] in STANDS_FOR[program] or "v1.0.x" in task


def test_the_answer_on_the_page_is_the_programs(page, capsys):
    command, answer = page.split("```\n$ ")[1].split("\n```")[0].split("\n")
    program, *arguments = shlex.split(command)
    name = f"t2t_multimodel.bin.{program.replace('-', '_')}"
    assert importlib.import_module(name).main(arguments) == 2
    assert capsys.readouterr().err == f"{answer}\n"


def test_the_prompt_has_the_commands_that_the_page_says(script):
    problem = types.SimpleNamespace(name="p", inputs=types.SimpleNamespace(kind="text"))
    decoder = types.SimpleNamespace(
        problems={"p": problem}, problem=lambda name: problem, model=None
    )
    said = []
    Prompt(decoder, "p", read=lambda prompt: "q", say=said.append).run()
    commands = {
        word.rstrip(",").partition("=")[0]
        for line in "\n".join(said).splitlines()
        for word in line.split("  ")
        for word in word.strip().split(" or ")
    }
    for command in script.PROMPT:
        assert command.partition("=")[0] in commands
