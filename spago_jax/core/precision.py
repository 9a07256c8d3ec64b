# SPDX-License-Identifier: BSD-2-Clause
"""Precision policy: the dtype of the parameters, of the computation, and of what comes out."""

import dataclasses
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from spago_jax.core.dtypes import long_name
from spago_jax.errors import InputError, did_you_mean

Tree = TypeVar("Tree")
_DTYPES = ("float32", "bfloat16", "float16", "float64")


@dataclasses.dataclass(frozen=True)
class Precision:
    """Names of three dtypes; ``Precision.parse("bfloat16")`` keeps parameters and outputs in float32.

    Raises:
        InputError: for an unknown dtype, or float64 without JAX's 64-bit mode.

    >>> Precision.parse("bfloat16")
    Precision(params='float32', compute='bfloat16', output='float32')
    >>> Precision.parse("params=bfloat16,compute=bfloat16").output
    'float32'
    """

    params: str = "float32"
    compute: str = "float32"
    output: str = "float32"

    def __post_init__(self):
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _dtype(getattr(self, field.name)))

    @classmethod
    def parse(cls, text: str) -> "Precision":
        """Reads ``float32``, ``float64``, ``bfloat16`` or ``params=...,compute=...,output=...``.

        Raises:
            InputError: for an unknown dtype or part.
        """
        if "=" not in text:
            dtype = _dtype(text)
            wide = dtype if dtype in ("float32", "float64") else "float32"
            return cls(params=wide, compute=dtype, output=wide)
        parts: dict[str, str] = {}
        for part in text.split(","):
            name, _, value = (word.strip() for word in part.partition("="))
            if name not in ("params", "compute", "output"):
                choices = ("params", "compute", "output")
                raise InputError(f"precision {text!r}: unknown part {name!r}, {did_you_mean(name, choices)}")
            parts[name] = _dtype(value)
        return cls(**parts)

    def to_params(self, tree: Tree) -> Tree:
        """Casts the float arrays of a tree to the parameter dtype."""
        return cast(tree, self.params)

    def to_compute(self, tree: Tree) -> Tree:
        """Casts the float arrays of a tree to the dtype of the computation."""
        return cast(tree, self.compute)

    def to_output(self, tree: Tree) -> Tree:
        """Casts the float arrays of a tree to the dtype of outputs."""
        return cast(tree, self.output)


def cast(tree: Tree, dtype: str) -> Tree:
    """Casts the float arrays of a tree (or their ``ShapeDtypeStruct``); integers, booleans and keys are left alone."""

    def one(leaf: Any) -> Any:
        if not hasattr(leaf, "dtype") or not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(leaf.shape, jnp.dtype(dtype), sharding=leaf.sharding)
        return leaf.astype(dtype)

    return jax.tree.map(one, tree)


def _dtype(name: str) -> str:
    full = long_name(name)
    if full not in _DTYPES:
        raise InputError(f"unknown dtype {name!r}, {did_you_mean(name, _DTYPES)}")
    if full == "float64" and not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise InputError("float64 needs JAX's 64-bit mode: set the environment variable JAX_ENABLE_X64=1")
    return full
