"""A constituency tree as lines of text, for the prompt."""

from collections.abc import Iterator

from t2t_multimodel.data.trees import Tree


def draw(tree: Tree) -> list[str]:
    """Returns a tree as an outline, a phrase or a word with its part of speech a line.

    Example:
        S
        ├─ NP
        │  └─ NN rain
        └─ VP
           └─ VBZ falls
    """
    return [_name(tree), *_below(tree)]


def _below(tree: Tree) -> Iterator[str]:
    if tree.is_leaf:
        return
    for number, child in enumerate(tree.children, start=1):
        is_last = number == len(tree.children)
        yield f"{'└─' if is_last else '├─'} {_name(child)}"
        for line in _below(child):
            yield f"{'  ' if is_last else '│ '} {line}"


def _name(tree: Tree) -> str:
    return f"{tree.label} {tree.children[0]}" if tree.is_leaf else tree.label
