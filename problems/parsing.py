"""Constituency parsing of the Penn Treebank's Wall Street Journal."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence

from t2t_multimodel.data import plain_files, treebank
from t2t_multimodel.data.features import TOKENS_8K, Text
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import SPLITS, Problem, Source
from t2t_multimodel.registry import register_problem

FOLDER = "treebank_3"
"""Folder under `tmp_dir`, named like that of the LDC's disc."""

SECTIONS: Mapping[str, Sequence[int]] = {
    "train": range(2, 22),
    "dev": (22,),
    "test": (23,),
}
"""Sections of the Wall Street Journal, as all published results divide them."""

# Below FOLDER: Treebank-3 (LDC99T42), Treebank-2, a copy of the sections alone.
_WSJ_FOLDERS = ("parsed/mrg/wsj", "combined/wsj", "mrg/wsj", "wsj", "")

_WHERE = "https://catalog.ldc.upenn.edu/LDC99T42"
_LICENCE = "Linguistic Data Consortium, membership or licence for a fee"


@register_problem("parsing_english_ptb8k")
class ParsingEnglishPtb8k(Problem):
    """The constituency tree of an English sentence (WSJ), as tags.

    T2T v1.0.3's `wmt_parsing_tokens_8k`: its spaces and multipliers. (v1.4.4, which
    gave the problem its present name, has a loss multiplier of 2.0 and a batch size
    multiplier of 256.) It is made from Treebank-3 or from files of one tree a line,
    `<name>_train.trees` and so on, as T2T took them.
    """

    inputs = Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=TOKENS_8K)
    targets = Text(space=SpaceId.PARSE_TOKENS, vocabulary=TOKENS_8K)
    source = f"Penn Treebank, LDC99T42: {_LICENCE}; {_WHERE}"
    known_sizes = {"train": 39_832, "dev": 1_700, "test": 2_416}

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the sentences of a split with their tags, in the treebank's order."""
        del seed
        files, missing = _files(tmp_dir, split)
        if missing:
            raise UserError(
                f"problem {self.name!r}, {split}: {missing[0]}; t2t-mm-datagen --check "
                "lists all that is missing"
            )
        for path in files:
            yield from treebank.parsing_examples(path)

    def sources(self, tmp_dir: pathlib.Path) -> Sequence[Source]:
        """Returns the sections of each split, or the files of one tree a line."""
        return [
            Source(
                what=f"Penn Treebank, WSJ {_section_names(split)}",
                splits=(split,),
                where=_WHERE,
                licence=_LICENCE,
                layout=f"{tmp_dir / FOLDER}/parsed/mrg/wsj/{SECTIONS[split][0]:02}/"
                f"*.mrg and so on, or {tmp_dir}/parsing_{split}.trees",
                missing=tuple(_files(tmp_dir, split)[1]),
            )
            for split in SPLITS
        ]

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int | None:
        """Returns the number of trees, `None` if files are missing."""
        files, missing = _files(tmp_dir, split)
        return None if missing else sum(map(treebank.count_trees, files))

    def source_state(self, tmp_dir: pathlib.Path) -> str:
        """Returns a digest of the files' names, sizes and times."""
        files = (path for split in SPLITS for path in _files(tmp_dir, split)[0])
        return plain_files.state_of_files(files)


def _section_names(split: str) -> str:
    first, *others = SECTIONS[split]
    return f"sections {first:02}-{others[-1]:02}" if others else f"section {first:02}"


def _files(tmp_dir: pathlib.Path, split: str) -> tuple[list[pathlib.Path], list[str]]:
    """Returns the files of a split, and what is missing or in doubt."""
    lists = [path.name for path in sorted(tmp_dir.glob("*_train.trees"))]
    folder = tmp_dir / FOLDER
    if folder.is_dir() and lists:
        return [], [f"there are both {folder} and {tmp_dir / lists[0]}; move one away"]
    if len(lists) > 1:
        return [], [f"{tmp_dir} has {' and '.join(lists)}; leave one of them"]
    if lists:
        path = tmp_dir / lists[0].replace("_train.trees", f"_{split}.trees")
        return [path], [] if path.is_file() else [f"there is no {path}"]
    if not folder.is_dir():
        return [], [f"there is neither {folder} nor {tmp_dir}/parsing_{split}.trees"]
    wsj = _wsj_folder(folder)
    if wsj is None:
        inner = f"parsed/mrg/wsj/{SECTIONS[split][0]:02}/*.mrg"
        return [], [f"{folder} has no sections such as {inner}"]
    files, missing = [], []
    for section in SECTIONS[split]:
        found = _section_files(wsj, section)
        if not found:
            missing.append(f"{wsj} has no {section:02}/*.mrg")
        files += found
    return files, missing


def _wsj_folder(folder: pathlib.Path) -> pathlib.Path | None:
    """Returns the folder that holds the folders of the sections."""
    for path in _WSJ_FOLDERS:
        wsj: pathlib.Path | None = folder
        for name in path.split("/") if path else ():
            wsj = wsj and _child(wsj, name)
        if wsj and any(_section_files(wsj, section) for section in range(25)):
            return wsj
    return None


def _section_files(wsj: pathlib.Path, section: int) -> list[pathlib.Path]:
    folder = wsj / f"{section:02}"
    if not folder.is_dir():
        return []
    ends = (".mrg", ".mrg.gz")
    return sorted(p for p in folder.iterdir() if p.name.lower().endswith(ends))


def _child(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    """Returns a folder in a folder; copies of the disc may write it in capitals."""
    for path in sorted(folder.iterdir()):
        if path.name.lower() == name and path.is_dir():
            return path
    return None
