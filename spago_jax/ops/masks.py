# SPDX-License-Identifier: BSD-2-Clause
"""Lengths and what they mask. A length counts the real steps; all steps after it are padding."""

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError
from spago_jax.ops.broadcast import over


def check_lengths(lengths: jax.Array | None, x: jax.Array, name: str = "x") -> None:
    """Refuses lengths that are not one for each sequence of ``x`` [..., time, features], which errors call ``name``.

    Raises:
        InputError: with both shapes.
    """
    lead = tuple(x.shape[:-2])
    if lengths is not None and tuple(jnp.shape(lengths)) != lead:
        raise InputError(
            f"lengths have shape {tuple(jnp.shape(lengths))}, expected {lead}: one for each sequence in {name} "
            f"of shape {tuple(x.shape)}"
        )


def length_mask(lengths: jax.Array, time: int) -> jax.Array:
    """Which steps are real: bool[..., time] from integer lengths [...].

    >>> length_mask(jnp.array([2, 0]), 3)
    Array([[ True,  True, False],
           [False, False, False]], dtype=bool)
    """
    lengths = jnp.asarray(lengths)[..., None]
    return over(jnp.arange(time), lengths) < lengths


def zero_padding(x: jax.Array, lengths: jax.Array | None) -> jax.Array:
    """``x`` [..., time, features] with zeros beyond each length: neither a value nor a gradient leaks from there.

    >>> zero_padding(jnp.array([[1.0], [jnp.nan]]), jnp.array(1))
    Array([[1.],
           [0.]], dtype=float32)
    """
    if lengths is None:
        return x
    return jnp.where(length_mask(lengths, x.shape[-2])[..., None], x, jnp.zeros((), x.dtype))


def some_steps(x: jax.Array, lengths: jax.Array | None) -> tuple[jax.Array, jax.Array | None]:
    """Returns sequences without steps [..., 0, features] as one step of padding, others as they are.

    What a layer computes of sequences of length 0 is what it computes of none at all, and no axis of size 0 is left for
    an operation to fail at.

    >>> x, lengths = some_steps(jnp.zeros((2, 0, 3)), None)
    >>> x.shape, lengths
    ((2, 1, 3), Array([0, 0], dtype=int32))
    """
    if x.shape[-2] != 0:
        return x, lengths
    padded = jnp.concatenate([x, jnp.zeros((*x.shape[:-2], 1, x.shape[-1]), x.dtype)], axis=-2)
    return padded, jnp.zeros(x.shape[:-2], jnp.int32)


def same_steps(y: jax.Array, x: jax.Array) -> jax.Array:
    """Returns what a layer gives per step without the step that ``some_steps`` put into ``x``."""
    return y[..., :0, :] if x.shape[-2] == 0 else y


def reverse_by_length(x: jax.Array, lengths: jax.Array | None = None) -> jax.Array:
    """The real steps of ``x`` [..., time, features] in reverse order; the padding stays where it is.

    >>> reverse_by_length(jnp.array([[1], [2], [3], [0]]), jnp.array(3))[:, 0]
    Array([3, 2, 1, 0], dtype=int32)
    """
    if lengths is None:
        return jnp.flip(x, axis=-2)
    lengths = jnp.broadcast_to(jnp.asarray(lengths), x.shape[:-2])[..., None]
    time = over(jnp.arange(x.shape[-2]), lengths)
    index = jnp.where(time < lengths, lengths - 1 - time, time)
    return jnp.take_along_axis(x, index[..., None], axis=-2)
