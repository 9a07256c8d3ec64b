# SPDX-License-Identifier: BSD-2-Clause
"""Sub-word tokenizers of the `tokenizers` package: those of ``tokenizer.json`` files."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spago_jax.errors import InputError
from spago_jax.text.tokenizers.pieces import Pieces, Slot, pieces_of_words
from spago_jax.text.tokenizers.subword import SubwordTokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["HuggingFaceTokenizer"]

_SPACE = "\u2581"  # SentencePiece's


class HuggingFaceTokenizer(SubwordTokenizer):
    """A tokenizer whose engine is a ``tokenizers.Tokenizer``.

    Truncation and padding that its file carries are switched off: they belong to a batch, not to a vocabulary.

    Args:
        engine: the ``tokenizers.Tokenizer``.
        others: the other arguments of ``SubwordTokenizer``.
    """

    def __init__(self, engine: "Tokenizer", *others: Any):
        super().__init__(*others)
        engine.no_truncation()
        engine.no_padding()
        self._engine = engine
        self._size = engine.get_vocab_size(with_added_tokens=True)
        highest = max(engine.get_vocab(with_added_tokens=True).values(), default=-1)
        self._size = max(self._size, highest + 1)
        self._layouts = self._read_layouts()
        # Byte-level vocabularies hold the space before a word in it, so that words are cut with the space before them.
        apart, together = self.cut(["a", "b"]), self.cut(["a b"])[0]
        self._joined = together.ids != apart[0].ids + apart[1].ids

    @property
    def size(self) -> int:
        """The number of ids: they are below it."""
        return self._size

    def token(self, id: int) -> str:
        """Returns the form of an id."""
        found = self._engine.id_to_token(int(id)) if id >= 0 else None
        if found is None:
            raise InputError(f"no token has the id {id}: expected one of 0 to {self.size - 1}")
        return found

    def id(self, token: str) -> int | None:
        """Returns the id of a form as the vocabulary writes it; None if it is unknown."""
        return self._engine.token_to_id(token)

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """Returns the text of some ids."""
        return self._engine.decode([int(id) for id in ids if id >= 0], skip_special_tokens=skip_special)

    def layout(self, pair: bool) -> tuple[Slot, ...]:
        """Returns the order of special tokens and texts."""
        return self._layouts[pair]

    def cut(self, texts: Sequence[str]) -> list[Pieces]:
        """Returns the pieces of each text."""
        if len(texts) == 1:
            found = [self._engine.encode(texts[0], add_special_tokens=False)]
        else:
            found = self._engine.encode_batch(list(texts), add_special_tokens=False)
        return [_pieces(item, text) for item, text in zip(found, texts, strict=True)]

    def cut_words(self, words: Sequence[str]) -> Pieces:
        """Returns the pieces of words."""
        given = [" " + word if number and self._joined else word for number, word in enumerate(words)]
        found = _pieces(self._engine.encode(given, is_pretokenized=True, add_special_tokens=False))
        return pieces_of_words(words, _by_word(found, len(words)), self._unknown, joined=self._joined)

    def _unknown(self, number: int) -> tuple[int, str]:
        id = self.special_ids.get("unknown")
        if id is None:
            raise InputError(f"word {number} gives no token, and this tokenizer has no unknown token to stand for it")
        return id, self.token(id)

    def _read_layouts(self) -> tuple[tuple[Slot, ...], tuple[Slot, ...]]:
        # Whatever kind of post-processor adds the special tokens: it shows where by adding them.
        sample = self._sample()
        found = []
        for pair in (None, sample):
            done = self._engine.encode(sample, pair)
            slots: list[Slot] = []
            for id, token, type_id, sequence in zip(
                done.ids, done.tokens, done.type_ids, done.sequence_ids, strict=True
            ):
                if sequence is None:
                    slots.append(Slot(None, type_id, id, token))
                elif not slots or slots[-1].sequence != sequence:
                    slots.append(Slot(sequence, type_id))
            found.append(tuple(slots))
        return found[0], found[1]

    def _sample(self) -> str:
        known = (self._engine.decode([id], skip_special_tokens=False) for id in range(min(self._size, 999)))
        for text in itertools.chain("a", known):
            if len(self._engine.encode(text, add_special_tokens=False).ids):
                return text
        raise InputError("its vocabulary gives no token for any text")


def _pieces(found: Any, text: str = "") -> Pieces:
    offsets = found.offsets
    if _SPACE in "".join(found.tokens):
        # Some engines of this kind place the space before a word in it, others do not: here words begin at a letter.
        for i, (token, (start, end)) in enumerate(zip(found.tokens, offsets, strict=True)):
            if token.startswith(_SPACE) and start < end and text[start : start + 1].isspace():
                offsets[i] = (start + 1, end)
    return Pieces(found.ids, found.tokens, offsets, found.word_ids)


def _by_word(found: Pieces, count: int) -> Iterable[Pieces]:
    start = 0
    for number in range(count):
        end = start
        while end < len(found) and found.word_ids[end] == number:
            end += 1
        yield found[start:end]
        start = end


@contextmanager
def explained(path: str | Path, what: str) -> Iterator[None]:
    """Turns whatever the `tokenizers` package raises about a file into an InputError that names it.

    Args:
        path: the file.
        what: put before the package's own words.
    """
    try:
        yield
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(str(error), path=path) from None
    except BaseException as error:
        # It raises nothing more special than Exception, and panics, which Python takes for no error of a program.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise InputError(f"{what}: {error}", path=path) from None


def read_engine(content: bytes, path: str | Path) -> Any:
    """Returns the ``tokenizers.Tokenizer`` of a ``tokenizer.json``.

    Raises:
        InputError: the file is damaged, is of another kind, or contradicts itself.
    """
    with explained(path, "not a tokenizer.json of the tokenizers package"):
        text = content.decode("utf-8")
        engine = tokenizers_package().Tokenizer.from_str(text)
        for about in json.loads(text)["added_tokens"]:
            token, id = about["content"], about["id"]
            if engine.token_to_id(token) != id:
                raise InputError(
                    f"the added token {token!r} is said to have the id {id}, and has {engine.token_to_id(token)}"
                )
        return engine


def tokenizers_package() -> Any:
    """Returns the `tokenizers` package.

    Raises:
        InputError: it is not installed.
    """
    try:
        import tokenizers
    except ImportError:
        raise InputError("this tokenizer needs the package tokenizers: pip install tokenizers") from None
    return tokenizers
