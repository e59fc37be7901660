"""Constituency trees: Penn Treebank brackets, and the tags a parser model writes."""

import dataclasses
import itertools
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence

from t2t_multimodel.errors import UserError

ROOT = "TOP"
"""Label of the outermost bracket, which the linearised form leaves out."""

# White space of ASCII alone: a no-break space is part of a word.
_TOKEN = re.compile(r"\(|\)|[^\s()]+", re.ASCII)
_BRACKETS = str.maketrans({"(": "-LRB-", ")": "-RRB-"})


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """A node of a constituency tree, however deep: nothing here is recursive.

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
        return (node for node, _ in self.walk() if node.is_leaf)

    def walk(self) -> Iterator[tuple["Tree", bool]]:
        """Yields (node, False) where a node opens and (phrase, True) where one closes.

        A part of speech is met once, as it opens.
        """
        waiting = [(self, False)]
        while waiting:
            node, closes = waiting.pop()
            yield node, closes
            if not closes and not node.is_leaf:
                waiting.append((node, True))
                waiting.extend((child, False) for child in reversed(node.children))

    def __eq__(self, other: object) -> bool:
        """Whether two trees have the same labels, brackets and words."""
        if not isinstance(other, Tree):
            return NotImplemented
        pairs = itertools.zip_longest(self._steps(), other._steps())
        return all(one == two for one, two in pairs)

    def __hash__(self) -> int:
        return hash(tuple(self._steps()))

    def _steps(self) -> Iterator[Hashable]:
        for node, closes in self.walk():
            yield node.label, node.children if node.is_leaf else closes

    def __str__(self) -> str:
        """The tree in Penn brackets, on one line; `(` in a word is `-LRB-`."""
        parts = []
        for node, closes in self.walk():
            if closes:
                parts.append(")")
            elif node.is_leaf:
                word = node.children[0].translate(_BRACKETS)
                parts.append(f" ({node.label} {word})")
            else:
                parts.append(f" ({node.label}")
        return "".join(parts)[1:]

    def __repr__(self) -> str:
        return f"Tree({str(self)!r})"


class BracketError(ValueError):
    """Brackets that are no tree; its message says why, not where."""


class BracketReader:
    """Makes a tree of brackets that come one by one, from `tokens`."""

    def __init__(self) -> None:
        self._open: list[tuple[list[str], list[Tree | str]]] = []  # label, children

    @property
    def depth(self) -> int:
        """Brackets that are open."""
        return len(self._open)

    def add(self, token: str) -> Tree | None:
        """Takes a bracket, label or word; returns the tree if it is whole now.

        Raises:
            BracketError: If it cannot stand where it does.
        """
        if token == "(":
            self._open.append(([], []))
            return None
        if not self._open:
            raise BracketError(
                "a '(' is missing" if token != ")" else "there is a ')' too many"
            )
        label, children = self._open[-1]
        if token != ")":
            (children if label or children else label).append(token)
            return None
        node = self._closed("".join(label), children)
        self._open.pop()
        if not self._open:
            return node
        self._open[-1][1].append(node)
        return None

    def _closed(self, label: str, children: list[Tree | str]) -> Tree:
        is_root = len(self._open) == 1
        if not label and not is_root:
            raise BracketError("a bracket has no label")
        if not children:
            raise BracketError(f"the bracket {label!r} is empty")
        num_words = [type(child) for child in children].count(str)
        if num_words > 1 and num_words == len(children):
            raise BracketError(f"the bracket {label!r} holds more than one word")
        if num_words and num_words < len(children):
            raise BracketError(
                f"the bracket {label!r} holds a word without part of speech"
            )
        if num_words and is_root:
            raise BracketError("the outermost bracket holds a bare word")
        return Tree(label or ROOT, tuple(children))


def tokens(text: str) -> list[str]:
    """Returns the brackets, labels and words of a text, in order."""
    return _TOKEN.findall(text)


def parse_brackets(text: str) -> Tree:
    """Reads one tree written as `(TOP (S (NP (NN rain)) (VP (VBZ falls))))`.

    The label of the outermost bracket may be missing, as it is in the Penn Treebank's
    own files; it is then `TOP`.

    Raises:
        UserError: If the brackets do not match, or a leaf is not `(POS word)`.
    """
    reader, tree = BracketReader(), None
    try:
        for token in tokens(text):
            if tree is not None:
                raise BracketError("something follows the tree")
            tree = reader.add(token)
        if tree is None:
            missing = ")" if reader.depth else "("
            raise BracketError(f"a {missing!r} is missing")
    except BracketError as error:
        shown = text if len(text) <= 120 else text[:117] + "..."
        raise UserError(
            f"not a tree: {error} in {shown!r}; expected one tree such as "
            "(TOP (S (NP (NN rain)) (VP (VBZ falls)) (. .)))"
        ) from None
    return tree


def linearise(tree: Tree) -> list[str]:
    """Returns the tags that stand for a tree without its words.

    Going left to right, a phrase gives its label when it opens and `/label` when it
    closes, and a word gives its part of speech. The outermost bracket is left out
    (T2T v1.0.3, `wsj_parsing`).

    Args:
        tree: A tree with an outermost bracket, as `parse_brackets` returns it.
    """
    tags = [f"/{node.label}" if closes else node.label for node, closes in tree.walk()]
    return tags[1:-1]


def is_closing(tag: str) -> bool:
    """Returns whether a tag closes a phrase; a bare `/` is a part of speech."""
    return len(tag) > 1 and tag.startswith("/")


def unlinearise(tags: Sequence[str], words: Sequence[str]) -> Tree | None:
    """Returns the tree that `linearise` would turn into `tags`, with its words.

    An opening tag is told from a part of speech by its closing tag alone, which
    belongs to the nearest open tag of its label that has something in it.

    Args:
        tags: Opening tags, closing tags and parts of speech.
        words: The words of the sentence, one for each part of speech.

    Returns:
        The tree below a root `TOP`; `None` if the tags do not balance, a phrase is
        empty, or there are more or fewer parts of speech than words.
        `tree_repair.legal_tree` returns a tree in any case.
    """
    open_tags: list[int] = []
    phrases: set[int] = set()
    for index, tag in enumerate(tags):
        if not is_closing(tag):
            open_tags.append(index)
            continue
        for depth in reversed(range(len(open_tags) - 1)):
            if open_tags[depth] not in phrases and tags[open_tags[depth]] == tag[1:]:
                break
        else:
            return None
        phrases.add(open_tags[depth])
        del open_tags[depth + 1 :]
    num_opening = sum(not is_closing(tag) for tag in tags)
    if not words or num_opening - len(phrases) != len(words):
        return None
    word = iter(words)
    return grow(
        (tag[1:], None, True)
        if is_closing(tag)
        else (tag, None if index in phrases else next(word), False)
        for index, tag in enumerate(tags)
    )


def grow(steps: Iterable[tuple[str, str | None, bool]]) -> Tree:
    """Returns the tree below a root `TOP` that balanced steps describe.

    Args:
        steps: (label, word, closes): a word stands with its part of speech alone;
            a phrase opens with `closes` False and closes with True.
    """
    levels: list[list[Tree]] = [[]]
    for label, word, closes in steps:
        if word is not None:
            levels[-1].append(Tree(label, (word,)))
        elif not closes:
            levels.append([])
        else:
            children = levels.pop()
            levels[-1].append(Tree(label, tuple(children)))
    return Tree(ROOT, tuple(levels[0]))
