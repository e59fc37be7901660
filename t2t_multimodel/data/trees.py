"""Constituency trees: Penn Treebank brackets, and the tags a parser model writes."""

import dataclasses
import re
from collections.abc import Iterator, Sequence

from t2t_multimodel.errors import UserError

_TOKEN = re.compile(r"\(|\)|[^\s()]+")

ROOT = "TOP"
"""Label of the outermost bracket, which the linearised form leaves out."""


@dataclasses.dataclass(frozen=True)
class Tree:
    """A node of a constituency tree.

    Args:
        label: Phrase label or, right above a word, part of speech.
        children: Nodes; a part of speech has one child, its word.
    """

    label: str
    children: tuple["Tree | str", ...]

    @property
    def is_leaf(self) -> bool:
        """Whether this is a part of speech with its word."""
        return len(self.children) == 1 and isinstance(self.children[0], str)

    @property
    def words(self) -> list[str]:
        """The words below this node, from left to right."""
        return [leaf.children[0] for leaf in self.leaves()]

    def leaves(self) -> Iterator["Tree"]:
        """Yields the parts of speech below this node, from left to right."""
        if self.is_leaf:
            yield self
            return
        for child in self.children:
            yield from child.leaves()

    def __str__(self) -> str:
        """The tree in Penn brackets, on one line."""
        return f"({self.label} {' '.join(map(str, self.children))})"


def parse_brackets(text: str) -> Tree:
    """Reads one tree written as `(TOP (S (NP (NN rain)) (VP (VBZ falls))))`.

    The label of the outermost bracket may be missing, as it is in the Penn Treebank's
    own files; it is then `TOP`.

    Raises:
        UserError: If the brackets do not match, or a leaf is not `(POS word)`.
    """
    tokens = _TOKEN.findall(text)
    tree, end = _node(tokens, 0, text, is_root=True)
    if end != len(tokens):
        raise _broken("something follows the tree", text)
    return tree


def _node(
    tokens: Sequence[str], start: int, text: str, is_root: bool = False
) -> tuple[Tree, int]:
    """Reads the node that opens at `start`; returns it and the index after it."""
    if start >= len(tokens) or tokens[start] != "(":
        raise _broken("a '(' is missing", text)
    at = start + 1
    label = ROOT
    if at < len(tokens) and tokens[at] not in "()":
        label = tokens[at]
        at += 1
    elif not is_root:
        raise _broken("a bracket has no label", text)
    children: list[Tree | str] = []
    while at < len(tokens) and tokens[at] != ")":
        if tokens[at] == "(":
            child, at = _node(tokens, at, text)
            children.append(child)
        else:
            children.append(tokens[at])
            at += 1
    if at == len(tokens):
        raise _broken("a ')' is missing", text)
    if not children:
        raise _broken(f"the bracket {label!r} is empty", text)
    if len(children) > 1 and any(isinstance(child, str) for child in children):
        raise _broken(f"the bracket {label!r} holds more than one word", text)
    if is_root and isinstance(children[0], str):
        raise _broken("the outermost bracket holds a bare word", text)
    return Tree(label, tuple(children)), at + 1


def _broken(what: str, text: str) -> UserError:
    shown = text if len(text) <= 120 else text[:117] + "..."
    return UserError(
        f"not a tree: {what} in {shown!r}; expected one tree such as "
        "(TOP (S (NP (NN rain)) (VP (VBZ falls)) (. .)))"
    )


def linearise(tree: Tree) -> list[str]:
    """Returns the tags that stand for a tree without its words.

    Going left to right, a phrase gives its label when it opens and `/label` when it
    closes, and a word gives its part of speech. The outermost bracket is left out
    (T2T v1.0.3, `wsj_parsing`).

    Args:
        tree: A tree with an outermost bracket, as `parse_brackets` returns it.
    """
    return [tag for child in tree.children for tag in _tags(child)]


def _tags(tree: Tree) -> Iterator[str]:
    yield tree.label
    if not tree.is_leaf:
        for child in tree.children:
            yield from _tags(child)
        yield f"/{tree.label}"


def unlinearise(tags: Sequence[str], words: Sequence[str]) -> Tree | None:
    """Returns the tree that `linearise` would turn into `tags`, with its words.

    An opening tag is told from a part of speech by its closing tag alone, which
    belongs to the nearest open tag of its label.

    Args:
        tags: Opening tags, closing tags and parts of speech.
        words: The words of the sentence, one for each part of speech.

    Returns:
        The tree below a root `TOP`; `None` if the tags do not balance, a phrase is
        empty, or there are more or fewer parts of speech than words.
    """
    open_nodes: list[tuple[str, tuple[Tree | str, ...]]] = []  # () is still open
    for tag in tags:
        if len(tag) < 2 or not tag.startswith("/"):
            open_nodes.append((tag, ()))
            continue
        for start in reversed(range(len(open_nodes))):
            if open_nodes[start] == (tag[1:], ()):
                break
        else:
            return None
        children = tuple(_finished(node) for node in open_nodes[start + 1 :])
        if not children:
            return None
        open_nodes[start:] = [(tag[1:], children)]
    if not open_nodes:
        return None
    root = Tree(ROOT, tuple(_finished(node) for node in open_nodes))
    if sum(1 for _ in root.leaves()) != len(words):
        return None
    return _with_words(root, iter(words))


def _finished(node: tuple[str, tuple[Tree | str, ...]]) -> Tree:
    """A tag that no closing tag took is a part of speech, its word still unknown."""
    label, children = node
    return Tree(label, children or ("",))


def _with_words(tree: Tree, words: Iterator[str]) -> Tree:
    if tree.is_leaf:
        return Tree(tree.label, (next(words),))
    return Tree(tree.label, tuple(_with_words(child, words) for child in tree.children))
