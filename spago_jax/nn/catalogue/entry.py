# SPDX-License-Identifier: BSD-2-Clause
"""Entry: one layer of the catalogue, with all that is needed to make it, feed it, and describe it."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from spago_jax.compiler.spec import Spec, spec
from spago_jax.core import Array, Module, count_parameters
from spago_jax.errors import InputError

# Sizes of the named dimensions in examples: small, and no two alike, so that a mixed-up axis shows.
SIZES = {"batch": 3, "time": 5, "other": 4, "height": 6, "width": 8}


def plain_call(model: Callable[..., Any], *inputs: Array, **options: Any) -> Any:
    """``model(*inputs)``, what most layers are used by."""
    return model(*inputs, **options)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One layer of the catalogue.

    Attributes:
        name: how it is called in tables, ``lstm``.
        make: makes one of a small size from a key.
        inputs: what it takes: ``"f32[batch, time, 8]"``; integers say what they are below, ``"i32[batch, time] < 10"``.
            A leading ``batch`` may be left out or be more axes.
        equation: in one line of plain text.
        paper: author and year.
        spago: where spaGO has it; empty where it does not.
        lengths: whether it takes ``lengths=int[batch]`` and lets nothing beyond them change a result.
        call: how it is used, where that is not ``model(*inputs)``.
        random: whether it takes ``rng=`` and is the identity, or its inference form, without.
        trains: whether it has parameters that a random target can be fitted with.
        batched: whether leading axes are free.
    """

    name: str
    make: Callable[[Array], Module]
    inputs: tuple[str, ...]
    equation: str
    paper: str = ""
    spago: str = ""
    lengths: bool = False
    call: Callable[..., Any] = plain_call
    random: bool = False
    trains: bool = True
    batched: bool = True

    @property
    def title(self) -> str:
        """The class that it makes."""
        return self.layer_class.__name__

    @property
    def layer_class(self) -> type[Module]:
        """The class that it makes; nothing is computed for it."""
        return type(jax.eval_shape(self.make, jax.random.key(0)))

    def model(self, seed: int = 0) -> Any:
        """A fresh layer."""
        return self.make(jax.random.key(seed))

    def parameters(self) -> int:
        """How many numbers the small one trains."""
        return count_parameters(self.model())

    def specs(self) -> list[tuple[Spec, int | None]]:
        """The inputs as specs, and for integers the number that they are below."""
        return [_read(text, place) for place, text in enumerate(self.inputs)]

    def example(self, seed: int = 0, dtype: DTypeLike = np.float32, **sizes: int) -> tuple[np.ndarray, ...]:
        """Random inputs: floats from a normal distribution in ``dtype``, integers from their range.

        Args:
            seed: of the numbers.
            dtype: of the float inputs.
            sizes: of named dimensions, where not those of ``SIZES``.
        """
        rng = np.random.default_rng(seed)
        made = []
        for one, below in self.specs():
            shape = one.shape({**SIZES, **sizes})
            if below is not None:
                made.append(rng.integers(0, below, shape).astype(one.dtype))
            elif one.dtype == "bool":
                made.append(rng.random(shape) < 0.5)
            else:
                made.append(np.asarray(jnp.asarray(rng.normal(size=shape), dtype)))
        return tuple(made)

    def run(self, model: Callable[..., Any], *inputs: Any, lengths: Array | None = None) -> Any:
        """The outputs of a layer for its inputs."""
        options: Mapping[str, Any] = {"lengths": lengths} if lengths is not None else {}
        return self.call(model, *inputs, **options)

    def summary(self) -> str:
        """The first line of the class's docstring."""
        return (inspect.getdoc(self.layer_class) or "").splitlines()[0]


_BELOW = re.compile(r"^(.*\])\s*<\s*(\d+)$")


def _read(text: str, place: int) -> tuple[Spec, int | None]:
    match = _BELOW.match(text)
    one = spec(f"input {place}", match[1] if match else text)
    if one.dtype.startswith(("int", "uint")) and not match:
        raise InputError(f"{text!r}: integers need a bound, as in 'i32[batch, time] < 10'")
    return one, int(match[2]) if match else None
