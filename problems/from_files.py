"""Problems over plain files of the user's, declared in a TOML file, without code."""

import pathlib
from collections.abc import Callable, Iterator, Mapping

from t2t_multimodel.data import plain_files
from t2t_multimodel.data.features import (
    AUGMENTATIONS,
    BYTES,
    ClassLabel,
    Image,
    Text,
    Vocabulary,
)
from t2t_multimodel.data.plain_files import HeldOut, Part
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.toml_file import TomlTable, read_tables
from t2t_multimodel.errors import unknown
from t2t_multimodel.problems.problem import (
    SPLITS,
    Problem,
    RawExample,
    ReversedProblem,
)
from t2t_multimodel.registry import PROBLEMS

_COMMON_KEYS = (
    "name",
    "kind",
    *SPLITS,
    "loss_multiplier",
    "batch_size_multiplier",
    "num_shards",
)
_DEFAULT_NUM_SHARDS = 10
_DEFAULT_VOCABULARY_SIZE = 8192
# T2T's of ImageNet and COCO.
_IMAGE_BATCH_SIZE_MULTIPLIER = 256
# Which file declared a problem, so that reading that file again is no clash.
_DECLARED_IN: dict[str, pathlib.Path] = {}


class TextPairs(Problem):
    """Sentence pairs from parallel text files, one sentence a line.

    Args:
        inputs: Language of the input side, and its sub-words.
        targets: The same of the target side.
        splits: Split to its files: pairs of (inputs file, targets file).
    """

    def __init__(self, inputs: Text, targets: Text, splits: Mapping[str, Part]) -> None:
        self.inputs = inputs
        self.targets = targets
        self.splits = splits

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample]:
        """Yields the pairs of a split in the order of the files."""
        for source, target in self.splits[split].select(plain_files.line_pairs):
            yield {"inputs": source, "targets": target}

    def source_state(self) -> str:
        """Returns a digest of the files' names, sizes and times."""
        return plain_files.state_of(self.splits.values())


class ImageFolder(Problem):
    """Pictures of classes, a folder each, named like the class.

    Args:
        inputs: The size that every picture is resized to.
        targets: The classes.
        splits: Split to its folders.
    """

    def __init__(
        self, inputs: Image, targets: ClassLabel, splits: Mapping[str, Part]
    ) -> None:
        self.inputs = inputs
        self.targets = targets
        self.splits = splits

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample]:
        """Yields the pictures, the classes in turn, so that shards are alike."""
        read = self.splits[split].select(
            lambda folder: plain_files.labelled_images(folder, self.targets.names)
        )
        for path, label in plain_files.classes_in_turn(read):
            yield {"inputs": plain_files.read_image(path), "targets": label}

    def source_state(self) -> str:
        """Returns a digest of the files' names, sizes and times."""
        return plain_files.state_of(self.splits.values())


def load_problem_file(path: str | pathlib.Path) -> list[str]:
    """Registers the problems that a TOML file declares.

    Paths in it are relative to its folder. `docs/your_own_data.md` describes it.

    Returns:
        The names registered, in order.

    Raises:
        UserError: If anything in the file is wrong; file, line and the nearest right
            name are told.
    """
    path = pathlib.Path(path).expanduser().resolve()
    registered = []
    for table in read_tables(path, "problem"):
        name = table.get("name", str)
        kind = table.get("kind", str)
        if kind not in KINDS:
            table.fail(unknown("kind", kind, KINDS), "kind")
        keys, make = KINDS[kind]
        table.check_keys((*_COMMON_KEYS, *keys))
        problem = make(table)
        problem.loss_multiplier = _positive(table, "loss_multiplier", float, 1.0)
        problem.batch_size_multiplier = _positive(
            table, "batch_size_multiplier", int, problem.batch_size_multiplier
        )
        shards = _positive(table, "num_shards", int, _DEFAULT_NUM_SHARDS)
        problem.num_shards = {
            split: shards if split == "train" else 1 for split in problem.splits
        }
        problem.name = name
        problem.source = f"Declared in {path.name}."
        description = f"{kind} of {path.name}."
        registered.append(_register(table, name, problem, description))
        if "also_reversed" in keys and table.get("also_reversed", bool, False):
            turned = ReversedProblem(problem)
            turned.name = f"{name}_rev"
            registered.append(
                _register(table, turned.name, turned, f"{description} Turned round.")
            )
    return registered


def _register(table: TomlTable, name: str, problem: Problem, description: str) -> str:
    if name in PROBLEMS and _DECLARED_IN.get(name) == table.path:
        PROBLEMS.remove(name)
    try:
        PROBLEMS.register(name, lambda: problem, description)
    except ValueError as error:
        table.fail(str(error), "name")
    _DECLARED_IN[name] = table.path
    return name


def _text_pairs(table: TomlTable) -> TextPairs:
    vocabulary = _vocabulary(table)
    return TextPairs(
        Text(space=_space(table, "inputs_space"), vocabulary=vocabulary),
        Text(space=_space(table, "targets_space"), vocabulary=vocabulary),
        _splits(table, _parallel_files),
    )


def _image_folder(table: TomlTable) -> ImageFolder:
    splits = _splits(table, _folders)
    size = table.get("image_size", list)
    if len(size) != 2 or not all(type(px) is int and px > 0 for px in size):
        table.fail(
            f"image_size = {size} must be [height, width] in pixels", "image_size"
        )
    names = table.get("classes", list, [])
    if not names:
        names = plain_files.class_names(splits["train"].sources)
    if len(set(names)) != len(names) or not all(type(n) is str for n in names):
        table.fail(f"classes = {names} must be names, each once", "classes")
    augmentation = table.get("augmentation", str, "none")
    if augmentation not in AUGMENTATIONS:
        table.fail(unknown("augmentation", augmentation, AUGMENTATIONS), "augmentation")
    problem = ImageFolder(
        Image(height_px=size[0], width_px=size[1], augmentation=augmentation),
        ClassLabel(names=tuple(names)),
        splits,
    )
    problem.batch_size_multiplier = _IMAGE_BATCH_SIZE_MULTIPLIER
    return problem


KINDS: dict[
    str, tuple[tuple[str, ...], Callable[[TomlTable], TextPairs | ImageFolder]]
] = {
    "text_pairs": (
        ("inputs_space", "targets_space", "vocabulary", "also_reversed"),
        _text_pairs,
    ),
    "image_folder": (("image_size", "classes", "augmentation"), _image_folder),
}
"""Kind to the keys that only it has, and the function that makes the problem."""


def _splits(
    table: TomlTable, sources_of: Callable[[TomlTable, str], list]
) -> dict[str, Part]:
    """Returns the parts; a split that is held out of another is taken from it."""
    held_out: dict[str, HeldOut] = {}
    sources: dict[str, list] = {}
    for split in SPLITS:
        value = table.values.get(split)
        if isinstance(value, dict) and "from" in value:
            held_out[split] = _held_out(table, split, held_out)
        elif split in table.values:
            sources[split] = sources_of(table, split)
        elif split != "test":
            table.fail(
                f"{split!r} is missing; give its files, or hold it out with "
                'dev = {from = "train", every = 20}'
                if split == "dev"
                else "'train' is missing; give its files"
            )
    parts = {split: Part(given) for split, given in sources.items()}
    if held_out:
        others = tuple(held_out.values())
        parts["train"] = Part(sources["train"], leave_out=others)
        for split, choice in held_out.items():
            parts[split] = Part(sources["train"], only=choice)
    return {split: parts[split] for split in SPLITS if split in parts}


def _held_out(table: TomlTable, split: str, others: Mapping[str, HeldOut]) -> HeldOut:
    inner = table.inner(split)
    inner.check_keys(("from", "every", "offset"))
    if split == "train" or inner.get("from", str) != "train":
        inner.fail('only dev and test can be held out, from = "train"', "from")
    every, offset = inner.get("every", int), inner.get("offset", int, len(others))
    if every < 2:
        inner.fail(f"every = {every} must be 2 or more", "every")
    if not 0 <= offset < every:
        inner.fail(f"offset = {offset} must be from 0 to {every - 1}", "offset")
    choice = HeldOut(every, offset)
    for other, taken in others.items():
        if choice.meets(taken):
            inner.fail(
                f"{split} and {other} would share examples; give both the same every "
                "and another offset",
                "every",
            )
    return choice


def _parallel_files(
    table: TomlTable, split: str
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    inner = table.inner(split)
    inner.check_keys(("inputs", "targets"))
    first, second = (_paths(inner, side) for side in ("inputs", "targets"))
    if len(first) != len(second):
        inner.fail(
            f"{split} has {len(first)} files of inputs and {len(second)} of targets; "
            "they belong together one by one",
            "targets",
        )
    return list(zip(first, second, strict=True))


def _folders(table: TomlTable, split: str) -> list[pathlib.Path]:
    return _paths(table, split)


def _paths(table: TomlTable, key: str) -> list[pathlib.Path]:
    value = table.values.get(key)
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not given:
        table.fail(f'{key} must be a path or a list: {key} = ["a", "b"]', key)
    paths = []
    for entry in given:
        if not isinstance(entry, str):
            table.fail(f"{key} holds {entry!r}, which is no path", key)
        path = table.path.parent / pathlib.Path(entry).expanduser()
        if not path.exists():
            table.fail(f"{key}: there is no {path}", key)
        paths.append(path)
    return paths


def _space(table: TomlTable, key: str) -> SpaceId:
    names = {space.name.lower(): space for space in SpaceId}
    given = table.get(key, str)
    if given not in names:
        table.fail(unknown(key, given, names), key)
    return names[given]


def _vocabulary(table: TomlTable) -> Vocabulary:
    if table.values.get("vocabulary") == "bytes":
        return BYTES
    inner = table.inner("vocabulary")
    inner.check_keys(("name", "size"))
    name = inner.get("name", str)
    if not name.replace("_", "").isalnum():
        inner.fail(
            f"name = {name!r} must be letters, digits and underscores", "vocabulary"
        )
    return Vocabulary(name, _positive(inner, "size", int, _DEFAULT_VOCABULARY_SIZE))


def _positive(table: TomlTable, key: str, kind: type, default: float):
    value = table.get(key, kind, default)
    if value <= 0:
        table.fail(f"{key} = {value} must be positive", key)
    return value
