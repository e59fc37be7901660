"""Writes the tables of hyperparameters in docs/fidelity.md, between two marks.

`python docs/make_fidelity_hparams.py` makes them from the sets and from T2T's table in
`t2t_multimodel.hparams`, and leaves the rest of the page alone. A test compares.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.hparams.t2t_names import LEFT_OUT, OURS_ALONE, SAME, T2T_HPARAMS
from t2t_multimodel.hparams.t2t_values import DEVIATIONS, T2T_SETS

PAGE = pathlib.Path(__file__).parent / "fidelity.md"
BEGIN = "<!-- begin: written by docs/make_fidelity_hparams.py, do not edit -->"
END = "<!-- end: written by docs/make_fidelity_hparams.py -->"
SETS = ("multimodel_base", "multimodel_tiny", "multimodel_1p8", "multimodel_paper")


def section() -> str:
    """Returns what stands between the marks."""
    return "\n".join(
        [
            *_values(),
            "### Where a set's value is not T2T's\n",
            "All other values of T2T's sets are carried; a test goes through them one "
            "by one.\n",
            *_deviations(),
            "### T2T's hyperparameters by name\n",
            "`--hparams` answers to a name that went with the text of its row.\n",
            *_names(),
            "### Hyperparameters that T2T did not have\n",
            *_table(
                ("here", ""),
                ((f"`{name}`", text) for name, text in OURS_ALONE.items()),
            ),
        ]
    )


def with_section(page: str) -> str:
    """Returns the text of the page with the section as it should be.

    Raises:
        ValueError: If the page lacks one of the marks.
    """
    before, mark, rest = page.partition(BEGIN)
    old, end_mark, after = rest.partition(END)
    if not mark or not end_mark:
        raise ValueError(f"{PAGE} must have the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{section()}\n{END}{after}"


def _values() -> list[str]:
    values = {name: dataclasses.asdict(make_hparams(name)) for name in SETS}
    t2t: dict[str, str] = {}
    for name, release in T2T_SETS:
        theirs = name.replace("_1p8", "1p8") if release == "v1.0.3" else name
        t2t.setdefault(name, f"`{theirs}`, {release}")
    first = values[SETS[0]]
    differing = [f for f in first if len({str(values[s][f]) for s in SETS}) > 1]
    equal = [f"`{f}` {_written(first[f])}" for f in first if f not in differing]
    rows = [("T2T's set", *(t2t.get(name, "none") for name in SETS))]
    rows += [
        (f"`{f}`", *(_written(values[name][f]) for name in SETS)) for f in differing
    ]
    return [
        *_table(("", *(f"`{name}`" for name in SETS)), rows),
        "In all four: " + ", ".join(equal) + ".\n",
        "`multimodel_paper_single` is `multimodel_paper` with 60 experts. What the "
        "paper leaves open is `multimodel_1p8`'s.\n",
    ]


def _deviations() -> list[str]:
    rows = []
    for deviation in DEVIATIONS:
        releases = deviation.releases.split()
        theirs = T2T_SETS[deviation.set_name, releases[0]][deviation.name]
        here = ", ".join(f"`{f}` {_written(v)}" for f, v in deviation.here.items())
        rows.append(
            (
                f"`{deviation.set_name}`",
                f"`{deviation.name}` {_written(theirs)} ({', '.join(releases)})",
                here,
                deviation.reason,
            )
        )
    return _table(("set", "T2T", "here", "why"), rows)


def _names() -> list[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for row in T2T_HPARAMS.values():
        fields = ", ".join(f"`{field}`" for field in row.fields)
        here = row.fate if row.fate in (SAME, LEFT_OUT) else fields
        groups.setdefault((here, row.text), []).append(f"`{row.name}`")
    return _table(
        ("T2T", "here", ""),
        ((", ".join(names), here, text) for (here, text), names in groups.items()),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"]


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Writes the section into the page."""
    PAGE.write_text(with_section(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
