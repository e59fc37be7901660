"""Treebank files: reads their trees, and makes of each what a parser learns.

A file holds trees one after the other, each on a line or on several. Further lines of
a tree are indented, as they are in the Penn Treebank (`.mrg`), CRAFT (`.tree`) and GUM
(`.ptb`): a `(` in the first column always begins a tree, so that one that is broken
costs no other.
"""

import gzip
import pathlib
import re
import zlib
from collections.abc import Iterator

from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.trees import (
    ROOT,
    BracketError,
    BracketReader,
    Tree,
    linearise,
    tokens,
)
from t2t_multimodel.errors import UserError

SUFFIXES = (".mrg", ".ptb", ".tree", ".trees", ".brackets")
"""Ends of the names of treebank files, in a folder of them; each also with `.gz`."""

_TRACE = "-NONE-"
_ROOTS = (ROOT, "ROOT", "S1")
# Some of the LDC's files begin with lines like this one.
_HEADER = "*x*x"
# The first character always belongs to the label: -LRB-, or a minus sign's own tag.
_PLAIN_LABEL = re.compile(r"-.*|.[^-=|]*", re.DOTALL)


def treebank_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the treebank files of a folder and the folders in it, sorted."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.name.lower().removesuffix(".gz").endswith(SUFFIXES) and path.is_file()
    )


def read_trees(path: pathlib.Path) -> Iterator[tuple[str, Tree] | BadExample]:
    """Yields (place, tree as it stands there) of a file, plain or `.gz`.

    A tree that cannot be read is yielded as a `BadExample` that names the lines where
    it begins and where the fault is; reading goes on with the next tree.

    Raises:
        UserError: If the file cannot be read.
    """
    reader = BracketReader()
    begins = 0  # line of the tree that is being read, or was read last
    whole: Tree | None = None  # read, but what follows may show that it is none
    is_lost = False  # everything up to the next '(' in the first column

    def bad(line: int, reason: str) -> BadExample:
        at = f"line {line}: " if line != begins else ""
        return BadExample(f"{path}:{begins}", f"no tree: {at}{reason}")

    for number, line in _numbered_lines(path):
        if line is None or line.startswith("("):
            if reader.depth:
                few = f"{reader.depth} ')' missing before this line"
                yield bad(number, few if line else "not UTF-8")
                reader = BracketReader()
            elif line is None:
                if whole is not None:
                    yield f"{path}:{begins}", whole
                whole, begins = None, number
                yield bad(number, "not UTF-8")
            is_lost = line is None
        if is_lost or line is None or (not reader.depth and line.startswith(_HEADER)):
            continue
        for token in tokens(line):
            if not reader.depth and (whole is None or token != ")"):
                if whole is not None:
                    yield f"{path}:{begins}", whole
                whole, begins = None, number
            try:
                whole = reader.add(token)
            except BracketError as error:
                yield bad(number, str(error))
                reader, whole, is_lost = BracketReader(), None, True
                break
    if reader.depth:
        yield bad(begins, f"{reader.depth} ')' missing at the end of the file")
    elif whole is not None:
        yield f"{path}:{begins}", whole


def normalise(tree: Tree) -> Tree | None:
    """Returns what a parser learns of a treebank's tree.

    * Traces (`-NONE-`) are deleted, and phrases that are empty without them.
    * Function tags and indices are cut off: `NP-SBJ-1`, `NP=2` are `NP`; of `JJ|RB`
      the first is kept; `-LRB-` and its like stay. A label's leading `/` is dropped,
      which in tags closes a phrase.
    * The outermost bracket is `TOP`: one without label, `ROOT` and `S1` become it, and
      around any other it is put.
    * White space within a word, such as a no-break space, becomes `_`.

    Phrases of a single phrase stay, also of the same label, as EVALB counts them.

    Returns:
        The tree; `None` if nothing is left of it.
    """
    levels: list[list[Tree]] = [[]]
    for node, closes in tree.walk():
        if node.is_leaf:
            if node.label != _TRACE:
                word = "_".join(node.children[0].split()) or "_"
                levels[-1].append(Tree(_plain_label(node.label), (word,)))
        elif not closes:
            levels.append([])
        else:
            children = levels.pop()
            if children:
                levels[-1].append(Tree(_plain_label(node.label), tuple(children)))
    if not levels[0]:
        return None
    (top,) = levels[0]
    is_root = top.label in _ROOTS and not top.is_leaf
    return Tree(ROOT, top.children if is_root else (top,))


def normalised_trees(path: pathlib.Path) -> Iterator[tuple[str, Tree] | BadExample]:
    """Yields (place, normalised tree), or a `BadExample` in place of one; see above.

    A tree of nothing but traces is a bad example.

    Raises:
        UserError: If the file cannot be read.
    """
    for entry in read_trees(path):
        if isinstance(entry, BadExample):
            yield entry
            continue
        place, tree = entry
        normal = normalise(tree)
        if normal is None:
            yield BadExample(place, "nothing is left of the tree without its traces")
        else:
            yield place, normal


def parsing_examples(path: pathlib.Path) -> Iterator[RawExample | BadExample]:
    """Yields the words of each tree as inputs and its tags as targets.

    Both are divided by single spaces; the tags are those of `trees.linearise`.

    Raises:
        UserError: If the file cannot be read.
    """
    for entry in normalised_trees(path):
        if isinstance(entry, BadExample):
            yield entry
            continue
        place, tree = entry
        words, tags = " ".join(tree.words), " ".join(linearise(tree))
        yield {"inputs": words, "targets": tags, "place": place}


def count_trees(path: pathlib.Path) -> int:
    """Returns the number of trees of a file, with those that cannot be read.

    Raises:
        UserError: If the file cannot be read.
    """
    return sum(1 for _ in read_trees(path))


def _plain_label(label: str) -> str:
    label = "_".join(label.split()).lstrip("/") or "/"
    return _PLAIN_LABEL.match(label).group()


def _numbered_lines(path: pathlib.Path) -> Iterator[tuple[int, str | None]]:
    """Yields (number from 1, line), a line that is not UTF-8 as `None`."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    number = 0
    try:
        with opened(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    yield number, None
    except (EOFError, zlib.error):
        raise UserError(f"{path} is cut off or damaged after line {number}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
