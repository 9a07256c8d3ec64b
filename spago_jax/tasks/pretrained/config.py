# SPDX-License-Identifier: BSD-2-Clause
"""The `model` section of tasks whose model is an encoder with a head of its own."""

from typing import Any, Literal

from pydantic import Field

from spago_jax.core.section import DataPath, Section


class EncoderModelConfig(Section):
    """A transformer encoder with a head: from a pre-trained model that `init.from` names, or from nothing."""

    kind: Literal["encoder"] = Field(default="encoder", description="an encoder with a head of its own")
    tokenizer: DataPath | None = Field(
        default=None, description="folder or file of the tokenizer, where init.from names no pre-trained model"
    )
    config: dict[str, Any] | None = Field(
        default=None,
        description="architecture and sizes, as in a config.json (model_type, hidden_size, ...), where init.from names "
        "no pre-trained model",
    )
    dropout: float | None = Field(
        default=None, ge=0, lt=1, description="after embeddings and blocks (default: as the model's config says)"
    )
