# SPDX-License-Identifier: BSD-2-Clause
"""Sub-word tokenizers of the `sentencepiece` package: SentencePiece models as they are, and Marian's."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError, did_you_mean
from spago_jax.text.tokenizers.pieces import Pieces, Slot, pieces_of_words
from spago_jax.text.tokenizers.sentencepiece_file import message_fields, read_sentencepieces
from spago_jax.text.tokenizers.subword import SubwordTokenizer

__all__ = ["SentencePieceTokenizer", "sentencepiece_engine"]

_LANGUAGE = re.compile(r">>[^\s<>]+<<")  # the language to translate into, at the beginning of a text
_SPACE = "\u2581"
_PIECE = 2  # the number of the pieces in the engine's messages


class SentencePieceTokenizer(SubwordTokenizer):
    """A tokenizer whose engine is a ``SentencePieceProcessor``.

    Args:
        engine: the processor.
        vocabulary: the ids of pieces, where a model has ids of its own, as Marian's ``vocab.json``; None: those of the
            processor.
        others: the other arguments of ``SubwordTokenizer``.

    With a vocabulary the end token stands after the texts.
    """

    def __init__(self, engine: Any, vocabulary: Mapping[str, int] | None, *others: Any):
        super().__init__(*others)
        self._engine, self._vocabulary = engine, vocabulary
        count = engine.get_piece_size()
        if vocabulary is None:
            self._tokens = {id: engine.id_to_piece(id) for id in range(count)}
            self._ids = {token: id for id, token in self._tokens.items()}
        else:
            self._tokens = {id: token for token, id in vocabulary.items()}
            self._ids = dict(vocabulary)
        self._unknown_id = self.special_ids["unknown"]
        self._languages = sorted(token for token in self._ids if _LANGUAGE.fullmatch(token)) if vocabulary else []
        apart, together = self.cut(["a", "b"]), self.cut(["a b"])[0]
        self._joined = together.ids != apart[0].ids + apart[1].ids

    @property
    def size(self) -> int:
        """The number of ids: they are below it."""
        return max(self._tokens) + 1

    def token(self, id: int) -> str:
        """Returns the form of an id."""
        if id not in self._tokens:
            raise InputError(f"no token has the id {id}: expected one of 0 to {self.size - 1}")
        return self._tokens[id]

    def id(self, token: str) -> int | None:
        """Returns the id of a form as the vocabulary writes it; None if it is unknown."""
        return self._ids.get(token)

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """Returns the text of some ids."""
        special = set(self.special_ids.values())
        if self._vocabulary is None:
            special.discard(self._unknown_id)  # the engine writes a mark for it
        kept = [int(id) for id in ids if id in self._tokens and not (skip_special and id in special)]
        if self._vocabulary is None:
            return self._engine.decode(kept)
        return "".join(self._tokens[id] for id in kept).replace(_SPACE, " ").strip()

    def layout(self, pair: bool) -> tuple[Slot, ...]:
        """Returns the order of special tokens and texts."""
        texts = (Slot(0), Slot(1)) if pair else (Slot(0),)
        if self._vocabulary is None:
            return texts
        end = self.special_ids["end"]
        return (*texts, Slot(None, 0, end, self._tokens[end]))

    def cut(self, texts: Sequence[str]) -> list[Pieces]:
        """Returns the pieces of each text."""
        return [self._cut(text) for text in texts]

    def cut_words(self, words: Sequence[str]) -> Pieces:
        """Returns the pieces of words."""
        given = [" " + word if number and self._joined else word for number, word in enumerate(words)]
        return pieces_of_words(words, map(self._cut, given), self._unknown, joined=self._joined)

    def _unknown(self, number: int) -> tuple[int, str]:
        return self._unknown_id, self._tokens[self._unknown_id]

    def _cut(self, text: str) -> Pieces:
        found = Pieces([], [], [], [])
        language = _LANGUAGE.match(text) if self._languages else None
        if language:
            token = language.group()
            if token not in self._ids:
                raise InputError(f"unknown language {token!r}: {did_you_mean(token, self._languages)}")
            found.ids.append(self._ids[token])
            found.tokens.append(token)
            found.offsets.append(language.span())
            found.word_ids.append(0)
        begin = language.end() if language else 0
        rest, word = text[begin:], len(found) - 1
        place = _code_points(rest)
        # In this form every version of the package gives them, with places in bytes.
        for number, piece in message_fields(self._engine.encode(rest, out_type="serialized_proto")):
            if number != _PIECE:
                continue
            fields = dict(message_fields(piece))
            form, start, end = fields[1].decode("utf-8"), place[fields.get(4, 0)], place[fields.get(5, 0)]
            if form.startswith(_SPACE) or word < bool(language):
                word += 1
            start += len(rest[start:end]) - len(rest[start:end].lstrip())
            end -= len(rest[start:end]) - len(rest[start:end].rstrip())
            found.ids.append(fields.get(2, 0) if self._vocabulary is None else self._ids.get(form, self._unknown_id))
            found.tokens.append(form)
            found.offsets.append((begin + start, begin + end))
            found.word_ids.append(word)
        return found


def _code_points(text: str) -> Sequence[int]:
    """The code point that each byte of a text belongs to, and its length at the end."""
    if text.isascii():
        return range(len(text) + 1)
    return [place for place, char in enumerate(text) for _ in char.encode("utf-8")] + [len(text)]


def sentencepiece_engine(content: bytes, path: str | Path) -> Any:
    """Returns the ``SentencePieceProcessor`` of a ``.model`` or ``.spm`` file.

    Raises:
        InputError: the file is damaged, or the package is not installed.
    """
    try:
        import sentencepiece  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(
            "this tokenizer needs the package sentencepiece: pip install 'spago_jax[text]'", path=path
        ) from None
    read_sentencepieces(content, path)  # the package takes a model that is cut off after some piece for a whole one
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=content)
    except (RuntimeError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"not a SentencePiece model, or one that is cut off: {reason}", path=path) from None
