# SPDX-License-Identifier: BSD-2-Clause
"""How a sequence labeler is trained, scored and used."""

from pathlib import Path
from typing import Any, ClassVar, Self

import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array, Rng
from spago_jax.data.batching import LengthBatches
from spago_jax.data.buckets import shared_buckets
from spago_jax.data.encoded import EncodedSentences
from spago_jax.errors import InputError
from spago_jax.models.flows import auxiliary_losses, plus_auxiliary
from spago_jax.models.sequence_labeler import data as corpora
from spago_jax.models.sequence_labeler.config import ConllData, ConlluData, PythonData, SequenceLabelerConfig
from spago_jax.models.sequence_labeler.model import SequenceLabeler
from spago_jax.models.sequence_labeler.scores import TagScorer, majority_scores
from spago_jax.models.sequence_labeler.tag_set import TagSet
from spago_jax.models.tokens.encoder import read_vectors_for
from spago_jax.models.tokens.features import Features, FormTables
from spago_jax.text.tags import transition_mask
from spago_jax.train.recipe import Batch, Loss, Metric, Recipe, Scores
from spago_jax.train.schema import Experiment


class SequenceLabelerRecipe(Recipe):
    """``model.kind: sequence_labeler``: entities (with spans) or one tag a token (parts of speech, roles)."""

    kind = "sequence_labeler"
    ModelConfig = SequenceLabelerConfig
    DataConfigs: ClassVar[dict] = {"conll": ConllData, "conllu": ConlluData, "python_source": PythonData}
    metric = Metric("f1", "max")
    higher_is_better = frozenset({"f1", "precision", "recall", "accuracy", "macro_f1"})
    unit = "tokens"

    def __init__(self, experiment: Experiment, features: Features, tags: TagSet):
        self.experiment = experiment
        self.config: SequenceLabelerConfig = experiment.model
        self.features = features
        self.tags = tags
        self._corpora: dict[str, EncodedSentences] = {}
        self._tables: dict[str, FormTables] = {}
        self._tags: dict[str, np.ndarray] = {}
        self._vectors: Any = None
        if tags.scheme == "plain":
            self.metric = Metric("macro_f1" if isinstance(experiment.data, PythonData) else "accuracy", "max")

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Files must be there before any work."""
        for key in ("train", "dev", "test"):
            named = getattr(experiment.data, key, None) or ()
            for path in (named,) if isinstance(named, str) else named:
                if not Path(path).is_file():
                    raise InputError(f"data.{key}: no such file{_hint(path)}", path=path)
        vectors = experiment.model.words.vectors
        if vectors is not None and not Path(vectors).is_file():
            raise InputError(f"model.words.vectors: no such file{_hint(vectors)}", path=vectors)

    @classmethod
    def prepare(cls, experiment: Experiment) -> Self:
        """Reads the training data, makes the vocabularies, and encodes dev and test with them."""
        data, config = experiment.data, experiment.model
        written, wanted = corpora.schemes(data, config.scheme)
        train = corpora.load(data, "train", None, written, wanted, experiment.train.max_length)
        vectors = read_vectors_for(config)
        # The order of first appearance depends on the file's order; sorted, O first, it does not.
        tags = tuple(sorted(train.tag_names, key=lambda tag: (tag != "O", tag)))
        features = Features.build(train.lexicon, config, () if vectors is None else vectors.words)
        recipe = cls(experiment, features, TagSet(tags, wanted, written))
        recipe._vectors = vectors
        recipe._add("train", train)
        for split in corpora.splits(data):
            if split != "train":
                recipe._add(split, corpora.load(data, split, None, written, wanted, experiment.train.max_length))
        return recipe

    @classmethod
    def open(cls, experiment: Experiment, assets: Path) -> Self:
        """A recipe for prediction, or for the evaluation of another file."""
        return cls(experiment, Features.load(assets), TagSet.load(assets))

    def save_assets(self, folder: Path) -> None:
        """Vocabularies, tags, and the scheme of the files."""
        self.features.save(folder)
        self.tags.save(folder)

    def _add(self, split: str, corpus: EncodedSentences) -> None:
        self._corpora[split] = corpus
        self._tables[split] = self.features.tables(corpus.lexicon)
        self._tags[split] = self.tags.table(corpus.tag_names, split)

    # -- the model -------------------------------------------------------------------------------------------------

    def init_model(self, key: Array) -> SequenceLabeler:
        """A fresh model."""
        tags, allowed = self.tags, None
        if self.config.output == "crf" and self.config.ban_impossible and tags.scheme != "plain":
            allowed = transition_mask(tags.names, tags.scheme)
        return SequenceLabeler.init(
            key,
            self.config,
            **self.features.sizes,
            tags=len(tags.names),
            allowed=allowed,
        )

    def pretrained(self, model: SequenceLabeler) -> SequenceLabeler:
        """Puts the given word vectors in, and how often each training word is read as unknown."""
        chance = self.features.unknown_probability(self._corpora["train"].lexicon, self.config.words.unknown_rate)
        return model.replace(tokens=model.tokens.pretrained(chance, self.features, self._vectors))

    # -- data ------------------------------------------------------------------------------------------------------

    def splits(self) -> list[str]:
        """The parts of the data that were read."""
        return list(self._corpora)

    def load_split(self, name: str, path: str) -> None:
        """Reads another file in the same format."""
        data, length = self.experiment.data, self.experiment.train.max_length
        self._add(name, corpora.load(data, name, path, self.tags.written, self.tags.scheme, length))

    def batches(self, split: str, *, training: bool) -> LengthBatches:
        """By length, with few padded lengths."""
        train = self.experiment.train
        return LengthBatches(
            self._corpora[split].lengths,
            train.batch_size if training else train.eval_batch_size,
            bucket_lengths=shared_buckets([c.lengths for c in self._corpora.values()], train.buckets),
            steps_per_block=train.steps_per_call,
            seed=self.experiment.seed,
            order="shuffled" if training else "sequential",
        )

    def collate(self, split: str, block: Any, *, training: bool) -> dict[str, np.ndarray]:
        """Words, characters, shapes, lengths and tags of a block's sentences."""
        corpus = self._corpora[split]
        forms, lengths = corpus.forms.gather(block.indices, block.length, pad=-1)
        arrays = self._tables[split].batch(forms, lengths)
        if corpus.tags is not None:
            ids, _ = corpus.tags.gather(block.indices, block.length, pad=0)
            tags = self._tags[split][ids]
            arrays["tags"] = np.maximum(tags, 0) if training else tags
        return arrays

    def units(self, split: str, block: Any) -> int:
        """Tokens of a block."""
        indices = block.indices[block.indices >= 0]
        return int(self._corpora[split].lengths[indices].sum())

    # -- steps -----------------------------------------------------------------------------------------------------

    def loss(self, model: SequenceLabeler, batch: Batch, carry: Any, rng: Rng) -> Loss:
        """Minus the log-likelihood of the gold tags, by token for a softmax and by sentence for a CRF."""
        with auxiliary_losses(model.encoder) as extra:
            emissions = model(batch, rng=rng)
        if self.config.recall_bias and self.tags.scheme != "plain":
            emissions = recall_oriented(emissions, batch["tags"], self.config.recall_bias)
        likelihood = model.log_likelihood(emissions, batch["tags"], batch["lengths"])
        weight = batch["lengths"].sum() if model.crf is None else (batch["lengths"] > 0).sum()
        return plus_auxiliary(Loss(-likelihood.sum(), weight), extra)

    def evaluate(self, model: SequenceLabeler, batch: Batch, carry: Any) -> tuple[Any, Any]:
        """The best tags, and minus the log-likelihood of the gold ones."""
        emissions = model(batch)
        outputs = {"tags": model.decode(emissions, batch["lengths"])}
        if "tags" in batch:
            gold = jnp.maximum(batch["tags"], 0)
            outputs["loss"] = -model.log_likelihood(emissions, gold, batch["lengths"])
        return outputs, carry

    def score_names(self) -> tuple[str, ...]:
        """Of spans, or of single tags."""
        if self.tags.scheme == "plain":
            return ("accuracy", "macro_f1", "loss")
        return ("f1", "precision", "recall", "accuracy", "loss")

    def scorer(self, split: str) -> TagScorer:
        """Entity F1 where tags are spans, accuracy and macro-F1 where not."""
        corpus = self._corpora[split]
        if corpus.tags is None:
            raise InputError(f"{split} has no tags to score against")
        per_token = self.config.output == "softmax"
        return TagScorer(corpus, self._tags[split], self.tags, loss_per_token=per_token)

    def baseline(self, split: str) -> Scores | None:
        """The most frequent tag of each token in the training data."""
        if "train" not in self._corpora:
            return None
        return majority_scores(self._corpora["train"], self._corpora[split], self._tags[split], self.tags)


def recall_oriented(emissions: Array, tags: Array, cost: float) -> Array:
    """Raises the score of O by ``cost`` where the gold tag is an entity's, so that training must overcome it.

    The softmax-margin loss with a cost for missed entities alone. Source: Mohit et al. (2012), "Recall-oriented
    learning of named entities in Arabic Wikipedia". O has id 0.

    >>> recall_oriented(jnp.zeros((2, 3)), jnp.array([0, 2]), 1.5)
    Array([[0. , 0. , 0. ],
           [1.5, 0. , 0. ]], dtype=float32)
    """
    return emissions.at[..., 0].add(jnp.where(tags != 0, cost, 0.0).astype(emissions.dtype))


def _hint(path: str) -> str:
    shared = "shared" in Path(path).parts or "SPAGO_DATA" in path
    return " (set the environment variable SPAGO_DATA to the folder of the corpora)" if shared else ""
