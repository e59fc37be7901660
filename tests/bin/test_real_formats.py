"""The paper's eight tasks, from real files in their own formats to joint training."""

import json
import shutil

import pytest

from t2t_multimodel.bin.t2t_mm_datagen import main as datagen
from t2t_multimodel.bin.t2t_mm_trainer import main as train
from t2t_multimodel.registry import PROBLEM_GROUPS
from tests.problems.pictures import SHARED, write
from tests.problems.test_real_pictures import coco_tree, imagenet_tree
from tests.problems.test_speech import write_an4_as_wsj

NUM_STEPS = 200
HPARAMS = "batch_size=512,learning_rate_cosine_cycle_steps=200"


def lay_out_translation(folder):
    """Multi30k to train with, newstest's SGML and plain text to test with."""
    multi30k, news = SHARED / "multi30k", SHARED / "newstest2014"
    tests = {
        "en-de": (
            news / "newstest2014-deen-src.en.sgm",
            "newstest2014-deen-ref.de.sgm",
        ),
        "en-fr": (
            news / "newstest2014-fren-src.en.sgm",
            "newstest2014-fren-ref.fr.sgm",
        ),
    }
    for pair, files in tests.items():
        target = folder / f"wmt_{pair.replace('-', '')}"
        for split, name in (("train", "train"), ("dev", "val")):
            for language in pair.split("-"):
                file = f"{name}.{language}.gz"
                write(target / split, {file: (multi30k / file).read_bytes()})
        for path in (files[0], news / files[1]):
            write(target / "test", {path.name: path.read_bytes()})


def lay_out_treebank(folder):
    """The treebank's sample as sections 02 to 23 of the whole."""
    files = sorted((SHARED / "penn_treebank_sample").glob("*.mrg"))
    for number, path in enumerate(files):
        section = folder / "treebank_3/parsed/mrg/wsj" / f"{2 + number % 22:02}"
        section.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, section / path.name)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no {SHARED}")
def test_the_eight_tasks_train_jointly_on_real_files_of_their_formats(tmp_path, capsys):
    sources, data, run = tmp_path / "sources", tmp_path / "data", tmp_path / "run"
    lay_out_translation(sources)
    lay_out_treebank(sources)
    imagenet_tree(
        sources / "imagenet", SHARED / "flowers", num_train=100, num_validation=10
    )
    write_an4_as_wsj(sources / "wsj", 292)
    coco_tree(sources / "coco", SHARED / "coco_captions")
    chosen = ["--problems=multimodel8", f"--data_dir={data}"]
    assert (
        datagen([*chosen, f"--tmp_dir={sources}", "--num_concurrent_processes=2"]) == 0
    )
    assert (
        train(
            [
                *chosen,
                f"--output_dir={run}",
                "--hparams_set=multimodel_mini",
                f"--hparams={HPARAMS}",
                f"--train_steps={NUM_STEPS}",
                "--eval_steps=4",
                "--local_eval_frequency=100",
            ]
        )
        == 0
    )
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    losses = {}
    for row in rows:
        if row["metric"] == "loss" and row["split"] == "train":
            losses.setdefault(row["problem"], []).append(row["value"])
    with capsys.disabled():
        for problem, values in losses.items():
            print(f"\n{problem}: {values[0]:.2f} -> {values[-1]:.2f}", end="")
    assert set(losses) == set(PROBLEM_GROUPS.get("multimodel8"))
    for problem, values in losses.items():
        assert values[-1] < 0.8 * values[0], problem
