"""A run that begins with what another one has learned: adding a problem on the fly.

The paper shares modality nets among problems so that tasks can be added to a trained
model on the fly, and says no more of it; what is taken here, and how, is ours.
"""

import dataclasses
import logging
import math
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from t2t_multimodel.data import vocabularies
from t2t_multimodel.data.features import Vocabulary
from t2t_multimodel.errors import UserError
from t2t_multimodel.hparams import HParams
from t2t_multimodel.models.multimodel import MultiModel, net_key
from t2t_multimodel.training import checkpoint_files as files
from t2t_multimodel.training.checkpoint_directory import (
    checkpoint_path,
    checkpoint_steps,
    is_checkpoint_name,
    newest_whole,
    read_description,
)
from t2t_multimodel.training.model_parts import counted, part_of, parts_of, sizes_of
from t2t_multimodel.training.optimizer import Adam, variables_by_path
from t2t_multimodel.training.problem_choice import ProblemChoice
from t2t_multimodel.training.run_directory import Run, read_run

_log = logging.getLogger(__name__)
_NAMED_AT_MOST = 3  # variables told in a warning


@dataclasses.dataclass(frozen=True)
class Source:
    """What a run is begun with.

    Attributes:
        checkpoint: The checkpoint.
        step: Its step.
        run: The run that it is of.
        shapes: Name in the checkpoint to shape, of weights and optimizer slots.
        states: The states of the run's objects.
    """

    checkpoint: pathlib.Path
    step: int
    run: Run
    shapes: Mapping[str, list[int]]
    states: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """What was taken from another run, and what was not.

    Attributes:
        source: What the run began with.
        run: The run that was begun.
        kept: Paths of the variables that were taken.
        new: Paths that the other run has not; they have their first values.
        fresh: Path to why a variable has its first value though the other run has
            one of that path.
        unread: Paths that only the other run has.
        without_moments: Paths taken whose optimizer slots the checkpoint has not.
        sizes: Path to number of parameters, of both runs' variables.
    """

    source: Source
    run: Run
    kept: tuple[str, ...]
    new: tuple[str, ...]
    fresh: Mapping[str, str]
    unread: tuple[str, ...]
    without_moments: tuple[str, ...]
    sizes: Mapping[str, int]

    def lines(self) -> list[str]:
        """Returns what became of each part, a line each, and of problems and hparams.

        Parts are named as `--freeze` takes them.
        """
        source = self.source
        rows = [
            (part, self._said_of(paths), f"{sum(self.sizes[p] for p in paths):,}")
            for part, paths in parts_of((*self.kept, *self.new, *self.fresh)).items()
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [f"warm start from {source.checkpoint} (its step {source.step})"]
        for part, said, parameters in rows:
            row = f"  {part:{widths[0]}}  {said:{widths[1]}}  {parameters:>{widths[2]}}"
            lines.append(f"{row} parameters")
        bare = len(self.without_moments)
        moments = f"{bare} of them without moments" if bare else "their moments too"
        lines.append(f"kept: {counted(self.kept, self.sizes)}; {moments}")
        for title, paths in (
            ("new", self.new),
            ("started fresh", self.fresh),
            ("not read, as only the other run has them", self.unread),
        ):
            if paths:
                parts = ", ".join(parts_of(paths))
                lines.append(f"{title}: {counted(paths, self.sizes)}: {parts}")
        lines.append(self._problems_line())
        difference = source.run.hparams.difference(self.run.hparams)
        if difference:
            lines.append(f"hyperparameters that differ: {difference}")
        return lines

    def warnings(self) -> list[str]:
        """Returns what was not taken and could be thought to be, a line a cause."""
        causes: dict[str, list[str]] = {}
        for path, why in self.fresh.items():
            causes.setdefault(why, []).append(path)
        return [
            f"{_shortened(paths)} started fresh: {why}" for why, paths in causes.items()
        ]

    def _said_of(self, paths: Iterable[str]) -> str:
        counts = {"kept": 0, "new": 0, "fresh": 0}
        kept = set(self.kept)
        for path in paths:
            is_fresh = "fresh" if path in self.fresh else "new"
            counts["kept" if path in kept else is_fresh] += 1
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count)

    def _problems_line(self) -> str:
        old = [problem.name for problem in self.source.run.problems]
        now = [problem.name for problem in self.run.problems]
        parts = [f"{len(set(old) & set(now))} of both runs"]
        for title, names in (
            ("new", [name for name in now if name not in old]),
            ("left out", [name for name in old if name not in now]),
        ):
            if names:
                parts.append(f"{title}: {', '.join(names)}")
        return f"problems: {'; '.join(parts)}"


def find_source(
    warm_start_from: str | os.PathLike,
    output_dir: str | os.PathLike,
    hparams: HParams,
) -> Source | None:
    """Returns what a run is to begin with; looks before anything is written.

    Args:
        warm_start_from: The output directory of a run, whose latest checkpoint is
            taken, or one of its `model.ckpt-<step>`.
        output_dir: That of the run to begin.
        hparams: Those of the run to begin.

    Returns:
        `None`, and says so, if `output_dir` has a checkpoint of its own: the run goes
        on from that.

    Raises:
        UserError: If there is no checkpoint, it is of `output_dir` itself, or it is
            of a model of another hidden size, which has hardly a shape in common.
    """
    given, output_dir = pathlib.Path(warm_start_from), pathlib.Path(output_dir)
    theirs = given.parent if is_checkpoint_name(given.name) else given
    if output_dir.resolve() == theirs.resolve():
        raise UserError(
            f"--warm_start_from={given} is of --output_dir={output_dir} itself; to go "
            "on with that run, leave --warm_start_from out; to begin another one, give "
            "another --output_dir"
        )
    steps = checkpoint_steps(output_dir)
    if steps:
        _log.warning(
            "%s has checkpoints of its own: the run goes on from step %d, and "
            "--warm_start_from=%s is not read",
            *(output_dir, steps[-1], given),
        )
        return None
    source = _read_source(given)
    _check_hidden_size(source, hparams)
    return source


def warm_start(
    source: Source,
    *,
    model: MultiModel,
    optimizer: Adam,
    run: Run,
    choice: ProblemChoice | None = None,
) -> WarmStart:
    """Gives a new run's model and optimizer what another run has learned (ours).

    By path: every weight that both have in the same shape, with its moments and its
    number of updates, so that the first update of a kept variable is what it would
    have been, and that of a new one has the bias correction of a first update. The
    rest keeps its first values:

    * what the other run has not, or has in another shape;
    * the tables of a vocabulary whose sub-words are not the other run's, and label
      matrices of other classes: of the same shape, but of another meaning.

    The step, and with it the schedule, begins at 0, as does the reading of data. The
    averages of `choice` are kept for the problems of both runs, so that `adaptive`
    turns to the new ones first; not where something of a problem started fresh.

    Args:
        source: What `find_source` returned.
        model: The built model of the new run.
        optimizer: Its optimizer, not used yet.
        run: The new run.
        choice: How it chooses problems.

    Raises:
        UserError: If the two have no variable in common; nothing was changed then.
    """
    variables = variables_by_path(model.weights)
    other_meaning = _other_meaning(source.run, run)
    stored = _weights_of(source)
    fresh = {}
    for path, variable in variables.items():
        theirs, ours = stored.get(path), variable.shape.as_list()
        if theirs is not None and part_of(path) in other_meaning:
            fresh[path] = other_meaning[part_of(path)]
        elif theirs not in (None, ours):
            fresh[path] = f"shape {tuple(theirs)} there, {tuple(ours)} here"
    kept = [path for path in variables if path in stored and path not in fresh]
    if not kept:
        raise UserError(
            f"{source.checkpoint} has no variable in common with this run, of name and "
            f"shape{_differing(source, run.hparams)}; give the run of a model like "
            "this one"
        )
    without_moments = _take(source, kept, variables, optimizer)
    if choice is not None:
        _take_averages(source, choice, run, other_meaning)
    unread = [path for path in stored if path not in variables]
    sizes = {path: math.prod(stored[path]) for path in unread} | sizes_of(variables)
    return WarmStart(
        source=source,
        run=run,
        kept=tuple(kept),
        new=tuple(path for path in variables if path not in stored),
        fresh=fresh,
        unread=tuple(unread),
        without_moments=without_moments,
        sizes=sizes,
    )


def _read_source(given: pathlib.Path) -> Source:
    """Returns a checkpoint, or the newest whole one of an output directory."""
    if is_checkpoint_name(given.name):
        checkpoint, description = given, read_description(given)
    else:
        found: dict[int, dict[str, Any]] = {}

        def read(step: int) -> None:
            found[step] = read_description(checkpoint_path(given, step))

        newest, _ = newest_whole(given, read)
        if newest is None:
            raise UserError(
                f"--warm_start_from={given} is no checkpoint, and there is none in it; "
                "give the --output_dir of a trained run, or one of its "
                "model.ckpt-<step>"
            )
        checkpoint, description = checkpoint_path(given, newest), found[newest]
    return Source(
        checkpoint=checkpoint,
        step=description["step"],
        run=read_run(checkpoint.parent),
        shapes=description["variables"],
        states=description["states"],
    )


def _check_hidden_size(source: Source, hparams: HParams) -> None:
    if source.run.hparams.hidden_size != hparams.hidden_size:
        raise UserError(
            f"--warm_start_from: {source.checkpoint} is of another model than this run "
            f"would be{_differing(source, hparams)}; hidden_size is a side of nearly "
            f"every matrix: give hidden_size={source.run.hparams.hidden_size}, or a "
            "run with this one"
        )


def _differing(source: Source, hparams: HParams) -> str:
    difference = source.run.hparams.difference(hparams)
    return f" ({difference})" if difference else ""


def _weights_of(source: Source) -> dict[str, list[int]]:
    """Returns path to shape of the weights that a checkpoint holds."""
    prefix = f"{files.WEIGHTS}/"
    return {
        name.removeprefix(prefix): shape
        for name, shape in source.shapes.items()
        if name.startswith(prefix)
    }


def _other_meaning(old: Run, new: Run) -> dict[str, str]:
    """Returns the nets whose numbers mean something else in the other run, and why."""
    other: dict[str, str] = {}
    theirs, ours = _vocabularies(old), _vocabularies(new)
    for name, vocabulary in ours.items():
        if name in theirs and _digest(old, theirs[name]) != _digest(new, vocabulary):
            other[f"language_{name}"] = (
                f"the sub-words of vocabulary {name!r} are not those of "
                f"{old.output_dir}; to keep what it learned, copy its "
                f"{theirs[name].file_name} into a new --data_dir and generate the data "
                "there"
            )
    labels = {p.name: p.targets for p in old.problems}
    for problem in new.problems:
        before = labels.get(problem.name, problem.targets)
        if before.kind == problem.targets.kind == "class_label":
            if before != problem.targets:
                other[net_key(problem.targets, problem.name)] = (
                    f"the classes of {problem.name} are not those of {old.output_dir}"
                )
    return other


def _vocabularies(run: Run) -> dict[str, Vocabulary]:
    return {v.name: v for problem in run.problems for v in problem.vocabularies()}


def _digest(run: Run, vocabulary: Vocabulary) -> str:
    """Returns what two vocabularies of the same sub-words have in common."""
    if not vocabulary.target_size:
        return "bytes"
    return vocabularies.file_sha256(run.output_dir / vocabulary.file_name)


def _take(
    source: Source,
    kept: Sequence[str],
    variables: Mapping[str, Any],
    optimizer: Adam,
) -> tuple[str, ...]:
    """Reads weights, moments and counts; returns the paths that have no moments."""
    counts = source.states.get("optimizer", {})
    slots: dict[str, list[str]] = {path: [] for path in kept}
    for name in optimizer.slots:
        slots.get(name.rpartition("/")[0], []).append(name)
    with_moments = [
        path
        for path in kept
        if path in counts
        and all(f"{files.SLOTS}/{name}" in source.shapes for name in slots[path])
    ]
    wanted = files.named(files.WEIGHTS, {path: variables[path] for path in kept})
    wanted |= files.named(
        files.SLOTS,
        {name: optimizer.slots[name] for path in with_moments for name in slots[path]},
    )
    files.read_variables(source.checkpoint, wanted)
    optimizer.set_state({path: counts[path] for path in with_moments})
    return tuple(sorted(set(kept) - set(with_moments)))


def _take_averages(
    source: Source, choice: ProblemChoice, run: Run, other_meaning: Mapping[str, str]
) -> None:
    averages = source.states.get("problem_choice", {})
    choice.set_state(
        {
            problem.name: averages[problem.name]
            for problem in run.problems
            if problem.name in averages
            and not other_meaning.keys()
            & {net_key(f, problem.name) for f in (problem.inputs, problem.targets)}
        }
    )


def _shortened(paths: Sequence[str]) -> str:
    more = len(paths) - _NAMED_AT_MOST
    text = ", ".join(paths[:_NAMED_AT_MOST])
    return f"{text} and {more} more" if more > 0 else text
