"""Our modality nets made into T2T v1.0.3's, layer by layer, with its weights.

What differs is replaced here, named, and listed in docs/fidelity.md.
"""

import tensorflow as tf

from t2t_multimodel.layers import ConvStep2D
from t2t_multimodel.modalities import (
    AudioModality,
    CategoricalModality,
    ImageModality,
)
from tests.layers.golden import Pairs


def image_net(depth: int) -> ImageModality:
    """Returns a built image net with T2T's layers.

    Second convolution ordinary, ReLU before the first shortcut only, and filters no
    wider than the body. T2T's ordinary 1x1 shortcuts are separable ones whose
    depthwise kernel is 1.
    """
    net = ImageModality(depth, filters=(min(128, depth), min(256, depth)))
    net.stem_2 = ConvStep2D(64, (3, 3), separable=False)
    for block in net.blocks[1:]:
        block.shortcut.activation = False
    net.build((None, None, None, 3))
    return net


def image_pairs(net: ImageModality, v: dict, scope: str) -> Pairs:
    """Returns T2T's weights of an image net."""
    pairs = Pairs()
    pairs.add_step(net.stem_1, v, f"{scope}/conv0")
    pairs.add_step(net.stem_2, v, f"{scope}/conv1")
    for index, block in enumerate(net.blocks):
        _add_conv_res(pairs, block, v, f"{scope}/block{index}")
    return pairs


def audio_net(depth: int, compression: int, bin_stride: int) -> AudioModality:
    """Returns an audio net with T2T's layers: no ReLU before the last shortcut."""
    net = AudioModality(depth, compression=compression, bin_stride=bin_stride)
    net.blocks[-1].shortcut.activation = False
    net.build((None, None, None))
    return net


def audio_pairs(net: AudioModality, v: dict, scope: str) -> Pairs:
    """Returns T2T's weights of an audio net.

    Our first block reads the sound, its negative and ones; T2T's the sound alone:
    the weights of the other two are zeros.
    """
    pairs = Pairs()
    first, *others = net.blocks
    names = [f"{scope}/compress_block_{i}" for i in range(len(others))]
    for index, step in enumerate((first.step_1, first.shortcut)):
        part = ("sep_conv_block", "res_conv0")[index]
        start = f"{names[0]}/{part}/conv_block_0_single"
        one = v.get(f"{start}/depthwise_kernel", tf.ones((1, 1, 1, 1)))
        pointwise = v.get(f"{start}/pointwise_kernel", v.get(f"{start}/kernel"))
        pairs.add(step.depthwise, tf.pad(one, [(0, 0), (0, 0), (0, 2), (0, 0)]))
        pairs.add(step.pointwise, tf.pad(pointwise[0, 0], [(0, 2), (0, 0)]))
        pairs.add_norm(step.norm, v, f"{names[0]}/{part}/conv_block_norm_0")
    pairs.add_step(first.step_2, v, f"{names[0]}/sep_conv_block", 1)
    names = [*names[1:], f"{scope}/compress_block_final"]
    for name, block in zip(names, others, strict=True):
        _add_conv_res(pairs, block, v, name)
    return pairs


def _add_conv_res(pairs, block, v, name):
    pairs.add_step(block.step_1, v, f"{name}/sep_conv_block", 0)
    pairs.add_step(block.step_2, v, f"{name}/sep_conv_block", 1)
    pairs.add_step(block.shortcut, v, f"{name}/res_conv0")


def categorical_net(depth: int) -> CategoricalModality:
    """Returns a built categorical net with T2T's layers.

    Ordinary strided convolution, a first step of the body's depth, and no ReLU before
    the first of the two wide steps.
    """
    net = CategoricalModality((5 * depth // 4, 2 * depth, 5 * depth // 2))
    net.skip = ConvStep2D(net.filters[0], (3, 3), (2, 2), separable=False)
    net.step_1 = ConvStep2D(depth, (3, 3))
    net.step_3.activation = False
    depths = (depth, depth, *net.filters[:2])
    steps = (net.step_1, net.step_2, net.step_3, net.step_4)
    for step, input_depth in zip(steps, depths, strict=True):
        step.build((None, None, None, input_depth))
    net.skip.build((None, None, None, depth))
    net.built = True
    return net


def categorical_pairs(net: CategoricalModality, v: dict, scope: str) -> Pairs:
    """Returns T2T's weights of a categorical net."""
    pairs = Pairs()
    pairs.add_step(net.skip, v, f"{scope}/res_conv")
    for index in range(4):
        pairs.add_step(getattr(net, f"step_{index + 1}"), v, f"{scope}/conv{index}")
    return pairs
