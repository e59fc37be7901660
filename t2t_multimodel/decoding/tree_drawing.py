"""A constituency tree as lines of text, for the prompt."""

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
    lines = []
    waiting = [(tree, "", "")]  # node, what its line and what those below begin with
    while waiting:
        node, here, below = waiting.pop()
        if node.is_leaf:
            lines.append(f"{here}{node.label} {node.children[0]}")
            continue
        lines.append(f"{here}{node.label}")
        *others, last = node.children
        waiting.append((last, f"{below}└─ ", f"{below}   "))
        waiting += [(n, f"{below}├─ ", f"{below}│  ") for n in reversed(others)]
    return lines
