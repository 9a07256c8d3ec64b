# SPDX-License-Identifier: BSD-2-Clause
"""How a text classifier is trained and scored."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array, Rng
from spago_jax.data.batching import LengthBatches
from spago_jax.data.buckets import shared_buckets
from spago_jax.data.encoded import EncodedExamples, name_table
from spago_jax.data.load import load_labeled
from spago_jax.data.ragged import RaggedArray
from spago_jax.errors import InputError
from spago_jax.models.classifier.config import LabelledTextData, TextClassifierConfig
from spago_jax.models.classifier.ngrams import hashed_ngrams
from spago_jax.models.classifier.scores import ClassScorer
from spago_jax.models.classifier.text import TextClassifier
from spago_jax.models.flows import auxiliary_losses, plus_auxiliary
from spago_jax.models.tokens.encoder import read_vectors_for
from spago_jax.models.tokens.features import Features, FormTables
from spago_jax.ops.losses import cross_entropy
from spago_jax.text.words import words
from spago_jax.train.recipe import Batch, Loss, Metric, Recipe
from spago_jax.train.schema import Experiment


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the data: a corpus and the rows of it that belong to the part."""

    corpus: EncodedExamples
    rows: np.ndarray
    labels: np.ndarray
    tables: FormTables
    ngrams: RaggedArray | None

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text."""
        return np.maximum(self.corpus.lengths[self.rows], 1)


class TextClassifierRecipe(Recipe):
    """``model.kind: text_classifier``."""

    kind = "text_classifier"
    ModelConfig = TextClassifierConfig
    DataConfigs: ClassVar[dict] = {"labelled_text": LabelledTextData}
    metric = Metric("accuracy", "max")
    higher_is_better = frozenset({"accuracy", "macro_f1"})

    def __init__(self, experiment: Experiment, features: Features, classes: Sequence[str]):
        self.experiment = experiment
        self.config: TextClassifierConfig = experiment.model
        self.features = features
        self.classes = tuple(classes)
        self._parts: dict[str, Part] = {}
        self._train: EncodedExamples | None = None
        self._vectors: Any = None

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Files must be there before any work."""
        for key in ("train", "dev", "test"):
            path = getattr(experiment.data, key)
            if path is not None and not Path(path).is_file():
                raise InputError(f"data.{key}: no such file", path=path)
        if experiment.data.train is None:
            raise InputError("data.train is missing: there is nothing to train on")

    @classmethod
    def prepare(cls, experiment: Experiment) -> Self:
        """Encodes the texts; vocabularies and classes are those of the training file."""
        data: LabelledTextData = experiment.data
        assert data.train is not None
        train = _load(data, data.train)
        vectors = read_vectors_for(experiment.model)
        features = Features.build(train.lexicon, experiment.model, () if vectors is None else vectors.words)
        recipe = cls(experiment, features, sorted(train.label_names))
        recipe._train, recipe._vectors = train, vectors
        order = np.arange(len(train.lengths))
        if data.dev is None and data.dev_fraction:
            order = np.random.default_rng(experiment.seed).permutation(len(order))
            cut = round(len(order) * data.dev_fraction)
            recipe._add("dev", train, np.sort(order[:cut]))
            order = np.sort(order[cut:])
        recipe._add("train", train, order)
        for split, path in (("dev", data.dev), ("test", data.test)):
            if path is not None:
                recipe.load_split(split, path)
        recipe._parts = {name: recipe._parts[name] for name in ("train", "dev", "test") if name in recipe._parts}
        return recipe

    @classmethod
    def open(cls, experiment: Experiment, assets: Path) -> Self:
        """A recipe without data."""
        try:
            classes = json.loads((assets / "classes.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"the run's classes cannot be read: {error}", path=assets / "classes.json") from None
        return cls(experiment, Features.load(assets), classes)

    def save_assets(self, folder: Path) -> None:
        """Vocabularies and classes."""
        self.features.save(folder)
        (folder / "classes.json").write_text(json.dumps(self.classes, ensure_ascii=False, indent=1), encoding="utf-8")

    def _add(self, split: str, corpus: EncodedExamples, rows: np.ndarray) -> None:
        labels = np.full(len(rows), -1, np.int32)
        if corpus.labels is not None:
            labels = name_table(corpus.label_names, self.classes)[corpus.labels][rows]
        self._parts[split] = Part(corpus, rows, labels, self.features.tables(corpus.lexicon), self._ngrams(corpus))

    def _ngrams(self, corpus: EncodedExamples) -> RaggedArray | None:
        if not self.config.ngrams:
            return None
        found = [self.ngrams_of(corpus.tokens(i)) for i in range(len(corpus.lengths))]
        values = np.array([n for row in found for n in row], np.int32)
        return RaggedArray.from_lengths(values, np.array([len(row) for row in found]))

    def ngrams_of(self, tokens: Sequence[str]) -> list[int]:
        """The hashed n-grams of one text, as many as there is room for in a batch of texts of its length."""
        config, tokens = self.config, tokens[: self.experiment.train.max_length]
        found = hashed_ngrams(tokens, config.ngrams, order=config.ngram_order, characters=config.character_ngrams)
        # Cut here and not in the batch, so that a text's n-grams do not depend on its neighbours.
        return found[: self.ngram_width(max(len(tokens), 1))]

    # -- the model -------------------------------------------------------------------------------------------------

    def init_model(self, key: Array) -> TextClassifier:
        """A fresh model."""
        return TextClassifier.init(key, self.config, **self.features.sizes, classes=len(self.classes))

    def pretrained(self, model: TextClassifier) -> TextClassifier:
        """Puts the given word vectors in, and how often each training word is read as unknown."""
        assert self._train is not None
        chance = self.features.unknown_probability(self._train.lexicon, self.config.words.unknown_rate)
        return model.replace(tokens=model.tokens.pretrained(chance, self.features, self._vectors))

    # -- data ------------------------------------------------------------------------------------------------------

    def splits(self) -> list[str]:
        """The parts of the data."""
        return list(self._parts)

    def load_split(self, name: str, path: str) -> None:
        """Reads another file of the same columns."""
        corpus = _load(self.experiment.data, path)
        self._add(name, corpus, np.arange(len(corpus.lengths)))

    def batches(self, split: str, *, training: bool) -> LengthBatches:
        """By length, longer texts cut."""
        train = self.experiment.train
        lengths = {name: np.minimum(part.lengths, train.max_length) for name, part in self._parts.items()}
        return LengthBatches(
            lengths[split],
            train.batch_size if training else train.eval_batch_size,
            bucket_lengths=shared_buckets(list(lengths.values()), train.buckets),
            steps_per_block=train.steps_per_call,
            seed=self.experiment.seed,
            order="shuffled" if training else "sequential",
        )

    def collate(self, split: str, block: Any, *, training: bool) -> dict[str, np.ndarray]:
        """Tokens, n-grams, labels and weights of a block."""
        part = self._parts[split]
        held = block.indices >= 0
        rows = np.where(held, part.rows[np.maximum(block.indices, 0)], -1)
        forms, lengths = part.corpus.forms.gather(rows, block.length, pad=-1, truncate=True)
        arrays = part.tables.batch(forms, lengths)
        if part.ngrams is not None:
            width = self.ngram_width(block.length)
            arrays["ngrams"], arrays["ngram_lengths"] = part.ngrams.gather(rows, width)
        arrays["labels"] = np.where(held, part.labels[np.maximum(block.indices, 0)], 0).astype(np.int32)
        arrays["weight"] = held.astype(np.float32)
        return arrays

    def ngram_width(self, length: int) -> int:
        """Room for the n-grams of a text of so many tokens; words have six letters or so."""
        return length * (self.config.ngram_order + (15 if self.config.character_ngrams else 0))

    # -- steps -----------------------------------------------------------------------------------------------------

    def loss(self, model: TextClassifier, batch: Batch, carry: Any, rng: Rng) -> Loss:
        """Cross-entropy."""
        with auxiliary_losses(model.rnn) as extra:
            logits = model(batch, rng=rng)
        losses = cross_entropy(logits, batch["labels"], label_smoothing=self.config.label_smoothing)
        return plus_auxiliary(Loss((losses * batch["weight"]).sum(), batch["weight"].sum()), extra)

    def evaluate(self, model: TextClassifier, batch: Batch, carry: Any) -> tuple[Any, Any]:
        """The most probable class and the cross-entropy."""
        logits = model(batch)
        gold = jnp.maximum(batch["labels"], 0)
        return {"class": jnp.argmax(logits, -1), "loss": cross_entropy(logits, gold)}, carry

    def score_names(self) -> tuple[str, ...]:
        """As ``ClassScorer`` computes them."""
        return ("accuracy", "macro_f1", "loss")

    def scorer(self, split: str) -> ClassScorer:
        """Accuracy and macro-F1."""
        part = self._parts[split]
        if part.corpus.labels is None:
            raise InputError(f"{split} has no labels to score against")
        return ClassScorer(
            part.labels, self.classes, lambda index: {"text": " ".join(part.corpus.tokens(int(part.rows[index])))}
        )


def _load(data: LabelledTextData, path: str) -> EncodedExamples:
    return load_labeled(
        path,
        lambda text: words(text, lower=data.lowercase),
        f"words lower={data.lowercase}",
        text_field=data.text_field,
        label_field=data.label_field,
    )
