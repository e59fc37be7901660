"""Hyperparameters are typed, checked, written and read."""

import dataclasses
import json

import pytest

from t2t_multimodel.errors import UserError
from t2t_multimodel.hparams import HParams, make_hparams
from t2t_multimodel.registry import HPARAMS_SETS

# What the paper gives as numbers.
PAPER_VALUES = {
    "hidden_size": 1024,
    "dropout": 0.4,
    "moe_num_experts": 240,
    "moe_k": 4,
    "num_heads": 8,
    "num_encoder_blocks": 6,
    "num_mixer_blocks": 2,
    "num_decoder_blocks": 4,
    "kernel_size": 3,
    "large_kernel_size": 15,
    "large_kernel_dilation": 8,
    "image_stem_filters": (32, 64),
    "image_filters": (128, 256),
    "audio_compression": 8,
    "audio_filter_multiplier": 1,
    "audio_spectral_bin_stride": 1,
    "problem_choice": "distributed",
    "timing": "interleaved",
}

BASES = (
    "multimodel_base",
    "multimodel_tiny",
    "multimodel_1p8",
    "multimodel_paper",
    "multimodel_paper_single",
    "multimodel_mini",
)


def test_the_paper_set_carries_the_papers_values():
    values = dataclasses.asdict(make_hparams("multimodel_paper"))
    assert {name: values[name] for name in PAPER_VALUES} == PAPER_VALUES
    assert values["categorical_filters"][1:] == (1536, 2048)


def test_the_single_problem_paper_set_differs_in_the_experts_only():
    joint, single = (make_hparams(f"multimodel_paper{s}") for s in ("", "_single"))
    assert joint.difference(single) == "moe_num_experts: 240 -> 60"


def test_tiny_really_has_ten_experts():
    # In T2T from v1.1.9 on, tiny set a name that nothing read, and had 30.
    assert make_hparams("multimodel_tiny").moe_num_experts == 10


@pytest.mark.parametrize("set_name", BASES)
def test_every_set_has_its_ablations(set_name):
    full = make_hparams(set_name)
    for part in ("moe", "attention"):
        ablated = make_hparams(f"{set_name}_no_{part}")
        assert full.difference(ablated) == f"use_{part}: True -> False"
        assert part in HPARAMS_SETS.describe(f"{set_name}_no_{part}")


def test_every_set_is_valid_and_described():
    for name in HPARAMS_SETS:
        assert isinstance(make_hparams(name), HParams)
        assert HPARAMS_SETS.describe(name)


@pytest.mark.parametrize(
    "text, name, value",
    [
        ("dropout=0.3", "dropout", 0.3),
        ("dropout=0", "dropout", 0.0),
        ("learning_rate=1e-3", "learning_rate", 1e-3),
        ("moe_k=4", "moe_k", 4),
        ("use_moe=False", "use_moe", False),
        ("use_moe=false", "use_moe", False),
        ("learning_rate_schedule=cosine", "learning_rate_schedule", "cosine"),
        ("learning_rate_schedule='cosine'", "learning_rate_schedule", "cosine"),
        ("image_filters=(8,16,32)", "image_filters", (8, 16, 32)),
        ("image_filters=8", "image_filters", (8,)),
        ("compute_dtype=bfloat16", "compute_dtype", "bfloat16"),
        ("", "dropout", 0.1),
    ],
)
def test_an_override_has_the_fields_type(text, name, value):
    got = getattr(make_hparams("multimodel_base", text), name)
    assert got == value and type(got) is type(value)


def test_several_overrides_change_a_copy():
    base = make_hparams("multimodel_base")
    changed = base.override("dropout=0.0, moe_k=4,image_filters=(8,),use_moe=true")
    assert (changed.dropout, changed.moe_k, changed.image_filters) == (0.0, 4, (8,))
    assert base == make_hparams("multimodel_base")
    with pytest.raises(dataclasses.FrozenInstanceError):
        base.dropout = 0.5


@pytest.mark.parametrize(
    "text, message",
    [
        ("moe_n=10", "no hyperparameter named 'moe_n'; did you mean"),
        ("moe_n1=10", "^T2T's moe_n1 is now moe_num_experts$"),
        ("norm_type=noam", "^T2T's norm_type is left out: it is layer norm"),
        ("zzz=1", "no hyperparameter named 'zzz'; known: attention_dilations, "),
        ("dropot=0.1", "did you mean 'dropout'"),
        ("moe_k=2.5", "moe_k takes int, got 2.5"),
        ("moe_k=True", "moe_k takes int, got True"),
        ("dropout=True", "dropout takes float, got True"),
        ("use_moe=1", "use_moe takes bool, got 1"),
        ("dropout=high", "dropout takes float, got 'high'"),
        ("learning_rate_schedule=noamm", "'noamm'; did you mean 'noam'"),
        ("problem_choice=(1,2)", "no value of problem_choice named"),
        ("image_filters=(8,-1)", r"image_filters takes positive whole numbers, got"),
        ("image_filters=(8,1.5)", r"takes positive whole numbers, got \(8, 1.5\)"),
        ("dropout", "'dropout' does not read as name=value"),
        ("dropout=", "'dropout=' does not read as name=value"),
        ("dropout=0.1)+(1", "does not read as name=value"),
        ("**{'dropout':1}", "does not read as name=value"),
        ("dropout=0.1,dropout=0.2", "gives dropout more than once"),
        ("dropout=1/2", "dropout=1 / 2 must be a number, a word or a tuple"),
        ("dropout=open('x')", "must be a number, a word or a tuple"),
        ("dropout=1.0", r"dropout=1.0 must be in \[0, 1\)"),
        ("attention_dropout=-0.1", r"attention_dropout=-0.1 must be in \[0, 1\)"),
        ("hidden_size=0", "hidden_size=0 must be positive"),
        ("learning_rate=-1", "learning_rate=-1.0 must be positive"),
        ("clip_grad_norm=-2", "clip_grad_norm=-2.0 must not be negative"),
        ("kernel_size=4", "kernel_size=4 must be odd"),
        ("audio_spectral_bin_stride=3", "=3 must be 1 .* or 2"),
        ("image_stem_filters=(8,8,8)", r"=\(8, 8, 8\) must hold 2 numbers"),
        ("categorical_filters=8", r"categorical_filters=\(8,\) must hold 3 numbers"),
        ("attention_dilations=(1,2,4)", r"=\(1, 2, 4\) must hold 2 numbers"),
        ("num_heads=7", "hidden_size=512 must be a multiple of num_heads=7"),
        ("moe_k=31", "moe_k=31 exceeds moe_num_experts=30"),
        ("encoder_moe_after=7", "encoder_moe_after=7 exceeds num_encoder_blocks=6"),
        ("decoder_moe_after=5", "decoder_moe_after=5 exceeds num_decoder_blocks=4"),
        ("max_length=4096", "max_length=4096 exceeds batch_size=2048 tokens"),
        ("timing=t2t_32,hidden_size=16", "t2t_32.* needs hidden_size"),
        ("compute_dtype=float16", "float16 is not offered: .*compute_dtype=bfloat16"),
        ("compute_dtype=bfloat", "did you mean 'bfloat16'"),
    ],
)
def test_a_bad_override_is_refused_with_the_reason(text, message):
    with pytest.raises(UserError, match=message):
        make_hparams("multimodel_base", text)


def test_what_is_switched_off_is_not_checked_against_the_rest():
    without = make_hparams("multimodel_base_no_moe", "moe_k=31,encoder_moe_after=7")
    assert not without.use_moe


def test_an_unknown_set_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'multimodel_tiny'"):
        make_hparams("multimodel_tyni")


def test_max_length_is_the_batch_size_unless_given():
    assert make_hparams("multimodel_base").max_length_tokens == 2048
    assert make_hparams("multimodel_base", "max_length=64").max_length_tokens == 64


@pytest.mark.parametrize("set_name", list(HPARAMS_SETS))
def test_json_round_trip_is_exact(set_name):
    hparams = make_hparams(set_name, "dropout=0.123456789012345")
    assert HParams.from_json(hparams.to_json()) == hparams


def test_json_is_flat_and_ends_with_a_line_break():
    text = make_hparams("multimodel_tiny").to_json()
    assert json.loads(text)["image_filters"] == [128, 256]
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "hparams.json is not JSON"),
        ("[1, 2]", "hparams.json must hold a JSON object .* got list"),
        ('{"moe_n1": 10}', "hparams.json: no hyperparameter named 'moe_n1'"),
        ('{"moe_k": 2.5}', "moe_k takes int, got 2.5"),
        ('{"timing": ["t2t_32"]}', "no value of timing named"),
        ('{"moe_k": 99}', "moe_k=99 exceeds"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(text, message):
    with pytest.raises(UserError, match=message):
        HParams.from_json(text)


def test_a_file_may_leave_defaults_out_and_they_come_back():
    assert HParams.from_json("{}") == HParams()


def test_difference_names_what_differs_in_both_values():
    base = make_hparams("multimodel_base")
    assert base.difference(base) == ""
    changed = base.override("moe_k=4,dropout=0.0")
    assert base.difference(changed) == "dropout: 0.1 -> 0.0, moe_k: 2 -> 4"
