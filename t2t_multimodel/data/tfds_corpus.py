"""A corpus of TensorFlow Datasets: whether it is there, how to get it, its examples.

Its folder is `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`, as everywhere in TFDS.
"""

import contextlib
import fcntl
import functools
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from t2t_multimodel.errors import UserError


class TfdsCorpus:
    """A data set that `tfds.builder` knows.

    Making one costs nothing and loads nothing; the first question to it loads TFDS.

    Args:
        name: As TFDS names it, with the config: `"wmt14_translate/de-en"`.
        size: What downloading and preparing takes, for people: `"37.6 GiB download"`.
        needs_files: Files that the user must put into TFDS's folder `manual_dir`
            because they cannot be downloaded without a licence.
    """

    def __init__(
        self, name: str, *, size: str = "", needs_files: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self.size = size
        self.needs_files = needs_files

    @property
    def data_dir(self) -> pathlib.Path:
        """The folder of all prepared data sets."""
        given = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
        return pathlib.Path(given).expanduser()

    @property
    def manual_dir(self) -> pathlib.Path:
        """Where TFDS looks for the files that the user must bring."""
        return self.data_dir / "downloads" / "manual"

    def is_prepared(self) -> bool:
        """Returns whether it can be read without downloading anything."""
        # TFDS would warn of a folder that is not there.
        return self._builder.data_path.exists() and bool(self._builder.is_prepared())

    def num_examples(self, split: str) -> int | None:
        """Returns the size of a split, `None` as long as it is not prepared.

        Raises:
            UserError: If it is prepared and has no such split.
        """
        if not self.is_prepared():
            return None
        splits = self._builder.info.splits
        if split not in splits:
            raise UserError(
                f"TFDS {self.name} in {self.data_dir} has no split {split!r}; it has "
                f"{', '.join(sorted(splits))}"
            )
        return int(splits[split].num_examples)

    def missing_files(self) -> list[pathlib.Path]:
        """Returns the files the user must still bring; none once it is prepared."""
        if self.is_prepared():
            return []
        paths = [self.manual_dir / name for name in self.needs_files]
        return [path for path in paths if not path.exists()]

    def command(self) -> str:
        """Returns the command that prepares it without this package."""
        return f"tfds build {self.name} --data_dir={self.data_dir}"

    def prepare(self, say: Callable[[str], None] = print) -> None:
        """Downloads and prepares it, unless it is there.

        Of several processes that want it at the same time, one prepares it.

        Args:
            say: Told what is downloaded, how large it is and where it goes.

        Raises:
            UserError: If files are missing that the user must bring, or downloading
                or preparing fails.
        """
        if self.is_prepared():
            return
        size = f" ({self.size})" if self.size else ""
        with self._lock():
            if self.is_prepared():  # By the process that had the lock.
                return
            say(f"TFDS {self.name}{size}: getting it ready in {self.data_dir}")
            try:
                self._builder.download_and_prepare()
            # TFDS raises whatever its many sources do: all means that it is not there.
            except Exception as error:
                raise UserError(self._failure(error)) from error

    def read(
        self,
        split: str,
        say: Callable[[str], None] = print,
        *,
        features: Mapping[str, Any] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yields the examples of a split in a fixed order, prepared if need be.

        Args:
            split: As TFDS names it, such as `"validation"`, also slices like
                `"train[:10%]"`.
            say: As in `prepare`.
            features: The features wanted, as `tfds.decode.PartialDecoding` takes them:
                `{"image": True, "captions": {"text": True}}`; `None` gives all.

        Yields:
            Examples as TFDS's `as_numpy` gives them: texts are UTF-8 `bytes`,
            pictures the `bytes` of their file (they are not decoded), lists of
            features a dict of arrays.

        Raises:
            UserError: As `prepare`, or if there is no such split.
        """
        self.prepare(say)
        import tensorflow_datasets as tfds

        decoders: Any = {
            key: tfds.decode.SkipDecoding()
            for key, feature in self._builder.info.features.items()
            if isinstance(feature, tfds.features.Image)
            and (features is None or key in features)
        }
        if features is not None:
            decoders = tfds.decode.PartialDecoding(features, decoders)
        try:
            dataset = self._builder.as_dataset(
                split=split,
                shuffle_files=False,
                decoders=decoders or None,
                read_config=tfds.ReadConfig(
                    interleave_cycle_length=1, try_autocache=False
                ),
            )
        except ValueError as error:
            raise UserError(
                f"TFDS {self.name} in {self.data_dir}: cannot read split {split!r} "
                f"({_first_line(error)})"
            ) from None
        yield from tfds.as_numpy(dataset)

    @functools.cached_property
    def _builder(self) -> Any:
        # Programs list problems without TensorFlow and TFDS.
        from t2t_multimodel.data import quiet_tensorflow

        quiet_tensorflow.load()
        import tensorflow_datasets as tfds

        try:
            return tfds.builder(self.name, data_dir=str(self.data_dir))
        except tfds.core.DatasetNotFoundError as error:
            raise UserError(
                f"TFDS has no data set {self.name!r} ({_first_line(error)})"
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        # Problems are sent to other processes; each makes its own builder.
        return {k: v for k, v in self.__dict__.items() if k != "_builder"}

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Waits for other processes that prepare the same data set."""
        path = self.data_dir / f".{self.name.replace('/', '-')}.lock"
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise UserError(
                f"cannot write to {self.data_dir} ({error.strerror or error}), where "
                f"TFDS {self.name} goes; set TFDS_DATA_DIR to a folder of yours"
            ) from None

    def _failure(self, error: Exception) -> str:
        """Returns why it is not there and what to do."""
        why = f"TFDS {self.name} is not in {self.data_dir} and cannot be made: "
        if missing := self.missing_files():
            paths = ", ".join(str(path) for path in missing)
            return f"{why}there is no {paths}; get it from its owner and put it there"
        return (
            f"{why}{_first_line(error)}; try again, or prepare it elsewhere with "
            f"'{self.command()}', or set TFDS_DATA_DIR to where it is"
        )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300].rstrip(": ")
