"""docs/fidelity.md prints the hyperparameters that the sets and T2T's table hold."""

import importlib.util
import pathlib

import pytest

from t2t_multimodel.hparams.t2t_values import DEVIATIONS

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script():
    path = DOCS / "make_fidelity_hparams.py"
    spec = importlib.util.spec_from_file_location("make_fidelity_hparams", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_section_is_what_the_script_writes(script):
    page = (DOCS / "fidelity.md").read_text(encoding="utf-8")
    assert page == script.with_section(page), "run python docs/make_fidelity_hparams.py"


def test_every_deviation_is_printed_with_its_reason(script):
    section = script.section()
    for deviation in DEVIATIONS:
        lines = [
            line
            for line in section.splitlines()
            if line.startswith(f"| `{deviation.set_name}` | `{deviation.name}` ")
        ]
        assert any(line.endswith(f"| {deviation.reason} |") for line in lines)


def test_a_page_without_marks_is_left_alone(script):
    with pytest.raises(ValueError, match="must have the lines"):
        script.with_section("# Fidelity\n")
