"""Whether the sources of a problem are complete, before anything is made of them."""

import dataclasses
import pathlib
from collections.abc import Iterator

from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem, Source


@dataclasses.dataclass(frozen=True)
class SourceCheck:
    """What was found out about the sources of a problem.

    Args:
        name: The problem's.
        is_complete: Whether nothing is missing, all could be read, and no split has
            another size than the whole corpus is known to have.
        lines: What to tell, a line each.
    """

    name: str
    is_complete: bool
    lines: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """The answer in a word or two."""
        return "complete" if self.is_complete else "NOT COMPLETE"

    def __str__(self) -> str:
        return "\n".join(
            [f"{self.name}: {self.verdict}", *(f"  {x}" for x in self.lines)]
        )


def check_sources(problem: Problem, tmp_dir: pathlib.Path) -> SourceCheck:
    """Looks for the sources of a problem and counts what they hold.

    Args:
        problem: Any problem; one that is reversed has its base's sources.
        tmp_dir: Folder with the sources.
    """
    lines: list[str] = []
    try:
        sources = problem.sources(tmp_dir)
    except (UserError, OSError) as error:
        return SourceCheck(problem.name, False, (_told(error),))
    if not sources:
        lines.append(f"no sources that could be missing: {problem.source or 'none'}")
    for source in sources:
        lines += _of_source(source)
    is_complete = not any(source.missing for source in sources)
    for split in problem.num_shards:
        lacking = [s for s in sources if split in s.splits and s.missing]
        agrees, line = _of_split(problem, split, tmp_dir, bool(lacking))
        is_complete = is_complete and agrees
        lines.append(line)
    return SourceCheck(problem.name, is_complete, tuple(lines))


def _of_source(source: Source) -> Iterator[str]:
    state = f"{len(source.missing)} missing" if source.missing else "there"
    yield f"{source.what} ({', '.join(source.splits)}): {state}"
    yield f"  licence: {source.licence}"
    yield f"  looked for in: {source.layout}"
    if source.missing:
        yield f"  get it from: {source.where}"
    for missing in source.missing:
        yield f"  MISSING: {missing}"


def _of_split(
    problem: Problem, split: str, tmp_dir: pathlib.Path, is_lacking: bool
) -> tuple[bool, str]:
    """Returns whether a split's size is right as far as one can tell, and a line."""
    known = problem.known_sizes.get(split)
    whole = f"{known:,} in the whole corpus" if known is not None else ""
    if is_lacking:
        return True, f"{split}: not counted, as sources are missing" + _and(whole)
    try:
        count = problem.count_examples(split, tmp_dir)
    except (UserError, OSError) as error:
        return False, f"{split}: cannot be counted: {_told(error)}"
    if count is None:
        return True, f"{split}: only making it tells how many examples" + _and(whole)
    if known is None or count == known:
        same = ", as in the whole corpus" if known is not None else ""
        return True, f"{split}: {count:,} examples{same}"
    return False, f"{split}: {count:,} examples, DIFFERENT from the {whole}"


def _and(whole: str) -> str:
    return f"; {whole}" if whole else ""


def _told(error: UserError | OSError) -> str:
    if isinstance(error, UserError):
        return str(error)
    named = f" {error.filename}" if error.filename else ""
    return f"cannot read{named}: {error.strerror or error}"
