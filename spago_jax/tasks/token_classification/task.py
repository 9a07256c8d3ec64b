# SPDX-License-Identifier: BSD-2-Clause
"""``task: token-classification``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spago_jax.data.batching import Block, LengthBatches
from spago_jax.data.examples import Tokens
from spago_jax.data.formats.conll import Conll, read_conll
from spago_jax.data.formats.conllu import Conllu, read_conllu
from spago_jax.data.formats.python_source import PythonSource
from spago_jax.data.formats.reader import Reader
from spago_jax.embeddings.coverage import say_coverage
from spago_jax.embeddings.stacked import GROWING, cached, check_embeddings
from spago_jax.errors import InputError
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.token_classification.config import TaggerConfig, TaggingOptions
from spago_jax.tasks.token_classification.corpus import model_tags, read_corpus, schemes
from spago_jax.tasks.token_classification.objective import TaggingObjective
from spago_jax.tasks.token_classification.processor import TokenProcessor
from spago_jax.tasks.token_classification.scores import TagScorer, majority_scores
from spago_jax.tasks.token_classification.tag_set import TagSet
from spago_jax.text.tags import OUTSIDE, UNKNOWN_TAG
from spago_jax.text.tokenizers.tokenizer import TOKENIZERS, tokenizer_from
from spago_jax.train.schema import Experiment, TextTrainConfig
from spago_jax.train.start import indexers_of, is_fresh
from spago_jax.train.task import Score, Scores, Task, batches_by_length


class TokenClassification(Task):
    """Entities (spans of tokens), or one tag per token (parts of speech, roles)."""

    name = "token-classification"
    readers: ClassVar[tuple[type[Reader], ...]] = (Conll, Conllu, PythonSource)
    ModelConfig = TaggerConfig
    TrainConfig = TextTrainConfig
    Options = TaggingOptions
    scores: ClassVar[tuple[Score, ...]] = (
        Score("f1"),
        Score("precision"),
        Score("recall"),
        Score("accuracy"),
        Score("macro_f1"),
        Score("loss", "min"),
    )
    input_formats = ("lines", "tokens", "conll", "conllu")
    growing = (*GROWING, "scorer.weight", "scorer.bias", "crf.*")
    processor_class = TokenProcessor

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Files must be there, and the tokenizer be known."""
        experiment.data.check()
        check_embeddings(experiment.model.embeddings)
        if experiment.model.tokenizer is not None:
            TOKENIZERS.find(experiment.model.tokenizer)

    @classmethod
    def make_processor(cls, experiment: Experiment, *, start: TokenProcessor | None = None) -> TokenProcessor:
        """Makes the vocabularies and the tags of the training sentences."""
        data, config = experiment.data, experiment.model
        fresh = is_fresh(experiment, "scorer.weight")
        written, wanted = schemes(data, config.scheme)
        if start is not None and not fresh and "plain" not in (written, start.tags.scheme):
            wanted = start.tags.scheme
        max_length = experiment.train.max_length if start is None else start.max_length
        train, _ = read_corpus(data, "train", written, wanted, max_length)
        names = model_tags(train.tag_names, wanted)
        if start is not None and not fresh:
            names = tuple(dict.fromkeys((*start.tags.names, *names)))
        tags = TagSet(names, wanted, written, "scheme" if start is None else start.tags.spans)
        kind = {"kind": config.tokenizer} if config.tokenizer is not None else data.tokenizer()
        tokenizer = tokenizer_from(kind) if start is None else start.tokenizer
        return TokenProcessor(
            tokenizer,
            indexers_of(experiment, train.lexicon, start, train.forms),
            tags,
            max_length,
            distributions=config.distributions,
        )

    def read(self, split: str, files: Sequence[Path] | None = None) -> None:
        """Reads one part of the data, or other files in its format."""
        tags, max_length = self.processor.tags, self.processor.max_length
        corpus, notes = read_corpus(self.experiment.data, split, tags.written, tags.scheme, max_length, files)
        self.parts[split] = self.processor.rows(corpus, split)
        self.parts[split].vectors = cached(
            self.experiment.model.embeddings, self.processor.indexers, corpus.forms, corpus.lexicon, notes
        )
        say_coverage(notes, self.processor.indexers, corpus.lexicon)
        if split == "train" and self.experiment.data.tag_scheme() == "auto":
            read_as = f", read by the model as {tags.scheme}" if tags.scheme != tags.written else ""
            notes.add(f"tags in the scheme {tags.written}{read_as}", count=len(corpus.tag_names))
        cut = len(np.unique(corpus.owners[corpus.windows > 0]))
        if cut:
            whole, where = int(corpus.owners[-1]) + 1, f"train.max_length = {max_length}"
            notes.add(f"of {whole:,} sentences are longer than {where} and are read in windows", count=cut)
        self.notes[split] = notes

    def make_objective(self) -> TaggingObjective:
        """The likelihood of the tags."""
        return TaggingObjective(self.experiment.model, self.processor)

    def from_data(self, model: Any) -> Any:
        """Puts the given word vectors in, and how often each training word is read as unknown."""
        lexicon = self.parts["train"].corpus.lexicon
        configs = self.experiment.model.embeddings
        return model.replace(embeddings=model.embeddings.from_data(configs, self.processor.indexers, lexicon))

    def batches(self, split: str, *, training: bool) -> LengthBatches:
        """By length, with few padded lengths."""
        return batches_by_length(self, split, training=training)

    def units(self, split: str, block: Block) -> int:
        """Tokens of a block."""
        indices = block.indices[block.indices >= 0]
        return int(self.parts[split].tokens[indices].sum())

    @classmethod
    def expected_scores(cls, experiment: Experiment) -> tuple[str, ...]:
        """Of spans, or of single tags, as the first sentences have them."""
        return _scores_of(schemes(experiment.data, experiment.model.scheme)[1])

    def score_names(self) -> tuple[str, ...]:
        """Of spans, or of single tags."""
        return _scores_of(self.processor.tags.scheme)

    def scorer(self, split: str) -> TagScorer:
        """Entity F1 where tags are spans, accuracy and macro-F1 where not."""
        rows = self.parts[split]
        if rows.tags is None:
            raise InputError(f"{split} has no tags to score against")
        per_token = self.experiment.model.output == "softmax"
        return TagScorer(rows.corpus, rows.tags, self.processor.tags, loss_per_token=per_token)

    def baseline(self, split: str) -> Scores | None:
        """The most frequent tag of each token in the training data."""
        if "train" not in self.parts:
            return None
        rows = self.parts[split]
        return majority_scores(self.parts["train"].corpus, rows.corpus, rows.tags, self.processor.tags)

    def examples(self, source: InputFile) -> Iterator[Tokens]:
        """Columns of a CoNLL file, a whole source of Python, tokens apart by blanks, or one text per line."""
        data = self.experiment.data
        kind = source.file_format or _format_of(source.suffix, data)
        if kind == "conllu":
            yield from read_conllu(source.path, column=None, target=getattr(data, "column", "upos"))
        elif kind == "conll":
            column, comment = getattr(data, "token_column", 0), getattr(data, "comment", None)
            yield from read_conll(source.path, token_column=column, tag_column=None, comment=comment, frames=True)
        elif self.processor.whole and kind is None:
            yield self.processor.example(source.source_text())
        else:
            for number, line in enumerate(source.lines(), 1):
                example = self.processor.example(line.split() if kind == "tokens" else line)
                example.line = number
                yield example

    def labels(self) -> Sequence[str]:
        """The labels of the tags, without prefixes."""
        names = self.processor.tags.names
        if self.processor.tags.scheme == "plain":
            return names
        return sorted({name.split("-", 1)[-1] for name in names if name not in (OUTSIDE, UNKNOWN_TAG)})


def _scores_of(scheme: str) -> tuple[str, ...]:
    if scheme == "plain":
        return ("accuracy", "macro_f1", "loss")
    return ("f1", "precision", "recall", "accuracy", "loss")


def _format_of(suffix: str, data: Reader) -> str | None:
    """Returns the format of a user's file by the end of its name; None for running text."""
    if suffix in Conllu.suffixes or (isinstance(data, Conllu) and suffix in Conll.suffixes):
        return "conllu"
    return "conll" if suffix in Conll.suffixes else None
