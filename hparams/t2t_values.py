"""T2T's numbers for the sets that ours are named after, and where ours differ.

A test holds both against our sets, value by value; docs/fidelity.md prints the
deviations.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

# Set and release: T2T's values by T2T's names, parents included.
_BASIC_V1_0_14: dict[str, Any] = {
    "batch_size": 4096,
    "batching_mantissa_bits": 1,
    "num_hidden_layers": 4,
    "kernel_height": 3,
    "kernel_width": 1,
    "hidden_size": 64,
    "compress_steps": 0,
    "dropout": 0.2,
    "clip_grad_norm": 2.0,
    "initializer": "orthogonal",
    "initializer_gain": 1.5,
    "label_smoothing": 0.1,
    "optimizer": "Adam",
    "optimizer_adam_epsilon": 1e-6,
    "optimizer_adam_beta1": 0.85,
    "optimizer_adam_beta2": 0.997,
    "optimizer_momentum_momentum": 0.9,
    "weight_decay": 0.1,
    "weight_noise": 0.0,
    "learning_rate_decay_scheme": "none",
    "learning_rate_warmup_steps": 100,
    "learning_rate_cosine_cycle_steps": 250_000,
    "learning_rate": 0.1,
    "sampling_method": "argmax",
    "problem_choice": "adaptive",
    "multiply_embedding_mode": "sqrt_depth",
    "norm_type": "none",
    "layer_norm_epsilon": 1e-6,
    "symbol_modality_num_shards": 16,
    "max_length": 0,
    "shared_embedding_and_softmax_weights": False,
    "input_modalities": "",
    "target_modality": "",
}
_BASIC_V1_4_4: dict[str, Any] = {
    **{
        name: value
        for name, value in _BASIC_V1_0_14.items()
        if name not in ("batching_mantissa_bits", "layer_norm_epsilon")
    },
    "use_fixed_batch_size": False,
    "grad_noise_scale": 0.0,
    "summarize_grads": False,
    "summarize_vars": False,
    "optimizer_momentum_nesterov": False,
    "weight_decay": 1e-6,
    "learning_rate_schedule": "warmup_and_decay",
    "learning_rate_decay_steps": 5000,
    "learning_rate_decay_staircase": False,
    "learning_rate_decay_rate": 1.0,
    "learning_rate_minimum": None,
    "sampling_temp": 1.0,
    "factored_logits": False,
    "moe_hidden_sizes": "2048",
    "moe_num_experts": 64,
    "moe_k": 2,
    "moe_loss_coef": 1e-2,
    "layer_preprocess_sequence": "none",
    "layer_postprocess_sequence": "dan",
    "layer_prepostprocess_dropout": 0.1,
    "layer_prepostprocess_dropout_broadcast_dims": "",
    "symbol_dropout": 0.0,
    "norm_type": "layer",
    "norm_epsilon": 1e-6,
    "symbol_modality_num_shards": 1,
    "min_length": 0,
    "min_length_bucket": 8,
    "length_bucket_step": 1.1,
    "eval_drop_long_sequences": False,
    "eval_run_autoregressive": False,
    "shared_embedding": False,
    "symbol_modality_skip_top": False,
    "input_modalities": "default",
    "target_modality": "default",
    "max_input_seq_length": 0,
    "max_target_seq_length": 0,
    "split_to_length": 0,
    "prepend_mode": "none",
    "scheduled_sampling_prob": 0.0,
    "scheduled_sampling_warmup_steps": 50_000,
    "scheduled_sampling_gold_mixin_prob": 0.5,
    "daisy_chain_variables": True,
    "force_full_predict": False,
    "no_data_parallelism": False,
}
_LATER_THAN_V1_0_3 = (
    "learning_rate_cosine_cycle_steps",
    "norm_type",
    "layer_norm_epsilon",
    "input_modalities",
    "target_modality",
)
_SLICENET_V1_0_3: dict[str, Any] = {
    **{
        name: value
        for name, value in _BASIC_V1_0_14.items()
        if name not in _LATER_THAN_V1_0_3
    },
    "batch_size": 1024,
    "hidden_size": 768,
    "dropout": 0.5,
    "symbol_dropout": 0.2,
    "normalizer_fn": "layer",
    "learning_rate_decay_scheme": "exp50k",
    "learning_rate": 0.05,
    "learning_rate_warmup_steps": 3000,
    "initializer_gain": 1.0,
    "weight_decay": 3.0,
    "num_sampled_classes": 0,
    "large_kernel_size": 15,
    "separability": -2,
    "dilation_scheme": "1.1.1.1",
    "kernel_scheme": "3.7.15.31",
    "audio_compression": 8,
    "moe_n1": 32,
    "moe_n2": 0,
    "moe_loss_coef": 1e-2,
    "imagenet_use_2d": 1,
    "attention_type": "simple",
    "num_heads": 8,
    "attention_key_channels": 0,
    "attention_value_channels": 0,
    "sim_loss_mult": 0.0,
    "attention_dropout": 0.2,
    "shared_embedding_and_softmax_weights": True,
}
_BASE: dict[str, Any] = {
    "hidden_size": 512,
    "batch_size": 2048,
    "num_hidden_layers": 4,
    "filter_size": 2048,
    "large_kernel_size": 15,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "num_heads": 8,
    "moe_layers": "2",
    "moe_loss_coef": 0.01,
    "shared_embedding_and_softmax_weights": False,
    "learning_rate_decay_scheme": "noam",
    "learning_rate": 0.1,
    "learning_rate_warmup_steps": 4000,
    "initializer_gain": 1.0,
}
_TINY: dict[str, Any] = {
    "hidden_size": 128,
    "batch_size": 512,
    "num_hidden_layers": 2,
    "filter_size": 512,
    "moe_layers": "0",
}
_MOE_V1_0: dict[str, Any] = {"moe_n2": 0, "moe_k": 2, "imagenet_use_2d": 1}

T2T_SETS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("multimodel_1p8", "v1.0.3"): {
        **_SLICENET_V1_0_3,
        "hidden_size": 1536,
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "moe_n1": 120,
        "moe_k": 2,  # the library's default: no hyperparameter yet
        "problem_choice": "distributed",
        "shared_embedding_and_softmax_weights": False,
        "learning_rate_decay_scheme": "exp500k",
    },
    ("multimodel_base", "v1.0.14"): {
        **_BASIC_V1_0_14,
        **_BASE,
        **_MOE_V1_0,
        "moe_n1": 30,
    },
    ("multimodel_base", "v1.4.4"): {**_BASIC_V1_4_4, **_BASE, "moe_num_experts": 30},
    ("multimodel_tiny", "v1.0.14"): {
        **_BASIC_V1_0_14,
        **_BASE,
        **_MOE_V1_0,
        **_TINY,
        "moe_n1": 10,
    },
    ("multimodel_tiny", "v1.4.4"): {
        **_BASIC_V1_4_4,
        **_BASE,
        **_TINY,
        "moe_num_experts": 30,
    },
}
"""By set and release; our sets follow the oldest release of each."""


@dataclasses.dataclass(frozen=True)
class Deviation:
    """A value of T2T's that our set of the same name does not carry.

    Attributes:
        set_name: The set.
        releases: Of T2T, parted by spaces.
        name: T2T's hyperparameter.
        here: Our values, by field.
        reason: Why.
    """

    set_name: str
    releases: str
    name: str
    here: Mapping[str, Any]
    reason: str


_THE_PAPERS_BODY = "the paper's body"
_BOTH = "v1.0.14 v1.4.4"

DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        "multimodel_1p8",
        "v1.0.3",
        "num_hidden_layers",
        {"num_encoder_blocks": 6, "num_mixer_blocks": 2, "num_decoder_blocks": 4},
        f"{_THE_PAPERS_BODY}; T2T's 4 make 2 + 4 blocks before and 2 + 2 behind",
    ),
    Deviation(
        "multimodel_base",
        _BOTH,
        "num_hidden_layers",
        {"num_encoder_blocks": 6, "num_mixer_blocks": 2, "num_decoder_blocks": 4},
        _THE_PAPERS_BODY,
    ),
    Deviation(
        "multimodel_tiny",
        _BOTH,
        "num_hidden_layers",
        {"num_encoder_blocks": 3, "num_mixer_blocks": 1, "num_decoder_blocks": 2},
        f"{_THE_PAPERS_BODY}, halved",
    ),
    Deviation(
        "multimodel_base",
        _BOTH,
        "moe_layers",
        {"encoder_moe_after": 3, "decoder_moe_after": 2},
        "the paper's two mixtures, in the middle; T2T has one in each encoder layer",
    ),
    Deviation(
        "multimodel_tiny",
        _BOTH,
        "moe_layers",
        {"encoder_moe_after": 1, "decoder_moe_after": 1},
        "the paper's two mixtures; T2T has one in each encoder layer",
    ),
    Deviation(
        "multimodel_1p8",
        "v1.0.3",
        "kernel_scheme",
        {"kernel_size": 3, "large_kernel_size": 15},
        "the paper's 3, 3, 15, 15",
    ),
    Deviation(
        "multimodel_1p8",
        "v1.0.3",
        "dilation_scheme",
        {"large_kernel_dilation": 8},
        "the paper's 1, 1, 1, 8",
    ),
    Deviation(
        "multimodel_1p8",
        "v1.0.3",
        "attention_type",
        {"use_attention": True},
        "the paper's eight heads; T2T's branch for them could not run",
    ),
    Deviation(
        "multimodel_1p8",
        "v1.0.3",
        "symbol_dropout",
        {"symbol_dropout": 0.0},
        "v1.0.3 set it and never read it, so that none was dropped",
    ),
    Deviation(
        "multimodel_base",
        "v1.4.4",
        "weight_decay",
        {"weight_decay": 0.1},
        "v1.0.x's number for v1.0.x's mean square; v1.4.4 adds plain squares",
    ),
    Deviation(
        "multimodel_tiny",
        "v1.4.4",
        "weight_decay",
        {"weight_decay": 0.1},
        "v1.0.x's number for v1.0.x's mean square; v1.4.4 adds plain squares",
    ),
    Deviation(
        "multimodel_base",
        "v1.4.4",
        "learning_rate_schedule",
        {"learning_rate_schedule": "noam"},
        "one name here; v1.4.4 has two, and noam overrides this one",
    ),
    Deviation(
        "multimodel_tiny",
        "v1.4.4",
        "learning_rate_schedule",
        {"learning_rate_schedule": "noam"},
        "one name here; v1.4.4 has two, and noam overrides this one",
    ),
    Deviation(
        "multimodel_tiny",
        "v1.4.4",
        "moe_num_experts",
        {"moe_num_experts": 10},
        "v1.0.14's; from v1.1.9 on T2T set 10 under a name that nothing read",
    ),
)
"""Everything that differs; what is left out as a whole is in `t2t_names`."""
