# SPDX-License-Identifier: BSD-2-Clause
"""The texts of a character language model, as memory-mapped ids."""

import importlib
from pathlib import Path

import numpy as np

from spago_jax.data.cache import cached
from spago_jax.data.encoded_text import EncodedText
from spago_jax.data.load import load_text
from spago_jax.errors import InputError
from spago_jax.models.character_lm.config import PythonDocsData, TextData


def train_path(data: TextData | PythonDocsData) -> Path:
    """The file that the alphabet and the training part come from."""
    return _python_docs() if isinstance(data, PythonDocsData) else Path(data.train)


def read(data: TextData | PythonDocsData) -> tuple[EncodedText, dict[str, np.ndarray]]:
    """The training text as it is on disk, and the ids of each part (views of it, or of files of their own)."""
    whole = load_text(train_path(data))
    files = {name: getattr(data, name, None) for name in ("dev", "test")}
    shares = {name: 0.0 if files[name] else getattr(data, f"{name}_fraction") for name in files}
    if sum(shares.values()) >= 1:
        raise InputError(
            f"data.dev_fraction + data.test_fraction = {sum(shares.values()):g} leaves nothing to train on"
        )
    count = len(whole)
    test_from = count - int(count * shares["test"])
    # int(count * share of training) is where others cut this text, so that scores compare.
    dev_from = min(int(count * (1 - shares["dev"] - shares["test"])), test_from)
    parts = {"train": whole.ids[:dev_from]}
    if dev_from < test_from:
        parts["dev"] = whole.ids[dev_from:test_from]
    if test_from < count:
        parts["test"] = whole.ids[test_from:]
    for name, file in files.items():
        if file is not None:
            parts[name] = read_more(file, whole.alphabet)
    return whole, parts


def read_more(path: str, alphabet: list[str]) -> np.ndarray:
    """Another text over the same alphabet; a character that is not in it is an error that names it.

    Raises:
        InputError: for such a character, with its line.
    """
    return load_text(path, alphabet=alphabet).ids


def _python_docs() -> Path:
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    text = "\n\n".join(topics[name].strip() for name in sorted(topics)) + "\n"

    def build(folder: Path) -> None:
        (folder / "topics.txt").write_text(text, encoding="utf-8")

    import hashlib

    digest = hashlib.sha256(text.encode()).hexdigest()
    return cached("python-docs", [], {"text": digest}, build) / "topics.txt"
