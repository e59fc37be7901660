"""What became of a flag of T2T's: one row of the table."""

import dataclasses
from typing import Final, Literal

SAME: Final = "same"
RENAMED: Final = "renamed"
NOT_YET: Final = "not offered yet"
LEFT_OUT: Final = "left out"
DIFFERENT: Final = "something else"
Fate = Literal["same", "renamed", "not offered yet", "left out", "something else"]

V1_4 = "v1.4.4"
V1_0 = "v1.0.x"
LATER = "later"


@dataclasses.dataclass(frozen=True)
class T2TFlag:
    """A flag of one of T2T's programs.

    Attributes:
        program: T2T's program.
        name: Without dashes.
        default: T2T's default as one writes it; `""` if there was none.
        fate: What became of it in our program of the same task.
        text: `SAME`: what differs, if anything does. `RENAMED`: what to give.
            `DIFFERENT`: what ours is, and what to give. Else the reason, and what to
            do.
        releases: The release with this flag and default; `V1_4`'s were mostly there
            from the start.
    """

    program: str
    name: str
    default: str
    fate: Fate
    text: str
    releases: str

    @property
    def is_boolean(self) -> bool:
        """Whether it could be written `--no<name>`."""
        return self.default in ("True", "False")


def rows(
    program: str, fate: Fate, flags: str, text: str = "", releases: str = V1_4
) -> tuple[T2TFlag, ...]:
    """Returns the rows of `"name=default name=default"`, all of one fate.

    Args:
        program: T2T's program.
        fate: What became of them.
        flags: Names with T2T's defaults, parted by spaces.
        text: As in `T2TFlag`.
        releases: As in `T2TFlag`.
    """
    pairs = (flag.partition("=") for flag in flags.split())
    return tuple(
        T2TFlag(program, name, default, fate, text, releases)
        for name, _, default in pairs
    )
