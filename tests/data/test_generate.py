"""Generation: once, whole or not at all, the same for the same seed."""

import collections
import json

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import manifest
from t2t_multimodel.data.generate import generate
from t2t_multimodel.data.text_encoder import SubwordTextEncoder
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems import make_problems
from t2t_multimodel.problems.problem import ReversedProblem


def run(problems, data_dir, **kwargs):
    """Generates in this process and returns what was said."""
    said = []
    arguments = {"num_processes": 1, "seed": 7} | kwargs
    generate(problems, data_dir, data_dir / "tmp", say=said.append, **arguments)
    return said


def files(data_dir):
    return {p.name: p.read_bytes() for p in data_dir.iterdir() if p.is_file()}


def records_of(data_dir, pattern):
    paths = sorted(str(path) for path in data_dir.glob(pattern))
    return [list(tf.data.TFRecordDataset(path).as_numpy_iterator()) for path in paths]


def test_names_and_manifest(generated):
    _, data_dir = generated()
    assert set(files(data_dir)) == {
        "toy-train-00000-of-00003",
        "toy-train-00001-of-00003",
        "toy-train-00002-of-00003",
        "toy-dev-00000-of-00001",
        "toy.train.index.npz",
        "toy.dev.index.npz",
        "toy.manifest.json",
        "vocab.toy.60",
        "vocab.toy.60.json",
    }
    written = manifest.read(data_dir, "toy")
    assert written["complete"] is True
    assert written["splits"]["train"]["examples"] == 40
    assert written["features"]["targets"]["vocabulary"] == {
        "name": "toy",
        "target_size": 60,
    }
    assert written["vocabularies"].keys() == {"vocab.toy.60"}


def test_examples_are_dealt_in_turn_and_shuffled_within_a_shard(generated):
    problem, data_dir = generated("bytes", "bytes")
    shards = records_of(data_dir, "toy-train-*")
    assert [len(shard) for shard in shards] == [14, 13, 13]
    examples = list(problem.examples("train", tmp_dir=None, seed=429459))
    texts = [
        [
            bytes(
                value - 2
                for value in tf.train.Example.FromString(record)
                .features.feature["inputs"]
                .int64_list.value[:-1]
            ).decode()
            for record in shard
        ]
        for shard in shards
    ]
    for index, shard in enumerate(texts):
        dealt = [example["inputs"] for example in examples[index::3]]
        assert collections.Counter(shard) == collections.Counter(dealt)
        assert shard != dealt


def test_dev_keeps_its_order(generated):
    problem, data_dir = generated("bytes", "label")
    [shard] = records_of(data_dir, "toy-dev-*")
    labels = [
        tf.train.Example.FromString(r).features.feature["targets"].int64_list.value[0]
        for r in shard
    ]
    examples = problem.examples("dev", tmp_dir=None, seed=429459)
    assert labels == [example["targets"] for example in examples]


def test_the_same_seed_writes_the_same_bytes(toy, tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        run([toy("spectrogram", "tokens")], tmp_path / folder, seed=seed)
    first, again, other = (files(tmp_path / folder) for folder in "abc")
    assert first == again
    assert first["toy-train-00000-of-00003"] != other["toy-train-00000-of-00003"]


def test_complete_data_is_left_alone(toy, tmp_path):
    run([toy()], tmp_path)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*-of-*")}
    said = run([toy()], tmp_path)
    assert said == [f"toy: complete in {tmp_path}, nothing to do"]
    assert before == {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*-of-*")}


@pytest.mark.parametrize("change", ["seed", "max_cases", "features", "vocabulary"])
def test_data_that_was_made_otherwise_is_made_again(toy, tmp_path, change):
    run([toy()], tmp_path)
    problem, arguments = toy(), {}
    match change:
        case "features":
            problem = toy("bytes", "bytes")
        case "vocabulary":
            encoder = SubwordTextEncoder.build({"other": 9, "one": 3}, 1)
            encoder.save(tmp_path / "vocab.toy.60")
        case _:
            arguments = {change: 5}
    said = run([problem], tmp_path, **arguments)
    assert "nothing to do" not in " ".join(said)
    manifest.check_ready([problem], tmp_path)


def test_data_is_kept_when_its_sources_are_gone_and_made_again_when_they_differ(
    toy, tmp_path
):
    problem = toy("bytes", "bytes")
    states = {"old": "1 file", "gone": "", "new": "2 files"}
    written = {}
    for time, state in states.items():
        problem.source_state = lambda tmp_dir, state=state: state
        again = "nothing to do" not in run([problem], tmp_path)[-1]
        written[time] = again, manifest.read(tmp_path, "toy")["source_state"]
    assert written == {
        "old": (True, "1 file"),
        "gone": (False, "1 file"),
        "new": (True, "2 files"),
    }


def test_problems_that_share_data_are_written_once(toy, tmp_path):
    base = toy()
    turned = ReversedProblem(base)
    turned.name = "toy_rev"
    said = run([turned, base], tmp_path)
    assert sum(line.startswith("toy train:") for line in said) == 1
    manifest.check_ready([base, turned], tmp_path)


def test_one_vocabulary_for_all_who_name_it(toy, tmp_path):
    first, second = toy(name="toy_a"), toy("tokens", "label", name="toy_b")
    run([first, second], tmp_path)
    assert len(list(tmp_path.glob("vocab.*.60"))) == 1
    digests = [
        manifest.read(tmp_path, name)["vocabularies"] for name in ("toy_a", "toy_b")
    ]
    assert digests[0] == digests[1]


class Breaks(Exception):
    """Stands for a power cut."""


def breaking(problem, split, after):
    whole = problem.examples

    def examples(asked, **kwargs):
        for number, example in enumerate(whole(asked, **kwargs)):
            if asked == split and number == after:
                raise Breaks
            yield example

    problem.examples = examples
    return problem


def test_a_broken_run_leaves_no_half_file_and_goes_on(toy, tmp_path):
    run([toy()], tmp_path / "whole")
    broken = tmp_path / "broken"
    problem = toy()
    with pytest.raises(Breaks):
        run([breaking(problem, "dev", 3)], broken)
    assert len(list(broken.glob("toy-train-*"))) == 3
    assert not list(broken.glob("toy-dev-*"))
    with pytest.raises(UserError, match="was not made to the end; continue with"):
        manifest.check_ready([toy()], broken)
    kept = {p.name: p.stat().st_mtime_ns for p in broken.glob("toy-train-*")}
    run([toy()], broken)
    assert kept == {p.name: p.stat().st_mtime_ns for p in broken.glob("toy-train-*")}
    assert not list(broken.glob("unfinished.*"))
    manifest.check_ready([toy()], broken)


def test_only_the_missing_shards_are_written(toy, tmp_path):
    run([toy()], tmp_path)
    before = files(tmp_path)
    (tmp_path / "toy-train-00001-of-00003").unlink()
    damaged = tmp_path / "toy-train-00002-of-00003"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    kept = (tmp_path / "toy-train-00000-of-00003").stat().st_mtime_ns
    run([toy()], tmp_path)
    assert files(tmp_path) == before
    assert (tmp_path / "toy-train-00000-of-00003").stat().st_mtime_ns == kept


def test_another_seed_does_not_go_on_with_a_broken_run(toy, tmp_path):
    with pytest.raises(Breaks):
        run([breaking(toy("bytes", "bytes"), "dev", 3)], tmp_path, seed=1)
    run([toy("bytes", "bytes")], tmp_path, seed=2)
    run([toy("bytes", "bytes")], tmp_path / "whole", seed=2)
    assert files(tmp_path) == files(tmp_path / "whole")


def test_max_cases(toy, tmp_path):
    run([toy()], tmp_path, max_cases=5)
    splits = manifest.read(tmp_path, "toy")["splits"]
    assert {name: split["examples"] for name, split in splits.items()} == {
        "train": 5,
        "dev": 5,
    }


def test_shards_of_others_are_not_written_over(toy, tmp_path):
    (tmp_path / "toy-train-00000-of-00001").write_bytes(b"")
    with pytest.raises(UserError, match="that this program did not write"):
        run([toy()], tmp_path)


def test_a_wrong_example_is_told_with_its_number(toy, tmp_path):
    problem = toy("label", "bytes")
    problem.examples = lambda split, **kwargs: iter(
        [{"inputs": 0, "targets": "x"}, {"inputs": 9, "targets": "x"}]
    )
    with pytest.raises(
        UserError, match="train example 1: problem 'toy', inputs: class"
    ):
        run([problem], tmp_path)


def test_an_empty_split_is_told(toy, tmp_path):
    problem = toy("label", "bytes")
    problem.examples = lambda split, **kwargs: iter(())
    for _ in range(2):
        with pytest.raises(UserError, match="'toy' has no train examples; leave train"):
            run([problem], tmp_path)


def test_several_processes_write_what_one_writes(tmp_path):
    problems = make_problems("parsing_mini_tokens-translate_ende_mini")
    for folder, processes in (("one", 1), ("two", 2)):
        run(problems, tmp_path / folder, num_processes=processes, max_cases=6)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_the_index_says_where_the_records_are(generated):
    from t2t_multimodel.data import shard_index

    problem, data_dir = generated("spectrogram", "tokens")
    saved = shard_index.load_index(problem, data_dir, "train")
    (data_dir / "toy.train.index.npz").write_bytes(b"broken")
    made = shard_index.load_index(problem, data_dir, "train")
    for field in ("offsets", "counts", "inputs_length", "targets_length"):
        np.testing.assert_array_equal(getattr(saved, field), getattr(made, field))
    record = records_of(data_dir, "toy-train-*")[1][2]
    fields = tf.train.Example.FromString(record).features.feature
    number = saved.counts[0] + 2
    assert (
        saved.inputs_length[number]
        == (fields["audio/sample_count"].int64_list.value[0])
    )
    assert saved.targets_length[number] == len(fields["targets"].int64_list.value)


def test_manifests_are_json_of_sorted_keys(generated):
    _, data_dir = generated()
    text = (data_dir / "toy.manifest.json").read_text()
    assert list(json.loads(text)) == sorted(json.loads(text))
