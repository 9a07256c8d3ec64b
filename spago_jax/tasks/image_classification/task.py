# SPDX-License-Identifier: BSD-2-Clause
"""``task: image-classification``."""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from spago_jax.data.batching import UniformBatches
from spago_jax.data.examples import Picture
from spago_jax.data.formats.digits import Digits
from spago_jax.data.formats.idx import Idx, read_idx
from spago_jax.data.formats.reader import Reader
from spago_jax.errors import InputError, InputWarning
from spago_jax.tasks.class_options import AnswerOptions
from spago_jax.tasks.class_scores import ClassScorer
from spago_jax.tasks.image_classification.config import ImageClassifierConfig
from spago_jax.tasks.image_classification.objective import ImageClassificationObjective
from spago_jax.tasks.image_classification.processor import PictureProcessor
from spago_jax.tasks.input_file import InputFile
from spago_jax.train.schema import ClassTrainConfig, Experiment
from spago_jax.train.task import Score, Task, balancing_weights


class ImageClassification(Task):
    """One class per picture."""

    name = "image-classification"
    readers: ClassVar[tuple[type[Reader], ...]] = (Idx, Digits)
    ModelConfig = ImageClassifierConfig
    TrainConfig = ClassTrainConfig
    scores: ClassVar[tuple[Score, ...]] = (Score("accuracy"), Score("macro_f1"), Score("loss", "min"))
    Options = AnswerOptions
    input_formats = ()
    processor_class = PictureProcessor

    @classmethod
    def make_processor(cls, experiment: Experiment, *, start: PictureProcessor | None = None) -> PictureProcessor:
        """Makes the shape and the classes of the training pictures."""
        pictures = list(experiment.data.read("train", seed=experiment.seed))
        first = pictures[0].pixels
        counts = np.bincount([picture.label or 0 for picture in pictures])
        return PictureProcessor(first.shape, counts.tolist(), first.dtype.name)

    def read(self, split: str, files: Sequence[Path] | None = None) -> None:
        """Reads one part of the data, or an IDX file of images and one of labels."""
        data = self.experiment.data
        if files is None:
            self._add(split, list(data.read(split, seed=self.experiment.seed)), f"data.{split}")
            return
        if len(files) != 2:
            raise InputError("give an image file and a label file, as IMAGES,LABELS")
        data = Idx(format="idx", train_images=str(files[0]), train_labels=str(files[1]))
        self._add(split, list(data.read("train", files)), ",".join(map(str, files)))

    def make_objective(self) -> ImageClassificationObjective:
        """The cross-entropy of the classes."""
        return ImageClassificationObjective(self.experiment.model, self.processor)

    def from_data(self, model: Any) -> Any:
        """Puts the mean and the spread of the training pixels in."""
        images = self.parts["train"].images
        mean, std = images.mean(dtype=np.float64), images.std(dtype=np.float64)
        return model.replace(mean=jnp.asarray(mean, jnp.float32), std=jnp.asarray(max(std, 1e-8), jnp.float32))

    def _add(self, split: str, pictures: Sequence[Picture], where: str) -> None:
        """Encodes the pictures of a part; labels that training never saw are said in a warning, and count as missed.

        Raises:
            InputError: for no pictures, or pictures of another size than the training pictures.
        """
        if not pictures:
            raise InputError(f"{where} has no pictures")
        shape = next((one.pixels.shape for one in pictures if one.pixels.shape != self.processor.shape), None)
        if shape is not None:
            own = list(self.processor.shape)
            raise InputError(f"{where} has pictures of {list(shape)}, those of training are {own}")
        self.parts[split] = self.processor.encode(pictures)
        labels = [one.label for one in pictures if one.label is not None]
        unseen = Counter(label for label in labels if label not in self.processor.known)
        if unseen:
            named = ", ".join(f"{label} ({unseen[label]})" for label in sorted(unseen)[:10])
            warnings.warn(
                f"{where}: {unseen.total()} of {len(pictures)} pictures have labels that training never saw, and count"
                f" as missed: {named}{', ...' if len(unseen) > 10 else ''}",
                InputWarning,
                stacklevel=2,
            )

    def batches(self, split: str, *, training: bool) -> UniformBatches:
        """Shuffled for training, in order for evaluation."""
        train = self.experiment.train
        balanced = training and train.sampling == "balanced"
        weights = balancing_weights(self.parts[split].labels) if balanced else None
        return UniformBatches(
            len(self.parts[split]),
            train.batch_size if training else train.eval_batch_size,
            steps_per_block=train.steps_per_call,
            seed=self.experiment.seed,
            order="shuffled" if training else "sequential",
            weights=weights,
        )

    def scorer(self, split: str) -> ClassScorer:
        """Accuracy and macro-F1."""
        rows = self.parts[split]
        scale = 255.0 / max(float(rows.images.max()), 1.0)

        def show(index: int) -> dict[str, Any]:
            return {"kind": "image", "image": (rows.images[index] * scale).astype(int).tolist()}

        return ClassScorer(rows.labels, self.labels(), show)

    def examples(self, source: InputFile) -> Iterator[Picture]:
        """The pictures of an IDX or a .npy file."""
        if source.is_stdin:
            raise InputError("an image classifier reads a file: --input FILE (.npy or IDX)")
        images = _npy(source.path) if source.suffix == ".npy" else read_idx(source.path)
        height, width = self.processor.shape
        if images.ndim != 3 or images.shape[1:] != (height, width):
            raise InputError(
                f"images have shape {list(images.shape)}, the model expects [n, {height}, {width}]", path=source.path
            )
        yield from (Picture(pixels) for pixels in images)

    def labels(self) -> Sequence[str]:
        """The classes, as numbers."""
        return [str(number) for number in range(self.processor.classes)]


def _npy(path: Path) -> np.ndarray:
    try:
        images = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"not a NumPy array that can be read: {error}", path=path) from None
    if not isinstance(images, np.ndarray) or images.dtype.kind not in "buif":
        raise InputError("not a NumPy array of numbers", path=path)
    return images
