"""Draws scenes as small pictures, and writes pictures as PNG files."""

import struct
import zlib

import numpy as np

from t2t_multimodel.problems.miniature.scene import SIZE_PX, Layer, Placed, Scene

_OVERSAMPLING = 2
_COLOURS_RGB = {
    "red": (205, 35, 35),
    "blue": (40, 75, 210),
    "green": (35, 150, 60),
    "yellow": (240, 215, 40),
    "white": (245, 245, 245),
    "black": (20, 20, 20),
    "purple": (140, 45, 165),
}
_BACKGROUNDS_RGB = ((150, 150, 150), (175, 150, 125), (125, 150, 170), (150, 165, 130))
_COLOUR_JITTER = 12.0
_NOISE = 6.0
_NOISE_STEP = 4.0  # coarse levels, so that files stay small


def render(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Draws a scene on a shaded, noisy background.

    Args:
        scene: What to draw.
        rng: Decides background, shades of colour and noise.

    Returns:
        `(64, 64, 3)` uint8, red-green-blue.
    """
    fine = SIZE_PX * _OVERSAMPLING
    canvas = _background(fine, rng)
    order = {Layer.UNDER: 0, Layer.APART: 1, Layer.OVER: 2}
    for placed in sorted(scene.placed, key=lambda p: order[p.layer]):
        _draw(canvas, placed, rng)
    # `mean` over two axes that are not side by side takes five times as long.
    parts = range(_OVERSAMPLING)
    rows = np.mean([canvas[i::_OVERSAMPLING] for i in parts], axis=0)
    picture = np.mean([rows[:, i::_OVERSAMPLING] for i in parts], axis=0)
    noise = rng.normal(0.0, _NOISE / _NOISE_STEP, (SIZE_PX, SIZE_PX, 1))
    picture += np.round(noise) * _NOISE_STEP
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _background(size: int, rng: np.random.Generator) -> np.ndarray:
    """A muted colour that grows lighter in some direction; `(size, size, 3)`."""
    base = np.asarray(_BACKGROUNDS_RGB[rng.integers(len(_BACKGROUNDS_RGB))], np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    shade = ramp[:, None] * np.sin(angle) + ramp * np.cos(angle)
    return base + 18.0 * shade[..., None].astype(np.float32)


def _draw(canvas: np.ndarray, placed: Placed, rng: np.random.Generator) -> None:
    """Paints one thing over `canvas`, in place."""
    scale = _OVERSAMPLING
    reach = placed.radius_px * 1.15
    limits = (
        (max(0, int((centre - reach) * scale)), int((centre + reach) * scale) + 1)
        for centre in (placed.y_px, placed.x_px)
    )
    (top, bottom), (left, right) = limits
    patch = canvas[top:bottom, left:right]
    rows = (np.arange(top, top + patch.shape[0]) + 0.5) / scale - placed.y_px
    columns = (np.arange(left, left + patch.shape[1]) + 0.5) / scale - placed.x_px
    sin, cos = np.sin(placed.angle_rad), np.cos(placed.angle_rad)
    across = columns * cos + rows[:, None] * sin  # px, in the thing's own axes
    down = rows[:, None] * cos - columns * sin
    shape = placed.thing.noun.english[0]
    inside = _SHAPES[shape](across / placed.radius_px, down / placed.radius_px)
    colour = np.asarray(_COLOURS_RGB[placed.thing.colour.english], np.float32)
    colour = colour + rng.uniform(-_COLOUR_JITTER, _COLOUR_JITTER, 3)
    patch[inside] = colour
    if placed.thing.texture:
        marked = _texture(placed, across, down)
        # Marks are darker, but lighter on dark colours.
        mark = colour * 0.45 if colour.mean() > 70 else colour * 0.5 + 110.0
        patch[inside & marked] = mark


def _texture(placed: Placed, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Where the stripes or spots are; `across` and `down` in pixels."""
    period = max(3.6, placed.radius_px / 2.5)
    if placed.thing.texture.english == "striped":
        return np.mod(across + down, 1.4 * period) < 0.6 * period
    row = np.floor(down / period)
    x = np.mod(across / period + 0.5 * np.mod(row, 2), 1.0) - 0.5
    y = np.mod(down / period, 1.0) - 0.5
    return x**2 + y**2 < 0.32**2


def _circle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x**2 + y**2 < 0.95**2


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) < 0.82


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (y < 0.75) & (np.abs(x) < 0.55 * (y + 1.0))


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Straight edges between five outer points and five inner ones.
    turn = np.mod(np.arctan2(x, -y), 2 * np.pi / 5)
    turn = np.minimum(turn, 2 * np.pi / 5 - turn)
    outer, inner, step = 1.08, 0.48, np.pi / 5
    edge = outer * inner * np.sin(step)
    edge = edge / (outer * np.sin(turn) + inner * np.sin(step - turn))
    return np.hypot(x, y) < edge


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.abs(x), np.abs(y)
    return (np.maximum(x, y) < 0.97) & (np.minimum(x, y) < 0.32)


def _moon(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x**2 + y**2 < 1) & ((x - 0.55) ** 2 + y**2 > 0.8**2)


def _diamond(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(x) / 0.72 + np.abs(y) / 1.08 < 1


def _flower(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    distance = np.hypot(x, y)
    petals = 0.72 + 0.28 * np.cos(6 * np.arctan2(y, x))
    return (distance < petals) & (distance > 0.2)


_SHAPES = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "moon": _moon,
    "diamond": _diamond,
    "flower": _flower,
}


def encode_png(picture: np.ndarray) -> bytes:
    """Returns the picture as a PNG file.

    Args:
        picture: `(H, W, 3)` uint8.
    """
    height, width, _ = picture.shape
    filtered = np.empty((height, 1 + 3 * width), np.uint8)
    filtered[:, 0] = 2  # PNG's filter "up": each row as difference to the one above
    rows = picture.reshape(height, 3 * width)
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]  # modulo 256, as PNG wants it
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
    )
