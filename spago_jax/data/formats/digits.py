# SPDX-License-Identifier: BSD-2-Clause
"""The pictures of handwritten digits that come with scikit-learn."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from spago_jax.data.examples import Picture
from spago_jax.data.formats.reader import SPLITS, Reader
from spago_jax.data.notes import Notes
from spago_jax.errors import InputError


class Digits(Reader):
    """The 1,797 images of digits of scikit-learn, 8 x 8 (needs the extra 'examples')."""

    format: Literal["digits"]
    dev_fraction: float = Field(default=0.15, gt=0, lt=1, description="share that becomes dev")
    test_fraction: float = Field(default=0.15, gt=0, lt=1, description="share that becomes test")

    def splits(self) -> list[str]:
        """Returns all three parts, drawn from the one set."""
        return list(SPLITS)

    def files(self, split: str) -> list[Path]:
        """Returns no files: the pictures come with the package."""
        return []

    def read(
        self, split: str, files: Sequence[Path] | None = None, *, seed: int = 0, notes: Notes | None = None
    ) -> Iterator[Picture]:
        """Yields the pictures of a part of the data."""
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise InputError(
                "data.format: digits needs scikit-learn: pip install 'spago_jax[examples]' (scripts/run does it)"
            ) from None
        digits: Any = load_digits()
        images, labels = digits.images.astype(np.uint8), digits.target.astype(np.int32)
        order = np.random.default_rng(seed).permutation(len(labels))
        dev, test = round(len(labels) * self.dev_fraction), round(len(labels) * self.test_fraction)
        chosen = {"dev": order[:dev], "test": order[dev : dev + test], "train": order[dev + test :]}[split]
        for index in chosen:
            yield Picture(images[index], int(labels[index]))
