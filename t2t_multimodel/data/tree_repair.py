"""Makes a legal tree of whatever tags a parser model writes.

The rules, in this order; tags that are a tree over the words stay what they are:

1. Brackets within a tag are deleted, and a tag of nothing else is ignored.
2. A tag is a phrase if it is closed anywhere or is one of `PHRASES`, else a part of
   speech.
3. A closing tag closes the nearest open phrase of its label, and whatever is open
   within it; without such a phrase it is ignored. What is open at the end is closed.
4. As many parts of speech as words belong together one by one. Otherwise they are laid
   over the words with the fewest insertions, deletions and punctuation marks that are
   not tagged as what they are; of choices that are as good, what has no counterpart is
   the last before the next punctuation mark.
5. A part of speech without a word is deleted, and so is a phrase that is left empty.
6. A word without part of speech gets the tag of its punctuation mark, or `XX`, in the
   smallest phrase that holds both its neighbours; at either end of the sentence, in
   the phrase that holds all, if one does.
"""

from collections.abc import Iterable, Sequence

from t2t_multimodel.data.trees import Tree, grow, is_closing, unlinearise
from t2t_multimodel.errors import UserError

UNKNOWN_TAG = "XX"
"""Part of speech of a word that the tags say nothing about (OntoNotes)."""

PHRASES = frozenset(
    "ADJP ADVP CONJP FRAG INTJ LST NAC NML NP NX PP PRN PRT QP RRC S SBAR SBARQ SINV "
    "SQ UCP VP WHADJP WHADVP WHNP WHPP X".split()
)
"""Phrase labels of the Penn Treebank (and NML of its successors)."""

# Marks as treebanks write them, and as they are typed; none is also another word.
_TAG_OF_MARK = (
    {mark: mark for mark in ("``", "''", ",", "-LRB-", "-RRB-")}
    | dict.fromkeys((".", "?", "!"), ".")
    | dict.fromkeys((":", ";", "--", "...", "–", "—"), ":")
    | {"(": "-LRB-", ")": "-RRB-", "“": "``", "”": "''"}
)
_MARKS = frozenset(_TAG_OF_MARK.values())

_Step = tuple[str, str | None, bool]  # as `grow` takes them
_Numbered = tuple[str, int | None, bool]  # the same with the index of the word
_NO_WORD = ""  # stands in a step until the words are known


def legal_tree(tags: Iterable[str], words: Sequence[str]) -> Tree:
    """Returns a tree over exactly these words, for any tags.

    Args:
        tags: What a parser model wrote, divided at white space.
        words: The words of the sentence; at least one.

    Returns:
        `unlinearise(tags, words)` if that is a tree, else what this module's rules
        make of it. Its root is `TOP`.

    Raises:
        UserError: If there are no words.
    """
    if not words:
        raise UserError("there are no words to lay a tree over")
    cleaned = [tag.replace("(", "").replace(")", "") for tag in tags]
    cleaned = [tag for tag in cleaned if tag]
    exact = unlinearise(cleaned, words)
    if exact is not None:
        return exact
    steps = _balanced(cleaned)
    word_of_leaf = _aligned(
        [label for label, word, _ in steps if word is not None], words
    )
    steps = _without_empty_phrases(_with_words(steps, word_of_leaf))
    return grow(_with_all_words(steps, words))


def _balanced(tags: Sequence[str]) -> list[_Step]:
    """Rules 2 and 3."""
    phrases = PHRASES | {tag[1:] for tag in tags if is_closing(tag)}
    steps: list[_Step] = []
    open_phrases: list[str] = []
    for tag in tags:
        if not is_closing(tag):
            is_phrase = tag in phrases
            steps.append((tag, None if is_phrase else _NO_WORD, False))
            if is_phrase:
                open_phrases.append(tag)
        elif tag[1:] in open_phrases:
            closed = ""
            while closed != tag[1:]:
                closed = open_phrases.pop()
                steps.append((closed, None, True))
    return steps + [(label, None, True) for label in reversed(open_phrases)]


def _aligned(tags: Sequence[str], words: Sequence[str]) -> list[int | None]:
    """Returns the index of each part of speech's word; rule 4."""
    if len(tags) == len(words):
        return list(range(len(words)))
    marks_of_words = [_TAG_OF_MARK.get(word) for word in words]
    marks = [tag if tag in _MARKS else None for tag in tags]
    costs = [list(range(len(words) + 1))]  # [parts of speech][words] that are done
    for row, mark in enumerate(marks, start=1):
        above, line = costs[-1], [row]
        for column, mark_of_word in enumerate(marks_of_words):
            together = above[column] + (mark != mark_of_word)
            line.append(min(together, above[column + 1] + 1, line[column] + 1))
        costs.append(line)
    word_of_tag: list[int | None] = [None] * len(tags)
    row, column = len(tags), len(words)
    while row and column:
        cost = costs[row][column]
        if cost == costs[row][column - 1] + 1:
            column -= 1
        elif cost == costs[row - 1][column] + 1:
            row -= 1
        else:
            row, column = row - 1, column - 1
            word_of_tag[row] = column
    return word_of_tag


def _with_words(
    steps: Sequence[_Step], word_of_leaf: Sequence[int | None]
) -> list[_Numbered]:
    """Returns the steps with indices of words; leaves without one are left out."""
    indices = iter(word_of_leaf)
    found = []
    for label, word, closes in steps:
        if word is None:
            found.append((label, None, closes))
        elif (index := next(indices)) is not None:
            found.append((label, index, False))
    return found


def _without_empty_phrases(
    steps: Sequence[_Numbered],
) -> list[_Numbered]:
    kept: list[_Numbered] = []
    for step in steps:
        if step[2] and kept[-1][1] is None and not kept[-1][2]:
            kept.pop()  # it closes what was opened last
        else:
            kept.append(step)
    return kept


def _with_all_words(steps: Sequence[_Numbered], words: Sequence[str]) -> list[_Step]:
    """Returns the steps with the words, also those that had none; rule 6."""
    first = 1 if _is_one_phrase(steps) else 0
    last = len(steps) - first
    upcoming = []  # the next word that has a part of speech, at each step
    upto = len(words)
    for _, index, _ in reversed(steps[first:last]):
        upto = upto if index is None else index
        upcoming.append(upto)
    filled: list[_Step] = [(label, None, False) for label, _, _ in steps[:first]]
    done = 0
    for (label, index, closes), upto in zip(
        steps[first:last], reversed(upcoming), strict=True
    ):
        # Between two words phrases close before others open: the smallest phrase that
        # holds both is reached with the first step that does not close one.
        if not closes:
            filled += map(_untold, words[done:upto])
            done = upto
        filled.append((label, None if index is None else words[index], closes))
        done += index is not None
    filled += map(_untold, words[done:])
    return filled + [(label, None, True) for label, _, _ in steps[last:]]


def _is_one_phrase(steps: Sequence[_Numbered]) -> bool:
    depth = 0
    for place, (_, index, closes) in enumerate(steps):
        if index is None:
            depth += -1 if closes else 1
        if not depth:
            return place == len(steps) - 1 and closes
    return False


def _untold(word: str) -> _Step:
    return _TAG_OF_MARK.get(word, UNKNOWN_TAG), word, False
