# SPDX-License-Identifier: BSD-2-Clause
"""The base of tokenizers, and the table of their names."""

import abc
import dataclasses
import inspect
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from spago_jax.errors import InputError, did_you_mean
from spago_jax.registry import Registry
from spago_jax.text.graphemes import cut

TOKENIZERS = Registry(
    "tokenizer",
    {
        "french": "spago_jax.text.tokenizers.elision:FrenchTokenizer",
        "general": "spago_jax.text.tokenizers.general:GeneralTokenizer",
        "italian": "spago_jax.text.tokenizers.elision:ItalianTokenizer",
        "words": "spago_jax.text.tokenizers.words:WordTokenizer",
        "whitespace": "spago_jax.text.tokenizers.whitespace:WhitespaceTokenizer",
        "python": "spago_jax.data.python.tokenizer:PythonTokenizer",
    },
)


@dataclasses.dataclass(frozen=True, slots=True)
class Encoding:
    """A text cut into tokens.

    Attributes:
        tokens: the forms that a model reads; a form may differ from the text at its place (lower case, marks).
        offsets: the place of each token in the text, in code points, half-open.
        breaks: the tokens (indices) at which to cut the text if it has to be read in windows.
        ids: the id of each token, if the tokenizer has a vocabulary of its own.
        word_ids: the word of each token (None for special tokens), if tokens are pieces of words.
    """

    tokens: list[str]
    offsets: list[tuple[int, int]]
    breaks: tuple[int, ...] = ()
    ids: list[int] | None = None
    word_ids: list[int | None] | None = None


class Tokenizer(abc.ABC):
    """Cuts a text into tokens. A tokenizer is saved as its kind and its settings, plain JSON.

    Attributes:
        kind: its name in configs.
    """

    kind: ClassVar[str]

    @abc.abstractmethod
    def encode(self, text: str) -> Encoding:
        """Returns the tokens of a text, with their places in it."""

    def saved(self) -> dict[str, Any]:
        """The kind and the settings, from which ``tokenizer_from`` makes it again."""
        return {"kind": self.kind, **self.settings()}

    def settings(self) -> dict[str, Any]:
        """Returns the constructor arguments that restore it."""
        return {}


def tokenizer_from(settings: Mapping[str, Any]) -> Tokenizer:
    """Makes a tokenizer from ``{"kind": NAME, ...}``, as a processor saves it.

    >>> tokenizer_from({"kind": "whitespace"}).encode("Ada  coded").offsets
    [(0, 3), (5, 10)]

    Raises:
        InputError: for an unknown kind, or a setting that it does not have.
    """
    rest = {key: value for key, value in settings.items() if key != "kind"}
    found = TOKENIZERS.find(settings["kind"])
    known = inspect.signature(found).parameters
    for key in rest:
        if key not in known:
            raise InputError(f"the tokenizer {settings['kind']!r} has no setting {key!r}; {did_you_mean(key, known)}")
    return found(**rest)


class PatternTokenizer(Tokenizer):
    """Cuts a text into the matches of a pattern (see ``text.graphemes.cut``), in lower case if requested.

    Attributes:
        pattern: matches all but white space.
    """

    pattern: ClassVar[re.Pattern[str]]

    def __init__(self, lowercase: bool = False):
        self.lowercase = lowercase

    def encode(self, text: str) -> Encoding:
        """Returns the matches."""
        offsets = cut(self.pattern, text)
        tokens = [text[start:end] for start, end in offsets]
        return Encoding([token.lower() for token in tokens] if self.lowercase else tokens, offsets)

    def settings(self) -> dict[str, Any]:
        """Returns whether tokens are lower-cased."""
        return {"lowercase": self.lowercase}
