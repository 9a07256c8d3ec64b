# SPDX-License-Identifier: BSD-2-Clause
"""Small noisy pictures of shapes, for an image classifier to begin with."""

from pathlib import Path

import numpy as np

from spago_jax.data.formats.idx import write_idx

SIZE = 8
TRAIN, TEST = 240, 80


def write_shapes(folder: Path) -> None:
    """Writes pictures and labels of five shapes as IDX files; the same ones at each call.

    Raises:
        OSError: when the folder cannot be written.
    """
    images, labels = draw_shapes(TRAIN + TEST, seed=1)
    for name, part in (("train", slice(TRAIN)), ("test", slice(TRAIN, None))):
        write_idx(folder / f"{name}-images.idx", images[part])
        write_idx(folder / f"{name}-labels.idx", labels[part])


def draw_shapes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws bars across (0) and down (1), diagonals (2), crosses (3) and rings (4), each somewhere, in noise.

    Args:
        count: how many.
        seed: of the drawing.

    Returns:
        Pixels [count, 8, 8] and labels [count], both of bytes.

    >>> pixels, labels = draw_shapes(5, seed=0)
    >>> pixels.shape, labels.dtype
    ((5, 8, 8), dtype('uint8'))
    """
    draw = np.random.default_rng(seed)
    labels = draw.integers(5, size=count).astype(np.uint8)
    pixels = draw.integers(0, 80, size=(count, SIZE, SIZE))
    shapes = np.zeros((5, 5, 5), int)
    shapes[0, 2], shapes[1, :, 2] = 1, 1
    shapes[2] = np.eye(5, dtype=int)
    shapes[3, 2], shapes[3, :, 2] = 1, 1
    shapes[4, 0], shapes[4, -1], shapes[4, :, 0], shapes[4, :, -1] = 1, 1, 1, 1
    for picture, label in zip(pixels, labels, strict=True):
        down, across = draw.integers(0, SIZE - 4, size=2)
        picture[down : down + 5, across : across + 5] += shapes[label] * int(draw.integers(110, 170))
    return pixels.astype(np.uint8), labels
