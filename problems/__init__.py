"""The registered problems, one module a data family.

A new module is added to the imports below, which register its problems; a test holds
this list against the files of the folder.
"""

if __name__ != "t2t_multimodel.problems":
    raise ImportError("import t2t_multimodel.problems, not problems: see setup.py")

import t2t_multimodel.problems.captions
import t2t_multimodel.problems.from_files
import t2t_multimodel.problems.groups
import t2t_multimodel.problems.images
import t2t_multimodel.problems.miniature.problems
import t2t_multimodel.problems.parsing
import t2t_multimodel.problems.speech
import t2t_multimodel.problems.translation  # noqa: F401, they register their own
from t2t_multimodel.problems.problem import Problem
from t2t_multimodel.registry import PROBLEMS, problem_names


def make_problem(name: str) -> Problem:
    """Returns the problem registered under `name`.

    Raises:
        UserError: If there is none.
    """
    problem: Problem = PROBLEMS.get(name)()
    return problem


def make_problems(text: str) -> list[Problem]:
    """Returns the problems of `a-b-group`, in order; see `registry.problem_names`."""
    return [make_problem(name) for name in problem_names(text)]
