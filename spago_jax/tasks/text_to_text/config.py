# SPDX-License-Identifier: BSD-2-Clause
"""The `model` and `train` sections of tasks whose model is an encoder-decoder."""

from typing import Any, Literal

from pydantic import Field, model_validator

from spago_jax.core.section import DataPath, PositiveInt, Section
from spago_jax.train.schema import SHUFFLE_WINDOW, TrainConfig


class LearnedTokenizer(Section):
    """A tokenizer that is learned from the training texts."""

    kind: Literal["characters", "words", "unigram", "bpe", "wordpiece"] = Field(description="what texts are cut into")
    size: PositiveInt = Field(default=8000, description="the most tokens, special ones included")
    lowercase: bool = Field(default=False, description="lower-case texts first")
    min_count: PositiveInt = Field(
        default=2, description="how often a character or a word must occur, or two pieces must meet"
    )


TokenizerConfig = DataPath | LearnedTokenizer


class TextToTextModelConfig(Section):
    """An encoder-decoder: a pre-trained one that `init.from` names, or one from nothing."""

    kind: Literal["encoder-decoder"] = Field(default="encoder-decoder", description="an encoder and a decoder")
    config: dict[str, Any] | None = Field(
        default=None,
        description="architecture and sizes, as in a config.json (model_type, d_model, encoder_layers, ...), where "
        "init.from names no model",
    )
    tokenizer: TokenizerConfig | None = Field(
        default=None,
        description="of sources and targets: a folder, or {kind: unigram, size: 8000} to learn one from the training "
        "texts",
    )
    source_tokenizer: TokenizerConfig | None = Field(
        default=None, description="of the sources alone, where targets have one of their own"
    )
    target_tokenizer: TokenizerConfig | None = Field(default=None, description="of the targets alone")
    prefix: str = Field(default="", description="what stands before each source, such as 'summarize: ' for T5")
    source_language: str | None = Field(default=None, description="language code of the sources, for models with codes")
    target_language: str | None = Field(default=None, description="language code of the targets, for models with codes")
    dropout: float | None = Field(default=None, ge=0, lt=1, description="(default: as the model's config says)")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of the target that is spread over the whole vocabulary"
    )
    vocabulary_chunk: PositiveInt | None = Field(
        default=None,
        description="tokens of the vocabulary whose logits are in memory at once in training (null: all of them)",
    )

    @model_validator(mode="after")
    def _one_or_two(self) -> "TextToTextModelConfig":
        sides = [name for name in ("source_tokenizer", "target_tokenizer") if getattr(self, name) is not None]
        if self.tokenizer is not None and sides:
            raise ValueError(f"model.tokenizer is for sources and targets alike; leave it or model.{sides[0]} away")
        if len(sides) == 1:
            raise ValueError(f"model.{sides[0]} is for one side alone; name both, or model.tokenizer for both sides")
        return self

    @property
    def tokenizers(self) -> dict[str, TokenizerConfig]:
        """Those that are named, by their keys."""
        names = ("tokenizer", "source_tokenizer", "target_tokenizer")
        return {name: found for name in names if (found := getattr(self, name)) is not None}


class WrittenScoresConfig(Section):
    """Scores of texts that the model writes for the dev and test sources."""

    scores: tuple[Literal["chrf", "bleu", "exact_match"], ...] = Field(
        default=("chrf", "bleu"), min_length=1, description="chrf and bleu need the package sacrebleu"
    )
    examples: PositiveInt | None = Field(
        default=None, description="sources of dev that texts are written for while training goes on (null: all)"
    )
    num_beams: PositiveInt = Field(default=1, description="beams; 1 takes the likeliest token at each step")
    length_penalty: float = Field(
        default=1.0, description="the exponent of the length that beams' scores are divided by"
    )
    max_length: PositiveInt | None = Field(
        default=None,
        description="the most tokens that are written, the start among them (null: train.max_target_length)",
    )
    tokenize: str = Field(default="13a", description="how BLEU cuts words: 13a, zh, char, intl, ... of sacrebleu")


class TextToTextTrainConfig(TrainConfig):
    """Training on pairs of texts: pairs of similar length share a batch."""

    batch_tokens: PositiveInt | None = Field(
        default=None,
        description="padded tokens per step, of the sources or of the targets, whichever are more, instead of "
        "batch_size pairs: short pairs then make large batches",
    )
    buckets: PositiveInt = Field(default=4, description="number of padded lengths that pairs are sorted into")
    shuffle_window: PositiveInt | None = Field(default=None, description=SHUFFLE_WINDOW)
    max_length: PositiveInt = Field(default=128, description="the most tokens of a source")
    max_target_length: PositiveInt | None = Field(
        default=None, description="the most tokens of a target (null: as max_length)"
    )
    long_pairs: Literal["refuse", "leave-out", "cut"] = Field(
        default="refuse", description="what is done with pairs of which one side is longer"
    )
    write: WrittenScoresConfig | None = Field(
        default=None, description="texts that are written for dev at each evaluation, and their scores"
    )
