# SPDX-License-Identifier: BSD-2-Clause
"""How a stack of layers runs: a choice of the caller, never part of a model's configuration."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.core import Array
from spago_jax.core.precision import Tree, cast
from spago_jax.core.target import target_platform
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, did_you_mean

LAYERS = ("unroll", "scan")
REMAT = ("full", "dots")


@dataclasses.dataclass(frozen=True)
class Execution:
    """How the layers of a stack are traced; the numbers are the same up to the order of sums.

    Args:
        layers: ``scan`` writes one layer into the program and runs it over the stacked parameters; its compilation does
            not grow with the layers. ``unroll`` writes every layer, which is for export and for separate parameters:
            of stacked ones it copies every layer's before the first runs, and on a CPU takes half as long again to
            answer. A training step gains, since a scan has to stack what each layer leaves for the way back, and its
            gradients. Separate parameters are always unrolled. None: ``unroll`` for training on a CPU without
            ``remat`` (there, XLA holds all of an unrolled program's memory at once), else ``scan``.
        remat: what a training step computes again in its backward pass instead of keeping it (rematerialization, or
            gradient checkpointing; Chen et al., 2016, https://arxiv.org/abs/1604.06174). ``full``: all inside of each
            layer, of which only the input is kept: about a third more work. ``dots``: all but the products with
            weights, which are kept: attention, norms and activations, little more work. None: nothing.
        barriers: whether each layer norm, activation and residual sum is computed once and stored. Without them XLA's
            CPU backend may compute it anew in every consumer; other backends fuse better alone. None: on the CPU, and
            not in a scan, where they were measured to cost up to a tenth.
        attention: the ``implementation`` of ``ops.attention``; None chooses.
        layer_dtype: what each layer is cast to where it runs, see ``cast_but_layers``; None leaves it as it is.

    Raises:
        InputError: for another way to run the layers, or another policy of rematerialization.

    >>> Execution(layers="scan", remat="full")
    Execution(layers='scan', remat='full', barriers=None, attention=None, layer_dtype=None)
    """

    layers: str | None = None
    remat: str | None = None
    barriers: bool | None = None
    attention: str | None = None
    layer_dtype: str | None = None

    def __post_init__(self) -> None:
        if self.layers is not None and self.layers not in LAYERS:
            raise InputError(f"execution: layers is {self.layers!r}, {did_you_mean(self.layers, LAYERS)}")
        if self.remat is not None and self.remat not in REMAT:
            raise InputError(f"execution: remat is {self.remat!r}, {did_you_mean(str(self.remat), REMAT)}")

    def resolved(self, *, separate: bool, trains: bool = False) -> "Execution":
        """Returns the way with its open choices made.

        Args:
            separate: whether each layer has arrays of its own, as opposed to rows of stacked ones.
            trains: whether gradients are wanted, of which randomness for dropout is the sign.
        """
        usual = "unroll" if trains and self.remat is None and target_platform() == "cpu" else "scan"
        layers = "unroll" if separate else self.layers or usual
        barriers = False if self.barriers is None and layers == "scan" else self.barriers
        return dataclasses.replace(self, layers=layers, barriers=barriers)

    def settle(self, x: Array) -> Array:
        """Returns ``x``, computed once and stored where barriers are on."""
        on = target_platform() == "cpu" if self.barriers is None else self.barriers
        return lax.optimization_barrier(x) if on else x


_DEFAULT = Execution()
_chosen: ContextVar[Execution] = ContextVar("execution")


@contextmanager
def execution(chosen: Execution) -> Iterator[None]:
    """Runs the models that are traced inside the block in this way.

    A program that ``jax.jit`` has compiled before is not traced again, and keeps its own.

    >>> with execution(Execution(layers="scan")):
    ...     current_execution().layers
    'scan'
    """
    token = _chosen.set(chosen)
    try:
        yield
    finally:
        _chosen.reset(token)


def current_execution(given: Execution | None = None) -> Execution:
    """Returns the way that was given, else that of the block around."""
    return _chosen.get(_DEFAULT) if given is None else given


class LayerStack:
    """Marks the Modules whose layers run as an ``Execution`` says, by ``run_layers``.

    Attributes:
        layers: a module whose arrays have a leading axis of layers, or a tuple of one per layer.
    """

    layers: Any


def _is_stack(node: object) -> bool:
    return isinstance(node, LayerStack)


def has_layers(model: PyTree) -> bool:
    """Returns whether an ``Execution`` changes how the model runs: whether it has a ``LayerStack``.

    >>> has_layers({"weight": jnp.zeros(3)})
    False
    """
    return any(map(_is_stack, jax.tree.leaves(model, is_leaf=_is_stack)))


def cast_but_layers(model: Tree, dtype: str) -> Tree:
    """Casts the float arrays of a model, but for those of stacked layers, which an ``Execution`` casts one by one.

    A layer is cut out of its stack and cast in one pass over memory. Cast as a whole first, XLA's CPU backend goes over
    the stack, and over each layer that it cuts out, once more.

    >>> cast_but_layers({"weight": jnp.zeros(3)}, "bfloat16")["weight"].dtype
    dtype(bfloat16)
    """

    def one(node: Any) -> Any:
        if not _is_stack(node):
            return cast(node, dtype)
        return cast(node.replace(layers=None), dtype).replace(layers=node.layers)

    return jax.tree.map(one, model, is_leaf=_is_stack)


def run_layers(
    step: Callable[[Any, Array, Any], Array],
    stack: PyTree,
    x: Array,
    order: Sequence[Sequence[int]],
    how: Execution,
    *,
    collect: bool = False,
) -> tuple[Array, Array | None]:
    """Runs ``x`` through layers whose parameters are stacked along a leading axis.

    Args:
        step: from one layer's parameters, its input and the number of the run (for randomness) to its output.
        stack: a tree of arrays [layers, ...], or a tuple of trees, one per layer.
        x: the input of the first layer.
        order: the layers' runs, each of one or more rows of the stack (as many in all), one after the other; layers
            that share parameters name the same row.
        how: unrolled or scanned.
        collect: whether the output of each run is wanted too.

    Returns:
        The last output, and [runs, ...] of all of them, or None.
    """
    separate = isinstance(stack, tuple)
    if how.layer_dtype is not None:
        step = _casting(step, how.layer_dtype)
    if how.resolved(separate=separate).layers == "scan":
        # A loop keeps XLA from merging the second computation with the first; unrolled, a barrier has to.
        step = step if how.remat is None else jax.checkpoint(step, prevent_cse=False, policy=_policy(how))
        return _scanned(step, stack, x, order, collect)
    if how.remat is not None:
        step = jax.checkpoint(step, static_argnums=2, policy=_policy(how))
    elif separate:  # traced and lowered once for all layers of like shapes; XLA puts it in each one's place
        step = jax.jit(step)
    layers = stack if separate else unstacked(stack)
    found, count = [], 0
    for rows in order:
        for row in rows:
            x, count = step(layers[row], x, count), count + 1
        found.append(x)
    return x, jnp.stack(found) if collect else None


def _casting(step: Callable[[Any, Array, Any], Array], dtype: str) -> Callable[[Any, Array, Any], Array]:
    return lambda layer, x, number: step(cast(layer, dtype), x, number)


def _policy(how: Execution) -> Callable[..., Any] | None:
    return jax.checkpoint_policies.dots_with_no_batch_dims_saveable if how.remat == "dots" else None


def unstacked(stack: PyTree) -> tuple[Any, ...]:
    """Returns the layers of a stack, a tree each.

    By ``lax.split``, whose gradient joins the layers' gradients once; that of indexing adds as many whole stacks.
    """
    leaves, tree = jax.tree.flatten(stack)
    count = leaves[0].shape[0]
    parts = [[part.squeeze(0) for part in lax.split(leaf, [1] * count)] for leaf in leaves]
    return tuple(jax.tree.unflatten(tree, layer) for layer in zip(*parts, strict=True))


def _scanned(step, stack, x: Array, order, collect: bool) -> tuple[Array, Array | None]:
    rows = [row for run in order for row in run]
    inner = len(rows) // len(order)
    size = jax.tree.leaves(stack)[0].shape[0]
    in_order = rows == list(range(size)) and inner == 1
    numbers = jnp.arange(len(rows)).reshape(len(order), inner)

    def body(x: Array, given: PyTree) -> tuple[Array, Array | None]:
        layers, number = given
        for place in range(inner):
            if in_order:
                layer = layers
            elif size == 1:
                layer = jax.tree.map(lambda a: a[0], stack)
            else:
                layer = jax.tree.map(lambda a, row=layers[place]: a[row], stack)
            x = step(layer, x, number[place])
        return x, x if collect else None

    return lax.scan(body, x, (stack if in_order else jnp.asarray(order), numbers))
