"""Trees as users see them: what a parser decoded, in brackets over its words."""

from t2t_multimodel.data.spaces import PARSE_SPACES
from t2t_multimodel.data.tree_repair import legal_tree
from t2t_multimodel.problems.problem import Problem


def is_parser(problem: Problem) -> bool:
    """Returns whether a problem turns a sentence into the tags of its tree."""
    return problem.inputs.kind == "text" and problem.targets.space in PARSE_SPACES


def in_brackets(tags: str, sentence: str) -> str:
    """Returns the legal tree that tags come to, on one line.

    Args:
        tags: What was decoded, or the right answer.
        sentence: The input, words divided by white space. Without words there is no
            tree: the tags are returned.
    """
    words = sentence.split()
    return str(legal_tree(tags.split(), words)) if words else tags
