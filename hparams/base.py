"""The hyperparameters of a run: one frozen dataclass, changed only by copying."""

import ast
import dataclasses
import json
import types
import typing
from typing import Any, Literal, Self

from t2t_multimodel.errors import UserError, unknown
from t2t_multimodel.hparams.t2t_names import T2T_HPARAMS

Schedule = Literal[
    "noam",
    "none",
    "sqrt",
    "exp10k",
    "exp50k",
    "exp100k",
    "exp500k",
    "cosine",
    "cosine_updown",
    "cyclelinear10x",
    "cyclelinear10x_warmup",
]


_NOT_OFFERED = {
    ("compute_dtype", "float16"): (
        "compute_dtype=float16 is not offered: its gradients would vanish without "
        "scaling the loss; compute_dtype=bfloat16 has float32's range and needs none"
    )
}
"""Values that somebody may well give, and what to answer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HParams:
    """What a run depends on, apart from paths, machines and lengths of time.

    Names are T2T's where T2T has the number; `docs/fidelity.md` says for each set
    which value comes from the paper, which from T2T and which is ours.

    Raises:
        UserError: If a value is out of range or two values contradict each other.
    """

    # Batches (T2T v1.0.3; reference in `data/batching.py`).
    batch_size: int = 1024  # tokens a batch of one problem, padding included
    max_length: int = 0  # tokens; longer training examples are dropped; 0 = batch_size

    # Body.
    hidden_size: int = 512  # depth of every position (C)
    num_encoder_blocks: int = 6  # ConvBlocks
    encoder_moe_after: int = 3  # ConvBlocks before the encoder's MoE
    num_mixer_blocks: int = 2  # causal ConvBlocks after the mixer's attention
    num_decoder_blocks: int = 4  # ConvBlock + attention block each
    decoder_moe_after: int = 2  # decoder blocks before the decoder's MoE
    kernel_size: int = 3  # first two steps of a ConvBlock, positions
    large_kernel_size: int = 15  # last two steps of a ConvBlock, positions
    large_kernel_dilation: int = 8  # of the last step of a ConvBlock, positions
    dropout: float = 0.1  # end of each ConvBlock
    timing: Literal["interleaved", "concatenated", "t2t_32"] = "interleaved"

    # Attention.
    use_attention: bool = True  # False: the ablation of the paper's Table 4
    num_heads: int = 8
    attention_kernel_size: int = 5  # the two steps that mix the target first
    attention_dilations: tuple[int, ...] = (1, 4)
    attention_dropout: float = 0.1
    attention_residual: bool = False  # ours: add self-attention to what it looks at

    # Mixture of experts.
    use_moe: bool = True  # False: the ablation of the paper's Table 4
    moe_num_experts: int = 30
    moe_k: int = 2  # experts a position
    moe_hidden_size: int = 2048  # ReLU units of an expert
    moe_loss_coef: float = 0.01

    # Modality nets.
    shared_embedding_and_softmax_weights: bool = False
    symbol_dropout: float = 0.0  # share of input symbols hidden in training
    image_stem_filters: tuple[int, ...] = (32, 64)
    image_filters: tuple[int, ...] = (128, 256)  # ConvRes blocks before the last
    image_norm: Literal["position", "picture"] = "position"  # picture: ours
    audio_compression: int = 8  # ConvRes blocks before the last; each halves the time
    audio_spectral_bin_stride: int = 1  # 2 halves the mel bins in each block too
    audio_filter_multiplier: int = 1  # block i has this times 2^i filters; paper: 1
    categorical_filters: tuple[int, ...] = (640, 1024, 1280)  # T2T: 1.25, 2, 2.5 of H

    # Loss, optimizer and schedule.
    label_smoothing: float = 0.1
    learning_rate: float = 0.1  # multiplies the schedule; T2T's Adam divides by 500
    learning_rate_schedule: Schedule = "noam"
    learning_rate_warmup_steps: int = 4000
    learning_rate_cosine_cycle_steps: int = 250_000
    optimizer_adam_beta1: float = 0.85
    optimizer_adam_beta2: float = 0.997
    optimizer_adam_epsilon: float = 1e-6
    clip_grad_norm: float = 2.0  # global norm; 0 = off
    weight_decay: float = 0.0  # T2T v1.0.x's mean square of every matrix
    initializer: Literal["orthogonal", "uniform_unit_scaling"] = "orthogonal"
    initializer_gain: float = 1.0

    # Joint training.
    problem_choice: Literal["distributed", "uniform", "adaptive", "proportional"] = (
        "distributed"
    )
    proportional_temperature: float = 1.0  # size ** (1 / temperature)

    # Of activations; weights, norms, softmaxes, gates and losses are float32.
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    # In which gradients of problems and replicas are summed: in float64 the sum does
    # not depend on the order, hence not on the replicas; float32 halves what they send.
    gradient_sum_dtype: Literal["float64", "float32"] = "float64"

    def __post_init__(self) -> None:
        self._check_ranges()
        if self.hidden_size % self.num_heads:
            raise UserError(
                f"hidden_size={self.hidden_size} must be a multiple of "
                f"num_heads={self.num_heads}"
            )
        if self.use_moe and self.moe_k > self.moe_num_experts:
            raise UserError(
                f"moe_k={self.moe_k} exceeds moe_num_experts={self.moe_num_experts}"
            )
        for after, blocks in (
            ("encoder_moe_after", "num_encoder_blocks"),
            ("decoder_moe_after", "num_decoder_blocks"),
        ):
            if self.use_moe and getattr(self, after) > getattr(self, blocks):
                raise UserError(
                    f"{after}={getattr(self, after)} exceeds "
                    f"{blocks}={getattr(self, blocks)}"
                )
        if self.timing == "t2t_32" and self.hidden_size < 32:
            raise UserError(
                f"timing=t2t_32 signs 32 channels and needs hidden_size of 32 or more, "
                f"got hidden_size={self.hidden_size}"
            )
        if self.max_length > self.batch_size:
            raise UserError(
                f"max_length={self.max_length} exceeds batch_size={self.batch_size} "
                "tokens, so such an example would not fit a batch"
            )

    def _check_ranges(self) -> None:
        positive = (
            "batch_size hidden_size num_encoder_blocks num_decoder_blocks num_heads "
            "kernel_size large_kernel_size large_kernel_dilation moe_num_experts "
            "attention_kernel_size audio_filter_multiplier moe_k moe_hidden_size "
            "learning_rate learning_rate_warmup_steps learning_rate_cosine_cycle_steps "
            "proportional_temperature initializer_gain "
            "optimizer_adam_epsilon"
        )
        for name in positive.split():
            if getattr(self, name) <= 0:
                raise UserError(f"{name}={getattr(self, name)} must be positive")
        for name in (
            "max_length num_mixer_blocks encoder_moe_after "
            "decoder_moe_after audio_compression moe_loss_coef clip_grad_norm "
            "weight_decay"
        ).split():
            if getattr(self, name) < 0:
                raise UserError(f"{name}={getattr(self, name)} must not be negative")
        for name in (
            "dropout attention_dropout symbol_dropout label_smoothing "
            "optimizer_adam_beta1 optimizer_adam_beta2"
        ).split():
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name}={getattr(self, name)} must be in [0, 1)")
        for name in ("kernel_size", "large_kernel_size", "attention_kernel_size"):
            if getattr(self, name) % 2 == 0:
                raise UserError(f"{name}={getattr(self, name)} must be odd")
        if self.audio_spectral_bin_stride not in (1, 2):
            raise UserError(
                f"audio_spectral_bin_stride={self.audio_spectral_bin_stride} must be "
                "1 (as in the paper) or 2"
            )
        for name, length in (
            ("image_stem_filters", 2),
            ("categorical_filters", 3),
            ("attention_dilations", 2),
        ):
            if len(getattr(self, name)) != length:
                raise UserError(
                    f"{name}={getattr(self, name)} must hold {length} numbers"
                )

    @property
    def max_length_tokens(self) -> int:
        """Longest training example: `max_length`, or the batch size if that is 0."""
        return self.max_length or self.batch_size

    def override(self, text: str) -> Self:
        """Returns a copy changed by `text`, e.g. `"dropout=0.0,moe_k=4"`.

        Raises:
            UserError: If a name is unknown, or a value has the wrong type or range.
        """
        wanted = typing.get_type_hints(type(self))
        changes = {}
        for name, value in _assignments(text).items():
            if name not in wanted and name in T2T_HPARAMS:
                raise UserError(T2T_HPARAMS[name].answer())
            if name not in wanted:
                raise UserError(unknown("hyperparameter", name, wanted))
            changes[name] = _typed(name, value, wanted[name])
        return dataclasses.replace(self, **changes)

    def to_json(self) -> str:
        """Returns the values as a flat JSON object, one a line, as T2T wrote it."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, file_name: str = "hparams.json") -> Self:
        """Returns what `to_json` wrote.

        Raises:
            UserError: If the text is not such an object.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"{file_name} is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise UserError(
                f"{file_name} must hold a JSON object of hyperparameters, got "
                f"{type(values).__name__}"
            )
        wanted = typing.get_type_hints(cls)
        typed = {}
        for name, value in values.items():
            if name not in wanted:
                raise UserError(
                    f"{file_name}: {unknown('hyperparameter', name, wanted)}"
                )
            value = tuple(value) if isinstance(value, list) else value
            typed[name] = _typed(name, value, wanted[name])
        return cls(**typed)

    def difference(self, other: Self) -> str:
        """Returns what differs as `name: mine -> other's`, comma separated."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return ", ".join(
            f"{name}: {mine[name]} -> {theirs[name]}"
            for name in mine
            if mine[name] != theirs[name]
        )


def _assignments(text: str) -> dict[str, Any]:
    """Reads `a=1,b=(2,3),c=noam` as the keywords of a call; bare words are strings."""
    try:
        call = ast.parse(f"dict({text})", mode="eval").body
    except SyntaxError as error:
        raise UserError(
            f"--hparams={text!r} does not read as name=value,name=value"
        ) from error
    if not isinstance(call, ast.Call) or call.args:
        raise UserError(f"--hparams={text!r} does not read as name=value,name=value")
    values: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise UserError(f"--hparams={text!r} does not read as name=value")
        if keyword.arg in values:
            raise UserError(f"--hparams={text!r} gives {keyword.arg} more than once")
        values[keyword.arg] = _literal(keyword.arg, keyword.value)
    return values


def _literal(name: str, node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        # T2T writes booleans in lower case and strings without quotes.
        return {"true": True, "false": False}.get(node.id, node.id)
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise UserError(
            f"{name}={ast.unparse(node)} must be a number, a word or a tuple"
        ) from error


def _typed(name: str, value: Any, wanted: Any) -> Any:
    """Returns `value`, as the type `wanted`; an int is taken for a float."""
    if typing.get_origin(wanted) is Literal:
        choices = typing.get_args(wanted)
        if value not in choices:
            answer = _NOT_OFFERED.get((name, str(value)))
            raise UserError(answer or unknown(f"value of {name}", str(value), choices))
        return value
    if isinstance(wanted, types.GenericAlias):
        value = value if isinstance(value, tuple) else (value,)
        if not all(type(item) is int and item > 0 for item in value):
            raise UserError(f"{name} takes positive whole numbers, got {value!r}")
        return value
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise UserError(f"{name} takes {wanted.__name__}, got {value!r}")
    return value
