"""What a run writes so that it can be decoded and resumed from its folder alone."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from t2t_multimodel.data import manifest, versioned_json, vocabularies
from t2t_multimodel.data.feature_json import feature_from_json, feature_to_json
from t2t_multimodel.data.features import Vocabulary
from t2t_multimodel.data.raw_example import RawExample
from t2t_multimodel.data.text_encoder import TextEncoder
from t2t_multimodel.errors import UserError, unknown
from t2t_multimodel.hparams.base import HParams
from t2t_multimodel.models.problem_spec import ProblemSpec
from t2t_multimodel.problems.problem import Problem

HPARAMS_FILE = "hparams.json"
PROBLEMS_FILE = "problems.json"
_FORMAT_VERSION = 1
# Fields of a problem in problems.json that are numbers, words or lists as they stand.
_PLAIN_FIELDS = {
    "name": str,
    "data_name": str,
    "is_reversed": bool,
    "loss_multiplier": (int, float),
    "batch_size_multiplier": int,
    "num_shards": dict,
    "metrics": list,
    "decode_metrics": list,
}


class StoredProblem(Problem):
    """A problem as its run described it: everything but where examples come from.

    Args:
        described: The problem's object in `problems.json`.

    Raises:
        UserError: If the object does not describe a problem.
    """

    def __init__(self, described: Mapping[str, Any]) -> None:
        for field, wanted in _PLAIN_FIELDS.items():
            if not isinstance(described.get(field), wanted):
                raise UserError(
                    f"{PROBLEMS_FILE}: field {field!r} of a problem is "
                    f"{described.get(field)!r}; was the file edited?"
                )
        self.name = described["name"]
        where = f"{PROBLEMS_FILE}: {{}} of {self.name}"
        self.inputs = feature_from_json(
            described.get("inputs"), where.format("the inputs")
        )
        self.targets = feature_from_json(
            described.get("targets"), where.format("the targets")
        )
        self.loss_multiplier = float(described["loss_multiplier"])
        self.batch_size_multiplier = described["batch_size_multiplier"]
        self.num_shards = dict(described["num_shards"])
        self.source = described.get("source", "")
        self.data_seed: int | None = described.get("data_seed")
        self._data_name = described["data_name"]
        self._is_reversed = described["is_reversed"]
        self._metrics = tuple(described["metrics"])
        self._decode_metrics = tuple(described["decode_metrics"])

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample]:
        """Refused: a run keeps the description, not the source."""
        raise UserError(
            f"{self.name} was read back from a run, which does not keep where its "
            "examples come from; generate data with t2t-mm-datagen"
        )

    @property
    def data_name(self) -> str:
        """Prefix of the shard names."""
        return self._data_name

    @property
    def is_reversed(self) -> bool:
        """Whether inputs and targets change places when shards are read."""
        return self._is_reversed

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics of teacher-forced evaluation."""
        return self._metrics

    @property
    def decode_metrics(self) -> tuple[str, ...]:
        """Metrics of decoded outputs."""
        return self._decode_metrics


@dataclasses.dataclass(frozen=True)
class Run:
    """A run as its folder describes it.

    Attributes:
        output_dir: The folder.
        problems: The problems, in the order in which they were trained.
        hparams: The hyperparameters, overrides applied.
        encoders: Vocabulary name to text encoder, of every vocabulary of the run.
        data_dir: Where the run found its shards.
    """

    output_dir: pathlib.Path
    problems: tuple[Problem, ...]
    hparams: HParams
    encoders: Mapping[str, TextEncoder]
    data_dir: pathlib.Path

    def problem(self, name: str) -> Problem:
        """Returns the problem of that name.

        Raises:
            UserError: If the run has none.
        """
        for problem in self.problems:
            if problem.name == name:
                return problem
        names = [problem.name for problem in self.problems]
        raise UserError(unknown(f"problem of {self.output_dir}", name, names))

    def check_data(self, problem: Problem, data_dir: pathlib.Path) -> None:
        """Refuses data encoded with another vocabulary than the run's.

        Raises:
            UserError: If a vocabulary in `data_dir` is not the run's.
        """
        for vocabulary in problem.vocabularies():
            theirs = data_dir / vocabulary.file_name
            mine = self.output_dir / vocabulary.file_name
            if (
                vocabulary.target_size
                and theirs.is_file()
                and vocabularies.file_sha256(theirs) != vocabularies.file_sha256(mine)
            ):
                raise UserError(
                    f"the data of {problem.name} in {data_dir} is encoded with another "
                    f"{vocabulary.file_name} than the run in {self.output_dir}; give "
                    "the --data_dir that it was trained with"
                )

    def specs(self) -> list[ProblemSpec]:
        """Returns what `make_model` needs to know of the problems."""
        sizes = {name: encoder.vocab_size for name, encoder in self.encoders.items()}
        return [
            ProblemSpec(problem.name, problem.inputs, problem.targets, sizes)
            for problem in self.problems
        ]


def write_run(
    output_dir: str | os.PathLike,
    problems: Sequence[Problem],
    hparams: HParams,
    *,
    data_dir: str | os.PathLike,
) -> None:
    """Writes the hyperparameters, the problems and their vocabularies.

    Each file appears whole or not at all, `problems.json` last.

    Args:
        output_dir: The run's folder; made if it is not there.
        problems: The problems of the run, in order.
        hparams: The hyperparameters, overrides applied.
        data_dir: Folder with the shards, their manifests and the vocabularies.

    Raises:
        UserError: If a vocabulary is missing, or two share a name.
    """
    output_dir, data_dir = pathlib.Path(output_dir), pathlib.Path(data_dir)
    described = _describe(problems, data_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    for vocabulary in described["vocabularies"].values():
        if vocabulary["file"]:
            content = (data_dir / vocabulary["file"]).read_bytes()
            _replace(output_dir / vocabulary["file"], content)
    _replace(output_dir / HPARAMS_FILE, hparams.to_json().encode())
    text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    _replace(output_dir / PROBLEMS_FILE, text.encode())


def read_run(output_dir: str | os.PathLike) -> Run:
    """Returns the run that `write_run` described in a folder.

    Raises:
        UserError: If there is none, or a file of it is missing or broken.
    """
    output_dir = pathlib.Path(output_dir)
    described = _read_json(output_dir / PROBLEMS_FILE)
    hparams = _read_hparams(output_dir)
    problems = tuple(StoredProblem(problem) for problem in described["problems"])
    encoders: dict[str, TextEncoder] = {}
    for problem in problems:
        for vocabulary in problem.vocabularies():
            if vocabulary.name not in encoders:
                stored = described["vocabularies"].get(vocabulary.name)
                encoders[vocabulary.name] = _stored_encoder(
                    output_dir, problem, vocabulary, stored
                )
    return Run(
        output_dir, problems, hparams, encoders, pathlib.Path(described["data_dir"])
    )


def check_same_run(
    output_dir: str | os.PathLike,
    problems: Sequence[Problem],
    hparams: HParams,
    *,
    data_dir: str | os.PathLike,
) -> bool:
    """Refuses to go on with a run under other hyperparameters or problems.

    Args:
        output_dir: The run's folder.
        problems: The problems now given.
        hparams: The hyperparameters now given.
        data_dir: The data folder now given; it may have moved, but not changed.

    Returns:
        Whether the folder holds a run; `False` if there is none yet.

    Raises:
        UserError: If the run there is another one; the message has the difference.
    """
    output_dir = pathlib.Path(output_dir)
    if not (output_dir / PROBLEMS_FILE).exists():
        return False
    differences = [
        _read_hparams(output_dir).difference(hparams),
        *_problem_differences(
            _read_json(output_dir / PROBLEMS_FILE),
            _describe(problems, pathlib.Path(data_dir)),
        ),
    ]
    differences = [difference for difference in differences if difference]
    if differences:
        raise UserError(
            f"{output_dir} holds another run ({'; '.join(differences)}); continue it "
            "with its own settings, or give another --output_dir"
        )
    return True


def _describe(problems: Sequence[Problem], data_dir: pathlib.Path) -> dict[str, Any]:
    """Returns the content of `problems.json`."""
    files: dict[str, dict[str, Any]] = {}
    for problem in problems:
        for vocabulary in problem.vocabularies():
            described = _describe_vocabulary(vocabulary, data_dir, problem.name)
            known = files.setdefault(vocabulary.name, described)
            if known != described:
                raise UserError(
                    f"two sizes of vocabulary {vocabulary.name!r} in one run: "
                    f"{known['target_size']} and {vocabulary.target_size} (the latter "
                    f"of {problem.name}); give one of them another name"
                )
    return {
        "format_version": _FORMAT_VERSION,
        "data_dir": str(data_dir.absolute()),
        "vocabularies": files,
        "problems": [_describe_problem(problem, data_dir) for problem in problems],
    }


def _describe_problem(problem: Problem, data_dir: pathlib.Path) -> dict[str, Any]:
    described = {name: getattr(problem, name) for name in _PLAIN_FIELDS}
    return described | {
        "num_shards": dict(problem.num_shards),
        "metrics": list(problem.metrics),
        "decode_metrics": list(problem.decode_metrics),
        "inputs": feature_to_json(problem.inputs),
        "targets": feature_to_json(problem.targets),
        "source": problem.source,
        "data_seed": _data_seed(problem, data_dir),
    }


def _data_seed(problem: Problem, data_dir: pathlib.Path) -> int | None:
    """The seed that the data was made with; `None` for shards of T2T's own."""
    described = manifest.read(data_dir, problem.data_name)
    return described.get("seed") if described else None


def _describe_vocabulary(
    vocabulary: Vocabulary, data_dir: pathlib.Path, problem_name: str
) -> dict[str, Any]:
    described = {"target_size": vocabulary.target_size, "file": None, "sha256": None}
    if vocabulary.target_size:
        vocabularies.load(vocabulary, data_dir, problem_name)  # refuses a broken one
        path = data_dir / vocabulary.file_name
        described["file"] = vocabulary.file_name
        described["sha256"] = vocabularies.file_sha256(path)
    return described


def _problem_differences(
    stored: Mapping[str, Any], given: Mapping[str, Any]
) -> Iterator[str]:
    """Yields what differs between two contents of `problems.json`."""
    old, new = (
        {problem["name"]: problem for problem in described["problems"]}
        for described in (stored, given)
    )
    if list(old) != list(new):
        yield f"problems: {'-'.join(old)} -> {'-'.join(new)}"
        return
    for name, problem in new.items():
        for field, value in problem.items():
            before = old[name].get(field)
            unknown_seed = field == "data_seed" and None in (before, value)
            if field != "source" and before != value and not unknown_seed:
                yield f"{field} of {name}: {_short(before)} -> {_short(value)}"
    for name, vocabulary in given["vocabularies"].items():
        if stored["vocabularies"].get(name) != vocabulary:
            yield f"the sub-words of vocabulary {name!r} have changed"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "..."


def _stored_encoder(
    output_dir: pathlib.Path, problem: Problem, vocabulary: Vocabulary, stored: Any
) -> TextEncoder:
    """Returns the encoder of a vocabulary, as `problems.json` lists it."""
    if not isinstance(stored, dict):
        raise UserError(
            f"{output_dir / PROBLEMS_FILE}: {problem.name} needs vocabulary "
            f"{vocabulary.name!r}, which the file does not list; was it edited?"
        )
    path = output_dir / vocabulary.file_name
    if vocabulary.target_size:
        advice = "copy it from the run's data folder"
        if not path.is_file():
            raise UserError(f"vocabulary {path} is missing; {advice}")
        if vocabularies.file_sha256(path) != stored.get("sha256"):
            raise UserError(
                f"vocabulary {path} is not the one the run was trained with; {advice}"
            )
    return vocabularies.load(vocabulary, output_dir, problem.name)


def _read_hparams(output_dir: pathlib.Path) -> HParams:
    path = output_dir / HPARAMS_FILE
    if not path.exists():
        raise UserError(
            f"{path} is missing; copy it back, or train again in another folder"
        )
    return HParams.from_json(path.read_text(encoding="utf-8"), str(path))


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    """Returns the content of `problems.json`, its outline checked."""
    if not path.exists():
        raise UserError(
            f"{path.parent} holds no run (there is no {path.name}); train one there "
            "with t2t-mm-trainer, or give the --output_dir of a run"
        )
    remedy = "copy it back, or use the version of t2t-multimodel that wrote it"
    content = versioned_json.read(path, _FORMAT_VERSION, remedy)
    for field, wanted in (
        ("data_dir", str),
        ("vocabularies", dict),
        ("problems", list),
    ):
        if not isinstance(content.get(field), wanted):
            raise UserError(f"{path} has no {field!r}; copy it back, or train again")
    return content


def _replace(path: pathlib.Path, content: bytes) -> None:
    """Writes a file so that it is never seen half written."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)
