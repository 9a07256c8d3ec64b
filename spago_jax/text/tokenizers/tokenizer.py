# SPDX-License-Identifier: BSD-2-Clause
"""The base of tokenizers, and the table of their names."""

import abc
import dataclasses
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
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
        "spago": "spago_jax.text.tokenizers.spago:SpagoTokenizer",
        "subword": "spago_jax.text.tokenizers.load:restore_tokenizer",
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
            Of a pair of texts each token has its place in its own text, of words that were given one by one its place
            in its word; special tokens have (0, 0).
        breaks: the tokens (indices) at which to cut the text if it has to be read in windows.
        ids: the id of each token; this and what follows is empty unless the tokenizer has a vocabulary of its own.
        word_ids: the word that each token is a piece of, counted from 0 in each text; None for special tokens.
        special_mask: whether each token was added to the text by the tokenizer, as [CLS] is.
        type_ids: the number of the segment that a model is told each token belongs to.
        sequence_ids: the text of a pair that each token comes from, 0 or 1; None for special tokens.
        dropped: how many tokens of the texts were cut off, to fit a length.
    """

    tokens: list[str]
    offsets: list[tuple[int, int]]
    breaks: tuple[int, ...] = ()
    ids: list[int] = dataclasses.field(default_factory=list)
    word_ids: list[int | None] = dataclasses.field(default_factory=list)
    special_mask: list[bool] = dataclasses.field(default_factory=list)
    type_ids: list[int] = dataclasses.field(default_factory=list)
    sequence_ids: list[int | None] = dataclasses.field(default_factory=list)
    dropped: int = 0


class Tokenizer(abc.ABC):
    """Cuts a text into tokens. A tokenizer is saved as its kind and its settings, plain JSON.

    Attributes:
        kind: its name in configs.
    """

    kind: ClassVar[str]

    @abc.abstractmethod
    def encode(self, text: str) -> Encoding:
        """Returns the tokens of a text, with their places in it."""

    def tokens(self, text: str) -> list[str]:
        """Returns the forms of a text's tokens, without special ones."""
        return self.encode(text).tokens

    def saved(self) -> dict[str, Any]:
        """The kind and the settings, from which ``tokenizer_from`` makes it again."""
        return {"kind": self.kind, **self.settings()}

    def settings(self) -> dict[str, Any]:
        """Returns the constructor arguments that restore it."""
        return {}


def tokenizer_from(settings: Mapping[str, Any], folder: Path | None = None) -> Tokenizer:
    """Makes a tokenizer from ``{"kind": NAME, ...}``, as a processor saves it.

    Args:
        settings: the kind and the settings.
        folder: the folder of the assets, in which a tokenizer that has files of its own finds them.

    >>> tokenizer_from({"kind": "whitespace"}).encode("Ada  coded").offsets
    [(0, 3), (5, 10)]

    Raises:
        InputError: for an unknown kind, a setting that it does not have, or one that it needs.
    """
    rest = {key: value for key, value in settings.items() if key != "kind"}
    found = TOKENIZERS.find(settings["kind"])
    known = inspect.signature(found).parameters
    for key in rest:
        if key not in known:
            raise InputError(f"the tokenizer {settings['kind']!r} has no setting {key!r}; {did_you_mean(key, known)}")
    for key, parameter in known.items():
        if parameter.default is parameter.empty and key not in rest:
            raise InputError(f"the tokenizer {settings['kind']!r} needs the setting {key!r}")
    if folder is not None and "path" in rest:
        rest["path"] = folder / rest["path"]
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
