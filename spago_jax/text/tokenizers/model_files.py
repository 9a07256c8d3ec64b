# SPDX-License-Identifier: BSD-2-Clause
"""The files beside a model that say how its texts are cut: names of special tokens, lengths, classes."""

import json
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError

__all__ = ["ModelFiles", "usual_names"]

_ROLES = {
    "unk_token": "unknown",
    "pad_token": "pad",
    "bos_token": "begin",
    "eos_token": "end",
    "cls_token": "cls",
    "sep_token": "sep",
    "mask_token": "mask",
}
# What special tokens are called where no file says which is which.
_USUAL = {
    "unknown": ("[UNK]", "<unk>"),
    "pad": ("[PAD]", "<pad>"),
    "begin": ("<s>",),
    "end": ("</s>",),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
}
_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_UNLIMITED = 10**9  # a model_max_length beyond it (1e30 is usual) says that there is none


def usual_names(special: Collection[str]) -> dict[str, str]:
    """Returns the special tokens by role, of those that have their usual names.

    >>> usual_names(["<s>", "<pad>", "<b>"])
    {'pad': '<pad>', 'begin': '<s>', 'cls': '<s>'}
    """
    found = {role: next((token for token in usual if token in special), None) for role, usual in _USUAL.items()}
    return {role: token for role, token in found.items() if token is not None}


class ModelFiles:
    """The files of a folder, or one file of it and the settings beside it.

    Args:
        path: the folder, or a file.

    Raises:
        InputError: there is nothing at the path.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.exists():
            raise InputError("no such file or folder, expected a tokenizer's", path=self.path)
        self._only = self.path.name if self.path.is_file() else None
        self.folder = self.path.parent if self._only else self.path
        self.read: dict[str, bytes] = {}

    def has(self, name: str) -> bool:
        """Whether a vocabulary file is to be used: it is in the folder, or is the file that was named."""
        return name == self._only if self._only else (self.folder / name).is_file()

    def named(self, suffixes: Collection[str]) -> list[str]:
        """Returns the names of the vocabulary files with one of these endings, sorted."""
        names = [self._only] if self._only else sorted(path.name for path in self.folder.iterdir() if path.is_file())
        return [name for name in names if name.endswith(tuple(suffixes))]

    def content(self, name: str) -> bytes:
        """Returns the bytes of a file, which then belongs to the tokenizer.

        Raises:
            InputError: it cannot be read.
        """
        if name not in self.read:
            path = self.folder / name
            try:
                self.read[name] = path.read_bytes()
            except OSError as error:
                raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
        return self.read[name]

    def text(self, name: str) -> str:
        """Returns the text of a file in UTF-8."""
        try:
            return self.content(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"not UTF-8: {error.reason} at byte {error.start}", path=self.folder / name) from None

    def json(self, name: str) -> dict[str, Any]:
        """Returns the JSON object in a file; an empty one if there is no such file."""
        if not (self.folder / name).is_file():
            return {}
        try:
            found = json.loads(self.text(name))
        except (ValueError, RecursionError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"not JSON: {error}", path=self.folder / name) from None
        if not isinstance(found, dict):
            raise InputError(f"a JSON {type(found).__name__}, expected an object", path=self.folder / name)
        return found

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of ``tokenizer_config.json``."""
        return self.json("tokenizer_config.json")

    @cached_property
    def names(self) -> dict[str, str]:
        """The special tokens by role, as ``special_tokens_map.json`` and ``tokenizer_config.json`` name them.

        Raises:
            InputError: a name is neither a string nor an object with a ``content``; the files contradict each other.
        """
        found = self._named_in("special_tokens_map.json")
        for role, value in self._named_in("tokenizer_config.json").items():
            if found.setdefault(role, value) != value:
                key = next(key for key, known in _ROLES.items() if known == role)
                raise InputError(
                    f"{key}: {value!r}, and special_tokens_map.json says {found[role]!r}: correct one of them",
                    path=self.folder / "tokenizer_config.json",
                )
        return found

    def _named_in(self, file: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, role in _ROLES.items():
            value = self.json(file).get(key)
            value = value.get("content") if isinstance(value, Mapping) else value
            if value is not None and not isinstance(value, str):
                expected = "a string, or an object with a string as its content"
                raise InputError(f"{key}: {value!r}, expected {expected}", path=self.folder / file)
            if value is not None:
                found[role] = value
        return found

    @cached_property
    def added(self) -> dict[str, dict[str, Any]]:
        """The tokens that were added to the vocabulary, with their ``id``, by ``added_tokens.json`` and the config.

        Whatever else the config says of them (``special``, ``lstrip``) stands beside the id.
        """
        found: dict[str, dict[str, Any]] = {}
        for token, id in self.json("added_tokens.json").items():
            found[token] = {"id": self._id(token, id, "added_tokens.json")}
        decoder = self.config.get("added_tokens_decoder") or {}
        for number, about in decoder.items():
            if not isinstance(about, Mapping) or not isinstance(about.get("content"), str):
                raise InputError(
                    f"added_tokens_decoder.{number}: {about!r}, expected an object with a content",
                    path=self.folder / "tokenizer_config.json",
                )
            id = int(number) if str(number).isdecimal() else number
            found[about["content"]] = {**about, "id": self._id(about["content"], id, "tokenizer_config.json")}
        return found

    @cached_property
    def further(self) -> list[str]:
        """The special tokens without a role: the ``additional_special_tokens`` of either file."""
        found: dict[str, None] = {}
        for file in ("special_tokens_map.json", "tokenizer_config.json"):
            for value in self.json(file).get("additional_special_tokens") or ():
                token = value.get("content") if isinstance(value, Mapping) else value
                if not isinstance(token, str):
                    raise InputError(
                        f"additional_special_tokens: {value!r}, expected a string, or an object with a content",
                        path=self.folder / file,
                    )
                found[token] = None
        return list(found)

    def _id(self, token: str, id: object, file: str) -> int:
        if not isinstance(id, int) or isinstance(id, bool) or id < 0:
            raise InputError(f"token {token!r}: id {id!r}, expected a number from 0", path=self.folder / file)
        return id

    def flag(self, key: str, default: bool | None) -> bool | None:
        """Returns a setting of ``tokenizer_config.json`` that is true or false (or null, where that is the default).

        Raises:
            InputError: it is something else.
        """
        found = self.config.get(key, default)
        if found is None:
            return default
        if not isinstance(found, bool):
            raise InputError(f"{key}: {found!r}, expected true or false", path=self.folder / "tokenizer_config.json")
        return found

    @property
    def max_length(self) -> int | None:
        """The ``model_max_length`` of ``tokenizer_config.json``; None if it is missing or beyond all models."""
        found = self.config.get("model_max_length")
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not found > 0:
            raise InputError(
                f"model_max_length: {found!r}, expected a number of tokens", path=self.folder / "tokenizer_config.json"
            )
        return int(found) if found < _UNLIMITED else None

    def special_ids(self, id_of: Callable[[str], int | None], usual: Mapping[str, str]) -> dict[str, int]:
        """Returns the ids of special tokens by role.

        Args:
            id_of: gives the id of a token, or None.
            usual: the tokens that have a role where the files name no other; those that the vocabulary lacks have none.

        Raises:
            InputError: a file names a token that the vocabulary does not have.
        """
        found: dict[str, int] = {}
        for role, token in {**usual, **self.names}.items():
            id = id_of(token)
            if id is not None:
                found[role] = id
            elif role in self.names:
                file = next(name for name in _SETTINGS[:2] if role in self._named_in(name))
                raise InputError(
                    f"names {token!r} as the {role} token, which the vocabulary does not have", path=self.folder / file
                )
        for role, other in (("begin", "cls"), ("end", "sep")):
            if role not in found and other in found:
                found[role] = found[other]
        return found

    def files(self) -> dict[str, bytes]:
        """Returns what was read, and the settings beside it: the files that make the same tokenizer again."""
        for name in _SETTINGS:
            if (self.folder / name).is_file():
                self.content(name)
        return self.read
