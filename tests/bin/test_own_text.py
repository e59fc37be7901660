"""Text of the user's, from files to outputs, by the programs alone."""

import pathlib
import random
import re

import pytest

from t2t_multimodel.bin import t2t_mm_datagen, t2t_mm_decoder, t2t_mm_trainer
from t2t_multimodel.training.metrics_log import read_metrics

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "your_own_data.md"
TINY = (
    "batch_size=256,hidden_size=16,num_heads=4,num_encoder_blocks=1,"
    "num_mixer_blocks=1,num_decoder_blocks=1,moe_num_experts=4,moe_hidden_size=8,"
    "large_kernel_size=3,large_kernel_dilation=2,categorical_filters=(8,12,16),"
    "learning_rate_warmup_steps=20"
)
MOODS = """
[[problem]]
name = "mood"
kind = "text_classes"
inputs_space = "english_tokens"
vocabulary = {name = "mood", size = 60}
train = {table = "moods.csv", text_column = "text", label_column = "label"}
dev = {from = "train", every = 10}
test = {from = "train", every = 10}
num_shards = 1
"""


pytestmark = pytest.mark.usefixtures("leave_the_environment")


def write_moods(path):
    """Writes sentences that are loud if the sea roars anywhere in them."""
    rng = random.Random(0)
    rows = ["label,text"]
    for _ in range(300):
        label, verb = rng.choice((("calm", "rests"), ("loud", "roars")))
        words = rng.choices(("the sea", "a boat", "some rain"), k=rng.randint(1, 3))
        words.insert(rng.randint(0, len(words)), verb)
        rows.append(f'{label},"{" ".join(words)}"')
    path.write_text("\n".join(rows) + "\n")


def test_classes_of_texts_are_learned_and_decoded(tmp_path, capsys):
    write_moods(tmp_path / "moods.csv")
    (tmp_path / "moods.toml").write_text(MOODS)
    data = [
        f"--problem_file={tmp_path / 'moods.toml'}",
        f"--data_dir={tmp_path / 'data'}",
        "--problems=mood",
    ]
    assert not t2t_mm_datagen.main([*data, "--num_concurrent_processes=1"])
    run = f"--output_dir={tmp_path / 'run'}"
    assert not t2t_mm_trainer.main(
        [*data, run, "--hparams_set=multimodel_tiny", "--train_steps=80"]
        + [f"--hparams={TINY}", "--decode_eval_examples=20"]
    )
    evaluated = read_metrics(tmp_path / "run" / "metrics.jsonl")
    decoded = {r.metric: r.value for r in evaluated if r.metric.startswith("top1")}
    assert decoded["top1"] > 0.9 > decoded["top1_baseline"]
    capsys.readouterr()
    assert not t2t_mm_decoder.main([run])
    scored = re.search(r"top1\s+([\d.]+)%", capsys.readouterr().out)
    assert float(scored[1]) > 90
    (tmp_path / "in.txt").write_text("a boat roars the sea\nsome rain rests\n")
    files = [f"--decode_{end}={tmp_path / end}" for end in ("from_file", "to_file")]
    (tmp_path / "in.txt").rename(tmp_path / "from_file")
    assert not t2t_mm_decoder.main([run, *files])
    assert (tmp_path / "to_file").read_text() == "loud\ncalm\n"


def write_pair(folder, name, word):
    """Declares a problem whose text is `word` with numbers."""
    lines = [f"{word} {number}\n" for number in range(40)]
    (folder / f"{name}.txt").write_text("".join(lines))
    return (
        f'[[problem]]\nname = "{name}"\nkind = "text_pairs"\n'
        'inputs_space = "generic"\ntargets_space = "generic"\n'
        'vocabulary = {name = "mine", size = 60}\n'
        f'train = {{inputs = "{name}.txt", targets = "{name}.txt"}}\n'
        'dev = {from = "train", every = 9}\n'
    )


def test_a_vocabulary_is_kept_for_others_only_if_told(tmp_path, capsys):
    declared = write_pair(tmp_path, "birds", "heron")
    declared += write_pair(tmp_path, "trees", "willow")
    (tmp_path / "mine.toml").write_text(declared)
    program = [
        f"--problem_file={tmp_path / 'mine.toml'}",
        f"--data_dir={tmp_path / 'data'}",
        "--num_concurrent_processes=1",
    ]
    assert t2t_mm_datagen.main([*program, "--problems=birds"]) == 0
    assert t2t_mm_datagen.main([*program, "--problems=birds-trees"]) == 2
    printed = capsys.readouterr()
    assert "was built from the text of birds, without that of trees" in printed.err
    assert not list((tmp_path / "data").glob("trees*"))
    told = [*program, "--problems=trees", "--keep_vocabulary"]
    assert t2t_mm_datagen.main(told) == 0
    assert "built from birds; kept for trees" in capsys.readouterr().out
    assert t2t_mm_datagen.main([*program, "--problems=birds-trees"]) == 0
    assert capsys.readouterr().out.count("nothing to do") == 2


def test_the_problem_class_of_the_documentation(tmp_path, capsys):
    text = DOCS.read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(# my_problems/__init__.py\n.*?)```", text, re.S)
    assert code.count("\n") < 30
    (tmp_path / "my_problems").mkdir()
    (tmp_path / "my_problems" / "__init__.py").write_text(code)
    (tmp_path / "subtitles").mkdir()
    lines = [f"question {number}\nanswer {number}\n" for number in range(30)]
    for split, given in (("train", lines), ("dev", [*lines[:3], "alone\n\n"])):
        (tmp_path / "subtitles" / f"{split}.txt").write_text("".join(given))
    program = [
        f"--t2t_usr_dir={tmp_path / 'my_problems'}",
        "--problems=answer_of_subtitles",
        f"--tmp_dir={tmp_path}",
        f"--data_dir={tmp_path / 'data'}",
        "--num_concurrent_processes=1",
    ]
    assert t2t_mm_datagen.main(program) == 2
    assert "dev.txt, pair 4: a line is empty" in capsys.readouterr().err
    assert t2t_mm_datagen.main([*program, "--skip_bad_examples=1"]) == 0
    printed = capsys.readouterr().out
    assert "answer_of_subtitles train: 30 examples" in printed
    assert "answer_of_subtitles dev: 3 examples" in printed
