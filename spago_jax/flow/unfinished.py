# SPDX-License-Identifier: BSD-2-Clause
"""Intermediate builders, returned by ``loop()`` and ``map()``."""

import operator
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

from spago_jax.errors import did_you_mean
from spago_jax.flow.adaptive_step import Adaptive
from spago_jax.flow.loop_steps import LoopOptions, Repeat, Times
from spago_jax.flow.map_step import Map
from spago_jax.flow.origin import Origin
from spago_jax.flow.part import Given

if TYPE_CHECKING:
    from spago_jax.flow.builder import Flow


class _Unfinished:
    _ways: str
    _flow: "Flow"
    origin: Origin

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in vars(type(self._flow)):
            raise AttributeError(name)
        kind = type(self).__name__.removeprefix("Unfinished").lower()
        raise self.origin.error(f"incomplete builder: {kind}(...) must be followed by {self._ways} before .{name}")

    def _check_whole(self, method: str, number: SupportsIndex) -> None:
        try:
            operator.index(number)
        except TypeError:
            raise self.origin.error(f"{method}: {number!r} is not a whole number") from None


class UnfinishedLoop(_Unfinished):
    """A loop that needs to know how often it runs."""

    _ways = ".times(n), .while_(cond, most), .until(cond, most) or .adaptive(halt, most)"

    def __init__(self, flow: "Flow", body: Given, options: LoopOptions, origin: Origin):
        self._flow, self._body, self._options, self.origin = flow, body, options, origin

    def times(self, n: int) -> "Flow":
        """Exactly ``n`` iterations.

        Raises:
            FlowError: for n below 1.
        """
        self._check_whole("loop.times", n)
        if n < 1:
            raise self.origin.error(f"loop.times requires at least 1 iteration (got {n})")
        return self._flow._append(Times((self._body,), self._flow.streams, most=n, **self._common()))

    def while_(self, condition: Given, most: int, *, per: Literal["batch", "example"] = "batch") -> "Flow":
        """Until the first element of ``condition(state)`` is above 0, looked at before each iteration.

        Args:
            condition: a part that is called with the state alone; it gets no gradient.
            most: iterations at most; none at all are possible.
            per: "example": one element per row, and each row halts on its own.

        Raises:
            FlowError: for ``most`` below 1.
        """
        return self._repeat("while", condition, most, per)

    def until(self, condition: Given, most: int, *, per: Literal["batch", "example"] = "batch") -> "Flow":
        """Until the first element of ``condition(state)`` is above 0, looked at after each iteration.

        Args:
            condition: a part that is called with the state alone; it gets no gradient.
            most: iterations at most, 1 at least.
            per: "example": one element per row, and each row halts on its own.

        Raises:
            FlowError: for ``most`` below 1.
        """
        return self._repeat("until", condition, most, per)

    def adaptive(self, halt: Given, most: int, *, epsilon: float = 0.01, cost: float = 0.01) -> "Flow":
        """As often as each row has learned to need (Graves, 2016).

        Args:
            halt: gives a number per row; its sigmoid is the share of the output that this iteration's state makes up.
            most: iterations at most.
            epsilon: how much of the share may be missing when a row halts.
            cost: of an iteration, in the auxiliary loss ``loss:NAME``, which the caller adds to the loss.

        Raises:
            FlowError: for ``most`` below 1, or numbers out of range.
        """
        self._check_most("adaptive", most)
        if not 0 < epsilon < 1 or cost < 0:
            raise self.origin.error(f"loop.adaptive: epsilon {epsilon} must be in (0, 1) and cost {cost} at least 0")
        halt = self._flow._part(halt, "loop.adaptive")
        step = Adaptive((self._body, halt), self._flow.streams, most=most, epsilon=epsilon, cost=cost, **self._common())
        return self._flow._append(step)

    def _repeat(
        self, form: Literal["while", "until"], condition: Given, most: int, per: Literal["batch", "example"]
    ) -> "Flow":
        self._check_most(f"{form}_" if form == "while" else form, most)
        if per not in ("batch", "example"):
            raise self.origin.error(f"loop: per is {per!r}, expected 'batch' or 'example'")
        condition = self._flow._part(condition, f"loop.{form}")
        return self._flow._append(
            Repeat((self._body, condition), self._flow.streams, most=most, form=form, per=per, **self._common())
        )

    def _check_most(self, method: str, most: int) -> None:
        self._check_whole(f"loop.{method}", most)
        if most < 1:
            raise self.origin.error(f"loop.{method} requires most >= 1 (got {most})")

    def _common(self) -> dict[str, Any]:
        return {"options": self._options, "origin": self.origin}


class UnfinishedMap(_Unfinished):
    """A map that needs to know over what it goes."""

    _ways = ".each(), .over(tag) or .slices(n)"

    def __init__(self, flow: "Flow", body: Given, origin: Origin, batched: bool = False):
        self._flow, self._body, self.origin, self._batched = flow, body, origin, batched

    def batched(self) -> "UnfinishedMap":
        """Calls the body once on the whole, for bodies whose rows do not depend on each other."""
        return UnfinishedMap(self._flow, self._body, self.origin, batched=True)

    def each(self) -> "Flow":
        """Over axis 0 of the stream; an element keeps that axis with size 1."""
        return self._append("each", self._flow.streams)

    def over(self, tag: str) -> "Flow":
        """Over axis 0 of a tagged value, which takes the place of the stream.

        Raises:
            FlowError: for a tag that is not there yet.
        """
        tags = dict(self._flow.tags)
        if tag not in tags:
            raise self.origin.error(
                f"map.over({tag!r}) references an unknown tag; map requires a backward reference: "
                f"{did_you_mean(tag, tags, known='tags')}"
            )
        return self._append("over", (*self._flow.streams, tags[tag]), over=tag)

    def slices(self, n: int) -> "Flow":
        """Over ``n`` parts of the last axis.

        Raises:
            FlowError: for n below 1.
        """
        self._check_whole("map.slices", n)
        if n < 1:
            raise self.origin.error(f"map.slices requires n >= 1 (got {n})")
        return self._append("slices", self._flow.streams, slices=n)

    def _append(self, form: Any, sources: tuple[int, ...], **fields: Any) -> "Flow":
        step = Map((self._body,), sources, form=form, batched=self._batched, origin=self.origin, **fields)
        return self._flow._append(step)
