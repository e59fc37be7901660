"""Writes docs/from_tensor2tensor.md: `python docs/make_from_tensor2tensor_page.py`.

Flags and schedules come from the table that the programs answer by
(`t2t_multimodel.bin.t2t_flags`), defaults from the programs. A test compares.
"""

import importlib
import pathlib
from collections.abc import Iterable, Sequence

from t2t_multimodel.bin.t2t_flags.row import RENAMED, SAME, V1_4, T2TFlag
from t2t_multimodel.bin.t2t_flags.table import (
    OTHER_PROGRAMS,
    STANDS_FOR,
    TABLE,
    program_of_ours,
)
from t2t_multimodel.bin.t2t_flags.trainer import SCHEDULES
from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.errors import UserError

PAGE = pathlib.Path(__file__).parent / "from_tensor2tensor.md"

INTRODUCTION = """\
# Coming from Tensor2Tensor

Programs, problems, hparams sets, data and output folders work as in Tensor2Tensor
(T2T), v1.0.x and v1.4.4. What was renamed or is gone is answered with one line that
names the replacement or the reason, and exit status 2:

```
$ t2t-mm-trainer --model=multi_model --problems=mini8
t2t-mm-trainer: T2T's --model is left out: there is one model, multi_model; leave it out
```

This page is written by `docs/make_from_tensor2tensor_page.py`; do not edit it.
[fidelity.md](fidelity.md) is about the network, training and the hyperparameters.

## Side by side

"""

COMMANDS = (
    (
        "Data",
        "t2t-datagen --data_dir=DATA --tmp_dir=TMP --problem=PROBLEM",
        "t2t-mm-datagen --data_dir=DATA --tmp_dir=TMP --problem=PROBLEM",
    ),
    (
        "One problem",
        "t2t-trainer --data_dir=DATA --output_dir=RUN --problems=PROBLEM "
        "--model=multi_model --hparams_set=multimodel_tiny --train_steps=100000",
        "t2t-mm-trainer --data_dir=DATA --output_dir=RUN --problems=PROBLEM "
        "--hparams_set=multimodel_tiny --train_steps=100000",
    ),
    (
        "Several at once (v1.0.x; gone from v1.4.0 on)",
        "t2t-trainer --problems=ONE-TWO-THREE --model=multi_model "
        "--hparams_set=multimodel_1p8 --data_dir=DATA --output_dir=RUN",
        "t2t-mm-trainer --problems=ONE-TWO-THREE --hparams_set=multimodel_1p8 "
        "--data_dir=DATA --output_dir=RUN",
    ),
    (
        "Another hyperparameter",
        "t2t-trainer --hparams='batch_size=1024' --hp_dropout 0.1 ...",
        "t2t-mm-trainer --hparams='batch_size=1024,dropout=0.1' ...",
    ),
    (
        "A problem of one's own",
        "t2t-trainer --t2t_usr_dir=MINE --problems=my_problem ...",
        "t2t-mm-trainer --t2t_usr_dir=MINE --problems=my_problem ...",
    ),
    (
        "Evaluate the latest checkpoint on the test split",
        "t2t-trainer --schedule=evaluate --eval_use_test_set ...",
        "t2t-mm-trainer --schedule=evaluate --eval_use_test_set ...",
    ),
    (
        "Decode a file",
        "t2t-decoder --data_dir=DATA --output_dir=RUN --problems=PROBLEM "
        "--model=multi_model --hparams_set=multimodel_tiny "
        "--decode_from_file=in.txt --decode_to_file=out.txt",
        "t2t-mm-decoder --output_dir=RUN --problems=PROBLEM "
        "--decode_from_file=in.txt --decode_to_file=out.txt",
    ),
    (
        "Type lines",
        "t2t-decoder --decode_interactive --data_dir=DATA --output_dir=RUN "
        "--problems=PROBLEM --model=multi_model --hparams_set=multimodel_tiny",
        "t2t-mm-decoder --decode_interactive --output_dir=RUN",
    ),
    (
        "Decode with the trainer (v1.0.x)",
        "t2t-trainer --train_steps=0 --schedule=local_run --decode_interactive ...",
        "t2t-mm-decoder --decode_interactive --output_dir=RUN",
    ),
    (
        "The mean of the last checkpoints",
        "t2t-avg-all --n=5 --model_dir=RUN --output_dir=MEAN",
        "t2t-mm-avg-checkpoints --num_last_checkpoints=5 --output_dir=RUN "
        "--averaged_dir=MEAN",
    ),
    (
        "BLEU of a file",
        "t2t-bleu --translation=out.txt --reference=wanted.txt",
        "t2t-mm-bleu --translation=out.txt --reference=wanted.txt",
    ),
    (
        "Several GPUs of a machine",
        "t2t-trainer --worker_gpu=8 ...",
        "t2t-mm-trainer --worker_gpu=8 ...",
    ),
    (
        "Several machines ([distributed.md](distributed.md); what is printed are the "
        "whole commands, not a TF_CONFIG, a tab and flags)",
        "t2t-make-tf-configs --masters=one:2222,two:2222 --ps=three:2222",
        "t2t-mm-make-tf-configs --workers=one:2222,two:2222",
    ),
    (
        "What there is",
        "t2t-trainer --registry_help",
        "t2t-mm-trainer --registry_help",
    ),
)
"""Task, T2T's command, ours."""

DATA_TEXT = """\
## Data that T2T wrote

Shards and vocabularies in the data folder are used as they are; a problem of that name
must be registered. They need no manifest and no index, which `t2t-mm-datagen` writes
beside its own.
"""
DATA = {
    "text pairs, `NAME-train-00000-of-00100`": "read; ours have the same features",
    "images with a class or a caption": "read; ours have the same features",
    "sound as floats (its WSJ reader)": "read; ours have the same features",
    "`audio_timit_*`, sound as the bytes of WAV samples": "read, as "
    '`Audio(form="waveform")`',
    "`vocab.NAME.SIZE`": "read, and written byte for byte as v1.4.4 does",
    "`tokens.vocab.SIZE`, v1.0.7 to v1.0.14": "read, under the name that the problem "
    "gives it, e.g. `vocab.endefr.8192`",
    "vocabularies before v1.0.7": "refused: their entries are escaped bytes",
    "checkpoints": "not read: the network is another one",
}
"""What T2T wrote, and whether it is read."""

OUTPUT = {
    "`model.ckpt-STEP.*`, `checkpoint`": "a folder `model.ckpt-STEP`, whole or not "
    "there: weights, optimizer, places in the data, random state",
    "`hparams.json`": "the same flat object",
    "`flags.txt`, `flags_t2t.txt`, never read again": "`problems.json`, which the "
    "decoder and a continued run read",
    "vocabularies in the data folder alone": "copies of them too, so that the run can "
    "be decoded alone",
    "event files, `eval*/`": "`metrics.jsonl`: step, problem, split, metric and value "
    "of every training loss and evaluation",
    "`graph.pbtxt`": "nothing: the two JSON files say what the network is",
}
"""T2T's files in the output folder, and ours."""

PROMPT = {
    "pr=K": "the same, and by name",
    "dl=K": "the same",
    "q": "the same",
    "in=K": "the same, and by name; the input is read with that problem's vocabulary",
    "ou=K": "the same, and by name; the output is written with that problem's",
    "it=text": "inputs of the first problem that takes `text`, `image` or `audio`",
    "ns=K": "the K best of a beam; with a temperature, K samples",
}
"""T2T's commands at the prompt, and what became of them."""

DECODE_HPARAMS = {
    "batch_size": "0",
    "extra_length": "50",
    "beam_size": "4",
    "alpha": "0.6",
    "return_beams": "False",
    "write_beam_scores": "False",
    "num_samples": "-1",
    "max_input_size": "-1",
    "identity_output": "False",
    "save_images": "False",
    "problem_idx": "0",
    "delimiter": "newline",
}
"""T2T's names and defaults (v1.4.4)."""


def page() -> str:
    """Returns the text of docs/from_tensor2tensor.md."""
    return "\n".join(
        [
            INTRODUCTION + "\n".join(_commands()),
            DATA_TEXT,
            _table(("T2T's", "here"), DATA.items()),
            "## The output folder\n",
            _table(("T2T's", "here"), OUTPUT.items()),
            "## `--schedule`\n",
            _table(("T2T's", "here"), _schedules()),
            "## The prompt\n",
            "`?` lists the commands. Text is written in the sub-words of the problem "
            "that it is for;\nan image or a sound is given as a path.\n",
            _table(("T2T's", "here"), ((f"`{k}`", v) for k, v in PROMPT.items())),
            *(_flags(program) for program in dict.fromkeys(r.program for r in TABLE)),
            "## `--decode_hparams`\n",
            _table(("T2T's, its default", "here", ""), _decode_hparams()),
            "## Other programs\n",
            _table(
                ("T2T's", "here"),
                ((f"`{name}`", text) for name, text in OTHER_PROGRAMS.items()),
            ),
        ]
    )


def _commands() -> Iterable[str]:
    for task, theirs, ours in COMMANDS:
        yield f"{task}:\n\n```sh\n{theirs}\n{ours}\n```\n"


def _schedules() -> Iterable[tuple[str, str]]:
    for value, (fate, text) in SCHEDULES.items():
        said = {SAME: f"the same: {text}", RENAMED: text}
        yield f"`{value}`", said.get(fate, f"{fate}: {text}")


def _flags(theirs: str) -> str:
    ours = program_of_ours(theirs)
    module = importlib.import_module(f"t2t_multimodel.bin.{ours.replace('-', '_')}")
    flags = module.define_flags()
    rows = [row for row in TABLE if row.program == theirs]
    lines = [f"## Flags of `{theirs}`, and of `{ours}`\n"]
    if STANDS_FOR[ours][1:] == ("t2t-trainer",):
        lines.append(
            "T2T's takes all flags of `t2t-trainer` too. Here everything but what is "
            "below is read\nback from the run in `--output_dir`.\n"
        )
    lines.append(_table(("T2T's, its default", "here", ""), _flag_rows(rows, flags)))
    known = {row.name for row in TABLE if row.program in STANDS_FOR[ours]}
    own = sorted({name for name in flags if len(name) > 1} - known)
    lines.append(f"New here: {', '.join(f'`--{name}`' for name in own)}.\n")
    return "\n".join(lines)


def _flag_rows(rows: Sequence[T2TFlag], flags) -> Iterable[tuple[str, ...]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        release = "" if row.releases == V1_4 else f" ({row.releases})"
        here = row.fate
        if row.fate == SAME:
            default = flags[row.name].default
            # A list or a string that is empty is no default, and a path is the same.
            if default and row.default not in (str(default), "t2t_datagen", ""):
                here = f"same, default {default}"
        value = f"={row.default}" if row.default else ""
        groups.setdefault((here, row.text), []).append(
            f"`--{row.name}{value}`{release}"
        )
    for (here, text), names in groups.items():
        yield ", ".join(names), here, text


def _decode_hparams() -> Iterable[tuple[str, ...]]:
    ours = DecodeHParams()
    for name, default in DECODE_HPARAMS.items():
        named = f"`{name}={default}`"
        if hasattr(ours, name):
            here = getattr(ours, name)
            yield named, "same" if str(here) == default else f"same, default {here}", ""
            continue
        try:
            DecodeHParams.parse(f"{name}=1")
        except UserError as error:
            reason = str(error).removeprefix(f"--decode_hparams: {name} is not offered")
            told = reason.removeprefix(": ") if reason.startswith(": ") else ""
            yield named, "left out", told or "--problems of t2t-mm-decoder says it"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
