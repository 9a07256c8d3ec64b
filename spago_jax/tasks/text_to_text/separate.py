# SPDX-License-Identifier: BSD-2-Clause
"""The second tokenizer of models that write in another vocabulary than they read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spago_jax.interop.huggingface.pretrained import TARGET_TOKENIZER
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.subword import SubwordTokenizer


def separate_target(folder: Path, config: Mapping[str, Any]) -> SubwordTokenizer | None:
    """Returns the tokenizer of the targets of a model that has two vocabularies; None where it has one.

    It is Marian's ``target.spm``, which cuts texts with the pieces of their language, or the folder
    ``target_tokenizer`` of a trained run that was exported.
    """
    own = folder / TARGET_TOKENIZER
    if own.is_dir():
        return load_tokenizer(own)
    marian = config.get("model_type") == "marian" and not (folder / "tokenizer.json").is_file()
    return load_tokenizer(folder, target=True) if marian and (folder / "target.spm").is_file() else None
