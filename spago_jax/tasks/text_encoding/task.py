# SPDX-License-Identifier: BSD-2-Clause
"""``task: text-encoding``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from spago_jax.data.examples import Text
from spago_jax.data.formats.labeled_text import LabeledText
from spago_jax.data.formats.reader import Reader
from spago_jax.data.notes import Notes
from spago_jax.data.processor import load_settings
from spago_jax.errors import InputError
from spago_jax.interop.huggingface import find_model
from spago_jax.interop.huggingface.sentence import Normalize, SentencePipeline, read_pipeline
from spago_jax.tasks.class_scores import ValueScorer
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.pretrained.task import EncoderTask
from spago_jax.tasks.text_encoding.config import EncodingModelConfig
from spago_jax.tasks.text_encoding.objective import EncodingObjective
from spago_jax.tasks.text_encoding.predictor import EncodingOptions, TextEncoding, modes_of
from spago_jax.tasks.text_encoding.processor import EncodingProcessor
from spago_jax.tasks.text_encoding.rows import PairRows, pair_rows
from spago_jax.tasks.text_encoding.scores import RankScorer
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.train.schema import Experiment
from spago_jax.train.start import assets_of, is_own_folder
from spago_jax.train.task import Score, Scorer

_OF_SCORES = ("spearman", "pearson", "mean_squared_error", "loss")
_OF_PAIRS = ("accuracy", "mrr", "loss")


class TrainedTextEncoding(EncoderTask):
    """A vector for a text, near to those of texts that mean the same."""

    name = "text-encoding"
    readers: ClassVar[tuple[type[Reader], ...]] = (LabeledText,)
    ModelConfig = EncodingModelConfig
    Options = EncodingOptions
    scores: ClassVar[tuple[Score, ...]] = (
        *(Score(name) for name in ("spearman", "pearson", "accuracy", "mrr")),
        *(Score(name, "min") for name in ("mean_squared_error", "loss")),
    )
    processor_class = EncodingProcessor
    predictor_class = TextEncoding

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Pairs are needed."""
        super().check(experiment)
        if experiment.data.pair_field is None:
            raise InputError("data.pair_field is missing: an encoder learns from pairs of texts that belong together")

    @classmethod
    def processor_for(cls, experiment: Experiment, tokenizer: SubwordTokenizer, max_length: int) -> EncodingProcessor:
        """Pooling, prompt and case are those of the model's folder, unless the config says otherwise."""
        lowercase, prompt, pipeline = _origin(experiment)
        model = experiment.model
        if model.pooling is not None:
            pipeline["modes"] = list(modes_of(model.pooling))
        if model.normalize is not None:
            pipeline["normalize"] = model.normalize
        return EncodingProcessor(tokenizer, max_length, lowercase, prompt, pipeline)

    def make_objective(self) -> EncodingObjective:
        """In-batch negatives, or the scores of the pairs."""
        return EncodingObjective(self.experiment.model, self.processor)

    def read(self, split: str, files: Sequence[Path] | None = None) -> None:
        """Reads one part of the pairs, or other files of the same columns."""
        notes = Notes()
        data = self.experiment.data
        full_score = None if data.label_field is None else self.experiment.model.full_score
        self.parts[split] = pair_rows(self.processor, data.read(split, files, notes=notes), full_score)
        self.notes[split] = notes

    @classmethod
    def expected_scores(cls, experiment: Experiment) -> tuple[str, ...]:
        """Correlations where pairs have scores, else the places of the right texts."""
        return _OF_PAIRS if experiment.data.label_field is None else _OF_SCORES

    def score_names(self) -> tuple[str, ...]:
        """Correlations where pairs have scores, else the places of the right texts."""
        return self.expected_scores(self.experiment)

    def scorer(self, split: str) -> Scorer:
        """Of scores, or of the places of the right texts among those of their batch."""
        rows: PairRows = self.parts[split]
        if rows.scores is None:
            return RankScorer()

        def show(row: int) -> dict[str, Any]:
            example = rows.examples[row]
            return {"kind": "text", "text": example.text, "pair": example.pair, "line": example.line}

        return ValueScorer(rows.scores, show)

    def examples(self, source: InputFile) -> Iterator[Any]:
        """One text per line."""
        yield from (Text(line, number) for number, line in enumerate(source.lines(), 1))


def _origin(experiment: Experiment) -> tuple[bool, str, dict[str, Any]]:
    """Whether texts are lower-cased first, the prompt before them, and the pipeline of the model that is trained."""
    if experiment.init is not None and is_own_folder(experiment.init.source):
        settings = load_settings(assets_of(experiment.init))
        pipeline = dict(settings.get("pipeline") or {})
        return bool(settings.get("lowercase")), str(settings.get("prompt") or ""), pipeline
    found = None if experiment.init is None else read_pipeline(find_model(experiment.init.source))
    found = found or SentencePipeline(layers=(Normalize(),))
    if experiment.model.pooling is None and any(not isinstance(layer, Normalize) for layer in found.layers):
        raise InputError(
            "init.from: its pipeline has Dense layers, which are not trained further; name model.pooling to train the "
            "encoder without them",
            path=experiment.init.source if experiment.init else None,
        )
    normalize = any(isinstance(layer, Normalize) for layer in found.layers)
    pipeline = {
        "modes": list(found.pooling.modes),
        "normalize": normalize,
        "include_prompt": found.include_prompt,
        "similarity": found.similarity,
        "truncate": found.truncate,
    }
    return found.lowercase, dict(found.prompts).get(found.default_prompt or "", ""), pipeline
