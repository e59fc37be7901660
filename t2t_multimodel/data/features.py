"""What one side of an example is: text, image, sound or a class label."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal, get_args

from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError, unknown

Augmentation = Literal["none", "flip", "crop", "inception"]
AUGMENTATIONS: tuple[str, ...] = get_args(Augmentation)
"""Ways to vary training pictures; `augmentation.augment` says what they do."""


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """A set of sub-words that every text naming it shares.

    Args:
        name: Part of the file name; two texts with one name share one vocabulary.
        target_size: Number of sub-words to aim at; 0 means bytes, without a file.
        texts: Yields the texts to build from, given the folder of the sources.
            `None` builds from the texts of the problems of the run.
    """

    name: str
    target_size: int
    texts: Callable[[pathlib.Path], Iterator[str]] | None = dataclasses.field(
        default=None, compare=False, repr=False
    )

    @property
    def file_name(self) -> str:
        """File in the data folder, as T2T names it: `vocab.endefr.8192`."""
        return f"vocab.{self.name}.{self.target_size}"


BYTES = Vocabulary("bytes", 0)
"""The 256 bytes and the two reserved ids; needs no file."""

TOKENS_8K = Vocabulary("endefr", 8192)
"""The sub-words that all text of the paper's eight tasks shares.

Its file is called as in T2T v1.1 and v1.2; the paper has one for all tasks.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """A sentence; raw examples hold a `str`, batches hold ids.

    Args:
        space: Language and unit; as a target it picks the command token.
        vocabulary: The sub-words it is written in.
    """

    space: SpaceId
    vocabulary: Vocabulary
    kind: ClassVar[Literal["text"]] = "text"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """A picture; raw examples hold PNG or JPEG bytes, batches hold 0..255.

    Args:
        height_px: Rows that every picture is resized to.
        width_px: Columns that every picture is resized to.
        channels: 3 for colour, 1 for grey.
        augmentation: How training varies the pictures; see `augmentation.augment`.

    Raises:
        UserError: If `augmentation` is not one of `AUGMENTATIONS`.
    """

    height_px: int
    width_px: int
    channels: int = 3
    augmentation: Augmentation = "none"
    kind: ClassVar[Literal["image"]] = "image"
    space: ClassVar[SpaceId] = SpaceId.IMAGE

    def __post_init__(self) -> None:
        if self.augmentation not in AUGMENTATIONS:
            raise UserError(unknown("augmentation", self.augmentation, AUGMENTATIONS))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Audio:
    """Speech; raw examples hold a float32 waveform within [-1, 1].

    Args:
        form: `"spectrogram"` (log-mel, frames x bins) or `"waveform"` (samples).
        sample_rate_hz: Of the waveform.
        num_bins: Mel bins of the spectrogram.
        frame_seconds: Length of the analysis window.
        hop_seconds: Distance between windows.

    Raises:
        UserError: If `form` is neither of the two.
    """

    form: Literal["spectrogram", "waveform"]
    sample_rate_hz: int = 16000
    num_bins: int = 80
    frame_seconds: float = 0.025
    hop_seconds: float = 0.010
    kind: ClassVar[Literal["audio"]] = "audio"

    def __post_init__(self) -> None:
        if self.form not in ("spectrogram", "waveform"):
            raise UserError(
                f"audio form {self.form!r} must be 'spectrogram' or 'waveform'"
            )

    @property
    def space(self) -> SpaceId:
        """The space id of the form."""
        if self.form == "waveform":
            return SpaceId.AUDIO_WAVEFORM
        return SpaceId.AUDIO_SPECTRAL

    @property
    def width(self) -> int:
        """Numbers stored per time step: mel bins, or 1 for a waveform."""
        return self.num_bins if self.form == "spectrogram" else 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassLabel:
    """One of a fixed list of classes; raw examples and batches hold its index.

    Args:
        names: The classes, in the order of their indices.
    """

    names: tuple[str, ...]
    kind: ClassVar[Literal["class_label"]] = "class_label"
    space: ClassVar[SpaceId] = SpaceId.IMAGE_LABELS


Feature = Text | Image | Audio | ClassLabel
"""Any of the four; `kind` tells which."""
