# SPDX-License-Identifier: BSD-2-Clause
"""Flair's character language models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.embeddings.language_model import LanguageModel
from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record
from spago_jax.interop.flair.file import LANGUAGE_MODEL, FlairFile, as_floats, items_of, open_flair, reading
from spago_jax.interop.flair.recurrent import Get, Has, recurrent_arrays, shape_of_recurrence


def read_flair(path: Path) -> LanguageModel:
    """Reads a language model that Flair has saved, without its decoder's help: for embeddings.

    Raises:
        InputError: for another kind of model, or a damaged file.
    """
    file = open_flair(path)
    with reading(file.path):
        return language_model_of(file)


def language_model_of(file: FlairFile) -> LanguageModel:
    """Returns the language model of a file that holds nothing else.

    Raises:
        InputError: for another kind of model.
    """
    if file.kind != LANGUAGE_MODEL:
        raise InputError(f"a {file.kind} of Flair's, expected a {LANGUAGE_MODEL}", path=file.path)
    return described(file.value, file.array, file.has, "", file.path)


def described(settings: Mapping[Any, Any], get: Get, has: Has, prefix: str, path: Path) -> LanguageModel:
    """Returns a language model, from its settings and its tensors below a prefix."""
    start = settings.get("document_delimiter", "\n")
    alphabet = items_of(settings.get("dictionary"), "the dictionary of a language model", path)
    return LanguageModel(
        alphabet=alphabet,
        unknown=0,  # what Flair reads a character as that it does not know, whatever that is
        weights=_arrays(get, has, prefix, len(alphabet), path),
        forward=bool(settings.get("is_forward_lm", True)),
        start=start if isinstance(start, str) else "\n",
    )


def _arrays(get: Get, has: Has, prefix: str, characters: int, path: Path) -> dict[str, np.ndarray]:
    shape = shape_of_recurrence(get, has, f"{prefix}rnn.", path)
    if shape["bidirectional"]:
        raise InputError(f"{prefix}rnn reads texts from both ends, as no language model of Flair's does", path=path)
    found = {"embedding.weight": get(f"{prefix}encoder.weight")}
    if len(found["embedding.weight"]) != characters:
        raise InputError(
            f"{prefix}encoder.weight has {len(found['embedding.weight'])} rows for {characters} characters", path=path
        )
    arrays = recurrent_arrays(get, f"{prefix}rnn.", shape)
    found |= {f"rnn.{name}": array for name, array in arrays.items()}
    for theirs, ours in (("proj", "projection"), ("decoder", "decoder")):
        if has(f"{prefix}{theirs}.weight"):
            found |= {f"{ours}.{part}": get(f"{prefix}{theirs}.{part}") for part in ("weight", "bias")}
    return found


def from_object(record: Record, file: FlairFile) -> LanguageModel:
    """Returns a language model that was pickled as an object: whole until 0.8, by its settings from 0.9 on.

    Raises:
        InputError: where it is neither.
    """
    state = record.state if isinstance(record.state, dict) else {}
    tensors = state.get("state_dict")
    if not isinstance(tensors, dict):
        tensors = module_tensors(record)

    def get(name: str) -> np.ndarray:
        if name not in tensors:
            raise InputError(f"a {record.name} lacks the tensor {name!r}", path=file.path)
        return as_floats(file.objects.array(tensors[name], f"tensor {name!r}"))

    return described(state, get, lambda name: name in tensors, "", file.path)


def module_tensors(record: Any, depth: int = 0) -> dict[str, Any]:
    """Returns the tensors of a pickled ``torch.nn.Module``, by the names that its state_dict would have."""
    if not isinstance(record, Record) or depth > 16:
        return {}
    found = {name: value for name, value in _named(record, "_parameters") if value is not None}
    for name, module in _named(record, "_modules"):
        found |= {f"{name}.{inner}": value for inner, value in module_tensors(module, depth + 1).items()}
    return found


def _named(record: Record, key: str) -> list[tuple[str, Any]]:
    values = record.get(key)
    return [(str(name), value) for name, value in values.items()] if isinstance(values, dict) else []
