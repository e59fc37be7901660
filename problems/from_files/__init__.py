"""Problems over plain files of the user's, declared in a TOML file, without code."""

from t2t_multimodel.problems.from_files.loading import KINDS, load_problem_file

__all__ = ["KINDS", "load_problem_file"]
