"""The package builds, installs in every way, and its programs answer from anywhere.

Slow: `python -m build` makes an environment of its own, from pip's index.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[1]
IGNORED = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
FOLDERS = ("t2t_multimodel", "problems", "hparams", "bin")


def run(*command, cwd, **environment) -> str:
    """Runs a command; returns what it printed, or fails with it."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def program_names() -> list[str]:
    """Returns the console scripts that setup.py promises."""
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    names = re.search(r"PROGRAMS = \(([^)]*)\)", setup).group(1)
    return [
        f"t2t-mm-{name.replace('_', '-')}" for name in re.findall(r'"(\w+)"', names)
    ]


def module_files() -> set[str]:
    """Returns every module's path in an installed copy."""
    found = set()
    for folder in FOLDERS:
        inside = pathlib.Path("t2t_multimodel", *(() if "_" in folder else (folder,)))
        for path in (ROOT / folder).rglob("*.py"):
            found.add(str(inside / path.relative_to(ROOT / folder)))
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the checkout, so that building leaves nothing in it."""
    return pathlib.Path(
        shutil.copytree(
            ROOT, tmp_path_factory.mktemp("checkout") / "source", ignore=IGNORED
        )
    )


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    """Folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, source, cwd=folder)
    return folder


class Environment:
    """A virtual environment with one package; the rest it sees of this one's.

    `pip install` is run before this environment's packages are made visible, which
    have the package too if the tests run installed.
    """

    def __init__(self, folder: pathlib.Path, *what):
        run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
        self.scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.scripts / "python"
        pip = (sys.executable, "-m", "pip", "--python", self.python)
        if what:
            run(*pip, "install", "-q", "--no-deps", *what, cwd=folder)
        show = "import sysconfig; print(sysconfig.get_path('purelib'))"
        mine, its = (
            pathlib.Path(run(python, "-c", show, cwd=folder).strip())
            for python in (sys.executable, self.python)
        )
        (its / "packages_of_the_tests.pth").write_text(f"{mine}\n")


@pytest.fixture(scope="module", params=["wheel", "editable", "editable_strict"])
def installed(request, built, source, tmp_path_factory):
    """An environment that the package was installed into, in several ways."""
    what = {
        "wheel": [*built.glob("*.whl")],
        "editable": ["-e", source],
        "editable_strict": ["-e", source, "--config-settings", "editable_mode=strict"],
    }[request.param]
    return Environment(tmp_path_factory.mktemp(request.param) / "venv", *what)


def test_the_wheel_holds_every_module_and_no_bare_folder(built):
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert module_files() <= set(names)
    assert "t2t_multimodel/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"t2t_multimodel"}


def test_the_sdist_holds_tests_docs_and_benchmarks(built):
    (sdist,) = built.glob("*.tar.gz")
    names = {name.split("/", 1)[-1] for name in tarfile.open(sdist).getnames()}
    for folder in ("tests", "docs", "benchmarks"):
        expected = {
            str(path.relative_to(ROOT))
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert expected <= names
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"):
        assert name in names


def test_the_version_is_the_packages(built):
    init = (ROOT / "t2t_multimodel" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "([^"]+)"', init).group(1)
    (sdist,) = built.glob("*.tar.gz")
    assert sdist.name == f"t2t_multimodel-{version}.tar.gz"


def test_every_part_is_imported_from_the_installed_copy(installed, source, tmp_path):
    code = (
        "import t2t_multimodel, t2t_multimodel.bin, t2t_multimodel.hparams, "
        "t2t_multimodel.problems as p; print(t2t_multimodel.__file__, p.__file__)"
    )
    for path in run(installed.python, "-c", code, cwd=tmp_path).split():
        assert ROOT not in pathlib.Path(path).parents


@pytest.mark.parametrize("program", program_names())
def test_programs_show_their_help_from_anywhere(installed, program, tmp_path):
    # TensorFlow would take seconds to load; here it is not even there.
    for name in ("tensorflow", "keras"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('loaded for --help')")
    script = installed.scripts / program
    start = time.monotonic()
    text = run(script, "--help", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert time.monotonic() - start < 5
    assert "--" in text and "problem" in text
    module = f"t2t_multimodel.bin.{program.replace('-', '_')}"
    assert run(installed.python, "-m", module, "--help", cwd=tmp_path) == text


def test_an_uninstalled_checkout_runs_its_tests(source, tmp_path_factory):
    python = Environment(tmp_path_factory.mktemp("bare") / "venv").python
    pytest_command = (python, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert "passed" in run(*pytest_command, "tests/hparams", cwd=source)
    assert "passed" in run(*pytest_command, "test_registry.py", cwd=source / "tests")
