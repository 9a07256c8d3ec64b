# SPDX-License-Identifier: BSD-2-Clause
"""How an image classifier is trained and scored."""

import json
from pathlib import Path
from typing import Any, ClassVar, Self

import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array, Rng
from spago_jax.data.batching import UniformBatches
from spago_jax.data.formats.idx import read_idx
from spago_jax.errors import InputError
from spago_jax.models.classifier.config import DigitsData, IdxData, MLPClassifierConfig
from spago_jax.models.classifier.mlp import MLPClassifier
from spago_jax.models.classifier.scores import ClassScorer
from spago_jax.models.flows import auxiliary_losses, plus_auxiliary
from spago_jax.ops.losses import cross_entropy
from spago_jax.train.recipe import Batch, Loss, Metric, Recipe
from spago_jax.train.schema import Experiment

Part = tuple[np.ndarray, np.ndarray]


class MLPClassifierRecipe(Recipe):
    """``model.kind: mlp_classifier``."""

    kind = "mlp_classifier"
    ModelConfig = MLPClassifierConfig
    DataConfigs: ClassVar[dict] = {"idx": IdxData, "digits": DigitsData}
    metric = Metric("accuracy", "max")
    higher_is_better = frozenset({"accuracy", "macro_f1"})

    def __init__(self, experiment: Experiment, shape: tuple[int, int], classes: int):
        self.experiment = experiment
        self.config: MLPClassifierConfig = experiment.model
        self.shape, self.classes = shape, classes
        self._parts: dict[str, Part] = {}

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Files must be there before any work."""
        for key, path in experiment.data.model_dump().items():
            if isinstance(path, str) and key != "kind" and not Path(path).is_file():
                raise InputError(f"data.{key}: no such file", path=path)

    @classmethod
    def prepare(cls, experiment: Experiment) -> Self:
        """Reads the images."""
        data = experiment.data
        parts = _digits(data, experiment.seed) if isinstance(data, DigitsData) else _idx(data)
        images, labels = parts["train"]
        recipe = cls(experiment, (images.shape[1], images.shape[2]), int(labels.max()) + 1)
        recipe._parts = parts
        return recipe

    @classmethod
    def open(cls, experiment: Experiment, assets: Path) -> Self:
        """A recipe without data."""
        try:
            read = json.loads((assets / "images.json").read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"the run's assets cannot be read: {error}", path=assets / "images.json") from None
        return cls(experiment, tuple(read["shape"]), read["classes"])

    def save_assets(self, folder: Path) -> None:
        """The size of an image and the number of classes."""
        (folder / "images.json").write_text(json.dumps({"shape": self.shape, "classes": self.classes}))

    def init_model(self, key: Array) -> MLPClassifier:
        """A fresh model."""
        return MLPClassifier.init(key, self.config, self.shape[0] * self.shape[1], self.classes)

    def pretrained(self, model: MLPClassifier) -> MLPClassifier:
        """Puts the mean and the spread of the training pixels in."""
        images = self._parts["train"][0]
        mean, std = images.mean(dtype=np.float64), images.std(dtype=np.float64)
        return model.replace(mean=jnp.asarray(mean, jnp.float32), std=jnp.asarray(max(std, 1e-8), jnp.float32))

    def splits(self) -> list[str]:
        """The parts of the data."""
        return list(self._parts)

    def load_split(self, name: str, path: str) -> None:
        """Reads ``IMAGES,LABELS``: two IDX files."""
        images, comma, labels = path.partition(",")
        if not comma:
            raise InputError(f"{path!r}: give an image file and a label file, as IMAGES,LABELS")
        self._parts[name] = _pair(images, labels)

    def batches(self, split: str, *, training: bool) -> UniformBatches:
        """Shuffled for training, in order for evaluation."""
        train = self.experiment.train
        return UniformBatches(
            len(self._parts[split][1]),
            train.batch_size if training else train.eval_batch_size,
            steps_per_block=train.steps_per_call,
            seed=self.experiment.seed,
            order="shuffled" if training else "sequential",
        )

    def collate(self, split: str, block: Any, *, training: bool) -> dict[str, np.ndarray]:
        """Images, labels, and a weight of 0 for empty rows."""
        images, labels = self._parts[split]
        rows = np.maximum(block.indices, 0)
        return {
            "images": images[rows],
            "labels": labels[rows].astype(np.int32),
            "weight": (block.indices >= 0).astype(np.float32),
        }

    def loss(self, model: MLPClassifier, batch: Batch, carry: Any, rng: Rng) -> Loss:
        """Cross-entropy."""
        with auxiliary_losses(model.hidden) as extra:
            logits = model(batch["images"], rng=rng)
        losses = cross_entropy(logits, batch["labels"], label_smoothing=self.config.label_smoothing)
        return plus_auxiliary(Loss((losses * batch["weight"]).sum(), batch["weight"].sum()), extra)

    def evaluate(self, model: MLPClassifier, batch: Batch, carry: Any) -> tuple[Any, Any]:
        """The most probable class and the cross-entropy."""
        logits = model(batch["images"])
        return {"class": jnp.argmax(logits, -1), "loss": cross_entropy(logits, batch["labels"])}, carry

    def score_names(self) -> tuple[str, ...]:
        """As ``ClassScorer`` computes them."""
        return ("accuracy", "macro_f1", "loss")

    def scorer(self, split: str) -> ClassScorer:
        """Accuracy and macro-F1."""
        images, labels = self._parts[split]
        scale = 255.0 / max(float(images.max()), 1.0)

        def show(index: int) -> dict[str, Any]:
            return {"image": (images[index] * scale).astype(int).tolist()}

        return ClassScorer(labels, [str(c) for c in range(self.classes)], show)


def _idx(data: IdxData) -> dict[str, Part]:
    images, labels = _pair(data.train_images, data.train_labels)
    cut = len(labels) - data.dev_examples
    if cut <= 0:
        raise InputError(f"data.dev_examples = {data.dev_examples} leaves none of {len(labels)} images to train on")
    parts = {"train": (images[:cut], labels[:cut])}
    if data.dev_examples:
        parts["dev"] = (images[cut:], labels[cut:])
    if data.test_images is not None and data.test_labels is not None:
        parts["test"] = _pair(data.test_images, data.test_labels)
    return parts


def _pair(images_path: str, labels_path: str) -> Part:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3:
        raise InputError(f"holds an array of shape {list(images.shape)}, expected [n, height, width]", path=images_path)
    if labels.shape != images.shape[:1]:
        raise InputError(f"{len(labels)} labels for {len(images)} images", path=labels_path)
    return images, labels


def _digits(data: DigitsData, seed: int) -> dict[str, Part]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise InputError(
            "data.kind: digits needs scikit-learn: pip install 'spago_jax[examples]' (scripts/run does it)"
        ) from None
    digits: Any = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.int32)
    order = np.random.default_rng(seed).permutation(len(labels))
    dev, test = round(len(labels) * data.dev_fraction), round(len(labels) * data.test_fraction)
    cuts = {"dev": order[:dev], "test": order[dev : dev + test], "train": order[dev + test :]}
    return {name: (images[cuts[name]], labels[cuts[name]]) for name in ("train", "dev", "test")}
