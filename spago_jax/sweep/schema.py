# SPDX-License-Identifier: BSD-2-Clause
"""The schema of a sweep: which settings are tried, how they are chosen, how many at once."""

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from spago_jax.train.schema import PositiveInt, Section

# The keys of a `Range` and of `Values`: a mapping with one of them is a parameter, any other has parameters below it.
SPECIFIERS = frozenset({"choice", "low", "high", "scale", "integer"})


class Values(Section):
    """Values to try, one after the other or by chance."""

    choice: tuple[Any, ...] = Field(min_length=1, description="the values")

    @field_validator("choice")
    @classmethod
    def _once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        written = [json.dumps(value, sort_keys=True, default=str) for value in values]
        twice = [text for i, text in enumerate(written) if text in written[:i]]
        if twice:
            raise ValueError(f"{twice[0]} is listed twice")
        return values


class Range(Section):
    """Every number from `low` to `high`, drawn by chance."""

    low: float = Field(description="the lowest")
    high: float = Field(description="the highest")
    scale: Literal["linear", "log"] = Field(default="linear", description="what is drawn evenly: it or its logarithm")
    integer: bool = Field(default=False, description="whole numbers alone")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low = {self.low:g} should be below high = {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"low = {self.low:g} should be above 0 on a logarithmic scale")
        if self.integer and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("low and high should be whole numbers where integer is true")
        return self


class Grid(Section):
    """Every combination of the values."""

    kind: Literal["grid"] = "grid"


class Random(Section):
    """Combinations drawn by chance, none twice (Bergstra and Bengio 2012)."""

    kind: Literal["random"] = "random"
    trials: PositiveInt = Field(description="how many combinations")
    seed: int = Field(default=1, ge=0, description="of the drawing; a trial is the same however many follow it")


class Halving(Section):
    """Successive halving: many trials for few epochs, the best of them for more (Jamieson and Talwalkar 2016).

    Rung i gives the best floor(trials / eta^i) of them min_epochs eta^i epochs in all, never more than max_epochs.
    """

    kind: Literal["halving"] = "halving"
    trials: int = Field(ge=2, description="how many combinations the first rung tries")
    seed: int = Field(default=1, ge=0, description="of the drawing")
    eta: int = Field(default=3, ge=2, description="one of so many goes on to the next rung")
    min_epochs: PositiveInt = Field(default=1, description="of the first rung")
    max_epochs: PositiveInt = Field(description="of the last rung")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_epochs > self.max_epochs:
            raise ValueError(f"min_epochs = {self.min_epochs} should be at most max_epochs = {self.max_epochs}")
        return self


# PyYAML follows YAML 1.1, where 1e-4 is a text and 1.0e-4 a number.
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


def numbers(value: object) -> Any:
    """A value whose texts like `1e-4` are the numbers that they were meant to be.

    >>> numbers(["1e-4", "adam", 3])
    [0.0001, 'adam', 3]
    """
    if isinstance(value, list):
        return [numbers(item) for item in value]
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


def _specified(value: object) -> Any:
    if isinstance(value, Values | Range):
        return value
    if isinstance(value, list):
        return {"choice": numbers(value)}
    if isinstance(value, dict):
        return {key: numbers(item) for key, item in value.items()}
    raise ValueError("expected a list of values, {choice: [...]} or {low: ..., high: ...}")


def _which(value: object) -> str:
    choice = "choice" in value if isinstance(value, dict) else isinstance(value, Values)
    return "values" if choice else "range"


Parameter = Annotated[
    Annotated[Values, Tag("values")] | Annotated[Range, Tag("range")],
    Discriminator(_which),
    BeforeValidator(_specified),
]


def _by_kind(value: object) -> Any:
    """`method: grid` is short for `method: {kind: grid}`."""
    return {"kind": value} if isinstance(value, str) else value


class Sweep(Section):
    """Many runs of one experiment, each with other settings."""

    name: str = Field(min_length=1, description="names the folder: runs/NAME")
    description: str = Field(default="", description="free text, shown on the page")
    base: str = Field(description="the experiment that is varied, relative to this file")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="settings of every trial by dotted key, over those of the base"
    )
    method: Annotated[Annotated[Grid | Random | Halving, Field(discriminator="kind")], BeforeValidator(_by_kind)] = (
        Field(description="how combinations are chosen")
    )
    parameters: dict[str, Parameter] = Field(
        min_length=1, description="by dotted key of the experiment: [values], {choice: [...]} or a range"
    )
    metric: str | None = Field(default=None, description="dev score that ranks the trials (default: the model's own)")
    jobs: PositiveInt = Field(default=1, description="how many trials run at once, each in a process of its own")
