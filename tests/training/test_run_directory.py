"""What a run writes can be read back, and another run is not mistaken for it."""

import dataclasses
import json
import subprocess
import sys

import pytest

from t2t_multimodel.data.feature_json import feature_from_json, feature_to_json
from t2t_multimodel.data.features import (
    BYTES,
    Audio,
    ClassLabel,
    Image,
    Text,
    Vocabulary,
)
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.text_encoder import SubwordTextEncoder, count_tokens
from t2t_multimodel.errors import UserError
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.problems.problem import Problem, ReversedProblem
from t2t_multimodel.training.run_directory import (
    check_same_run,
    read_run,
    write_run,
)

WORDS = Vocabulary("words", 40)
ENGLISH = Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=WORDS)
GERMAN = Text(space=SpaceId.GERMAN_CHARACTERS, vocabulary=BYTES)
FEATURES = [
    ENGLISH,
    GERMAN,
    Image(height_px=12, width_px=8, channels=1),
    Audio(form="spectrogram", sample_rate_hz=8000, num_bins=20),
    Audio(form="waveform"),
    ClassLabel(names=("Übermut", "b\nc", "")),
]


class Translate(Problem):
    """For tests."""

    inputs, targets = ENGLISH, GERMAN
    loss_multiplier = 1.5
    batch_size_multiplier = 3
    num_shards = {"train": 2, "dev": 1, "test": 1}
    source = "nowhere"

    def examples(self, split, *, tmp_dir, seed):
        yield {"inputs": "a", "targets": "b"}


class Look(Translate):
    """For tests."""

    inputs, targets = Image(height_px=8, width_px=8), ClassLabel(names=("red", "blue"))


def named(problem, name):
    problem.name = name
    return problem


def translation():
    return named(Translate(), "translate_test")


def problems():
    base = translation()
    return [
        base,
        named(ReversedProblem(base), "translate_test_rev"),
        named(Look(), "look_test"),
    ]


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    counts = count_tokens(["the cat sat on the mat", "a cat, a mat"])
    SubwordTextEncoder.build(counts, 1).save(folder / WORDS.file_name)
    return folder


@pytest.fixture
def hparams():
    return make_hparams("multimodel_tiny", "moe_k=3,dropout=0.25")


@pytest.fixture
def written(tmp_path, data_dir, hparams):
    output_dir = tmp_path / "deep" / "run"
    write_run(output_dir, problems(), hparams, data_dir=data_dir)
    return output_dir


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f.kind)
def test_features_come_back_from_json(feature):
    text = json.dumps(feature_to_json(feature))
    assert feature_from_json(json.loads(text), "here") == feature


@pytest.mark.parametrize(
    "described,message",
    [
        ({"kind": "txt"}, "here: no kind of feature named 'txt'; did you mean 'text'"),
        ({}, "no kind of feature named 'None'"),
        ([1], "here must be a JSON object, got"),
        ({"kind": "image", "height_px": 3}, "does not describe a feature.*width_px"),
        ({"kind": "text", "space": "KLINGON"}, "does not describe a feature.*KLINGON"),
        ({"kind": "audio", "form": "midi"}, "must be 'spectrogram' or 'waveform'"),
    ],
)
def test_what_is_no_feature_is_refused(described, message):
    with pytest.raises(UserError, match=message):
        feature_from_json(described, "here")


def test_a_run_comes_back_whole(written, data_dir, hparams):
    run = read_run(written)
    assert run.hparams == hparams
    assert run.data_dir == data_dir
    assert set(run.encoders) == {"words", "bytes"}
    assert run.encoders["words"].decode(run.encoders["words"].encode("a cat")) == (
        "a cat"
    )
    for stored, given in zip(run.problems, problems(), strict=True):
        for field in (
            "name inputs targets loss_multiplier batch_size_multiplier num_shards "
            "data_name is_reversed metrics decode_metrics source"
        ).split():
            assert getattr(stored, field) == getattr(given, field), field
    specs = {spec.name: spec for spec in run.specs()}
    assert specs["translate_test"].vocab_size(GERMAN) == 258
    assert specs["look_test"].is_classification


def test_a_run_does_not_need_its_data_folder(written, data_dir):
    for file in data_dir.iterdir():
        file.unlink()
    data_dir.rmdir()
    assert read_run(written).encoders["words"].vocab_size > 2


def test_stored_problems_have_no_examples(written):
    problem = read_run(written).problem("look_test")
    with pytest.raises(UserError, match="read back from a run"):
        problem.examples("train", tmp_dir=written, seed=0)


def test_an_unknown_problem_is_answered_with_the_nearest(written):
    with pytest.raises(UserError, match="did you mean 'look_test'"):
        read_run(written).problem("lok_test")


def test_the_data_seed_is_the_manifest_s(tmp_path, data_dir, hparams):
    manifest = {"format_version": 1, "problem": "translate_test", "seed": 17}
    (data_dir / "translate_test.manifest.json").write_text(json.dumps(manifest))
    write_run(tmp_path / "run", problems(), hparams, data_dir=data_dir)
    seeds = [problem.data_seed for problem in read_run(tmp_path / "run").problems]
    assert seeds == [17, 17, None]


def test_no_half_written_file_remains(written):
    assert sorted(path.name for path in written.iterdir()) == [
        "hparams.json",
        "problems.json",
        "vocab.words.40",
    ]


def test_writing_again_replaces(written, data_dir, hparams):
    write_run(written, problems()[:1], hparams, data_dir=data_dir)
    assert [p.name for p in read_run(written).problems] == ["translate_test"]


def test_a_missing_vocabulary_is_told(tmp_path, data_dir, hparams):
    (data_dir / WORDS.file_name).unlink()
    with pytest.raises(UserError, match="no vocabulary .*vocab.words.40"):
        write_run(tmp_path / "run", problems(), hparams, data_dir=data_dir)
    assert not (tmp_path / "run").exists()


def test_two_sizes_of_one_vocabulary_are_refused(tmp_path, data_dir, hparams):
    other = translation()
    other.name = "other"
    other.inputs = dataclasses.replace(ENGLISH, vocabulary=Vocabulary("words", 0))
    with pytest.raises(UserError, match="two sizes of vocabulary 'words'.*40 and 0"):
        write_run(tmp_path / "run", [translation(), other], hparams, data_dir=data_dir)


def test_a_folder_without_a_run_says_so(tmp_path):
    with pytest.raises(UserError, match="holds no run.*t2t-mm-trainer"):
        read_run(tmp_path)


BROKEN = {
    "not JSON": (lambda c: c.write_text("{"), "problems.json is not JSON"),
    "a list": (lambda c: c.write_text("[]"), "has format version None"),
    "a later version": (
        lambda c: change(c, lambda j: j.update(format_version=9)),
        "has format version 9, this program reads 1",
    ),
    "without problems": (
        lambda c: change(c, lambda j: j.pop("problems")),
        "has no 'problems'",
    ),
    "a problem without name": (
        lambda c: change(c, lambda j: j["problems"][0].pop("name")),
        "field 'name' of a problem is None",
    ),
    "a problem without inputs": (
        lambda c: change(c, lambda j: j["problems"][0].pop("inputs")),
        "the inputs of translate_test must be a JSON object, got None",
    ),
    "without vocabularies": (
        lambda c: change(c, lambda j: j["vocabularies"].clear()),
        "translate_test needs vocabulary 'words', which the file does not list",
    ),
    "no hparams": (
        lambda c: (c.parent / "hparams.json").unlink(),
        "hparams.json is missing",
    ),
    "broken hparams": (
        lambda c: (c.parent / "hparams.json").write_text("x"),
        "hparams.json is not JSON",
    ),
    "no vocabulary": (
        lambda c: (c.parent / "vocab.words.40").unlink(),
        "vocab.words.40 is missing; copy it from the run's data folder",
    ),
    "another vocabulary": (
        lambda c: (c.parent / "vocab.words.40").write_text("'x_'\n"),
        "vocab.words.40 is not the one the run was trained with",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_told(written, name):
    break_it, message = BROKEN[name]
    break_it(written / "problems.json")
    with pytest.raises(UserError, match=message):
        read_run(written)


def test_the_same_run_may_go_on(written, tmp_path, data_dir, hparams):
    assert check_same_run(written, problems(), hparams, data_dir=data_dir)
    moved = data_dir.rename(tmp_path / "moved")
    assert check_same_run(written, problems(), hparams, data_dir=moved)
    assert not check_same_run(tmp_path / "new", problems(), hparams, data_dir=moved)


def reversed_order():
    return problems()[::-1]


def other_loss():
    changed = problems()
    changed[0].loss_multiplier = 2.0
    return changed


def more_classes():
    changed = problems()
    changed[2].targets = ClassLabel(names=("red", "blue", "green"))
    return changed


@pytest.mark.parametrize(
    "changed,message",
    [
        (
            reversed_order,
            "problems: translate_test-translate_test_rev-look_test -> "
            "look_test-translate_test_rev-translate_test",
        ),
        (other_loss, "loss_multiplier of translate_test: 1.5 -> 2.0"),
        (more_classes, 'targets of look_test: .*"blue".* -> .*"green"'),
    ],
)
def test_other_problems_are_refused(written, data_dir, hparams, changed, message):
    with pytest.raises(UserError, match=message) as error:
        check_same_run(written, changed(), hparams, data_dir=data_dir)
    assert "give another --output_dir" in str(error.value)
    assert "\n" not in str(error.value)


def test_other_hparams_are_refused(written, data_dir, hparams):
    changed = hparams.override("dropout=0.5,moe_k=2")
    message = "dropout: 0.25 -> 0.5, moe_k: 3 -> 2|moe_k: 3 -> 2, dropout: 0.25 -> 0.5"
    with pytest.raises(UserError, match=message):
        check_same_run(written, problems(), changed, data_dir=data_dir)


def test_another_vocabulary_is_refused(written, data_dir, hparams):
    counts = count_tokens(["quite other words"])
    SubwordTextEncoder.build(counts, 1).save(data_dir / WORDS.file_name)
    with pytest.raises(UserError, match="the sub-words of vocabulary 'words' have"):
        check_same_run(written, problems(), hparams, data_dir=data_dir)


def test_reading_a_run_loads_no_tensorflow():
    code = (
        "import sys, t2t_multimodel.training.run_directory;"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
