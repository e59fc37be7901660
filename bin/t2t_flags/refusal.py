"""What a program answers to flags that T2T had and it has not."""

from collections.abc import Container, Sequence

from t2t_multimodel.bin.t2t_flags.row import LEFT_OUT, RENAMED, SAME
from t2t_multimodel.bin.t2t_flags.table import STANDS_FOR, find
from t2t_multimodel.bin.t2t_flags.trainer import SCHEDULES

_HPARAM = "hp_"
_READ_BACK = "it is read back from the run in --output_dir; leave it out"


def refusal(program: str, arguments: Sequence[str], known: Container[str]) -> str:
    """Returns what to answer to the T2T flags among the arguments; `""` if none is.

    Args:
        program: Our program.
        arguments: The command line, without the program's name.
        known: Names of the program's own flags.
    """
    said: dict[str, str] = {}
    for argument in arguments:
        if argument == "--":
            break
        name = argument.lstrip("-").partition("=")[0]
        if argument.startswith("-") and name not in known:
            said[name] = _answer(program, name)
    return ". ".join(filter(None, said.values()))


def schedule_refusal(value: str) -> str:
    """Returns what to answer to a value of `--schedule`; `""` if it is one of ours."""
    fate, text = SCHEDULES.get(value, (LEFT_OUT, ""))
    if fate is SAME:
        return ""
    if fate is RENAMED:
        return f"T2T's {value} is now {text}"
    ours = ", ".join(name for name, (fate, _) in SCHEDULES.items() if fate is SAME)
    return f"{text}; there are {ours}" if text else f"it should be one of {ours}"


def _answer(program: str, name: str) -> str:
    is_own = STANDS_FOR.get(program, ("",))[0] == "t2t-trainer"
    takes_hparams = "t2t-trainer" in STANDS_FOR.get(program, ())
    if name.startswith(_HPARAM) and takes_hparams:
        hparam = name.removeprefix(_HPARAM)
        if is_own:
            return f"T2T's --{name} is now --hparams={hparam}=VALUE"
        return f"T2T's --{name} is {LEFT_OUT}: {_READ_BACK}"
    flag = find(program, name)
    if flag is None:
        return ""
    fate, text = flag.fate, flag.text
    of_trainer = flag.program == "t2t-trainer" and not is_own
    if of_trainer and (fate is SAME or (fate is RENAMED and "t2t-mm-" not in text)):
        fate, text = LEFT_OUT, _READ_BACK
    if fate is RENAMED:
        return f"T2T's --{flag.name} is now {text}"
    return f"T2T's --{flag.name} is {fate}: {text}"
