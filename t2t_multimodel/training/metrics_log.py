"""`metrics.jsonl`: every number that a run reports, one JSON object a line.

`{"step": 100, "problem": "image_mini", "split": "dev", "metric": "accuracy",
"value": 0.5}`; `problem` is empty for numbers of the whole run, and a `value` that is
not a finite number is null.
"""

import json
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from t2t_multimodel.errors import UserError

FILE_NAME = "metrics.jsonl"
"""Its name in the output directory."""


class Record(NamedTuple):
    """One line of the file.

    Attributes:
        step: Updates done when the number was taken.
        problem: Problem name; empty for the whole run.
        split: `train`, `dev` or `test`.
        metric: Name of the metric.
        value: Its value; NaN where the file has null.
    """

    step: int
    problem: str
    split: str
    metric: str
    value: float


class MetricsLog:
    """Appends to `metrics.jsonl`; every call is on the disk's way when it returns.

    Args:
        path: The file; made, with its folder, if it is not there.
        restored_step: The step from which a run goes on. Lines of later steps, and
            half a line that a killed run left, are dropped: the file of a continued
            run is that of one that never stopped.

    Raises:
        UserError: If a line but the last is not as this class writes it.
    """

    def __init__(self, path: str | os.PathLike, restored_step: int = 0) -> None:
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._keep(lambda record: record.step <= restored_step)
        # What has a line of the step to go on from, or of a later evaluation.
        self._latest: set[tuple] = {
            r[:-1] for r in self._records() if r.step == restored_step
        }
        self._file = path.open("a", encoding="utf-8")

    def write(
        self, step: int, problem: str, split: str, metric: str, value: Any
    ) -> None:
        """Appends a line.

        Args:
            step: Updates done.
            problem: Problem name; empty for the whole run.
            split: `train`, `dev` or `test`.
            metric: Name of the metric.
            value: A number of Python, NumPy or TensorFlow.
        """
        record = Record(int(step), problem, split, metric, float(value))
        self._file.write(_line(record))
        self._file.flush()

    def write_evaluation(
        self, step: int, split: str, values: Mapping[tuple[str, str], Any]
    ) -> None:
        """Appends the lines of an evaluation, in place of an earlier one's.

        Args:
            step: Updates done.
            split: `train`, `dev` or `test`.
            values: (problem name, metric) to number.
        """
        records = [
            Record(int(step), problem, split, metric, float(value))
            for (problem, metric), value in values.items()
        ]
        keys = {record[:-1] for record in records}
        if keys & self._latest:
            self._file.close()
            self._keep(lambda record: record[:-1] not in keys)
            self._file = self._path.open("a", encoding="utf-8")
        self._file.write("".join(map(_line, records)))
        self._file.flush()
        self._latest |= keys

    def has(self, step: int, problem: str, split: str, metric: str) -> bool:
        """Whether a run that goes on from `step` had this evaluated there."""
        return (step, problem, split, metric) in self._latest

    def _records(self) -> Iterator[Record]:
        return read_metrics(self._path) if self._path.exists() else iter(())

    def _keep(self, wanted: Callable[[Record], bool]) -> None:
        """Writes the file anew with the lines that are wanted."""
        partial = self._path.with_name(f"{self._path.name}.partial")
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(_line(r) for r in self._records() if wanted(r))
        os.replace(partial, self._path)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_metrics(path: str | os.PathLike) -> Iterator[Record]:
    """Yields the lines of a file; half a line at its end is passed over.

    Args:
        path: The file, or the output directory that it is in.

    Raises:
        UserError: If there is no file, or a line but the last is broken.
    """
    path = pathlib.Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.exists():
        raise UserError(f"no {path}; give the --output_dir of a run that was started")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(True)
    for number, line in enumerate(lines, start=1):
        if not line.endswith("\n"):
            return
        try:
            fields = json.loads(line)
            value = math.nan if fields["value"] is None else float(fields["value"])
            yield Record(**{**fields, "value": value})
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"line {number} of {path} is not a metric ({line.strip()!r}); "
                "remove the line"
            ) from error


def _line(record: Record) -> str:
    fields = record._asdict()
    if not math.isfinite(record.value):
        fields["value"] = None  # JSON has no word for these
    return json.dumps(fields, ensure_ascii=False) + "\n"
