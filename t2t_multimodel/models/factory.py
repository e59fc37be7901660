"""Makes the network of a run from its hyperparameters."""

from collections.abc import Sequence

import keras

from t2t_multimodel.hparams import HParams
from t2t_multimodel.layers import AttentionBlock, MixtureOfExpertsBlock
from t2t_multimodel.modalities import (
    AudioModality,
    CategoricalModality,
    ImageModality,
    LanguageModality,
)
from t2t_multimodel.models.alignment import PositionalAlignment
from t2t_multimodel.models.decoder import Decoder, Mixer
from t2t_multimodel.models.encoder import Encoder
from t2t_multimodel.models.multimodel import Body, MultiModel, net_key
from t2t_multimodel.models.problem_spec import ProblemSpec

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""Keras's name of the policy of a `compute_dtype`: weights are float32 in both."""


def make_model(
    specs: Sequence[ProblemSpec], hparams: HParams, seed: int = 1234
) -> MultiModel:
    """Returns the built model of the problems, its weights drawn from `seed`."""
    keras.utils.set_random_seed(seed)
    dtype = _POLICIES[hparams.compute_dtype]
    body = _make_body(specs, hparams, dtype)
    nets = {}
    for spec in specs:
        for feature in (spec.inputs, spec.targets):
            name = net_key(feature, spec.name)
            if name not in nets:
                nets[name] = _make_net(feature, spec, hparams, name, dtype)
        if spec.is_classification:
            net = CategoricalModality(
                hparams.categorical_filters,
                kernel_initializer=_initializer(hparams),
                name="categorical",
                dtype=dtype,
            )
            nets.setdefault(
                "categorical", (net, (None, None, None, hparams.hidden_size))
            )
    model = MultiModel(specs, body=body, nets=nets, name="multimodel", dtype=dtype)
    model.build()
    return model


def _make_body(specs, hparams: HParams, dtype: str) -> Body:
    depth = hparams.hidden_size
    conv_block = {
        "kernel_sizes": (hparams.kernel_size,) * 2 + (hparams.large_kernel_size,) * 2,
        "dilations": (1, 1, 1, hparams.large_kernel_dilation),
        "dropout": hparams.dropout,
        "kernel_initializer": _initializer(hparams),
    }
    encoder = Encoder(
        depth,
        hparams.num_encoder_blocks,
        conv_block=conv_block,
        moe=_make_moe(hparams, "moe", dtype),
        moe_after=hparams.encoder_moe_after,
        timing=hparams.timing,
        name="encoder",
        dtype=dtype,
    )
    if all(spec.is_classification for spec in specs):
        return Body(depth, encoder, None, None)
    mixer = Mixer(
        depth,
        hparams.num_mixer_blocks,
        conv_block=conv_block,
        attention=_make_attention(hparams, "attention", dtype),
        name="mixer",
        dtype=dtype,
    )
    decoder = Decoder(
        depth,
        conv_block=conv_block,
        attentions=tuple(
            _make_attention(hparams, f"attention_{i}", dtype)
            for i in range(hparams.num_decoder_blocks)
        ),
        moe=_make_moe(hparams, "moe", dtype),
        moe_after=hparams.decoder_moe_after,
        name="decoder",
        dtype=dtype,
    )
    return Body(depth, encoder, mixer, decoder)


def _make_attention(hparams: HParams, name: str, dtype: str):
    if not hparams.use_attention:
        return PositionalAlignment(
            hparams.hidden_size,
            kernel_initializer=_initializer(hparams),
            name=name,
            dtype=dtype,
        )
    return AttentionBlock(
        hparams.num_heads,
        hparams.hidden_size,
        kernel_size=hparams.attention_kernel_size,
        dilations=hparams.attention_dilations,
        attention_dropout=hparams.attention_dropout,
        timing=hparams.timing,
        self_residual=hparams.attention_residual,
        kernel_initializer=_initializer(hparams),
        name=name,
        dtype=dtype,
    )


def _make_moe(hparams: HParams, name: str, dtype: str):
    if not hparams.use_moe:
        return None
    return MixtureOfExpertsBlock(
        hparams.moe_num_experts,
        hparams.moe_k,
        hparams.moe_hidden_size,
        kernel_initializer=_initializer(hparams),
        name=name,
        dtype=dtype,
    )


def _make_net(feature, spec: ProblemSpec, hparams: HParams, name: str, dtype: str):
    """Returns the modality net of a feature, and the shape to build it with."""
    depth = hparams.hidden_size
    if feature.kind == "text":
        net = LanguageModality(
            spec.vocab_size(feature),
            depth,
            shared=hparams.shared_embedding_and_softmax_weights,
            symbol_dropout=hparams.symbol_dropout,
            name=name,
            dtype=dtype,
        )
        return net, (None, None)
    if feature.kind == "image":
        net = ImageModality(
            depth,
            stem_filters=hparams.image_stem_filters,
            filters=hparams.image_filters,
            norm=hparams.image_norm,
            kernel_initializer=_initializer(hparams),
            name=name,
            dtype=dtype,
        )
        return net, (None, None, None, feature.channels)
    if feature.kind == "audio":
        net = AudioModality(
            depth,
            feature.form,
            compression=hparams.audio_compression,
            bin_stride=hparams.audio_spectral_bin_stride,
            filter_multiplier=hparams.audio_filter_multiplier,
            kernel_initializer=_initializer(hparams),
            name=name,
            dtype=dtype,
        )
        waveform = feature.form == "waveform"
        return net, (None, None) if waveform else (None, None, feature.num_bins)
    # Scores of classes cost next to nothing, and their bias is a sum over a batch.
    net = keras.layers.Dense(
        len(feature.names),
        kernel_initializer=_initializer(hparams),
        name=name,
        dtype="float32",
    )
    return net, (None, hparams.categorical_filters[-1])


def _initializer(hparams: HParams):
    if hparams.initializer == "orthogonal":
        return keras.initializers.Orthogonal(gain=hparams.initializer_gain)
    return keras.initializers.VarianceScaling(
        hparams.initializer_gain, mode="fan_avg", distribution="uniform"
    )
