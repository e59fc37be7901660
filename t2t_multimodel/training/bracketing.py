"""Labelled bracketing of constituency trees, counted as EVALB counts with COLLINS.prm.

EVALB (Sekine and Collins) is the program that published parsing results come from:

* The outermost `TOP` is no bracket, and parts of speech are none.
* Words whose part of speech is `,` `:` ` `` ` `''` or `.` are deleted, each tree's by
  its own tags, and with them phrases that are left empty. Brackets round words
  (`-LRB-`) stay.
* `ADVP` and `PRT` are one label; of `NP-SBJ` and `NP=2` only `NP` counts.
* Brackets are a multiset: two `NP` over the same words are two brackets.
* A sentence in which other words are left than in the reference is an error (a mark
  was tagged as a word, or the other way round): it is left out, and counted apart. A
  sentence of which no word is left is skipped.
"""

import collections
import dataclasses
from collections.abc import Sequence

from t2t_multimodel.data.trees import Tree

_DELETED = frozenset(("TOP", "-NONE-", ",", ":", "``", "''", "."))
_SAME_LABEL = {"PRT": "ADVP"}

Bracket = tuple[str, int, int]
"""(label, first word, word after the last), words counted without deleted ones."""


@dataclasses.dataclass(frozen=True)
class Bracketing:
    """What EVALB sums up.

    Attributes:
        num_matched: Brackets of an output that its reference has, too.
        num_reference: Brackets of the references.
        num_output: Brackets of the outputs.
        num_words: Words of the references, without deleted ones.
        num_correct_tags: Of these, words whose part of speech is the reference's.
        num_complete: Sentences with all brackets right and no other.
        num_scored: Sentences that the above is about.
        num_errors: Sentences left out, for other words than in the reference.
        num_skipped: Sentences left out, for no words.
    """

    num_matched: int = 0
    num_reference: int = 0
    num_output: int = 0
    num_words: int = 0
    num_correct_tags: int = 0
    num_complete: int = 0
    num_scored: int = 0
    num_errors: int = 0
    num_skipped: int = 0

    def __add__(self, other: "Bracketing") -> "Bracketing":
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Bracketing(*(one + two for one, two in pairs))

    @property
    def precision(self) -> float:
        """Share of the outputs' brackets that are right; 0 if there are none."""
        return self.num_matched / self.num_output if self.num_output else 0.0

    @property
    def recall(self) -> float:
        """Share of the references' brackets that were found; 0 if there are none."""
        return self.num_matched / self.num_reference if self.num_reference else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall over the whole corpus."""
        both = self.num_output + self.num_reference
        return 2 * self.num_matched / both if both else 0.0

    @property
    def tagging_accuracy(self) -> float:
        """Share of words with the right part of speech; 0 if there are no words."""
        return self.num_correct_tags / self.num_words if self.num_words else 0.0

    @property
    def complete_match(self) -> float:
        """Share of the scored sentences with all brackets right and no other."""
        return self.num_complete / self.num_scored if self.num_scored else 0.0


def score(outputs: Sequence[Tree], references: Sequence[Tree]) -> Bracketing:
    """Returns EVALB's sums over a corpus.

    Args:
        outputs: A tree a sentence.
        references: The right tree of each.
    """
    total = Bracketing()
    for output, reference in zip(outputs, references, strict=True):
        total += score_sentence(output, reference)
    return total


def score_sentence(output: Tree, reference: Tree) -> Bracketing:
    """Returns EVALB's counts for one sentence."""
    got, got_leaves = brackets(output)
    wanted, wanted_leaves = brackets(reference)
    if not got_leaves:
        return Bracketing(num_skipped=1)
    if [leaf.children for leaf in got_leaves] != [
        leaf.children for leaf in wanted_leaves
    ]:
        return Bracketing(num_errors=1)
    matched = (got & wanted).total()
    pairs = zip(got_leaves, wanted_leaves, strict=True)
    return Bracketing(
        num_matched=matched,
        num_reference=wanted.total(),
        num_output=got.total(),
        num_words=len(wanted_leaves),
        num_correct_tags=sum(_same(one) == _same(two) for one, two in pairs),
        num_complete=int(matched == wanted.total() == got.total()),
        num_scored=1,
    )


def brackets(tree: Tree) -> tuple[collections.Counter[Bracket], list[Tree]]:
    """Returns the brackets that count, and the parts of speech that are not deleted."""
    found: collections.Counter[Bracket] = collections.Counter()
    leaves: list[Tree] = []
    starts: list[int] = []
    for node, closes in tree.walk():
        if node.is_leaf:
            if node.label not in _DELETED:
                leaves.append(node)
        elif not closes:
            starts.append(len(leaves))
        else:
            start = starts.pop()
            label = node.label.split("-")[0].split("=")[0]
            if start < len(leaves) and label not in _DELETED:
                found[_SAME_LABEL.get(label, label), start, len(leaves)] += 1
    return found, leaves


def _same(leaf: Tree) -> str:
    return _SAME_LABEL.get(leaf.label, leaf.label)
