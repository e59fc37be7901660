"""Metrics of decoded outputs against references: what a user gets, scored.

All look at a whole corpus. BLEU is within [0, 100] as everybody gives it, the others
are shares within [0, 1] (a word error rate may be more).
"""

import dataclasses
from collections.abc import Callable, Hashable, Sequence

import sacrebleu

from t2t_multimodel.data.tree_repair import legal_tree
from t2t_multimodel.data.trees import is_closing
from t2t_multimodel.errors import UserError
from t2t_multimodel.training import bracketing, caption_metrics
from t2t_multimodel.training import t2t_bleu as t2t
from t2t_multimodel.training.edit_distance import edit_distance

References = Sequence[str] | Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Score:
    """A number and how it came about.

    Attributes:
        value: The number.
        signature: Settings that the number depends on, to be printed with it.
        num_examples: Examples scored.
        higher_is_better: False for error rates.
    """

    value: float
    signature: str
    num_examples: int
    higher_is_better: bool = True


def bleu(outputs: Sequence[str], references: References) -> Score:
    """Returns sacreBLEU's corpus BLEU of plain text, with its signature.

    Args:
        outputs: A text an example.
        references: A text an example, or several (captions).

    Raises:
        UserError: If there is nothing to score, or not one reference an output.
    """
    several = _several(outputs, references)
    most = max(map(len, several))
    # sacreBLEU wants one stream a reference; an example that has fewer gives None.
    streams = [[r[i] if i < len(r) else None for r in several] for i in range(most)]
    # `force` silences its advice to detokenize: texts are scored as they are.
    metric = sacrebleu.metrics.BLEU(force=True)
    score = metric.corpus_score(list(outputs), streams)
    return Score(score.score, str(metric.get_signature()), len(outputs))


def t2t_bleu(
    outputs: Sequence[str], references: References, lowercase: bool = False
) -> Score:
    """Returns BLEU as T2T's `t2t-bleu` prints it, of the first reference each.

    Args:
        outputs: A text an example.
        references: A text an example, or several, of which the first counts.
        lowercase: T2T's `BLEU_uncased`.

    Raises:
        UserError: As for `bleu`.
    """
    several = _several(outputs, references)

    def words(text: str) -> list[str]:
        return t2t.tokenize(text.lower() if lowercase else text)

    value = t2t.corpus_bleu([words(r[0]) for r in several], list(map(words, outputs)))
    case = "lc" if lowercase else "mixed"
    signature = f"nrefs:1|case:{case}|tok:t2t|smooth:t2t"
    return Score(100 * value, signature, len(outputs))


def caption_bleu4(outputs: Sequence[str], references: References) -> Score:
    """Returns BLEU-4 of captions as COCO's evaluation computes it, within [0, 100].

    Args:
        outputs: A caption a picture.
        references: All captions of each picture.

    Raises:
        UserError: As for `bleu`.
    """
    several = _several(outputs, references)
    value, signature = caption_metrics.corpus_bleu4(outputs, several)
    return Score(value, signature, len(outputs))


def cider_d(outputs: Sequence[str], references: References) -> Score:
    """Returns CIDEr-D of captions as COCO's evaluation computes it, within [0, 10].

    Many papers give a hundred times this number.

    Args:
        outputs: A caption a picture.
        references: All captions of each picture.

    Raises:
        UserError: As for `bleu`.
    """
    several = _several(outputs, references)
    value = caption_metrics.corpus_cider_d(outputs, several)
    most = max(map(len, several))
    signature = f"nrefs:{most}|pictures:{len(outputs)}|sigma:6|words:coco"
    return Score(value, signature, len(outputs))


def wer(outputs: Sequence[str], references: References) -> Score:
    """Returns the word error rate: edits over words of the references.

    Words are what white space divides; case and punctuation count. With several
    references the one that is nearest in edits counts.

    Raises:
        UserError: As for `bleu`, or if the references have no words.
    """
    edits = num_words = 0
    several = _several(outputs, references)
    for output, texts in zip(outputs, several, strict=True):
        words = [text.split() for text in texts]
        distances = [edit_distance(output.split(), reference) for reference in words]
        nearest = distances.index(min(distances))
        edits += distances[nearest]
        num_words += len(words[nearest])
    if not num_words:
        raise UserError("word error rate: the references have no words")
    signature = f"words:{num_words}|case:mixed|tok:white-space"
    return Score(edits / num_words, signature, len(outputs), higher_is_better=False)


def correct_trees(outputs: Sequence[str], references: References) -> Score:
    """Returns the share of outputs equal to their reference but for white space.

    For constituency trees as T2T writes them out, before anything is repaired: the
    paper's fully correct trees.

    Raises:
        UserError: As for `bleu`.
    """
    several = _several(outputs, references)
    right = sum(
        output.split() in [text.split() for text in texts]
        for output, texts in zip(outputs, several, strict=True)
    )
    return Score(right / len(outputs), "exact", len(outputs))


def bracketing_f1(
    outputs: Sequence[str],
    references: References,
    sentences: Sequence[str] | None = None,
) -> Score:
    """Returns the labelled bracketing F1 of trees, by EVALB's rules (COLLINS.prm).

    The tags become legal trees by the rules of `data.tree_repair`, those that users
    see. Precision, recall, the accuracy of the parts of speech, and the sentences
    that EVALB leaves out are in the signature; see `training.bracketing`.

    Args:
        outputs: Tags of a tree an example, as `trees.linearise` writes them.
        references: The right tags; of several the first count.
        sentences: The words of each example. Without them each part of speech of the
            reference stands for its word.

    Raises:
        UserError: As for `bleu`.
    """
    several = _several(outputs, references)
    total = bracketing.Bracketing()
    for number, (output, texts) in enumerate(zip(outputs, several, strict=True)):
        tags = texts[0].split()
        words = sentences[number].split() if sentences else _words_of_tags(tags)
        if words:
            trees = [legal_tree(text, words) for text in (output.split(), tags)]
            total += bracketing.score_sentence(*trees)
        else:
            total += bracketing.Bracketing(num_skipped=1)
    left_out = total.num_errors + total.num_skipped
    signature = (
        f"precision:{total.precision:.2%}|recall:{total.recall:.2%}|"
        f"tagging:{total.tagging_accuracy:.2%}|left_out:{left_out}|evalb:COLLINS"
    )
    return Score(total.f1, signature, len(outputs))


def top1(outputs: Sequence[Sequence[Hashable]], references: Sequence) -> Score:
    """Returns the share of examples whose label is the first of the output."""
    return _top(1, outputs, references)


def top5(outputs: Sequence[Sequence[Hashable]], references: Sequence) -> Score:
    """Returns the share of examples whose label is among the output's first five.

    Args:
        outputs: Labels of each example, the most likely first.
        references: The true label of each.
    """
    return _top(5, outputs, references)


DECODE_METRICS: dict[str, Callable[..., Score]] = {
    "bleu": bleu,
    "t2t_bleu": t2t_bleu,
    "caption_bleu4": caption_bleu4,
    "cider_d": cider_d,
    "wer": wer,
    "correct_trees": correct_trees,
    "bracketing_f1": bracketing_f1,
    "top1": top1,
    "top5": top5,
}
"""Names, as in `Problem.decode_metrics`, to functions of outputs and references."""


TREE_METRICS = frozenset(("bracketing_f1",))
"""Metrics that also take the inputs, over whose words the trees are."""


def _words_of_tags(tags: Sequence[str]) -> list[str]:
    closed = {tag[1:] for tag in tags if is_closing(tag)}
    return [tag for tag in tags if not is_closing(tag) and tag not in closed]


def _top(k: int, outputs: Sequence, references: Sequence) -> Score:
    _check(outputs, references)
    found = sum(
        reference in output[:k]
        for output, reference in zip(outputs, references, strict=True)
    )
    return Score(found / len(outputs), f"top:{k}", len(outputs))


def _several(outputs: Sequence[str], references: References) -> list[list[str]]:
    """Returns the references of each example as a list."""
    _check(outputs, references)
    several = [[r] if isinstance(r, str) else list(r) for r in references]
    if not all(several):
        raise UserError(f"example {several.index([])} has no reference")
    return several


def _check(outputs: Sequence, references: Sequence) -> None:
    if not outputs or len(outputs) != len(references):
        raise UserError(
            f"{len(outputs)} outputs and {len(references)} references; "
            "give a reference for each output, and at least one"
        )
