"""Problem files, written and loaded."""

import pytest

from t2t_multimodel.problems.from_files import load_problem_file


@pytest.fixture
def declare(tmp_path, forget_new_problems):
    """Returns a function that writes `mine.toml` and returns its problems' names."""

    def write(text):
        (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
        return load_problem_file(tmp_path / "mine.toml")

    return write
