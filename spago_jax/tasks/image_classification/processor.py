# SPDX-License-Identifier: BSD-2-Clause
"""The processor of image classification: pictures to arrays, logits to classes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from spago_jax.data.examples import Picture
from spago_jax.data.processor import Processor, Rows, load_settings, restoring, save_settings
from spago_jax.errors import InputError
from spago_jax.tasks.classification import Classification, ranked


class PictureRows(Rows):
    """Pictures as one array [n, height, width], with their labels (-1: none, or one that training never saw)."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self.images, self.labels = images, labels
        self.lengths = np.ones(len(images), np.int64)
        self.owners = np.arange(len(images))


class PictureProcessor(Processor[Picture, Classification]):
    """Pictures of one size, and the classes 0, 1, 2, ...

    Args:
        shape: height and width.
        counts: how many training pictures each class has; classes are numbered from 0.
        dtype: the type of the training pixels; pictures of other types are turned to it where no number changes, else
            to float32.
    """

    outputs: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(self, shape: Sequence[int], counts: Sequence[int], dtype: str):
        height, width = shape
        self.shape, self.counts, self.dtype = (int(height), int(width)), tuple(map(int, counts)), np.dtype(dtype)
        self.classes = len(self.counts)
        self.known = {number for number, count in enumerate(self.counts) if count}

    def example(self, value: object) -> Picture:
        """A picture, pixels [height, width].

        Raises:
            InputError: for a picture of another size than the training pictures.
        """
        if isinstance(value, Picture):
            value = value.pixels
        pixels = np.asarray(value)
        if pixels.shape != self.shape or pixels.dtype.kind not in "buif":
            height, width = self.shape
            raise InputError(
                f"an array {pixels.dtype}{list(pixels.shape)}, the model expects images of [{height}, {width}]"
            )
        return Picture(pixels)

    def encode(self, examples: Iterable[Picture]) -> PictureRows:
        """Some pictures as one array."""
        kept = list(examples)
        images = np.stack([one.pixels for one in kept]) if kept else np.zeros((0, *self.shape), self.dtype)
        if images.dtype != self.dtype:
            with np.errstate(invalid="ignore"):
                cast = images.astype(self.dtype)
            images = cast if np.array_equal(cast, images) else images.astype(np.float32)
        labels = [-1 if one.label not in self.known else one.label for one in kept]
        return PictureRows(images, np.array(labels, np.int32))

    def batch(
        self, rows: PictureRows, indices: np.ndarray, length: int, *, targets: bool = False
    ) -> dict[str, np.ndarray]:
        """``images`` [..., height, width]; as targets ``labels``, and ``weight`` 0 for empty rows."""
        chosen = np.maximum(indices, 0)
        if not len(rows):
            images = np.zeros((*indices.shape, *self.shape), rows.images.dtype)
        else:
            images = rows.images[chosen]
        if not targets:
            return {"images": images}
        return {
            "images": images,
            "labels": rows.labels[chosen].astype(np.int32),
            "weight": (indices >= 0).astype(np.float32),
        }

    def specs(self) -> dict[str, str]:
        """The pixels, as numbers of the range that training saw."""
        height, width = self.shape
        return {"images": f"f32[batch, {height}, {width}]"}

    def decode(
        self,
        outputs: Sequence[Mapping[str, np.ndarray]],
        rows: PictureRows,
        owned: Sequence[int],
        example: Picture,
        **options: Any,
    ) -> Classification:
        """The classes by their probability; ``options`` are those of ``ranked``."""
        return ranked(outputs[0]["logits"], [str(number) for number in range(self.classes)], **options)

    def settings(self) -> dict[str, Any]:
        """The size and type of a picture, and the number of training pictures of each class."""
        return {
            "task": "image-classification",
            "shape": list(self.shape),
            "counts": list(self.counts),
            "dtype": self.dtype.name,
        }

    def save(self, folder: Path) -> None:
        """Writes ``processor.json``."""
        save_settings(self, folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what ``save`` wrote."""
        settings = load_settings(folder)
        with restoring(folder, "a classifier"):
            return cls(settings["shape"], settings["counts"], settings["dtype"])
