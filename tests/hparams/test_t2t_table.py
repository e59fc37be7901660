"""Our sets against T2T's, value by value; each difference is listed with a reason."""

import dataclasses

import keras
import numpy as np
import pytest

from t2t_multimodel.data import batching
from t2t_multimodel.hparams import HParams, make_hparams
from t2t_multimodel.hparams.t2t_names import (
    LEFT_OUT,
    OURS_ALONE,
    RENAMED,
    SAME,
    T2T_HPARAMS,
)
from t2t_multimodel.hparams.t2t_values import DEVIATIONS, T2T_SETS
from t2t_multimodel.layers.norm import LayerNorm

FIELDS = {field.name for field in dataclasses.fields(HParams)}

# What the sets of T2T's own documentation and code say, by row of its tables: v1.0.3's
# multimodel1p8, v1.0.14's and v1.4.4's multimodel_base, and the two multimodel_tiny.
SETS = list(T2T_SETS)
ROWS = {
    "hidden_size": (1536, 512, 512, 128, 128),
    "batch_size": (1024, 2048, 2048, 512, 512),
    "num_hidden_layers": (4, 4, 4, 2, 2),
    "filter_size": (None, 2048, 2048, 512, 512),
    "large_kernel_size": (15,) * 5,
    "dropout": (0.1,) * 5,
    "attention_dropout": (0.1,) * 5,
    "num_heads": (8,) * 5,
    "moe_n1": (120, 30, None, 10, None),
    "moe_n2": (0, 0, None, 0, None),
    "moe_num_experts": (None, None, 30, None, 30),
    "moe_k": (2,) * 5,
    "moe_layers": (None, "2", "2", "0", "0"),
    "moe_loss_coef": (0.01,) * 5,
    "imagenet_use_2d": (1, 1, None, 1, None),
    "problem_choice": ("distributed", *["adaptive"] * 4),
    "shared_embedding_and_softmax_weights": (False,) * 5,
    "learning_rate_decay_scheme": ("exp500k", *["noam"] * 4),
    "learning_rate": (0.05, *[0.1] * 4),
    "learning_rate_warmup_steps": (3000, *[4000] * 4),
    "initializer": ("orthogonal",) * 5,
    "initializer_gain": (1.0,) * 5,
    "label_smoothing": (0.1,) * 5,
    "weight_decay": (3.0, 0.1, 1e-6, 0.1, 1e-6),
    "clip_grad_norm": (2.0,) * 5,
    "attention_type": ("simple", *[None] * 4),
    "audio_compression": (8, *[None] * 4),
}


def deviation_of(set_name, release, name):
    found = [
        d
        for d in DEVIATIONS
        if (d.set_name, d.name) == (set_name, name) and release in d.releases.split()
    ]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("name", ROWS)
def test_the_sets_are_t2ts(name):
    assert tuple(T2T_SETS[key].get(name) for key in SETS) == ROWS[name]


@pytest.mark.parametrize(
    "set_name, release, name",
    [(*key, name) for key, values in T2T_SETS.items() for name in values],
)
def test_every_value_is_carried_or_its_deviation_is_listed(set_name, release, name):
    theirs = T2T_SETS[set_name, release][name]
    ours = make_hparams(set_name)
    row = T2T_HPARAMS[name]
    deviation = deviation_of(set_name, release, name)
    if row.fate == LEFT_OUT:
        assert deviation is None
        return
    values = {field: getattr(ours, field) for field in row.fields}
    equal = str(values[row.fields[0]]) == str(theirs) and len(row.fields) == 1
    if deviation is None:
        assert equal, f"{set_name}: T2T {name}={theirs}, here {values}"
    else:
        assert not equal, f"{set_name}: {name} does not deviate"
        assert values == deviation.here
        assert deviation.reason


def test_every_deviation_is_of_a_value_that_t2t_had():
    for deviation in DEVIATIONS:
        for release in deviation.releases.split():
            assert deviation.name in T2T_SETS[deviation.set_name, release]


def test_every_name_has_its_fate_and_every_field_its_origin():
    named = {name for values in T2T_SETS.values() for name in values}
    assert named <= set(T2T_HPARAMS)
    said = {field for row in T2T_HPARAMS.values() for field in row.fields}
    assert said | set(OURS_ALONE) == FIELDS
    assert not said & set(OURS_ALONE)
    for row in T2T_HPARAMS.values():
        match row.fate:
            case "same":
                assert row.fields == (row.name,)
            case "renamed":
                assert row.fields and row.name not in FIELDS
            case "left out":
                assert row.text and not row.fields and row.name not in FIELDS
        assert row.fate in (SAME, RENAMED, LEFT_OUT)


def test_what_is_a_constant_here_has_t2ts_value():
    values = T2T_SETS["multimodel_base", "v1.0.14"]
    assert batching.MANTISSA_BITS == values["batching_mantissa_bits"]
    later = T2T_SETS["multimodel_base", "v1.4.4"]
    assert batching.SMALLEST_BOUNDARY == later["min_length_bucket"]
    x = np.array([[1e-3, -1e-3]], "float32")
    norm = keras.ops.convert_to_numpy(LayerNorm()(x))
    epsilon = values["layer_norm_epsilon"]
    np.testing.assert_allclose(norm, x / np.sqrt(x.var() + epsilon), rtol=1e-5)
