"""The named sets: T2T's, the paper's, their ablations, and the laptop's."""

import dataclasses
from collections.abc import Callable
from typing import Any

from t2t_multimodel.hparams.base import HParams
from t2t_multimodel.registry import HPARAMS_SETS, register_hparams_set


@register_hparams_set
def multimodel_base() -> HParams:
    """T2T's numbers for one machine (v1.0.14); blocks, kernels and nets the paper's."""
    return HParams(
        batch_size=2048,
        hidden_size=512,
        moe_num_experts=30,
        moe_hidden_size=2048,
        weight_decay=0.1,
        problem_choice="adaptive",
    )


@register_hparams_set
def multimodel_tiny() -> HParams:
    """T2T's small set: H 128, and really 10 experts; for first runs on real data."""
    return dataclasses.replace(
        multimodel_base(),
        batch_size=512,
        hidden_size=128,
        num_encoder_blocks=3,
        encoder_moe_after=1,
        num_mixer_blocks=1,
        num_decoder_blocks=2,
        decoder_moe_after=1,
        moe_num_experts=10,
        categorical_filters=(160, 256, 320),
    )


@register_hparams_set
def multimodel_1p8() -> HParams:
    """T2T's set for the eight-problem runs (v1.0.3): H 1536, 120 experts."""
    return HParams(
        batch_size=1024,
        hidden_size=1536,
        moe_num_experts=120,
        moe_hidden_size=1536,
        learning_rate=0.05,
        learning_rate_schedule="exp500k",
        learning_rate_warmup_steps=3000,
        weight_decay=3.0,
        categorical_filters=(1920, 3072, 3840),
        problem_choice="distributed",
    )


@register_hparams_set
def multimodel_paper() -> HParams:
    """The paper's numbers for joint training: H 1024, 240 experts, k 4, dropout 0.4."""
    return dataclasses.replace(
        multimodel_1p8(),
        hidden_size=1024,
        dropout=0.4,
        moe_num_experts=240,
        moe_k=4,
        moe_hidden_size=1024,
        categorical_filters=(1024, 1536, 2048),
    )


@register_hparams_set
def multimodel_paper_single() -> HParams:
    """The paper's numbers for one problem alone: 60 experts."""
    return dataclasses.replace(multimodel_paper(), moe_num_experts=60)


@register_hparams_set
def multimodel_mini() -> HParams:
    """Ours: learns the eight miniature tasks on two cores in under 20 minutes."""
    return HParams(
        batch_size=384,
        hidden_size=128,
        num_encoder_blocks=1,
        encoder_moe_after=1,
        num_mixer_blocks=1,
        num_decoder_blocks=2,
        decoder_moe_after=1,
        dropout=0.05,
        attention_dropout=0.0,
        num_heads=4,
        moe_num_experts=8,
        moe_k=2,
        moe_hidden_size=256,
        image_stem_filters=(16, 32),
        image_filters=(32, 64),
        image_norm="picture",
        audio_compression=3,
        audio_spectral_bin_stride=2,
        audio_filter_multiplier=8,
        categorical_filters=(128, 192, 256),
        shared_embedding_and_softmax_weights=True,
        learning_rate=0.75,
        learning_rate_schedule="cosine_updown",
        learning_rate_cosine_cycle_steps=1500,
        learning_rate_warmup_steps=100,
        optimizer_adam_beta1=0.9,
        optimizer_adam_beta2=0.98,
        label_smoothing=0.1,
        problem_choice="distributed",
    )


def _register_ablations(base: Callable[[], HParams]) -> None:
    """Registers `<base>_no_moe` and `<base>_no_attention` (the paper's Table 4)."""
    for part in ("moe", "attention"):

        def make(part: str = part) -> HParams:
            changes: dict[str, Any] = {f"use_{part}": False}
            return dataclasses.replace(base(), **changes)

        name = f"{base.__name__}_no_{part}"
        HPARAMS_SETS.register(name, make, f"{base.__name__} without {part}.")


for _base in (
    multimodel_base,
    multimodel_tiny,
    multimodel_1p8,
    multimodel_paper,
    multimodel_paper_single,
    multimodel_mini,
):
    _register_ablations(_base)
