# SPDX-License-Identifier: BSD-2-Clause
"""Opens a file of Flair's as a model of this library, whatever kind it is."""

from pathlib import Path

from spago_jax.errors import InputError
from spago_jax.interop.flair.classifier import classifier_of
from spago_jax.interop.flair.file import TAGGER, TEXT_CLASSIFIER, TOKEN_CLASSIFIER, open_flair, reading
from spago_jax.interop.flair.generator import generator_of
from spago_jax.interop.flair.imported import Imported
from spago_jax.interop.flair.tagger import tagger_of
from spago_jax.tasks.predictor import Predictor


def import_flair(path: str | Path, *, tokenizer: str | None = None) -> Imported:
    """Reads a file of Flair's.

    Args:
        path: the file, or a folder with a ``pytorch_model.bin``.
        tokenizer: how plain texts are cut into tokens; by default as suits the task.

    Raises:
        InputError: for a file that is damaged, hostile or of another kind, or that needs what there is not.
    """
    file = open_flair(path)
    options = {} if tokenizer is None else {"tokenizer": tokenizer}
    with reading(file.path):
        if file.kind in (TAGGER, TOKEN_CLASSIFIER):
            return tagger_of(file, **options)
        if file.kind == TEXT_CLASSIFIER:
            return classifier_of(file, **options)
        if options:
            raise InputError("tokenizer: a language model reads characters", path=file.path)
        return generator_of(file)


def load_flair(name: str, path: str | Path, *, tokenizer: str | None = None) -> Predictor:
    """Opens a file of Flair's as a task, ready to answer.

    Args:
        name: of the task.
        path: the file.
        tokenizer: as for ``import_flair``.

    Raises:
        InputError: as ``import_flair``, and for a model of another task.
    """
    from spago_jax.tasks.load import predictor

    found = import_flair(path, tokenizer=tokenizer)
    if found.settings["task"] != name:
        raise InputError(f"a model of the task {found.settings['task']!r}, not of {name!r}", path=path)
    return predictor(*found.open())
