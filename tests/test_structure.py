"""The tree is what it says: arrows point one way, and nothing heavy comes early."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = "t2t_multimodel"
FOLDERS = {
    "t2t_multimodel": PACKAGE,
    "problems": f"{PACKAGE}.problems",
    "hparams": f"{PACKAGE}.hparams",
    "bin": f"{PACKAGE}.bin",
}

# What each part may import of the others; itself always. The same picture as in
# CONTRIBUTING.md: bin -> training, decoding -> models -> layers, modalities.
BASE = {"errors", "exit_status", "registry", "signals"}
DATA = BASE | {"data"}
MODEL = DATA | {"hparams", "layers", "modalities", "models"}
ALLOWED = {
    "errors": set(),
    "exit_status": set(),
    "signals": {"exit_status"},
    "registry": {"errors"},
    "launching": {"errors", "exit_status", "signals"},
    "hparams": BASE,
    "data": BASE | {"problems.problem"},
    "problems": DATA,
    "layers": set(),
    "modalities": {"errors", "layers"},
    "models": MODEL,
    "training": MODEL | {"problems"},
    "decoding": MODEL | {"problems", "training"},
    "export": MODEL | {"problems", "training", "decoding"},
    "bin": MODEL | {"launching", "problems", "training", "decoding", "export"},
}

# Readable before TensorFlow is: the programs answer --help and --registry_help by them.
LIGHT = (PACKAGE, f"{PACKAGE}.registry", f"{PACKAGE}.hparams", f"{PACKAGE}.problems")


def source_files() -> dict[str, pathlib.Path]:
    """Returns module name to file, for the four folders of the package."""
    files = {}
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            files[".".join((package, *parts))] = path
    return files


FILES = source_files()


def part_of(module: str) -> str:
    """Returns the part of the package that a module is of; `""` for the package."""
    return module.removeprefix(PACKAGE).lstrip(".").split(".")[0]


def imported_modules(path: pathlib.Path) -> set[str]:
    """Returns the modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                found.add(module if module in FILES else node.module)
    return {name for name in found if part_of(name) and name.startswith(PACKAGE + ".")}


def test_every_part_has_its_place_among_the_arrows():
    assert {part_of(name) for name in FILES} - {""} <= set(ALLOWED)


@pytest.mark.parametrize("module", FILES)
def test_imports_point_one_way(module):
    part = part_of(module)
    allowed = ALLOWED.get(part, set())
    for imported in imported_modules(FILES[module]):
        name = imported.removeprefix(PACKAGE + ".")
        if part_of(imported) == part or part_of(imported) in allowed or name in allowed:
            continue
        pytest.fail(f"{module} imports {imported}: {part} stands before it")


def test_layers_and_modalities_take_no_hparams_and_no_tensorflow():
    for module, path in FILES.items():
        if part_of(module) in ("layers", "modalities"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
            assert not names & {"hparams", "HParams", "tf", "tensorflow"}, module


def test_no_module_is_a_drawer_for_everything():
    for module in FILES:
        last = module.rsplit(".", 1)[-1]
        assert "util" not in last and not last.startswith("common"), module


def test_no_assert_outside_tests():
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Assert), f"{module}:{node.lineno}"


def test_files_and_functions_stay_small():
    for module, path in FILES.items():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 420, module
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                first = (
                    node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
                )
                length = node.end_lineno - first
                assert length <= 60, f"{module}.{node.name}: {length} lines"


def test_every_module_and_public_class_says_what_it_is():
    for module, path in FILES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), module
        for node in tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                if not node.name.startswith("_"):
                    assert ast.get_docstring(node), f"{module}.{node.name}"


def test_problems_lists_every_module_of_its_folder():
    imported = imported_modules(ROOT / "problems" / "__init__.py")
    own = f"{PACKAGE}.problems."
    listed = {name.removeprefix(own).split(".")[0] for name in imported if own in name}
    in_folder = {
        path.stem
        for path in (ROOT / "problems").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert listed == in_folder - {"__init__"}


def test_every_folder_with_modules_is_a_package():
    for path in FILES.values():
        assert (path.parent / "__init__.py").exists(), path


def loaded_after(imports: str) -> set[str]:
    """Returns the top-level modules that a fresh interpreter holds after `imports`."""
    code = f"{imports}\nimport sys\nprint(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_what_programs_need_for_their_help_loads_no_tensorflow():
    programs = [name for name in FILES if part_of(name) == "bin"]
    loaded = loaded_after("import " + ", ".join([*LIGHT, *programs]))
    assert not loaded & {
        "tensorflow",
        "keras",
        "tensorflow_text",
        "tensorflow_datasets",
    }


@pytest.mark.parametrize("folder", ["problems", "hparams", "bin"])
def test_a_folder_imported_by_its_bare_name_says_the_right_one(folder):
    done = subprocess.run(
        [sys.executable, "-c", f"import {folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert f"import {PACKAGE}.{folder}, not {folder}" in done.stderr
