# SPDX-License-Identifier: BSD-2-Clause
"""The one driver of all recurrences: forward, reverse, bidirectional, masked by length, resumable from a state.

A *cell* has pure parts: ``project(xs)``, everything that depends on the inputs alone (one big product for the
whole sequence), and ``step(state, z) -> (state, y)``. A cell whose recurrence has a hand-made kernel (LSTM, GRU)
offers it as ``run`` or ``run_pair``; the plain scan over ``step`` is its oracle.
"""

import math
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.ops.by_batch import by_batch
from spago_jax.ops.linear import accumulation_dtype, as_float
from spago_jax.ops.masks import check_lengths, length_mask, same_steps, some_steps

State = Any
"""Any pytree of arrays [..., k] or [..., k, l]."""


class Cell(Protocol):
    """What the driver asks of a cell. Arrays are [..., features]; the leading axes are free."""

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> State:
        """The state before the first step, leaves [*lead, k], for inputs of ``dtype``."""
        ...

    def project(self, xs: jax.Array) -> Any:
        """What depends on the inputs alone: [..., in] -> a pytree of [..., k]."""
        ...

    def step(self, state: State, z: PyTree) -> tuple[State, jax.Array]:
        """One step: the state and one projected input -> the new state and the output."""
        ...


@runtime_checkable
class KernelCell(Protocol):
    """A cell with a kernel of its own over time-major inputs."""

    def run(
        self, xs: jax.Array, initial: State | None, lengths: jax.Array | None, *, reverse: bool
    ) -> tuple[jax.Array, State]:
        """``xs`` [time, batch, in], zeros beyond the lengths -> (ys [time, batch, out], the final state)."""
        ...


def scan_recurrence(
    cell: Cell,
    xs: jax.Array,
    *,
    lengths: jax.Array | None = None,
    initial: State | None = None,
    reverse: bool = False,
    unroll: int = 1,
    kernel: bool = True,
) -> tuple[jax.Array, State]:
    """Runs a cell over a sequence: ``state[t], y[t] = step(state[t-1], project(xs)[t])``.

    What lies beyond a length never changes a result: there the state holds and the output is zero, and no
    gradient comes from there. Reversed, a sequence is read from its last real step to its first, and ``ys[t]``
    still belongs to ``xs[t]``. The final state is the one after the last step that was read; fed back as
    ``initial`` it continues the sequence as if it had been one pass.

    Args:
        cell: see :class:`Cell`.
        xs: [..., time, in]; the leading axes are free (none: one example).
        lengths: int[...], the real steps of each sequence; None: all.
        initial: the state to start from, leaves [..., k]; None: the cell's own.
        reverse: read from the end.
        unroll: steps per iteration of the plain loop.
        kernel: use the cell's kernel where it has one.

    Returns:
        ys [..., time, out] and the final state, leaves [..., k].

    Raises:
        InputError: where ``lengths`` or the state do not fit the inputs.
    """
    lead, given = _check(xs, lengths), xs
    xs, lengths = some_steps(as_float(xs, cell), lengths)
    flat, lengths = _fold(xs, lengths, lead)
    start = None if initial is None else _fold_state(_floats(initial, cell), lead)

    def run(cell: Any, split: Any) -> tuple[jax.Array, State]:
        flat, start, lengths = split
        if kernel and isinstance(cell, KernelCell):
            return cell.run(flat, start, lengths, reverse=reverse)
        if start is None:
            start = cell.initial_state((flat.shape[1],), xs.dtype)
        return _plain(cell, cell.project(flat), start, lengths, reverse, unroll)

    ys, final = by_batch(run, cell, (flat, start, lengths), axes=(1, 0, 0), size=flat.shape[1], out=(1, 0))
    return same_steps(_unfold(ys, lead), given), _unfold_state(final, lead)


def scan_bidirectional(
    forward: Cell,
    backward: Cell,
    xs: jax.Array,
    *,
    lengths: jax.Array | None = None,
    initial: tuple[State, State] | None = None,
    unroll: int = 1,
    kernel: bool = True,
) -> tuple[tuple[jax.Array, jax.Array], tuple[State, State]]:
    """Both directions over one sequence; where both cells share a kernel, in one loop.

    Returns:
        The outputs of each direction, in input order, and the final states (the backward one belongs to the
        first step).
    """
    first, last = (None, None) if initial is None else initial
    pair = getattr(forward, "run_pair", None)
    if kernel and pair is not None and type(forward) is type(backward):
        lead, given = _check(xs, lengths), xs
        xs, lengths = some_steps(as_float(xs, forward), lengths)
        flat, lengths = _fold(xs, lengths, lead)
        starts = tuple(None if state is None else _fold_state(_floats(state, forward), lead) for state in (first, last))

        def run(cells: Any, split: Any) -> Any:
            return cells[0].run_pair(cells[1], *split)

        outputs, finals = by_batch(
            run, (forward, backward), (flat, starts, lengths), axes=(1, 0, 0), size=flat.shape[1], out=(1, 0)
        )
        return (
            (same_steps(_unfold(outputs[0], lead), given), same_steps(_unfold(outputs[1], lead), given)),
            (_unfold_state(finals[0], lead), _unfold_state(finals[1], lead)),
        )
    ys_forward, final_forward = scan_recurrence(
        forward, xs, lengths=lengths, initial=first, unroll=unroll, kernel=kernel
    )
    ys_backward, final_backward = scan_recurrence(
        backward, xs, lengths=lengths, initial=last, reverse=True, unroll=unroll, kernel=kernel
    )
    return (ys_forward, ys_backward), (final_forward, final_backward)


def _plain(cell: Cell, zs: PyTree, start: State, lengths: jax.Array | None, reverse: bool, unroll: int):
    """The plain scan, time-major: a state that holds beyond the length needs no reversal of the inputs."""
    time = jax.tree.leaves(zs)[0].shape[0]
    mask = None if lengths is None else length_mask(lengths, time).T
    dtype = jax.eval_shape(cell.step, start, jax.tree.map(lambda z: z[0], zs))[1].dtype

    def body(state: State, inputs: tuple[Any, jax.Array | None]):
        z, real = inputs
        new, y = cell.step(state, z)
        # XLA's CPU backend has no update in place for 16-bit floats: the outputs are collected in float32.
        y = y.astype(accumulation_dtype(y.dtype))
        if real is not None:
            new = jax.tree.map(lambda a, b: jnp.where(_in_rank_of(a, real), a, b), new, state)
            y = jnp.where(_in_rank_of(y, real), y, jnp.zeros((), y.dtype))
        return new, y

    final, ys = lax.scan(body, start, (zs, mask), reverse=reverse, unroll=unroll)
    return ys.astype(dtype), final


def _in_rank_of(x: jax.Array, real: jax.Array) -> jax.Array:
    """bool[batch] with as many axes as ``x`` [batch, ...]."""
    return real.reshape(real.shape + (1,) * (x.ndim - real.ndim))


def _check(xs: jax.Array, lengths: jax.Array | None) -> tuple[int, ...]:
    if xs.ndim < 2:
        raise InputError(f"xs has shape {tuple(xs.shape)}, expected [..., time, features]")
    check_lengths(lengths, xs, "xs")
    return tuple(xs.shape[:-2])


def _fold(xs: jax.Array, lengths: jax.Array | None, lead: tuple[int, ...]) -> tuple[jax.Array, jax.Array | None]:
    """Time-major with one batch axis, and zeros where there is no input."""
    flat = xs.reshape(math.prod(lead), *xs.shape[-2:]).swapaxes(0, 1)
    if lengths is None:
        return flat, None
    lengths = jnp.asarray(lengths).reshape(-1)
    mask = length_mask(lengths, flat.shape[0]).T[..., None]
    return jnp.where(mask, flat, jnp.zeros((), flat.dtype)), lengths


def _floats(state: State, cell: Cell) -> State:
    return jax.tree.map(lambda leaf: as_float(jnp.asarray(leaf), cell), state)


def _fold_state(state: State, lead: tuple[int, ...]) -> State:
    for leaf in jax.tree.leaves(state):
        if tuple(leaf.shape[: len(lead)]) != lead or leaf.ndim <= len(lead):
            rest = leaf.shape[len(lead) :] or ("k",)
            raise InputError(f"the initial state has shape {tuple(leaf.shape)}, expected {(*lead, *rest)}")
    return jax.tree.map(lambda leaf: jnp.reshape(leaf, (math.prod(lead), *leaf.shape[len(lead) :])), state)


def _unfold(ys: jax.Array, lead: tuple[int, ...]) -> jax.Array:
    time, _, out = ys.shape
    return ys.swapaxes(0, 1).reshape(*lead, time, out)


def _unfold_state(state: State, lead: tuple[int, ...]) -> State:
    return jax.tree.map(lambda leaf: leaf.reshape(*lead, *leaf.shape[1:]), state)


def push(ring: jax.Array, y: jax.Array) -> jax.Array:
    """Returns the last outputs of a recurrence, newest first, with one more: [..., size, features], kept.

    ``y`` [..., features] comes in front, and the oldest goes: what higher-order cells remember.

    >>> push(jnp.array([[1.0], [2.0]]), jnp.array([5.0]))[:, 0]
    Array([5., 1.], dtype=float32)
    """
    return jnp.concatenate([y[..., None, :].astype(ring.dtype), ring[..., :-1, :]], axis=-2)
