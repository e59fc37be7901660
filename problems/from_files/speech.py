"""Declared problems over sound files with transcripts."""

import pathlib
from collections.abc import Iterator, Mapping

from t2t_multimodel.data import transcripts
from t2t_multimodel.data.features import Audio, Text
from t2t_multimodel.data.plain_files import Part, state_of_files
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.text_rows import TABLE_SUFFIXES, suffix_of
from t2t_multimodel.data.toml_file import TomlTable
from t2t_multimodel.data.transcripts import Utterance
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.from_files.declaration import (
    DeclaredProblem,
    Kind,
    column_of,
    paths_of,
    positive,
    space_of,
    splits_of,
    vocabulary_of,
)
from t2t_multimodel.problems.speech import BATCH_SIZE_MULTIPLIER, raw_example


class Speech(DeclaredProblem):
    """Sound files and what is said in them.

    Args:
        inputs: Form, rate and bins.
        targets: Language of the transcripts, and its sub-words.
        splits: Split to its lists: tables, `.fileids` files, or folders with
            `.trans.txt` files.
        columns: Of a table, those of the path and the transcript.
        sound_folder: What the paths in lists are relative to; `None` means the
            list's own folder.
        channel: The channel wanted, counted from 1; `None` averages all.
        lower_case: Whether transcripts are put in small letters.
    """

    batch_size_multiplier = BATCH_SIZE_MULTIPLIER

    def __init__(
        self,
        inputs: Audio,
        targets: Text,
        splits: Mapping[str, Part],
        *,
        columns: tuple[int | str, int | str] = (1, 2),
        sound_folder: pathlib.Path | None = None,
        channel: int | None = None,
        lower_case: bool = False,
    ) -> None:
        super().__init__(inputs, targets, splits)
        self.columns = columns
        self.sound_folder = sound_folder
        self.channel = channel
        self.lower_case = lower_case

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the utterances of a split in the order of its lists."""
        spell = str.lower if self.lower_case else str
        for utterance in self.splits[split].select(self._read):
            yield raw_example(utterance, self.inputs, spell, self.channel)

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int:
        """Returns the number of utterances."""
        return sum(1 for _ in self.splits[split].select(self._read))

    def source_state(self, tmp_dir: pathlib.Path) -> str:
        """Returns a digest of names, sizes and times of the lists and sound files."""
        parts = self.splits.values()
        sources = dict.fromkeys(source for part in parts for source in part.sources)
        utterances = (each for source in sources for each in self._read(source))
        state = [
            repr([(part.only, part.leave_out) for part in parts]),
            state_of_files(path for path in sources if path.is_file()),
            state_of_files(u.sound for u in utterances if isinstance(u, Utterance)),
        ]
        # The words of a tree of .trans.txt files stand in none of these.
        for folder in (path for path in sources if path.is_dir()):
            state.append(state_of_files(transcripts.trans_files(folder)))
        return " ".join(state)

    def _read(self, source: pathlib.Path) -> Iterator[Utterance | BadExample]:
        folder = self.sound_folder or source.parent
        if source.is_dir():
            return transcripts.read_trans_tree(source)
        if source.suffix.lower() == ".fileids":
            return transcripts.read_fileids(source, folder)
        return transcripts.read_table(source, folder, self.columns)


def _lists_of(table: TomlTable, key: str) -> list[pathlib.Path]:
    """Returns the lists of a split, each of a kind that can be read."""
    paths = paths_of(table, key)
    for path in paths:
        suffix = suffix_of(path)
        if not path.is_dir() and suffix not in (*TABLE_SUFFIXES, ".fileids"):
            table.fail(
                f"{key}: {path} must be a .csv or .tsv file, a .fileids file, or a "
                "folder with .trans.txt files",
                key,
            )
    return paths


def _speech(table: TomlTable) -> Speech:
    rate = positive(table, "sample_rate_hz", int, Audio.sample_rate_hz)
    try:
        inputs = Audio(
            form=table.get("form", str, "spectrogram"),
            sample_rate_hz=rate,
            num_bins=positive(table, "num_bins", int, Audio.num_bins),
            frame_seconds=positive(table, "frame_seconds", float, Audio.frame_seconds),
            hop_seconds=positive(table, "hop_seconds", float, Audio.hop_seconds),
        )
    except UserError as error:
        table.fail(str(error), "form")
    for key in ("frame_seconds", "hop_seconds"):
        seconds = getattr(inputs, key)
        if seconds * rate < 2.0:
            table.fail(
                f"{key} = {seconds} is less than two samples at {rate} Hz; give "
                "seconds, such as 0.025",
                key,
            )
    targets = Text(
        space=space_of(table, "targets_space"), vocabulary=vocabulary_of(table)
    )
    folder = None
    if "sound_folder" in table.values:
        table.get("sound_folder", str)  # One, not a list.
        [folder] = paths_of(table, "sound_folder")
        if not folder.is_dir():
            table.fail(f"sound_folder: {folder} is no folder", "sound_folder")
    channel = positive(table, "channel", int, 1) if "channel" in table.values else None
    return Speech(
        inputs,
        targets,
        splits_of(table, _lists_of),
        columns=(
            column_of(table, "path_column", 1),
            column_of(table, "transcript_column", 2),
        ),
        sound_folder=folder,
        channel=channel,
        lower_case=table.get("lower_case", bool, False),
    )


KINDS = {
    "speech": Kind(
        (
            "targets_space",
            "vocabulary",
            "form",
            "sample_rate_hz",
            "num_bins",
            "frame_seconds",
            "hop_seconds",
            "channel",
            "sound_folder",
            "lower_case",
            "path_column",
            "transcript_column",
        ),
        _speech,
    ),
}
