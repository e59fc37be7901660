"""Pictures and what is on them: ImageNet, and free data that stands in for it."""

import abc
import functools
import itertools
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from t2t_multimodel.data import imagenet_files, pixel_files
from t2t_multimodel.data.features import ClassLabel, Image
from t2t_multimodel.data.imagenet_files import Picture
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.tfds_corpus import TfdsCorpus
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem, Source
from t2t_multimodel.registry import register_problem

_IMAGENET_LICENCE = (
    "ImageNet's terms of access: non-commercial research and teaching, on registration"
)


def not_there(folder: pathlib.Path, corpus: TfdsCorpus) -> str:
    """Returns that neither files are there nor what TFDS can download."""
    return (
        f"there is nothing in {folder}, and TFDS {corpus.name} ({corpus.size}) is not "
        f"in {corpus.data_dir} yet; t2t-mm-datagen downloads it, if it can"
    )


class PictureClasses(Problem):
    """Pictures of classes, from files as they are given out or from TFDS.

    Files are looked for first; without any, TFDS has the say.

    Attributes:
        folder: Where the files are, under `tmp_dir`.
        corpus: The same data in TFDS.
        tfds_splits: Split to what TFDS calls it.
        what: Name of the data.
        where: Where to get the files.
        licence: Under which licence.
        layout: What is expected in `folder`.
    """

    folder: str
    corpus: TfdsCorpus
    tfds_splits: Mapping[str, str]
    what: str
    where: str
    licence: str
    layout: str

    @abc.abstractmethod
    def missing(self, folder: pathlib.Path) -> Sequence[str]:
        """Returns the files of `folder` that are not there, a line each."""

    @abc.abstractmethod
    def pictures(
        self, folder: pathlib.Path, split: str
    ) -> Iterator[Picture | BadExample]:
        """Yields the pictures of a split from the files.

        Raises:
            UserError: If a file cannot be read.
        """

    def has_files(self, folder: pathlib.Path) -> bool:
        """Returns whether there is any file, so that TFDS is not asked."""
        return folder.is_dir() and any(folder.iterdir())

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the pictures with the index of their class."""
        del seed
        folder = self.files_folder(tmp_dir)
        if not self.has_files(folder):
            yield from self._tfds_examples(split)
            return
        for picture in self.pictures(folder, split):
            if isinstance(picture, BadExample):
                yield picture
            else:
                label, read, place = picture
                yield {"inputs": read, "targets": label, "place": place}

    def files_folder(self, tmp_dir: pathlib.Path) -> pathlib.Path:
        """Returns the folder of the files."""
        return pathlib.Path(tmp_dir) / self.folder

    def sources(self, tmp_dir: pathlib.Path) -> Sequence[Source]:
        """Returns the files, or what TFDS makes of them."""
        folder = self.files_folder(tmp_dir)
        missing = tuple(self.missing(folder))
        if not self.has_files(folder) and self.corpus.is_prepared():
            missing = ()
        elif not self.has_files(folder) and not self.corpus.needs_files:
            missing = (not_there(folder, self.corpus),)
        layout = f"{folder}: {self.layout}; or TFDS {self.corpus.name}"
        splits = tuple(self.num_shards)
        return (Source(self.what, splits, self.where, self.licence, layout, missing),)

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int | None:
        """Returns how many pictures there are, `None` if they are not here yet."""
        folder = self.files_folder(tmp_dir)
        if not self.has_files(folder):
            name, *cut = self.tfds_splits[split].split("[")
            return None if cut else self.corpus.num_examples(name)
        if self.missing(folder):
            return None
        return sum(1 for _ in self.pictures(folder, split))

    def _tfds_examples(self, split: str) -> Iterator[RawExample]:
        wanted = {"image": True, "label": True}
        examples = self.corpus.read(self.tfds_splits[split], features=wanted)
        for number, example in enumerate(examples):
            yield {
                "inputs": example["image"],
                "targets": int(example["label"]),
                "place": f"TFDS {self.corpus.name}, {split} example {number}",
            }


@register_problem("image_imagenet")
class ImageImagenet(PictureClasses):
    """Which of ImageNet's 1000 classes a photograph shows (ILSVRC 2012)."""

    inputs = Image(height_px=299, width_px=299, augmentation="crop")
    targets = ClassLabel(names=imagenet_files.class_names())
    loss_multiplier = 0.7
    batch_size_multiplier = 256
    num_shards = {"train": 1024, "dev": 128}
    known_sizes = {"train": 1_281_167, "dev": 50_000}
    source = f"ILSVRC 2012, image-net.org; {_IMAGENET_LICENCE}"

    folder = "imagenet"
    corpus = TfdsCorpus(
        "imagenet2012",
        size="144 GiB of files that you bring",
        needs_files=(imagenet_files.TRAIN_TAR, imagenet_files.VALIDATION_TAR),
    )
    tfds_splits = {"train": "train", "dev": "validation"}
    what = "ImageNet (ILSVRC 2012)"
    where = "https://image-net.org/challenges/LSVRC/2012/2012-downloads.php"
    licence = _IMAGENET_LICENCE
    layout = (
        f"{imagenet_files.TRAIN_TAR} or train/<synset>/, and "
        f"{imagenet_files.VALIDATION_TAR} or val/"
    )

    def missing(self, folder: pathlib.Path) -> Sequence[str]:
        """Returns which of the two parts is not there."""
        names = {
            "train": f"{imagenet_files.TRAIN_TAR} or the folder train",
            "val": f"{imagenet_files.VALIDATION_TAR} or the folder val",
        }
        return [
            f"{folder} has no {name}"
            for part, name in names.items()
            if imagenet_files.find(folder, part) is None
        ]

    def pictures(
        self, folder: pathlib.Path, split: str
    ) -> Iterator[Picture | BadExample]:
        """Yields the pictures of the tars or folders, of the classes in turn."""
        part = "train" if split == "train" else "val"
        return imagenet_files.pictures(folder, part)


@register_problem("image_imagenet_inception")
class ImageImagenetInception(ImageImagenet):
    """ImageNet with parts of 8 % to 100 % of a photograph cut out in training."""

    inputs = Image(height_px=299, width_px=299, augmentation="inception")

    @property
    def data_name(self) -> str:
        """The shards of `image_imagenet`: how pictures vary is decided on reading."""
        return "image_imagenet"


@register_problem("image_imagenette")
class ImageImagenette(PictureClasses):
    """Free stand-in for ImageNet: ten of its classes, easy to tell apart."""

    synsets = (
        *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079"),
        *("n03394916", "n03417042", "n03425413", "n03445777", "n03888257"),
    )
    """In the order of TFDS."""

    inputs = Image(height_px=299, width_px=299, augmentation="crop")
    targets = ClassLabel(names=imagenet_files.class_names(synsets))
    loss_multiplier = 0.7
    batch_size_multiplier = 256
    num_shards = {"train": 10, "dev": 1}
    known_sizes = {"train": 9_469, "dev": 3_925}
    source = "Imagenette 2 (fast.ai), ten classes of ImageNet; Apache 2.0"

    folder = ""
    corpus = TfdsCorpus("imagenette/full-size-v2", size="1.5 GiB download")
    tfds_splits = {"train": "train", "dev": "validation"}
    what = "Imagenette 2"
    where = "https://github.com/fastai/imagenette"
    licence = f"Apache 2.0 (the choice); the photographs: {_IMAGENET_LICENCE}"
    layout = "imagenette2/, imagenette2-320/ or imagenette2-160/, with train/ and val/"

    def files_folder(self, tmp_dir: pathlib.Path) -> pathlib.Path:
        """Returns the folder of the largest pictures that are there."""
        names = ("imagenette2", "imagenette2-320", "imagenette2-160")
        found = (pathlib.Path(tmp_dir) / name for name in names)
        return next(filter(self.has_files, found), pathlib.Path(tmp_dir) / names[0])

    def missing(self, folder: pathlib.Path) -> Sequence[str]:
        """Returns which of the two parts is not there."""
        return [
            f"there is no folder {folder / part}"
            for part in ("train", "val")
            if not (folder / part).is_dir()
        ]

    def pictures(self, folder: pathlib.Path, split: str) -> Iterator[Picture]:
        """Yields the pictures of the folders, of the classes in turn."""
        part = folder / ("train" if split == "train" else "val")
        return imagenet_files.of_class_folders(part, self.synsets)


class _PixelPictures(PictureClasses):
    """Pictures that are given out as numbers, and stored as PNG.

    Attributes:
        held_out: Where in the training files `dev` begins (T2T's "tune" problems).
    """

    held_out: int
    batch_size_multiplier = 4
    loss_multiplier = 3.0
    num_shards = {"train": 10, "dev": 1, "test": 1}

    @abc.abstractmethod
    def file_names(self, folder: pathlib.Path, part: str) -> Sequence[str]:
        """Returns the files of `"train"` or `"test"`."""

    @abc.abstractmethod
    def pixels(
        self, folder: pathlib.Path, part: str
    ) -> Iterator[tuple[np.ndarray, int]]:
        """Yields `(height, width, channels)` uint8 and label of a part's pictures."""

    def missing(self, folder: pathlib.Path) -> Sequence[str]:
        """Returns the files that are not there."""
        names = (*self.file_names(folder, "train"), *self.file_names(folder, "test"))
        return [
            f"there is no {folder / name}"
            for name in names
            if not (folder / name).is_file()
        ]

    def pictures(self, folder: pathlib.Path, split: str) -> Iterator[Picture]:
        """Yields the pictures; `train` and `dev` are two parts of the same files."""
        part = "test" if split == "test" else "train"
        start, stop = {"train": (0, self.held_out), "dev": (self.held_out, None)}.get(
            split, (0, None)
        )
        numbered = enumerate(self.pixels(folder, part))
        for number, (picture, label) in itertools.islice(numbered, start, stop):
            place = f"{folder}: {part} picture {number}"
            yield Picture(label, functools.partial(_png, picture), place)


def _tfds_splits_at(held_out: int) -> dict[str, str]:
    return {
        "train": f"train[:{held_out}]",
        "dev": f"train[{held_out}:]",
        "test": "test",
    }


def _png(picture: np.ndarray) -> bytes:
    # Problems are listed without TensorFlow; only making their data needs it.
    import tensorflow as tf

    with tf.device("/CPU:0"):
        encoded: bytes = tf.io.encode_png(picture).numpy()
    return encoded


@register_problem("image_cifar10")
class ImageCifar10(_PixelPictures):
    """Free stand-in for ImageNet: pictures of 32 pixels of ten classes."""

    inputs = Image(height_px=32, width_px=32, augmentation="flip")
    targets = ClassLabel(
        names=(
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        )
    )
    held_out = 48_000
    known_sizes = {"train": 48_000, "dev": 2_000, "test": 10_000}
    source = "CIFAR-10 (Krizhevsky 2009); no licence stated, cite it"

    folder = "cifar10"
    corpus = TfdsCorpus("cifar10", size="163 MiB download")
    tfds_splits = _tfds_splits_at(held_out)
    what = "CIFAR-10"
    where = "https://www.cs.toronto.edu/~kriz/cifar.html"
    licence = "none stated; cite Krizhevsky 2009"
    layout = (
        "data_batch_1 to data_batch_5 and test_batch of cifar-10-batches-py, or the "
        "same with .bin of cifar-10-batches-bin"
    )

    def files_folder(self, tmp_dir: pathlib.Path) -> pathlib.Path:
        """Returns the folder that the archive unpacks to, or the one around it."""
        folder = super().files_folder(tmp_dir)
        inner = (folder / f"cifar-10-batches-{form}" for form in ("py", "bin"))
        return next((path for path in inner if path.is_dir()), folder)

    def file_names(self, folder: pathlib.Path, part: str) -> Sequence[str]:
        """Returns the batches of the version that is there."""
        suffix = ".bin" if (folder / "test_batch.bin").exists() else ""
        if part == "test":
            return (f"test_batch{suffix}",)
        return [f"data_batch_{number}{suffix}" for number in range(1, 6)]

    def pixels(
        self, folder: pathlib.Path, part: str
    ) -> Iterator[tuple[np.ndarray, int]]:
        """Yields the pictures of the batches."""
        for name in self.file_names(folder, part):
            yield from pixel_files.cifar_batch(folder / name)


@register_problem("image_mnist")
class ImageMnist(_PixelPictures):
    """Free stand-in for ImageNet: handwritten digits of 28 grey pixels."""

    inputs = Image(height_px=28, width_px=28, channels=1)
    targets = ClassLabel(names=tuple("0123456789"))
    held_out = 55_000
    known_sizes = {"train": 55_000, "dev": 5_000, "test": 10_000}
    source = "MNIST (LeCun, Cortes, Burges); CC BY-SA 3.0"

    folder = "mnist"
    corpus = TfdsCorpus("mnist", size="11 MiB download")
    tfds_splits = _tfds_splits_at(held_out)
    what = "MNIST"
    where = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    licence = "CC BY-SA 3.0"
    layout = (
        "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
        "t10k-labels-idx1-ubyte, each plain or .gz"
    )

    def file_names(self, folder: pathlib.Path, part: str) -> Sequence[str]:
        """Returns the pictures and the labels."""
        begin = "t10k" if part == "test" else "train"
        names = (f"{begin}-images-idx3-ubyte", f"{begin}-labels-idx1-ubyte")
        return [n if (folder / n).exists() else f"{n}.gz" for n in names]

    def pixels(
        self, folder: pathlib.Path, part: str
    ) -> Iterator[tuple[np.ndarray, int]]:
        """Yields the pictures of the two files."""
        pictures, labels = (
            pixel_files.idx_array(folder / name)
            for name in self.file_names(folder, part)
        )
        if len(pictures) != len(labels):
            raise UserError(
                f"{folder}: {len(pictures)} {part} pictures and {len(labels)} labels; "
                "get the files again"
            )
        for picture, label in zip(pictures, labels, strict=True):
            yield picture[:, :, np.newaxis], int(label)
