"""Splits are decoded from their shards, scored, and set beside a constant answer."""

import pytest

from t2t_multimodel.decoding.decoder import Decoder, Result, load_decoder
from t2t_multimodel.decoding.scoring import Scorer
from t2t_multimodel.decoding.split import decode_split
from t2t_multimodel.errors import UserError
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.training.decode_metrics import bleu, wer
from tests.decoding import tiny_run


@pytest.fixture
def scorer(run, decoder):
    return Scorer(decoder, run.data_dir)


def raw(problem, side):
    examples = problem.examples("test", tmp_dir=None, seed=1)
    return [example[side] for example in examples]


@pytest.mark.parametrize("problem", tiny_run.problems(), ids=lambda p: p.name)
def test_a_split_decodes_as_its_raw_inputs_do(run, decoder, problem):
    decoded = decode_split(decoder, problem.name, run.data_dir, "test")
    expected = decoder.decode(problem.name, raw(problem, "inputs"))
    assert [r.text for r in decoded.results] == [r.text for r in expected]
    wanted = raw(problem, "targets")
    if problem.targets.kind == "class_label":
        assert decoded.labels == wanted
        wanted = [tiny_run.COLOURS[label] for label in wanted]
    assert decoded.targets == wanted
    if problem.inputs.kind == "text":
        assert decoded.inputs == raw(problem, "inputs")
    else:
        assert decoded.inputs[1] == f"{problem.name} test example 1"


def test_a_picture_with_two_captions_is_decoded_once(run, decoder, decoded_rows):
    decoded = decode_split(decoder, "caption_tiny", run.data_dir, "test")
    assert decoded.groups == [0, 0, 1, 1, 2]
    assert len(decoded_rows) == 3
    assert decoded.results[0] == decoded.results[1]


def test_windows_go_on_where_the_last_ended(run, decoder, monkeypatch):
    whole = decode_split(decoder, "caption_tiny", run.data_dir, "test")
    seen = []
    monkeypatch.setattr("t2t_multimodel.decoding.split._BATCHES_SORTED_TOGETHER", 1)
    parts = decode_split(
        decoder, "caption_tiny", run.data_dir, "test", progress=seen.append
    )
    assert seen == [2, 2, 1]
    assert parts.groups == whole.groups
    assert [r.text for r in parts.results] == [r.text for r in whole.results]


def test_fewer_examples_may_be_decoded(run, decoder):
    decoded = decode_split(
        decoder, "translate_tiny", run.data_dir, "test", max_examples=3
    )
    assert len(decoded.results) == len(decoded.targets) == 3
    with pytest.raises(UserError, match="--eval_examples=-1 must not be negative"):
        decode_split(decoder, "look_tiny", run.data_dir, "test", max_examples=-1)


def test_each_kind_of_problem_has_its_metrics(scorer):
    names = {
        problem.name: [m.name for m in scorer.score(problem.name, "test").metrics]
        for problem in tiny_run.problems()
    }
    assert names == {
        "translate_tiny": ["bleu"],
        "caption_tiny": ["bleu", "bleu_1ref"],
        "look_tiny": ["top1", "top5"],
        "listen_tiny": ["wer"],
        "parse_tiny": ["correct_trees", "bracketing_f1"],
    }


def test_captions_of_a_picture_are_references_of_one_output(scorer):
    scored = scorer.score("caption_tiny", "test")
    texts = [result.text for result in scored.decoded.results]
    several, alone = (metric.score for metric in scored.metrics)
    sentences = tiny_run.SENTENCES
    references = [sentences[0:2], sentences[1:3], sentences[2:3]]
    assert several == bleu([texts[0], texts[2], texts[4]], references)
    assert alone == bleu(texts, scored.decoded.targets)
    assert (several.num_examples, alone.num_examples) == (3, 5)


def test_scores_stand_beside_those_of_a_constant_answer(scorer):
    values = scorer.score("look_tiny", "test").values()
    assert values["top1_baseline"] == 0.5  # two of four are white
    assert values["top5_baseline"] == 1.0
    scored = scorer.score("listen_tiny", "test")
    targets = scored.decoded.targets
    constant = [wer([text] * len(targets), targets).value for text in targets]
    assert scored.values()["wer_baseline"] == pytest.approx(min(constant))


def test_perfect_outputs_score_perfectly(scorer, decoder, monkeypatch):
    targets = iter(tiny_run.SENTENCES)
    monkeypatch.setattr(
        Decoder,
        "decode_prepared",
        lambda self, problem, prepared, **_: [
            Result(" ".join(next(targets).split()[::-1])) for _ in prepared
        ],
    )
    assert scorer.score("translate_tiny", "test").values()["bleu"] == pytest.approx(100)


def test_trees_are_scored_and_shown_as_legal_ones(scorer, monkeypatch):
    monkeypatch.setattr(  # of NP DT NN /NP the closing tag is lost
        Decoder,
        "decode_prepared",
        lambda self, problem, prepared, **_: [Result("NP DT NN") for _ in prepared],
    )
    scored = scorer.score("parse_tiny", "test")
    values = scored.values()
    assert (values["correct_trees"], values["bracketing_f1"]) == (0, 1)
    # The only training target is the right answer.
    assert (values["correct_trees_baseline"], values["bracketing_f1_baseline"]) == (
        1,
        1,
    )
    lines = scored.report(num_shown=1)
    assert lines[2].split()[:2] == ["bracketing_f1", "100.00%"]
    assert "precision:100.00%|recall:100.00%|tagging:100.00%|left_out:0" in lines[2]
    assert lines[3:] == [
        "    input   the cat",
        "    target  (TOP (NP (DT the) (NN cat)))",
        "    output  (TOP (NP (DT the) (NN cat)))",
    ]


def test_without_training_shards_the_baseline_is_unknown(tmp_path):
    run = tiny_run.write_tiny_run(tmp_path)
    (run.data_dir / "look_tiny-train-00000-of-00001").unlink()
    decoder, _ = load_decoder(run, problem_names=["look_tiny"])
    scored = Scorer(decoder, run.data_dir).score("look_tiny", "test")
    assert set(scored.values()) == {"top1", "top5"}
    assert "one constant answer  unknown" in scored.report()[1]


def test_the_report_has_scores_settings_and_examples(scorer):
    scored = scorer.score("translate_tiny", "test")
    lines = scored.report(num_shown=2)
    assert lines[0].startswith("translate_tiny, test: 5 examples in ")
    assert lines[0].endswith("symbols a second")
    assert lines[1].split()[:2] == ["bleu", f"{scored.values()['bleu']:.2f}"]
    assert "one constant answer" in lines[1]
    assert "nrefs:1|case:mixed" in lines[1]
    assert lines[2:5] == [
        "    input   the red cat sat on the mat",
        "    target  mat the on sat cat red the",
        f"    output  {scored.decoded.results[0].text}",
    ]
    assert len(lines) == 2 + 2 * 3
    top1 = scorer.score("look_tiny", "test").report()[1]
    assert "%" in top1 and "50.00%" in top1


def test_a_model_in_memory_is_scored_with_its_present_weights(run):
    model = make_model(run.specs(), run.hparams, seed=1)
    decoder = Decoder(model, run.problems, run.encoders)
    scorer = Scorer(decoder, run.data_dir)
    (bias,) = (w for w in model.weights if w.path.endswith("label_look_tiny/bias"))
    for label, share in ((3, 0.5), (0, 0.25), (1, 0.0)):
        bias.assign([1000.0 * (index == label) for index in range(6)])
        assert scorer.score("look_tiny", "test").values()["top1"] == share


def test_missing_data_and_unknown_metrics_are_told(scorer, decoder, monkeypatch):
    with pytest.raises(UserError, match="no dev data of problem 'look_tiny'"):
        scorer.score("look_tiny", "dev")
    with pytest.raises(UserError, match="did you mean 'look_tiny'"):
        scorer.score("lok_tiny", "test")
    problem = decoder.problem("look_tiny")
    monkeypatch.setattr(problem, "_decode_metrics", ("top_5",))
    with pytest.raises(UserError, match="no decode metric named 'top_5'"):
        scorer.score("look_tiny", "test")
