"""The MultiModel: modality nets around one body that all problems share."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from t2t_multimodel.data.spaces import NUM_SPACES
from t2t_multimodel.errors import UserError, unknown
from t2t_multimodel.layers import Cursor
from t2t_multimodel.models.problem_spec import ProblemSpec


class Encoded(NamedTuple):
    """What the decoder and the categorical net read.

    Attributes:
        source: `(B, S, C)`, zeros at padding.
        padding_mask: `(B, S)` bool, False at padding.
        grid: Rows and columns that S was flattened from, row-major.
        balance: List of (importance `(E,)`, load `(E,)`), one per MoE layer.
    """

    source: Any
    padding_mask: Any
    grid: tuple
    balance: list


class DecodingState(NamedTuple):
    """What the decoder keeps of the positions before, to compute one more.

    Attributes:
        cursor: The next position.
        mixer: State of the `Mixer`.
        decoder: State of the `Decoder`.
    """

    cursor: Cursor
    mixer: Any
    decoder: Any


class ModelOutput(NamedTuple):
    """Result of a pass with the targets known.

    Attributes:
        logits: `(B, T, V)`, or `(B, classes)` for a class label; float32.
        balance: List of (importance `(E,)`, load `(E,)`), one per MoE layer.
    """

    logits: Any
    balance: list


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class MultiModel(keras.Model):
    """One model for many problems (paper 2.4, 2.5; T2T v1.0.3 where it is silent).

    Inputs pass their modality net, are flattened to a sequence and encoded. Class
    labels are read off the encoder's output; text is decoded left to right, from a
    command token that says what is wanted.

    Args:
        specs: The problems.
        body: Encoder, mixer and decoder.
        nets: Modality nets and the shapes to build them with, by the keys that
            `net_key` gives; `"categorical"` is the net before all class labels.

    Call arguments:
        features: `{"inputs": ..., "targets": ...}`, as the data pipeline makes them.
            A scalar `"target_space_id"` asks for another command token than the
            problem's, so that problems with equal nets can share a traced function.
        problem: Name of the problem that the batch is of.

    Returns:
        A `ModelOutput`.
    """

    def __init__(self, specs: Sequence[ProblemSpec], *, body, nets, **kwargs):
        super().__init__(autocast=False, **kwargs)  # its nets cast what they read
        self.specs = {spec.name: spec for spec in specs}
        self.depth = body.depth
        self.encoder, self.mixer, self.decoder = body.encoder, body.mixer, body.decoder
        # Attributes rather than a dict: tf.train.Checkpoint skips what dicts hold.
        self._net_shapes = {name: shape for name, (_, shape) in nets.items()}
        for name, (net, _) in nets.items():
            setattr(self, f"net_{name}", net)

    def build(self, input_shape=None):
        for name, shape in self._net_shapes.items():
            getattr(self, f"net_{name}").build(shape)
        self.encoder.build()
        if self.decoder is not None:
            self.mixer.build()
            self.decoder.build()
            # Unit variance, like the embeddings that it stands before.
            self.command_table = self.add_weight(
                name="command_table",
                shape=(NUM_SPACES, self.depth),
                initializer=keras.initializers.RandomNormal(stddev=1.0),
                autocast=False,
            )

    def spec(self, problem: str) -> ProblemSpec:
        """Returns the problem's spec.

        Raises:
            UserError: If the model was not made for it.
        """
        if problem not in self.specs:
            raise UserError(unknown("problem of this model", problem, self.specs))
        return self.specs[problem]

    def encode(self, features, problem: str, training: bool = False) -> Encoded:
        """Returns the inputs of a batch, through their modality net and the encoder."""
        x, padding_mask, grid = self.embed_inputs(features, problem, training)
        source, balance = self.encoder(x, padding_mask=padding_mask, training=training)
        return Encoded(source, padding_mask, grid, balance)

    def classify(self, encoded: Encoded, problem: str):
        """Returns the scores `(B, classes)` of a classification problem."""
        height, width = encoded.grid
        x = ops.reshape(encoded.source, (-1, height, width, self.depth))
        mask = ops.reshape(encoded.padding_mask, (-1, height, width))
        spec = self.spec(problem)
        summary = self.net_categorical(
            x, padding_mask=None if spec.inputs.kind == "image" else mask
        )
        label_net = getattr(self, f"net_{net_key(spec.targets, spec.name)}")
        return ops.cast(label_net(summary), "float32")

    def decode(
        self,
        ids,
        encoded: Encoded,
        problem: str,
        padding_mask=None,
        *,
        target_space_id=None,
        training: bool = False,
    ):
        """Returns the scores of every next symbol, and the decoder's MoE balance.

        Args:
            ids: `(B, T)` target ids; position t of the result is predicted from the
                command token and the ids before t, so the last id is never read.
            encoded: The inputs.
            problem: Name of the problem.
            padding_mask: `(B, T)` bool, False where no symbol is asked for.
            target_space_id: Row of the command table, in place of the problem's own.
            training: Whether dropout and gating noise are on.

        Returns:
            Logits `(B, T, V)` and a list of (importance, load).
        """
        spec = self.spec(problem)
        net = getattr(self, f"net_{net_key(spec.targets, spec.name)}")
        x = net.embed_targets(ids)
        if target_space_id is None:
            target_space_id = int(spec.target_space_id)
        command = ops.take(self.command_table, target_space_id, axis=0)
        command = ops.broadcast_to(command, (ops.shape(x)[0], 1, self.depth))
        command = ops.cast(command, x.dtype)
        x = ops.concatenate([command, x[:, :-1]], axis=1)  # (B, T, C)
        attended = {
            "source": encoded.source,
            "source_padding_mask": encoded.padding_mask,
        }
        x = self.mixer(x, **attended, training=training)
        x, balance = self.decoder(
            x, **attended, padding_mask=padding_mask, training=training
        )
        return net.logits(x), balance

    def project_source(self, encoded: Encoded):
        """Returns what `step` reads of the inputs, computed once for all positions."""
        attended = (encoded.source, encoded.padding_mask)
        return self.mixer.project_source(*attended), self.decoder.project_source(
            *attended
        )

    def initial_state(self, batch_size, room, num_hypotheses: int = 1) -> DecodingState:
        """Returns the state before the first symbol.

        Args:
            batch_size: Number of inputs B.
            room: Symbols that there is room for, until `extend_state`.
            num_hypotheses: Outputs a search follows for each input, G.
        """
        return DecodingState(
            Cursor.first(batch_size, room, num_hypotheses),
            self.mixer.initial_state(batch_size, room, num_hypotheses),
            self.decoder.initial_state(batch_size, room, num_hypotheses),
        )

    def extend_state(self, state: DecodingState, capacity) -> DecodingState:
        """Returns a full state with room for `capacity` symbols in all."""
        return DecodingState(
            state.cursor.extended(capacity),
            self.mixer.extend_state(state.mixer, capacity),
            self.decoder.extend_state(state.decoder, capacity),
        )

    def step(
        self,
        ids,
        state: DecodingState,
        source,
        problem: str,
        *,
        target_space_id=None,
    ):
        """Returns the scores of one next symbol; equal to `decode`.

        Convolutions cost the same at every position, self-attention as much as the
        state has room for.

        Args:
            ids: `(R,)` the symbols before it, of each input's G hypotheses; not read
                at the first position, which the command token stands before.
            state: From `initial_state` or the step before.
            source: From `project_source`, of the B inputs.
            problem: Name of the problem.
            target_space_id: As for `decode`.

        Returns:
            Logits `(R, V)` and the next state.
        """
        spec = self.spec(problem)
        net = getattr(self, f"net_{net_key(spec.targets, spec.name)}")
        x = net.embed_targets(ids)  # (R, C)
        if target_space_id is None:
            target_space_id = int(spec.target_space_id)
        command = ops.cast(ops.take(self.command_table, target_space_id, 0), x.dtype)
        x = ops.where(state.cursor.position == 0, command, x)
        source_of_mixer, source_of_decoder = source
        x, mixer = self.mixer.step(x, state.mixer, source_of_mixer, state.cursor)
        x, decoder = self.decoder.step(
            x, state.decoder, source_of_decoder, state.cursor
        )
        return net.logits(x), DecodingState(state.cursor.advanced(), mixer, decoder)

    def call(self, features, problem: str, training: bool = False) -> ModelOutput:
        encoded = self.encode(features, problem, training)
        if self.spec(problem).is_classification:
            return ModelOutput(self.classify(encoded, problem), encoded.balance)
        ids = features["targets"]
        logits, balance = self.decode(
            ids,
            encoded,
            problem,
            ids != 0,
            target_space_id=features.get("target_space_id"),
            training=training,
        )
        return ModelOutput(logits, encoded.balance + balance)

    def embed_inputs(self, features, problem: str, training: bool = False):
        """Returns the inputs of a batch through their modality net alone.

        Returns:
            `(B, S, C)`, its mask `(B, S)` and the grid that S was flattened from, as
            the encoder takes and `Encoded` describes them.
        """
        spec = self.spec(problem)
        inputs = features["inputs"]
        net = getattr(self, f"net_{net_key(spec.inputs, spec.name)}")
        if spec.inputs.kind == "text":
            x = net.embed_inputs(inputs, training=training)
            return x, inputs != 0, (ops.shape(inputs)[1], 1)
        if spec.inputs.kind == "image":
            x = net(inputs)
            batch, height, width, _ = ops.shape(x)
            mask = ops.ones((batch, height * width), dtype="bool")
        else:
            x, rows = net(inputs, features["inputs_length"])
            batch, height, width, _ = ops.shape(x)
            mask = ops.repeat(rows, width, axis=1)
        x = ops.reshape(x, (batch, height * width, self.depth))
        return x, mask, (height, width)


class Body(NamedTuple):
    """The parts that all problems share.

    Attributes:
        depth: Depth of every position (C).
        encoder: An `Encoder`.
        mixer: A `Mixer`, or `None` if no problem has text targets.
        decoder: A `Decoder`, or `None` likewise.
    """

    depth: int
    encoder: Any
    mixer: Any
    decoder: Any


def net_key(feature, problem: str) -> str:
    """Returns the name of the modality net of a feature.

    Problems with equal keys share the net; only label matrices are a problem's own.
    """
    if feature.kind == "text":
        return f"language_{feature.vocabulary.name}"
    if feature.kind == "image":
        return f"image_{feature.channels}"
    if feature.kind == "audio":
        return f"audio_{feature.form}_{feature.width}"
    return f"label_{problem}"
