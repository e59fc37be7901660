"""Every hyperparameter of T2T's sets (v1.0.3 to v1.4.4), and what became of it here.

`--hparams` answers with it to a name that T2T had, docs/fidelity.md prints it, and a
test holds it against `HParams`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Final, Literal

SAME: Final = "same"
RENAMED: Final = "renamed"
LEFT_OUT: Final = "left out"
Fate = Literal["same", "renamed", "left out"]


@dataclasses.dataclass(frozen=True)
class T2THParam:
    """A hyperparameter of T2T's.

    Attributes:
        name: T2T's.
        fate: What became of it.
        fields: The fields of `HParams` that say it; none if it was left out.
        text: What differs, or why it was left out.
    """

    name: str
    fate: Fate
    fields: tuple[str, ...] = ()
    text: str = ""

    def answer(self) -> str:
        """Returns what to say to somebody who gives it."""
        if self.fate == LEFT_OUT:
            return f"T2T's {self.name} is left out: {self.text}"
        remark = f" ({self.text})" if self.text else ""
        return f"T2T's {self.name} is now {', '.join(self.fields)}{remark}"


def _same(names: str, text: str = "") -> list[T2THParam]:
    return [T2THParam(name, SAME, (name,), text) for name in names.split()]


def _renamed(name: str, fields: str, text: str = "") -> list[T2THParam]:
    return [T2THParam(name, RENAMED, tuple(fields.split()), text)]


def _left_out(names: str, text: str) -> list[T2THParam]:
    return [T2THParam(name, LEFT_OUT, (), text) for name in names.split()]


T2T_HPARAMS: Mapping[str, T2THParam] = {
    row.name: row
    for row in [
        *_same(
            "batch_size max_length hidden_size dropout clip_grad_norm initializer_gain "
            "label_smoothing learning_rate learning_rate_warmup_steps "
            "learning_rate_cosine_cycle_steps optimizer_adam_epsilon "
            "optimizer_adam_beta1 optimizer_adam_beta2 "
            "shared_embedding_and_softmax_weights moe_num_experts moe_k moe_loss_coef "
            "large_kernel_size audio_compression num_heads attention_dropout"
        ),
        *_same("weight_decay", "of half the mean square, as in v1.0.x"),
        *_same("initializer", "orthogonal and uniform_unit_scaling"),
        *_same("problem_choice", "and proportional"),
        *_same("symbol_dropout", "live, as in v1.4.4"),
        *_renamed(
            "num_hidden_layers",
            "num_encoder_blocks num_mixer_blocks num_decoder_blocks",
            "the paper's three stacks",
        ),
        *_renamed("kernel_height", "kernel_size"),
        *_renamed("kernel_scheme", "kernel_size large_kernel_size", "2 steps each"),
        *_renamed(
            "dilation_scheme", "large_kernel_dilation", "the last of 4 steps alone"
        ),
        *_renamed("moe_n1", "moe_num_experts"),
        *_renamed("moe_hidden_sizes", "moe_hidden_size", "one hidden layer"),
        *_renamed(
            "moe_layers", "encoder_moe_after decoder_moe_after", "blocks before it"
        ),
        *_renamed("attention_type", "use_attention", "multi-head, or none"),
        *_renamed("learning_rate_decay_scheme", "learning_rate_schedule"),
        *_same("learning_rate_schedule", "takes T2T's names of decay schemes"),
        *_left_out(
            "learning_rate_decay_steps learning_rate_decay_staircase "
            "learning_rate_decay_rate learning_rate_minimum",
            "v1.4's exp is not offered; v1.0's exp10k to exp500k are",
        ),
        *_left_out("kernel_width", "positions are a line, kernels are 1 wide"),
        *_left_out(
            "filter_size", "a Transformer's layer; experts have moe_hidden_size"
        ),
        *_left_out("moe_n2", "experts are one group"),
        *_left_out(
            "batching_mantissa_bits min_length_bucket length_bucket_step",
            "buckets are v1.0's: 8, 12, 16, 24, 32, ...",
        ),
        *_left_out("use_fixed_batch_size", "batches are counted in tokens"),
        *_left_out(
            "compress_steps", "it belonged to T2T's net for small images and to XNet"
        ),
        *_left_out("grad_noise_scale weight_noise", "T2T's sets have it off"),
        *_left_out(
            "summarize_grads summarize_vars", "metrics.jsonl has losses and metrics"
        ),
        *_left_out(
            "optimizer optimizer_momentum_momentum optimizer_momentum_nesterov",
            "Adam is the only one",
        ),
        *_left_out(
            "sampling_method sampling_temp", "how to decode is no part of training"
        ),
        *_left_out("multiply_embedding_mode", "embeddings are times sqrt(hidden_size)"),
        *_left_out("factored_logits", "logits come from one table, as in T2T's sets"),
        *_left_out(
            "layer_preprocess_sequence layer_postprocess_sequence "
            "layer_prepostprocess_dropout layer_prepostprocess_dropout_broadcast_dims",
            "residuals and norms are where the paper has them",
        ),
        *_left_out("norm_type normalizer_fn", "it is layer norm, as in T2T's sets"),
        *_left_out("layer_norm_epsilon norm_epsilon", "it is 1e-6, as in T2T's sets"),
        *_left_out("symbol_modality_num_shards", "tables are not cut into shards"),
        *_left_out("min_length", "no example is too short"),
        *_left_out("eval_drop_long_sequences", "evaluation drops nothing"),
        *_left_out(
            "eval_run_autoregressive", "give --decode_eval_examples to the trainer"
        ),
        *_left_out(
            "shared_embedding",
            "shared_embedding_and_softmax_weights makes it one table, else there are "
            "three",
        ),
        *_left_out("symbol_modality_skip_top", "every text has its top"),
        *_left_out(
            "input_modalities target_modality", "a problem's features say what it is"
        ),
        *_left_out(
            "max_input_seq_length max_target_seq_length split_to_length",
            "long examples are left out by max_length, not cut",
        ),
        *_left_out("prepend_mode", "inputs go through the encoder"),
        *_left_out(
            "scheduled_sampling_prob scheduled_sampling_warmup_steps "
            "scheduled_sampling_gold_mixin_prob",
            "training sees the true targets, as in T2T's sets",
        ),
        *_left_out(
            "daisy_chain_variables force_full_predict no_data_parallelism",
            "it was about TensorFlow 1's devices",
        ),
        *_left_out(
            "separability", "convolutions are separable, not super-separable (paper)"
        ),
        *_left_out("imagenet_use_2d", "a picture's class is read from its grid"),
        *_left_out("num_sampled_classes", "T2T never read it"),
        *_left_out(
            "attention_key_channels attention_value_channels",
            "they are hidden_size, as in T2T's sets",
        ),
        *_left_out("sim_loss_mult", "there is no similarity loss; T2T's sets have 0"),
    ]
}
"""By T2T's name."""

OURS_ALONE: Mapping[str, str] = {
    "timing": "the paper's signal, or one of T2T's two",
    "attention_kernel_size": "5, which T2T has in its code",
    "attention_dilations": "1 and 4, which T2T has in its code",
    "attention_residual": "the paper's text has none",
    "use_moe": "the paper's Table 4",
    "image_stem_filters": "32, 64, which the paper and T2T's code have",
    "image_filters": "128, 256, which the paper and T2T's code have",
    "image_norm": "over the depth of a position, in the paper and in T2T's code",
    "audio_spectral_bin_stride": "1, which the paper and T2T's code have",
    "audio_filter_multiplier": "1, which the paper and T2T's code have",
    "categorical_filters": "1.25 H, 2 H, 2.5 H in T2T's code",
    "proportional_temperature": "of problem_choice=proportional",
    "compute_dtype": "float32, as T2T computed in these releases",
    "gradient_sum_dtype": "float32, in which T2T summed gradients",
}
"""Fields of `HParams` that no hyperparameter of T2T's stands for, and why they are."""
