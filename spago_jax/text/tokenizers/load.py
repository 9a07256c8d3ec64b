# SPDX-License-Identifier: BSD-2-Clause
"""Makes a sub-word tokenizer from the files that came with a model."""

from pathlib import Path

from spago_jax.errors import InputError
from spago_jax.text.tokenizers.huggingface import HuggingFaceTokenizer, engine_of
from spago_jax.text.tokenizers.model_files import ModelFiles
from spago_jax.text.tokenizers.subword import SubwordTokenizer

__all__ = ["load_tokenizer", "restore_tokenizer"]


def load_tokenizer(path: str | Path) -> SubwordTokenizer:
    """Reads the tokenizer of a model.

    ``tokenizer.json`` is the truth where there is one; the padding and the truncation in it are switched off.

    Args:
        path: the folder of a model or of a tokenizer, or a file in it.

    Raises:
        InputError: there is no tokenizer, or its files are damaged, contradict each other, or are of another kind.
    """
    files = ModelFiles(path)
    if files.has("tokenizer.json"):
        return _from_json(files)
    raise InputError("no tokenizer.json", path=files.path)


def restore_tokenizer(path: str | Path, digest: str | None = None) -> SubwordTokenizer:
    """Reads a tokenizer that was saved among the assets of a run.

    Raises:
        InputError: it cannot be read, or is another one than was saved.
    """
    found = load_tokenizer(path)
    if digest is not None and found.settings()["digest"] != digest:
        raise InputError(
            "these are not the files that the tokenizer was saved with: restore the folder of the run", path=path
        )
    return found


def _from_json(files: ModelFiles) -> SubwordTokenizer:
    path = files.folder / "tokenizer.json"
    engine = engine_of(files.content("tokenizer.json"), path)
    special = [token.content for token in engine.get_added_tokens_decoder().values() if token.special]
    ids = files.special_ids(engine.token_to_id, special)
    length = files.max_length
    try:
        return HuggingFaceTokenizer(engine, files.files(), ids, length)
    except InputError as error:
        raise InputError(str(error), path=path) from None
