# SPDX-License-Identifier: BSD-2-Clause
"""A file of Flair's: what it holds, and its tensors by name."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.find import refuse_spago
from spago_jax.interop.checkpoints.inert_objects import Record, number_of
from spago_jax.interop.checkpoints.torch_objects import TorchObjects, open_objects

LANGUAGE_MODEL, TAGGER, TEXT_CLASSIFIER, TOKEN_CLASSIFIER = (
    "LanguageModel", "SequenceTagger", "TextClassifier", "TokenClassifier",
)  # fmt: skip
# By the keys that a file has, in this order: until 0.12 it does not say its class.
_KEYS = (
    ("is_forward_lm", LANGUAGE_MODEL),
    ("tag_dictionary", TAGGER),
    ("document_embeddings", TEXT_CLASSIFIER),
    ("label_dictionary", TOKEN_CLASSIFIER),
)
_CLASSES = {
    **{name: name for _, name in _KEYS},
    "WordTagger": TOKEN_CLASSIFIER,
}


HUB_FILE = "pytorch_model.bin"


class FlairFile:
    """What a file of Flair's holds.

    Attributes:
        path: the file.
        value: its settings by name, with the records of its objects.
        kind: ``LanguageModel``, ``SequenceTagger``, ``TextClassifier`` or ``TokenClassifier``.
    """

    def __init__(self, objects: TorchObjects):
        self.objects, self.path = objects, objects.path
        value = objects.value
        if not isinstance(value, dict) or not isinstance(value.get("state_dict"), dict):
            found = f"a {value.name}" if isinstance(value, Record) else f"a {type(value).__name__}"
            raise InputError(
                f"holds {found} without a state_dict, and not a model that Flair has saved", path=self.path
            )
        self.value: dict[Any, Any] = value
        self.state: Mapping[str, Any] = value["state_dict"]
        self.kind = self._kind()

    def _kind(self) -> str:
        name = self.value.get("__cls__")
        if isinstance(name, str):
            if name not in _CLASSES:
                raise InputError(
                    f"a {name} of Flair's, and of its models {', '.join(dict.fromkeys(_CLASSES.values()))} are read",
                    path=self.path,
                )
            return _CLASSES[name]
        for key, kind in _KEYS:
            if key in self.value:
                return kind
        keys = ", ".join(str(key) for key in list(self.value)[:8])
        raise InputError(f"not a model of Flair's that is known: it has {keys}", path=self.path)

    def get(self, key: str, default: Any = None) -> Any:
        """Returns a setting."""
        return number_of(self.value.get(key, default))

    def number(self, key: str, default: float | None = None) -> Any:
        """Returns a setting that is a number.

        Raises:
            InputError: where it is missing, or not a number.
        """
        return a_number(self.get(key, default), key, self.path)

    def array(self, name: str) -> np.ndarray:
        """Returns a tensor by its name.

        Raises:
            InputError: where the file lacks it.
        """
        if name not in self.state:
            raise InputError(f"lacks the tensor {name!r}, which its settings ask for", path=self.path)
        return as_floats(self.objects.array(self.state[name], f"tensor {name!r}"))

    def has(self, name: str) -> bool:
        """Whether there is a tensor of that name."""
        return name in self.state

    def names(self, prefix: str) -> list[str]:
        """Returns the names of the tensors below a prefix."""
        return [name for name in self.state if isinstance(name, str) and name.startswith(prefix)]


def open_flair(path: str | Path) -> FlairFile:
    """Opens a file of Flair's.

    Raises:
        InputError: where there is none, or it is damaged or of another kind.
    """
    path = Path(path)
    if os.path.isdir(path):
        path = path / HUB_FILE
    refuse_spago(path)
    return FlairFile(open_objects(path))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns whatever settings of a wrong kind bring about into an InputError that names the file."""
    try:
        yield
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"damaged: its settings do not fit together ({type(error).__name__}: {error})", path=path
        ) from None


def is_flair(path: str | Path) -> bool:
    """Whether a path is that of a file, or of a folder as Flair's models have on the hub: one file and no config."""
    if os.path.isfile(path):
        return True
    others = ("config.json", "config.yaml", "manifest.json")
    return os.path.isfile(os.path.join(path, HUB_FILE)) and not any(
        os.path.isfile(os.path.join(path, name)) for name in others
    )


def a_number(value: Any, what: str, path: Path) -> Any:
    """Returns a value that is a number.

    Raises:
        InputError: where it is something else.
    """
    value = number_of(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{what} is {str(value)[:60]!r}, expected a number", path=path)
    return value


def as_floats(array: np.ndarray) -> np.ndarray:
    """Returns an array in float32, copied out of the file; numbers of half the width get exact ones."""
    return (
        np.array(array, np.float32) if array.dtype.kind in "fV" or array.dtype.name == "bfloat16" else np.array(array)
    )


def items_of(dictionary: Any, what: str, path: Path) -> list[str]:
    """Returns the items of a ``flair.data.Dictionary`` by id.

    Raises:
        InputError: for another object.
    """
    items = dictionary.get("idx2item") if isinstance(dictionary, Record) else None
    if not isinstance(items, list) or not all(isinstance(item, bytes | str) for item in items):
        found = f"a {dictionary.name}" if isinstance(dictionary, Record) else f"a {type(dictionary).__name__}"
        raise InputError(f"{what} is {found}, expected a flair.data.Dictionary of items", path=path)
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in items]
