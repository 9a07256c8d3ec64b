# SPDX-License-Identifier: BSD-2-Clause
"""The `data` and `model` sections of the classifiers."""

from typing import Literal

from pydantic import Field

from spago_jax.models.flows import FlowSteps
from spago_jax.models.tokens.config import TokensConfig
from spago_jax.train.schema import PositiveInt, Section


class IdxData(Section):
    """Images and labels in IDX files, as MNIST comes."""

    kind: Literal["idx"]
    train_images: str = Field(description="IDX file of images (.gz is read too)")
    train_labels: str = Field(description="IDX file of labels")
    test_images: str | None = Field(default=None, description="IDX file of test images")
    test_labels: str | None = Field(default=None, description="IDX file of test labels")
    dev_examples: int = Field(default=0, ge=0, description="the last so many training images become dev")


class DigitsData(Section):
    """scikit-learn's 1,797 images of digits, 8 x 8 (needs the extra 'examples')."""

    kind: Literal["digits"]
    dev_fraction: float = Field(default=0.15, gt=0, lt=1, description="share that becomes dev")
    test_fraction: float = Field(default=0.15, gt=0, lt=1, description="share that becomes test")


class LabelledTextData(Section):
    """Labelled texts in CSV, TSV or JSONL files."""

    kind: Literal["labelled_text"]
    train: str | None = Field(default=None, description="training file")
    dev: str | None = Field(default=None, description="file that picks the best checkpoint")
    test: str | None = Field(default=None, description="file for the final scores")
    text_field: str = Field(default="text", description="column or key of the text")
    label_field: str = Field(default="label", description="column or key of the label")
    lowercase: bool = Field(default=True, description="lower-case the texts")
    dev_fraction: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of `train`, drawn by the seed, that becomes dev where it has no file",
    )


class MLPClassifierConfig(Section):
    """A multi-layer perceptron over the pixels."""

    kind: Literal["mlp_classifier"]
    hidden: tuple[PositiveInt, ...] = Field(default=(256,), description="units of each hidden layer")
    activation: str = Field(default="relu", description="between the layers")
    flow: FlowSteps = None
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the hidden units")
    input_dropout: float = Field(default=0.0, ge=0, lt=1, description="of the pixels")
    shift: int = Field(default=0, ge=0, description="move each training image by up to so many pixels either way")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the target spread over all classes")


class TextClassifierConfig(TokensConfig):
    """A text classifier: tokens, an encoder over them, pooling, a linear layer."""

    kind: Literal["text_classifier"]
    encoder: Literal["mean", "cnn", "bilstm"] = Field(
        default="cnn",
        description="mean of the token vectors; convolutions with max pooling (Kim, 2014); BiLSTM with pooling",
    )
    hidden: PositiveInt = Field(default=200, description="filters of each width, or LSTM units a direction")
    widths: tuple[PositiveInt, ...] = Field(default=(2, 3, 4), description="widths of the convolutions, in tokens")
    layers: PositiveInt = Field(default=1, description="stacked BiLSTM layers")
    flow: FlowSteps = None
    ngrams: int = Field(
        default=0, ge=0, description="rows of a hashed table of word n-grams that are averaged; 0 for none"
    )
    ngram_order: PositiveInt = Field(default=2, description="longest word n-gram")
    character_ngrams: bool = Field(default=False, description="also hash character n-grams of 3 to 5")
    ngram_size: PositiveInt = Field(default=100, description="length of an n-gram vector")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="of the token vectors and of the pooled features")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the target spread over all classes")
