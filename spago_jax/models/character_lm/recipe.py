# SPDX-License-Identifier: BSD-2-Clause
"""How a character language model is trained and scored."""

import json
from pathlib import Path
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array, Rng
from spago_jax.data.text_chunks import TextChunks
from spago_jax.errors import InputError
from spago_jax.models.character_lm import data as texts
from spago_jax.models.character_lm.config import CharacterLMConfig, PythonDocsData, TextData
from spago_jax.models.character_lm.model import CharacterLM
from spago_jax.ops.losses import cross_entropy
from spago_jax.ops.masks import length_mask
from spago_jax.train.metrics.perplexity import Perplexity
from spago_jax.train.recipe import Batch, Loss, Metric, Recipe, Scores
from spago_jax.train.schema import Experiment


class CharacterLMRecipe(Recipe):
    """``model.kind: character_lm``."""

    kind = "character_lm"
    ModelConfig = CharacterLMConfig
    DataConfigs: ClassVar[dict] = {"text": TextData, "python_docs": PythonDocsData}
    metric = Metric("nats", "min")
    unit = "characters"

    def __init__(self, experiment: Experiment, alphabet: list[str]):
        self.experiment = experiment
        self.config: CharacterLMConfig = experiment.model
        self.alphabet = alphabet
        self._ids: dict[str, np.ndarray] = {}
        self._chunks: dict[tuple[str, bool], TextChunks] = {}
        self._states: dict[int, Any] = {}

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Files must be there before any work."""
        for key in ("train", "dev", "test"):
            path = getattr(experiment.data, key, None)
            if path is not None and not Path(path).is_file():
                raise InputError(f"data.{key}: no such file", path=path)

    @classmethod
    def prepare(cls, experiment: Experiment) -> Self:
        """Encodes the text; the alphabet is that of the training file."""
        whole, parts = texts.read(experiment.data)
        recipe = cls(experiment, list(whole.alphabet))
        recipe._ids = parts
        return recipe

    @classmethod
    def open(cls, experiment: Experiment, assets: Path) -> Self:
        """A recipe without data."""
        try:
            alphabet = json.loads((assets / "alphabet.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"the run's alphabet cannot be read: {error}", path=assets / "alphabet.json") from None
        return cls(experiment, alphabet)

    def save_assets(self, folder: Path) -> None:
        """The alphabet."""
        (folder / "alphabet.json").write_text(json.dumps(self.alphabet, ensure_ascii=False), encoding="utf-8")

    def init_model(self, key: Array) -> CharacterLM:
        """A fresh model."""
        return CharacterLM.init(key, self.config, len(self.alphabet))

    def splits(self) -> list[str]:
        """The parts of the text."""
        return list(self._ids)

    def load_split(self, name: str, path: str) -> None:
        """Reads another text over the same alphabet."""
        self._ids[name] = texts.read_more(path, self.alphabet)

    def batches(self, split: str, *, training: bool) -> TextChunks:
        """Parallel streams of the text, chunk after chunk."""
        key = (split, training)
        if key not in self._chunks:
            train = self.experiment.train
            self._chunks[key] = TextChunks(
                self._ids[split],
                train.batch_size if training else train.eval_batch_size,
                self.config.chunk,
                steps_per_block=train.steps_per_call,
                seed=self.experiment.seed if training else None,
                keep_tail=not training,
            )
        return self._chunks[key]

    def collate(self, split: str, block: Any, *, training: bool) -> dict[str, np.ndarray]:
        """Inputs, targets and lengths of a block's chunks."""
        return self.batches(split, training=training).gather(block)

    def units(self, split: str, block: Any) -> int:
        """Characters of a block."""
        return block.indices.size * self.config.chunk

    def initial_carry(self, batch_size: int) -> Any:
        """Zero states."""
        if batch_size not in self._states:
            model = jax.eval_shape(self.init_model, jax.random.key(0))
            self._states[batch_size] = jax.eval_shape(lambda m: m.initial_state((batch_size,)), model)
        return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), self._states[batch_size])

    def loss(self, model: CharacterLM, batch: Batch, carry: Any, rng: Rng) -> Loss:
        """The cross-entropy of the next characters, in nats a character."""
        logits, state = model(batch["inputs"], state=carry, rng=rng)
        losses = cross_entropy(logits, batch["targets"])
        return Loss(losses.sum(), jnp.asarray(losses.size, jnp.float32), _as(state, carry))

    def evaluate(self, model: CharacterLM, batch: Batch, carry: Any) -> tuple[Any, Any]:
        """The summed cross-entropy and the number of characters of each row."""
        lengths = batch["lengths"]
        logits, state = model(batch["inputs"], lengths, state=carry)
        losses = cross_entropy(logits, batch["targets"])
        mask = length_mask(lengths, losses.shape[-1])
        return {"nats": jnp.where(mask, losses, 0.0).sum(-1), "count": lengths}, _as(state, carry)

    def score_names(self) -> tuple[str, ...]:
        """Nats and bits a character, and the perplexity."""
        return ("nats", "bits_per_character", "perplexity")

    def scorer(self, split: str) -> "NatsScorer":
        """Nats and bits a character, perplexity."""
        return NatsScorer()


class NatsScorer:
    """Adds up the cross-entropy of all characters."""

    def __init__(self) -> None:
        self._metric = Perplexity()
        self._state = self._metric.init()

    def update(self, block: Any, outputs: Any) -> None:
        """Takes the sums of one block."""
        steps = block.steps
        self._state = self._metric.update(
            self._state,
            nll=float(np.asarray(outputs["nats"][:steps], np.float64).sum()),
            tokens=int(outputs["count"][:steps].sum()),
        )

    def compute(self) -> Scores:
        """The scores so far."""
        found = self._metric.compute(self._state)
        return Scores({"nats": found["nll"], **{name: found[name] for name in ("bits_per_character", "perplexity")}})


def _as(state: Any, carry: Any) -> Any:
    """The state in the carry's own dtypes: it is carried from one compiled step to the next."""
    return jax.tree.map(lambda new, old: new.astype(old.dtype), state, carry)
