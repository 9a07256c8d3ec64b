# SPDX-License-Identifier: BSD-2-Clause
"""The processor of character language models: texts to ids, ids to text."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from spago_jax.data.examples import Text
from spago_jax.data.processor import Answer, Paint, Processor, Rows, load_settings, restoring, save_settings
from spago_jax.data.text_chunks import gather_windows
from spago_jax.errors import InputError
from spago_jax.text.alphabet import Alphabet, ByteAlphabet, alphabet_from


@dataclasses.dataclass(frozen=True)
class Continuation(Answer):
    """A prompt and what was written on from it; of a backward model, what was written before it."""

    prompt: str
    text: str
    before: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Prompt and text."""
        return {"prompt": self.prompt, "text": self.text}

    def to_text(self, paint: Paint | None = None) -> str:
        """The prompt with its continuation."""
        return f"{self.text}{self.prompt}\n" if self.before else f"{self.prompt}{self.text}\n"


class CharacterRows(Rows):
    """One long text of character ids, in which a row is the position that its window begins at.

    Attributes:
        ids: the characters.
        ends: the positions, ascending, that windows do not read beyond (the ends of parallel streams).
        strange: how often each character outside the alphabet occurs.
    """

    def __init__(self, ids: np.ndarray, ends: np.ndarray, strange: Mapping[str, int] = MappingProxyType({})):
        self.ids, self.ends, self.strange = ids, ends, strange
        self.lengths = np.array([len(ids)])
        self.owners = np.zeros(1, np.int64)


class CharacterProcessor(Processor[Text, Continuation]):
    """The ids of characters, or of bytes.

    Args:
        alphabet: the known characters, by id.
        direction: ``forward``, or ``backward`` for a model that reads texts from their end.
    """

    generates: ClassVar[bool] = True

    def __init__(self, alphabet: Alphabet | Sequence[str], direction: str = "forward"):
        self.backward = direction == "backward"
        self.alphabet = alphabet if isinstance(alphabet, Alphabet) else Alphabet(alphabet)
        self.unit = "bytes" if isinstance(self.alphabet, ByteAlphabet) else "characters"

    @property
    def longest_character(self) -> int:
        """The most ids that a character has."""
        return 4 if self.unit == "bytes" else 1

    @property
    def never(self) -> tuple[int, ...]:
        """The ids that are never written: that of ``<unk>``."""
        return () if self.alphabet.unknown is None else (self.alphabet.unknown,)

    def example(self, value: str | Text) -> Text:
        """A prompt."""
        if isinstance(value, Text):
            return value
        if not isinstance(value, str):
            raise InputError(f"a {type(value).__name__}, expected a text to write on from")
        return Text(value)

    def ids(self, text: str) -> np.ndarray:
        """The ids of a text, in the direction in which the model reads it.

        Raises:
            InputError: for a character that an alphabet without ``<unk>`` does not have, naming it.
        """
        return self.alphabet.encode(self.ordered(text))

    def ordered(self, text: str) -> str:
        """A text from the reader's order to the model's, or back: the other way round for a backward model."""
        return text[::-1] if self.backward else text

    def text(self, ids: Iterable[int]) -> str:
        """The text of some ids."""
        return self.ordered(self.alphabet.decode(ids))

    def answer(self, prompt: str, text: str) -> Continuation:
        """A prompt with what was written on from it, or before it."""
        return Continuation(prompt, text, self.backward)

    def start(self) -> str:
        """What stands before a text without a prompt: a line end, where the model knows it."""
        return "\n" if "\n" in self.alphabet else self.alphabet[0]

    def encode(self, examples: Iterable[Text]) -> CharacterRows:
        """Some texts, one after the other, as one."""
        ids = self.ids("".join(example.text for example in examples))
        return CharacterRows(ids, np.array([max(len(ids) - 1, 0)]))

    def batch(
        self, rows: CharacterRows, indices: np.ndarray, length: int, *, targets: bool = False
    ) -> dict[str, np.ndarray]:
        """``inputs`` and ``lengths`` of windows; as targets ``targets``, each the character after its input."""
        found = gather_windows(rows.ids, indices, length, rows.ends)
        if not targets:
            del found["targets"]
        return found

    def specs(self) -> dict[str, str]:
        """The ids of the characters."""
        return {"inputs": "i32[batch, time]", "lengths": "i32[batch]"}

    def settings(self) -> dict[str, Any]:
        """The alphabet, and the direction."""
        direction = "backward" if self.backward else "forward"
        return {"task": "text-generation", "alphabet": self.alphabet.saved(), "direction": direction}

    def save(self, folder: Path) -> None:
        """Writes ``processor.json``."""
        save_settings(self, folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what ``save`` wrote."""
        settings = load_settings(folder)
        alphabet = settings.get("alphabet")
        if not isinstance(alphabet, list) and alphabet != "bytes":
            raise InputError("not the settings of a language model: no alphabet", path=folder / "processor.json")
        direction = settings.get("direction", "forward")  # absent in versions up to 0.1
        if direction not in ("forward", "backward"):
            raise InputError(f"the direction {direction!r}, expected forward or backward", path=folder)
        with restoring(folder, "a language model"):
            return cls(alphabet_from(alphabet), direction)
