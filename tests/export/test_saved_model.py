"""Exports answer as the decoder does, hold what is needed, and appear whole."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.decoder import load_decoder
from t2t_multimodel.errors import UserError
from t2t_multimodel.export.saved_model import export_run
from tests.decoding import tiny_run
from tests.export.requests import raw_inputs, tensors, waves

PROBLEMS = {problem.name: problem for problem in tiny_run.problems()}


def answers(loaded, problem, raw):
    return {
        name: value.numpy()
        for name, value in loaded.signatures[problem.name](
            **tensors(problem, raw)
        ).items()
    }


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.parametrize("is_alone", [False, True], ids=["padded", "alone"])
def test_answers_are_the_decoders(loaded, decoder, problem, is_alone):
    raw = raw_inputs(problem)
    expected = decoder.decode(problem.name, raw)
    batches = [[one] for one in raw] if is_alone else [raw]
    got = [answers(loaded, problem, batch) for batch in batches]
    if problem.targets.kind != "class_label":
        texts = [text.decode() for rows in got for text in rows["outputs"]]
        assert texts == [result.text for result in expected]
        np.testing.assert_allclose(
            np.concatenate([rows["scores"] for rows in got]),
            [result.outputs[0].score for result in expected],
            rtol=1e-4,
        )
        return
    labels = np.concatenate([rows["labels"] for rows in got])
    classes = np.concatenate([rows["classes"] for rows in got])
    probabilities = np.concatenate([rows["probabilities"] for rows in got])
    for row, result in enumerate(expected):
        assert [label.decode() for label in labels[row]] == [
            scored.name for scored in result.classes
        ]
        assert classes[row].tolist() == [scored.index for scored in result.classes]
        np.testing.assert_allclose(
            probabilities[row],
            [scored.probability for scored in result.classes],
            rtol=1e-5,
        )


def test_all_beams_come_out_if_asked_for(run, tmp_path):
    hparams = DecodeHParams(beam_size=3, alpha=0.8, return_beams=True, extra_length=2)
    name, problem = "parse_tiny", PROBLEMS["parse_tiny"]
    exported = export_run(run, tmp_path, problem_names=[name], hparams=hparams)
    got = answers(tf.saved_model.load(str(exported.path)), problem, raw_inputs(problem))
    decoder, _ = load_decoder(run, problem_names=[name], hparams=hparams)
    assert got["outputs"].shape == got["scores"].shape == (len(raw_inputs(problem)), 3)
    results = decoder.decode(name, raw_inputs(problem))
    rows = zip(got["outputs"], got["scores"], results, strict=True)
    for texts, scores, result in rows:
        count = len(result.outputs)  # what was not found is an empty text here
        expected = [output.text.encode() for output in result.outputs]
        assert texts.tolist() == expected + [b""] * (3 - count)
        expected = [output.score for output in result.outputs]
        np.testing.assert_allclose(scores[:count], expected, rtol=1e-4)
        assert (scores[count:] == -1e7).all()


def test_the_first_problem_is_served_by_default(loaded):
    texts = tf.constant(["the red cat", "a dog"])
    given = loaded.signatures["translate_tiny"](text=texts)
    default = loaded.signatures["serving_default"](text=texts)
    assert default["outputs"].numpy().tolist() == given["outputs"].numpy().tolist()


def test_signatures_say_what_they_take(loaded):
    assert set(loaded.signatures) == {*PROBLEMS, "serving_default"}
    kinds = {"text": {"text": "string"}, "image": {"image": "string"}}
    kinds["audio"] = {"waveform": "float32", "num_samples": "int32"}
    for name, problem in PROBLEMS.items():
        _, taken = loaded.signatures[name].structured_input_signature
        got = {name: spec.dtype.name for name, spec in taken.items()}
        assert got == kinds[problem.inputs.kind]


def test_the_assets_tell_what_was_exported(exported, loaded):
    path = exported.path / "assets" / "export.json"
    assert tf.io.read_file(loaded.description.asset_path) == path.read_bytes()
    described = json.loads(path.read_text(encoding="utf-8"))
    assert described["step"] == exported.step == 7
    assert described["serving_default"] == "translate_tiny"
    assert described["decode_hparams"]["extra_length"] == 3
    assert [problem["name"] for problem in described["problems"]] == list(PROBLEMS)
    targets = {p["name"]: p["targets"] for p in described["problems"]}
    assert targets["look_tiny"]["names"] == list(tiny_run.COLOURS)
    assert str(exported.path.parent) not in path.read_text(encoding="utf-8")


def test_wrong_inputs_are_refused(loaded):
    listen, look = loaded.signatures["listen_tiny"], loaded.signatures["look_tiny"]
    wave = tf.constant(waves()[0][None])
    for length, message in ((1701, "num_samples is larger"), (0, "at least one samp")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            listen(waveform=wave, num_samples=tf.constant([length]))
    with pytest.raises(tf.errors.InvalidArgumentError):
        look(image=tf.constant([b"\x89PNG\r\n\x1a\nbroken"]))


def stored_elements(path):
    """Returns the number of numbers in the stored weights."""
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map()
    assert not any("optimizer" in name for name in shapes)
    return sum(
        int(np.prod(shape))
        for name, shape in shapes.items()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    )


def test_weights_stand_once_and_only_those_that_are_read(run, exported, tmp_path):
    assert 4 * stored_elements(exported.path) == exported.num_weight_bytes
    looks = export_run(run, tmp_path, problem_names=["look_tiny"])
    assert 4 * stored_elements(looks.path) == looks.num_weight_bytes
    assert looks.num_weight_bytes < exported.num_weight_bytes / 2
    described = json.loads((looks.path / "assets" / "export.json").read_text())
    assert [problem["name"] for problem in described["problems"]] == ["look_tiny"]
    assert set(tf.saved_model.load(str(looks.path)).signatures) == {
        "look_tiny",
        "serving_default",
    }


@pytest.fixture
def quick(run, monkeypatch):
    """Returns `export_run` with functions of no size, for what is about folders."""

    def signatures(model, problems, encoders, hparams):
        function = tf.function(lambda text: {"outputs": text})
        spec = tf.TensorSpec([None], tf.string, "text")
        return {problems[0].name: function.get_concrete_function(text=spec)}

    module = "t2t_multimodel.export.saved_model"
    monkeypatch.setattr(f"{module}.make_signatures", signatures)
    return lambda export_dir, **more: export_run(
        run, export_dir, problem_names=["look_tiny"], **more
    )


def test_versions_rise(quick, tmp_path):
    export_dir = tmp_path / "not" / "there"
    assert quick(export_dir).path == export_dir / "1"
    (export_dir / "notes").mkdir()
    (export_dir / "7").mkdir()
    assert quick(export_dir).path == export_dir / "8"
    assert {path.name for path in export_dir.iterdir()} == {"1", "7", "8", "notes"}
    mode = (export_dir / "8").stat().st_mode
    assert mode == (export_dir / "7").stat().st_mode  # others may read it


@pytest.mark.parametrize(
    "error,raised",
    [
        (OSError(28, "No space left on device"), UserError),
        (tf.errors.ResourceExhaustedError(None, None, "disk is full"), UserError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_what_fails_leaves_nothing_behind(quick, tmp_path, monkeypatch, error, raised):
    def save(module, folder, **kwargs):
        with open(os.path.join(folder, "saved_model.pb"), "w") as file:
            file.write("half")
        raise error

    monkeypatch.setattr(tf.saved_model, "save", save)
    with pytest.raises(raised) as caught:
        quick(tmp_path)
    if raised is UserError:
        assert str(caught.value).startswith(f"cannot export to {tmp_path}: ")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_none_are_refused_at_once(quick, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "below" / "it"):
        with pytest.raises(UserError, match=f"{file} is not a folder"):
            quick(path, checkpoint_path="no matter")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match=f"no permission to write in {tmp_path}"):
        quick(tmp_path / "exports", checkpoint_path="no matter")


def test_unknown_problems_and_checkpoints_are_refused(run, tmp_path):
    with pytest.raises(UserError, match="did you mean 'look_tiny'"):
        export_run(run, tmp_path / "a", problem_names=["lok_tiny"])
    with pytest.raises(UserError, match="no checkpoint .*; steps there are: none"):
        export_run(run, tmp_path / "a", checkpoint_path=tmp_path / "model.ckpt-9")
    assert list(tmp_path.iterdir()) == []
