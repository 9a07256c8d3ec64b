# SPDX-License-Identifier: BSD-2-Clause
"""The `model` section of text generation, and what a user may set when generating."""

from typing import Literal

from pydantic import Field

from spago_jax.core.section import PositiveInt, Section


class CharacterLMConfig(Section):
    """A recurrent network that predicts the next character (Graves, 2013; spaGO `charlm`)."""

    characters: Literal["text", "bytes"] = Field(
        default="text", description="the alphabet: the characters of the training text, or the 256 bytes of UTF-8"
    )
    direction: Literal["forward", "backward"] = Field(
        default="forward",
        description="which way the text is read; backward: from its end, so that the model writes what stands before",
    )
    min_count: PositiveInt = Field(default=1, description="rarer characters of the training text are read as <unk>")
    unknown: bool | None = Field(
        default=None,
        description="whether <unk>, which is never written, stands for characters outside the alphabet; by default "
        "where min_count is above 1, or dev or test have files with such characters",
    )
    embedding: PositiveInt = Field(default=64, description="length of a character vector")
    cell: Literal["lstm", "gru"] = Field(default="lstm", description="recurrent cell")
    reset_after: bool = Field(
        default=False, description="of a gru: the form of PyTorch and cuDNN, whose reset gate lies after the product"
    )
    hidden: PositiveInt = Field(default=512, description="units per layer")
    layers: PositiveInt = Field(default=1, description="stacked layers")
    projection: PositiveInt | None = Field(default=None, description="size of a linear layer before the decoder")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the inputs, between layers and of the outputs")


class GenerationOptions(Section):
    """How a text is continued."""

    characters: PositiveInt = Field(default=400, description="how many characters to write")
    temperature: float = Field(
        default=0.8, ge=0, allow_inf_nan=False, description="above 1 wilder, below 1 tamer, 0 the most probable"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the drawing; each prompt draws by itself")
    top_k: PositiveInt | None = Field(default=None, description="choose among so many most probable characters only")
    top_p: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="choose among the fewest characters that have this probability together (nucleus sampling)",
    )
    stop: str | None = Field(default=None, min_length=1, description="what a text ends with, where it comes up before")
