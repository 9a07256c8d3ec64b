# SPDX-License-Identifier: BSD-2-Clause
"""The `data` and `model` sections of a character language model."""

from typing import Literal

from pydantic import Field

from spago_jax.train.schema import PositiveInt, Section


class TextData(Section):
    """Plain text: one file cut into parts, or a file for each part."""

    kind: Literal["text"]
    train: str = Field(description="text file; its end is cut off for dev and test where these have no file")
    dev: str | None = Field(default=None, description="text file that picks the best checkpoint")
    test: str | None = Field(default=None, description="text file for the final scores")
    dev_fraction: float = Field(default=0.1, ge=0, lt=1, description="share of `train` that becomes dev")
    test_fraction: float = Field(default=0.0, ge=0, lt=1, description="share of `train`, after dev, that becomes test")


class PythonDocsData(Section):
    """Python's own language reference, as its `help()` knows it (the module `pydoc_data.topics`)."""

    kind: Literal["python_docs"]
    dev_fraction: float = Field(default=0.1, gt=0, lt=1, description="share of the text that becomes dev")
    test_fraction: float = Field(default=0.0, ge=0, lt=1, description="share of the text, after dev, that becomes test")


class CharacterLMConfig(Section):
    """A recurrent network that predicts the next character (Graves, 2013; spaGO `charlm`)."""

    kind: Literal["character_lm"]
    embedding: PositiveInt = Field(default=64, description="length of a character vector")
    cell: Literal["lstm", "gru"] = Field(default="lstm", description="recurrent cell")
    hidden: PositiveInt = Field(default=512, description="units of a layer")
    layers: PositiveInt = Field(default=1, description="stacked layers")
    projection: PositiveInt | None = Field(default=None, description="size of a linear layer before the decoder")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the inputs, between layers and of the outputs")
    chunk: PositiveInt = Field(
        default=128, description="characters that gradients go back (truncated back-propagation)"
    )
