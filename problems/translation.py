"""Translation between English, German and French: WMT's news translation tasks."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence

# The modules and not their names: one of them may be importing the problems.
from t2t_multimodel.data import (
    parallel_text,
    plain_files,
    sacrebleu_sets,
    text_rows,
    tfds_corpus,
)
from t2t_multimodel.data.features import TOKENS_8K, Text
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem, Source, register_reversed
from t2t_multimodel.registry import register_problem

_ENGLISH = Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=TOKENS_8K)
_GERMAN = Text(space=SpaceId.GERMAN_TOKENS, vocabulary=TOKENS_8K)
_FRENCH = Text(space=SpaceId.FRENCH_TOKENS, vocabulary=TOKENS_8K)

_LICENCE = "WMT: free for research, cite the shared task; else ask each corpus's owner"


class WmtTranslation(Problem):
    """Sentences and their translations, from files of yours or from TFDS.

    Each split is made of all parallel texts in `<tmp_dir>/<folder>/<split>`, whose
    names `parallel_text.find` describes, or if there is no such folder of what can be
    downloaded. Of the training texts, pairs with an empty side are left out, as TFDS
    leaves them out of the same corpora; there it means "not translated".

    Attributes:
        folder: Name of the folder under `tmp_dir`.
        languages: Codes of the input and the target language in file names.
        corpus: The same task in TFDS.
        what: Split to the name of what belongs there. The training text of one year
            and of the next are both right, so its size is not compared.
        where: Split to where to get it by hand.
    """

    num_shards = {"train": 100, "dev": 1, "test": 1}
    folder: str
    languages: tuple[str, str]
    corpus: tfds_corpus.TfdsCorpus
    what: Mapping[str, str]
    where: Mapping[str, str]

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the pairs of a split, file after file."""
        del seed
        for rows in self._corpora(split, tmp_dir):
            for row in rows:
                if not row.fault:
                    inputs, targets = row.texts
                    yield {"inputs": inputs, "targets": targets, "place": row.place}
                elif split != "train" or not parallel_text.is_empty(row):
                    yield BadExample(row.place, row.fault)

    def sources(self, tmp_dir: pathlib.Path) -> Sequence[Source]:
        """Returns a source a split."""
        return [
            Source(
                what=self.what[split],
                splits=(split,),
                where=self.where[split],
                licence=_LICENCE,
                layout=f"{self._split_folder(split, tmp_dir)}, or "
                f"{self.download_name(split)}",
                missing=tuple(self._missing(split, tmp_dir)),
            )
            for split in self.num_shards
        ]

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int | None:
        """Returns the number of pairs, empty ones included."""
        folder = self._split_folder(split, tmp_dir)
        if folder.is_dir():
            return sum(text.count() for text in self._find(folder))
        return self.count_downloaded(split)

    def source_state(self, tmp_dir: pathlib.Path) -> str:
        """Returns a digest of the files' names, sizes and times, split by split."""
        parts = []
        for split in self.num_shards:
            folder = self._split_folder(split, tmp_dir)
            found = self._find(folder) if folder.is_dir() else []
            parts.append(plain_files.Part(found))
        if not any(part.sources for part in parts):
            return ""
        return plain_files.state_of(parts)

    def vocabulary_texts(
        self, tmp_dir: pathlib.Path
    ) -> Iterator[tuple[Text, Iterator[str]]]:
        """Yields both sides of each corpus, so that all have a share (as in T2T)."""
        for side, feature in enumerate((self.inputs, self.targets)):
            for rows in self._corpora("train", tmp_dir):
                yield feature, (row.texts[side] for row in rows if not row.fault)

    def download_name(self, split: str) -> str:
        """Returns what a split is downloaded from, in words."""
        return f"TFDS {self.corpus.name}, split {_TFDS_SPLITS[split]!r}"

    def is_downloaded(self, split: str) -> bool:
        """Returns whether a split that has no folder is there already."""
        del split
        return self.corpus.is_prepared()

    def count_downloaded(self, split: str) -> int | None:
        """Returns its number of pairs, `None` as long as it is not there."""
        return self.corpus.num_examples(_TFDS_SPLITS[split])

    def download(self, split: str) -> Iterator[text_rows.TextRow]:
        """Yields the pairs of a split that has no folder, downloaded if need be.

        Raises:
            UserError: If that fails.
        """
        name = f"TFDS {self.corpus.name}, {split} example"
        read = self.corpus.read(_TFDS_SPLITS[split])
        for number, example in enumerate(read):
            texts = tuple(example[code].decode().strip() for code in self.languages)
            yield text_rows.TextRow(f"{name} {number}", texts)

    def _corpora(
        self, split: str, tmp_dir: pathlib.Path
    ) -> Iterator[Iterator[text_rows.TextRow]]:
        folder = self._split_folder(split, tmp_dir)
        if not folder.is_dir():
            yield self.download(split)
            return
        for text in self._find(folder):
            yield text.read()

    def _find(self, folder: pathlib.Path) -> list[parallel_text.ParallelText]:
        return parallel_text.find(folder, *self.languages)

    def _split_folder(self, split: str, tmp_dir: pathlib.Path) -> pathlib.Path:
        return pathlib.Path(tmp_dir) / self.folder / split

    def _missing(self, split: str, tmp_dir: pathlib.Path) -> Iterator[str]:
        folder = self._split_folder(split, tmp_dir)
        if folder.is_dir():
            try:
                self._find(folder)
            except UserError as error:
                yield str(error)
        elif not self.is_downloaded(split):
            yield (
                f"there is no {folder}, and {self.download_name(split)} is not "
                "downloaded yet; t2t-mm-datagen downloads it, if it can"
            )


_TFDS_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
_WMT13 = "https://www.statmt.org/wmt13"
_WMT14 = "https://www.statmt.org/wmt14"
_WMT19 = "https://www.statmt.org/wmt19/translation-task.html"


class _Wmt14FromEnglish(WmtTranslation):
    """A task of 2014; both languages are tested with the same English sentences."""

    inputs = _ENGLISH
    known_sizes = {"dev": 3_000, "test": 3_003}


def _wmt14_what(pair: str, train: str) -> dict[str, str]:
    return {
        "train": train,
        "dev": f"newstest2013, {pair}",
        "test": f"newstest2014, {pair}",
    }


def _wmt14_where(*train_files: str) -> dict[str, str]:
    return {
        "train": f"{_WMT14}/translation-task.html: {', '.join(train_files)}",
        "dev": f"{_WMT14}/dev.tgz",
        "test": f"{_WMT14}/test-full.tgz",
    }


@register_problem("translate_ende_wmt8k")
class TranslateEndeWmt8k(_Wmt14FromEnglish):
    """English to German (WMT14: Europarl, Common Crawl, News Commentary)."""

    targets = _GERMAN
    source = f"WMT14 EN-DE, 4.5 million pairs. {_LICENCE}"
    folder = "wmt_ende"
    languages = ("en", "de")
    corpus = tfds_corpus.TfdsCorpus(
        "wmt14_translate/de-en", size="1.6 GiB download, 1.3 GiB prepared"
    )
    what = _wmt14_what(
        "EN-DE",
        "Europarl v7, Common Crawl and News Commentary v9, EN-DE (TFDS has 4,508,785 "
        "pairs)",
    )
    where = _wmt14_where(
        "training-parallel-europarl-v7.tgz",
        "training-parallel-commoncrawl.tgz",
        "training-parallel-nc-v9.tgz",
    )


@register_problem("translate_enfr_wmt8k")
class TranslateEnfrWmt8k(_Wmt14FromEnglish):
    """English to French (WMT14: Europarl, Common Crawl, UN, News, Giga)."""

    targets = _FRENCH
    source = f"WMT14 EN-FR, 41 million pairs. {_LICENCE}"
    folder = "wmt_enfr"
    languages = ("en", "fr")
    corpus = tfds_corpus.TfdsCorpus(
        "wmt14_translate/fr-en", size="several GiB download, 14 GiB prepared"
    )
    what = _wmt14_what(
        "EN-FR",
        "Europarl v7, Common Crawl, UN, News Commentary v9 and Giga, EN-FR (TFDS has "
        "40,836,715 pairs)",
    )
    where = _wmt14_where(
        "training-parallel-europarl-v7.tgz",
        "training-parallel-commoncrawl.tgz",
        "training-parallel-un.tgz",
        "training-parallel-nc-v9.tgz",
        "training-giga-fren.tar",
    )


@register_problem("translate_frde_wmt8k")
class TranslateFrdeWmt8k(WmtTranslation):
    """French to German (WMT19: Europarl, ParaCrawl, Common Crawl, News)."""

    inputs = _FRENCH
    targets = _GERMAN
    source = f"WMT19 FR-DE, 9.8 million pairs. {_LICENCE}"
    known_sizes = {"dev": 1_512, "test": 1_701}
    folder = "wmt_frde"
    languages = ("fr", "de")
    corpus = tfds_corpus.TfdsCorpus(
        "wmt19_translate/fr-de", size="several GiB download, 2.3 GiB prepared"
    )
    test_set = sacrebleu_sets.SacrebleuSet("wmt19", "fr-de")
    what = {
        "train": "Europarl v7, ParaCrawl v3, Common Crawl and News Commentary v14, "
        "FR-DE (TFDS has 9,824,476 pairs)",
        "dev": "euelections_dev2019, FR-DE",
        "test": "newstest2019, FR-DE",
    }
    where = dict.fromkeys(("train", "dev", "test"), _WMT19)

    def download_name(self, split: str) -> str:
        """Returns sacreBLEU's name for test, which TFDS does not have."""
        return self.test_set.name if split == "test" else super().download_name(split)

    def is_downloaded(self, split: str) -> bool:
        """Returns whether the split is there."""
        if split == "test":
            return self.test_set.is_downloaded()
        return super().is_downloaded(split)

    def count_downloaded(self, split: str) -> int | None:
        """Returns its number of pairs, `None` as long as it is not there."""
        if split != "test":
            return super().count_downloaded(split)
        return self.test_set.files().count() if self.test_set.is_downloaded() else None

    def download(self, split: str) -> Iterator[text_rows.TextRow]:
        """Yields the pairs of a split."""
        if split == "test":
            return self.test_set.files().read()
        return super().download(split)


for _name in ("translate_ende_wmt8k", "translate_enfr_wmt8k", "translate_frde_wmt8k"):
    register_reversed(_name)
