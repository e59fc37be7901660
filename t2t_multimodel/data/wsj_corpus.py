"""The two Wall Street Journal speech corpora as the LDC ships them.

CSR-I (WSJ0, LDC93S6A) and CSR-II (WSJ1, LDC94S13A) are sets of discs, `11-1.1` to
`13-34.1`, some copied with upper-case names. Whatever folders they are in, a file is
known by what stands after the last `wsj0` or `wsj1` of its path, so that separate discs
and merged trees are read alike.
"""

import functools
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping

from t2t_multimodel.data import wsj_transcripts
from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.transcripts import Utterance, checked, files_below
from t2t_multimodel.errors import UserError

LISTS: Mapping[str, tuple[str, ...]] = {
    "train": ("wsj1/doc/indices/si_tr_s.ndx", "wsj0/doc/indices/train/tr_s_wv1.ndx"),
    "dev": ("wsj1/doc/indices/h1_p0.ndx",),
    "test": ("wsj0/doc/indices/test/nvp/si_et_20.ndx",),
}
"""The standard lists: si284 (disc 13-34.1 and 11-13.1), dev93, eval92."""

# tr_s_wv1.ndx lists 98 files of speaker 401 that si284 (37,416 utterances) leaves out,
# here as in every published recipe.
_LEFT_OUT = ("wsj0/si_tr_s/401/",)

# `11_2_1:wsj0/si_tr_s/01i/01ic0201.wv1`; some lists have no ending, some a blank or a
# slash after the disc.
_LIST_LINE = re.compile(r"\d+_\d+_\d+:\s*/?(\S+?)(\.wv1)?")
_MICROPHONE = ".wv1"
_IN_CORPUS = re.compile(r".*(?:^|/)(wsj[01]/.*)")


class WsjCorpus:
    """What is there of the two corpora below a folder.

    Args:
        folder: Holds the discs, or trees `wsj0` and `wsj1`, at any depth.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def missing(self, part: str) -> list[str]:
        """Returns what is not there of `"wsj0"` or `"wsj1"`, a line each."""
        lines = []
        for split, names in LISTS.items():
            for list_name in names:
                if not list_name.startswith(part):
                    continue
                if self._find_list(list_name) is None:
                    lines.append(f"{list_name}, the list of {split}")
                    continue
                listed = [name for name, _ in self._entries_of(list_name)]
                unheard = [name for name in listed if self.sound(name) is None]
                unwritten = [name for name in listed if not self.transcript(name)]
                for lacking, what in (
                    (unheard, "sound files"),
                    (unwritten, "transcripts (.dot or .lsn) of the sound files"),
                ):
                    if lacking:
                        lines.append(
                            f"{len(lacking):,} of the {len(listed):,} {what} in "
                            f"{list_name}, the first for {lacking[0]}"
                        )
        return lines

    def listed(self, split: str) -> list[str]:
        """Returns the sound files of a split, as `wsj0/si_tr_s/01i/01ic0201.wv1`.

        Raises:
            UserError: If a list is missing or has a line that is none of a list.
        """
        lists = LISTS[split]
        return [name for given in lists for name, _ in self._entries_of(given)]

    def sound(self, name: str) -> pathlib.Path | None:
        """Returns where a listed sound file is, `None` if it is not there."""
        return self._files["sounds"].get(name)

    def paths(self) -> list[pathlib.Path]:
        """Returns all files of the corpora that are there and may be read."""
        return [path for of_kind in self._files.values() for path in of_kind.values()]

    def utterances(self, split: str) -> Iterator[Utterance | BadExample]:
        """Yields the utterances of a split in the order of its lists.

        Raises:
            UserError: If a list is missing or broken.
        """
        for list_name in LISTS[split]:
            for name, place in self._entries_of(list_name):
                sound, found = self.sound(name), self.transcript(name)
                if sound is None:
                    yield BadExample(place, f"there is no {name} below {self.folder}")
                elif found is None:
                    yield BadExample(
                        place,
                        f"no .dot or .lsn file below {self.folder} has a line of "
                        f"({_utterance_of(name)})",
                    )
                else:
                    text, where = found
                    words = wsj_transcripts.normalise(text)
                    yield checked(Utterance(sound, words, where))

    def transcript(self, name: str) -> tuple[str, str] | None:
        """Returns (text as it stands there, file:line) of a sound file, if any."""
        stem = _utterance_of(name)
        return self._dots.get(stem) or self._lsns.get(stem)

    def _entries_of(self, list_name: str) -> Iterator[tuple[str, str]]:
        """Yields (sound file, file:line of the list)."""
        path = self._find_list(list_name)
        if path is None:
            raise UserError(
                f"there is no {list_name} below {self.folder}; copy all discs of "
                "LDC93S6A and LDC94S13A there"
            )
        for number, line in enumerate(_lines(path), 1):
            line = line.strip().lower()
            if not line or line.startswith(";"):
                continue
            match = _LIST_LINE.fullmatch(line)
            if match is None:
                raise UserError(
                    f"{path}:{number}: {line[:60]!r} is no line of a list, such as "
                    "'11_2_1:wsj0/si_tr_s/01i/01ic0201.wv1'"
                )
            if not match[1].startswith(_LEFT_OUT):
                yield f"{match[1]}{_MICROPHONE}", f"{path}:{number}"

    def _find_list(self, name: str) -> pathlib.Path | None:
        return self._files["lists"].get(name)

    @functools.cached_property
    def _files(self) -> dict[str, dict[str, pathlib.Path]]:
        """What is there, by kind and by name in the corpus; of several, the first."""
        files: dict[str, dict[str, pathlib.Path]] = {
            "sounds": {},
            "lists": {},
            ".dot": {},
            ".lsn": {},
        }
        if not self.folder.is_dir():
            return files
        for path in files_below(self.folder):
            # Plain copies of a CD may end in its version numbers, NAME.WV1;1.
            name = path.relative_to(self.folder.parent).as_posix().lower().split(";")[0]
            if name.endswith(_MICROPHONE):
                if match := _IN_CORPUS.fullmatch(name):
                    files["sounds"].setdefault(match[1], path)
            elif name.endswith(".ndx"):
                for known in (known for split in LISTS.values() for known in split):
                    if name.endswith("/" + known):
                        files["lists"].setdefault(known, path)
            elif name.endswith((".dot", ".lsn")):
                files[name[-4:]].setdefault(name, path)
        return files

    @functools.cached_property
    def _dots(self) -> dict[str, tuple[str, str]]:
        return _texts(self._files[".dot"].values())

    @functools.cached_property
    def _lsns(self) -> dict[str, tuple[str, str]]:
        return _texts(self._files[".lsn"].values())


def _utterance_of(name: str) -> str:
    return name.rsplit("/", 1)[-1].removesuffix(_MICROPHONE)


def _texts(paths: Iterable[pathlib.Path]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for path in paths:
        for number, stem, text in wsj_transcripts.utterances(_lines(path)):
            found.setdefault(stem, (text, f"{path}:{number}"))
    return found


def _lines(path: pathlib.Path) -> list[str]:
    # ASCII, but for a stray byte that must not stop anything.
    try:
        return path.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
