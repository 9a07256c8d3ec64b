# SPDX-License-Identifier: BSD-2-Clause
"""Free dimensions: from names to JAX's symbolic shapes, and an error that names the dimension that cannot be free."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
from jax import export as jax_export

from spago_jax.compiler.ship.arguments import Leaf, Shipment
from spago_jax.compiler.ship.plain import map_paths
from spago_jax.errors import ExportError, InputError

T = TypeVar("T")


def structs(shipped: Shipment, sizes: Mapping[str, int], constraints: Sequence[str] = ()) -> tuple[Any, ...]:
    """What the inputs look like to JAX: a name is a symbolic dimension, unless ``sizes`` fixes it.

    Raises:
        InputError: for a dtype that JAX would narrow (64 bits without ``jax_enable_x64``), or a bad constraint.
    """
    held = [text for text in constraints if not any(_mentions(text, name) for name in sizes)]
    try:
        scope = jax_export.SymbolicScope(held)
    except ValueError as error:
        raise InputError(f"{shipped.name}: the constraints {held} cannot be read: {error}") from None

    def struct(path: str, leaf: Leaf) -> jax.ShapeDtypeStruct:
        if jax.dtypes.canonicalize_dtype(leaf.dtype).name != leaf.dtype:
            raise InputError(
                f"{shipped.name}: {path} is {leaf}, which JAX narrows to 32 bits; set jax_enable_x64, or ask for "
                f"{jax.dtypes.canonicalize_dtype(leaf.dtype).name}"
            )
        text = ", ".join(str(sizes.get(dim, dim) if isinstance(dim, str) else dim) for dim in leaf.dims)
        shape = jax_export.symbolic_shape(text, scope=scope) if leaf.dims else ()
        return jax.ShapeDtypeStruct(shape, leaf.dtype)

    return tuple(map_paths(tree, struct, name) for name, tree in shipped.inputs.items())


def weight_structs(shipped: Shipment) -> dict[str, jax.ShapeDtypeStruct]:
    """What the weights look like to JAX."""
    return {path: jax.ShapeDtypeStruct(array.shape, array.dtype) for path, array in shipped.weights.items()}


def traced(shipped: Shipment, sizes: Mapping[str, int], work: Callable[[], T], *, several: bool = True) -> T:
    """Does ``work``, which traces the function with free dimensions; says which of them it cannot leave free.

    Args:
        shipped: the function.
        sizes: the dimensions that are fixed already.
        work: what traces it.
        several: whether the caller can export one program for each of several sizes.

    Raises:
        ExportError: where the function needs a number for a dimension, naming the dimension, the place and the way out.
    """
    try:
        return work()
    except (InputError, ExportError):
        raise
    except Exception as error:
        free = [name for name in shipped.names() if name not in sizes]
        culprits = _culprits(shipped, sizes, free, error)
        if not culprits:
            raise  # it fails with numbers too: the function's own error
        raise ExportError(_message(shipped.name, culprits, free, error, several)) from error


def _culprits(shipped: Shipment, sizes: Mapping[str, int], free: list[str], error: Exception) -> list[str]:
    """Returns the dimension that, given a number, lets the function be traced; else all of them, if that helps."""
    mentioned = [name for name in free if _mentions(str(error), name)]
    for name in [*mentioned, *(name for name in free if name not in mentioned)]:
        if _traces(shipped, {**sizes, name: _PROBE}):
            return [name]
    return free if free and _traces(shipped, {**sizes, **dict.fromkeys(free, _PROBE)}) else []


_PROBE = 16  # even, and larger than any window


def _traces(shipped: Shipment, sizes: Mapping[str, int]) -> bool:
    try:
        jax.eval_shape(shipped.call, weight_structs(shipped), *structs(shipped, sizes))
    except Exception:
        return False
    return True


def _mentions(text: str, name: str) -> bool:
    word = "".join(char if char.isalnum() or char == "_" else " " for char in text)
    return name in word.split()


def _message(name: str, culprits: list[str], free: list[str], error: Exception, several: bool) -> str:
    named = " and ".join(repr(c) for c in culprits)
    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip().rstrip(".")
    sizes = ", ".join(f"{c!r}: (16, 64)" for c in culprits)
    entries = f" export one program for each of a few sizes, sizes={{{sizes}}}; or," if several else ""
    others = [f for f in free if f not in culprits]
    rest = f" ({', '.join(map(repr, others))} can stay free)" if others else ""
    return (
        f"{name} cannot be exported with {named} left free: {reason}{_where(error)}.\n"
        f"The function needs the number itself there, in a Python branch, loop or shape. Write a size in the spec in "
        f"place of {named}{rest}; or{entries or ','} where it is a comparison that "
        f"always comes out the same, say so: constraints=['{culprits[0]} >= 2']"
    )


def _where(error: BaseException) -> str:
    """Returns the innermost line outside of JAX and of this file's package, where Python knows it."""
    inside = (Path(jax.__file__).parent, Path(__file__).parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_file() and not any(path.is_relative_to(folder) for folder in inside):
            return f", at {path}:{frame.lineno}"
    return ""
