"""A predictor that needs no model, and a clock that a test turns: what the server's tests are made of."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import Field

from spago_jax.core.section import PositiveInt, Section
from spago_jax.data.processor import Answer, Processor, Rows
from spago_jax.errors import InputError
from spago_jax.serve.engine import Engine, Limits
from spago_jax.serve.engine.meter import KeptMeter
from spago_jax.tasks.predictor import BatchPredictor, Predictor


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Waits for what another thread does; a test that waits in vain fails and does not hang."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.001)


async def eventually(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Waits likewise in an event loop, which goes on meanwhile."""
    await asyncio.to_thread(until, condition, seconds)


class Clock:
    """Time that stands still until it is told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@dataclasses.dataclass(frozen=True)
class Counted(Answer):
    """The sum of the letters of a text, and of those of the row that the model saw."""

    text: str
    total: float

    def to_dict(self):
        return {"text": self.text, "total": self.total}

    def to_text(self, paint=None):
        return f"{self.total}\n"


class LetterRows(Rows):
    def __init__(self, texts):
        self.texts = texts
        self.lengths = np.array([max(len(text), 1) for text in texts], np.int64)
        self.owners = np.arange(len(texts))


class CountOptions(Section):
    """What a request may set."""

    times: PositiveInt = Field(default=1, description="what the sum is multiplied by")


class LetterProcessor(Processor[str, Counted]):
    outputs = ("sum",)
    max_length = 64

    def example(self, value: Any) -> str:
        if isinstance(value, dict):
            value = value.get("text")
        if not isinstance(value, str):
            raise InputError(f"a {type(value).__name__}, expected a text")
        if value == "bad":
            raise InputError("this text is bad")
        return value

    def encode(self, examples):
        return LetterRows(list(examples))

    def batch(self, rows, indices, length, *, targets=False):
        found = np.zeros((len(indices), length), np.int32)
        for place, index in enumerate(indices.tolist()):
            if index >= 0:
                letters = [ord(letter) for letter in rows.texts[index]]
                found[place, : len(letters)] = letters
        return {"letters": found}

    def specs(self):
        return {"letters": "i32[batch, time]"}

    def decode(self, outputs, rows, owned, example, *, times=1):
        if example == "undecodable":
            raise InputError("no answer to this one")
        return Counted(example, float(outputs[0]["sum"]) * times)

    def settings(self):
        return {}

    def save(self, folder):
        pass

    @classmethod
    def load(cls, folder):
        return cls()


class Letters(BatchPredictor):
    """Sums letters; keeps the shapes of its calls, may be held up, and fails on poison."""

    Options = CountOptions

    def __init__(self, name: str = "token-classification", add: float = 0.0):
        self.calls: list[tuple[int, int]] = []
        self.rows = 0
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.add = add
        self.warmed = False
        super().__init__(name, LetterProcessor(), self._sum, freeze=self._freeze)

    def _sum(self, batch):
        self.entered.set()
        self.gate.wait(10)
        letters = batch["letters"]
        self.calls.append(letters.shape)
        if (letters[:, :6] == [ord(letter) for letter in "poison"]).all(-1).any():
            raise RuntimeError("the device has choked on secret text")
        return {"sum": letters.sum(-1).astype(np.float64) + self.add}

    def _freeze(self):
        self.warmed, self.calls = True, []
        self.entered.clear()


class Teller(Predictor):
    """Writes a text letter by letter, and has nothing to warm but itself."""

    name = "text-generation"

    def __init__(self):
        self.processor, self.begun = LetterProcessor(), []

    def stream(self, inputs, *, at_once=None, **options):
        yield from (Counted(each, 0.0) for each in inputs)

    def streamed(self, prepared):
        self.begun.append(prepared.example)
        yield from prepared.example


class Writer(Letters):
    """Writes a text letter by letter."""

    closed = False

    def __init__(self):
        super().__init__("text-generation")

    def streamed(self, prepared):
        if prepared.example == "late":
            raise InputError("found out late")
        try:
            for letter in prepared.example:
                self.gate.wait(10)
                yield letter
        finally:
            self.closed = True


def expected(text: str) -> float:
    return float(sum(map(ord, text)))


def engine(*predictors, threads: bool = True, clock=None, meter=None, **limits) -> Engine:
    """An engine that is ready, with fakes named a, b, ..."""
    made = Engine(
        Limits(**limits), threads=threads, meter=meter or KeptMeter(), **({} if clock is None else {"clock": clock})
    )
    for name, predictor in zip("abcdef", predictors or [Letters()], strict=False):
        made.load(name, predictor.name, lambda predictor=predictor: predictor, revision=f"r-{name}")
    made.ready()
    return made
