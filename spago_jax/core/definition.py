# SPDX-License-Identifier: BSD-2-Clause
"""The traps of a dataclass that is a pytree, each caught where it is made, with the fix in the message."""

import dataclasses
import enum
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from spago_jax.core.fields import ROLE
from spago_jax.errors import DefinitionError

_SCALARS = (int, float, str, bool, bytes, complex, type, enum.Enum)
_SCALAR_NAMES = {"int", "float", "str", "bool", "bytes", "complex", "Callable", "type"}
_ARRAYS = (jax.Array, np.ndarray)


def check_definition(cls: type) -> None:
    """Refuses a class that JAX could not rebuild, or whose fields would fail only later, inside a trace.

    Raises:
        DefinitionError: naming the class, the field and the line to write instead.
    """
    if "__post_init__" in cls.__dict__:
        raise DefinitionError(
            f"{cls.__name__} defines __post_init__, but JAX rebuilds a Module from tracers, None and strings, "
            f"so a check there breaks jit, vmap and tree.map. Validate in the classmethod `init` instead."
        )
    if "__init__" in cls.__dict__:
        raise DefinitionError(
            f"{cls.__name__} defines __init__, but JAX rebuilds a Module by its dataclass constructor. "
            f"Make arrays in a classmethod: `@classmethod def init(cls, key, ...): ... return cls(...)`."
        )
    for name, annotation in _own_annotations(cls).items():
        if _is_classvar(annotation):
            continue
        default = cls.__dict__.get(name, dataclasses.MISSING)
        is_field = isinstance(default, dataclasses.Field)
        is_static = is_field and default.metadata.get("pytree_node", True) is False
        if is_static and _holds(annotation, _ARRAYS, {"Array", "jax.Array", "np.ndarray"}):
            raise DefinitionError(
                f"{cls.__name__}.{name}: an array cannot be static: it is compared at every call of a compiled "
                f"program, and the second call fails. Declare {name}: Array = buffer()."
            )
        if not is_static and _holds(annotation, _SCALARS, _SCALAR_NAMES):
            raise DefinitionError(
                f"{cls.__name__}.{name}: {_text(annotation)} is not an array; "
                f"declare {name}: {_text(annotation)} = static()."
            )
        value = default.default if is_field else default
        if isinstance(value, _ARRAYS):
            raise DefinitionError(
                f"{cls.__name__}.{name}: a default array would be shared by every instance. Make it in `init` instead."
            )


def check_instance(module: Any) -> None:
    """Refuses an instance made by ``init`` whose fields hold what their roles do not allow.

    Raises:
        DefinitionError: for an unhashable or array static value, a non-array parameter, or one array in
            two places (the copies would drift apart after the first update).
    """
    name = type(module).__name__
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if field.metadata.get(ROLE) == "static":
            if isinstance(value, _ARRAYS):
                raise DefinitionError(f"{name}.{field.name}: a static field holds an array; declare it as buffer().")
            try:
                hash(value)
            except TypeError:
                raise DefinitionError(
                    f"{name}.{field.name} = {value!r}: a static value must be hashable; "
                    f"use a tuple for a list, a frozen dataclass for a dict."
                ) from None
            continue
        for leaf in jax.tree.leaves(value):
            if isinstance(leaf, str | bytes) or callable(leaf) or not hasattr(leaf, "dtype"):
                raise DefinitionError(
                    f"{name}.{field.name} holds {leaf!r} of type {type(leaf).__name__}, which is not an array; "
                    f"make it a jax array, or declare the field static()."
                )
    seen: dict[int, str] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(module)[0]:
        here = jax.tree_util.keystr(path).lstrip(".")
        there = seen.setdefault(id(leaf), here)
        if there != here:
            raise DefinitionError(
                f"{name}: {there} and {here} are one array in two places; after the first update they would be "
                f"two. Keep it in one module and call that module's method from the other (weight tying)."
            )


def checked_init(init: classmethod) -> classmethod:
    """Wraps a class's own ``init`` so that what it returns is checked once, at the place where it was made."""
    function = init.__func__

    def wrapper(cls: type, *args: Any, **kwargs: Any) -> Any:
        module = function(cls, *args, **kwargs)
        if isinstance(module, cls):
            check_instance(module)
        return module

    wrapper.__doc__ = function.__doc__
    wrapper.__name__ = function.__name__
    wrapper.__wrapped__ = function  # type: ignore[attr-defined]
    wrapper.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return classmethod(wrapper)


def _own_annotations(cls: type) -> dict[str, Any]:
    raw = inspect.get_annotations(cls)
    try:
        return {**raw, **{k: v for k, v in typing.get_type_hints(cls).items() if k in raw}}
    except (NameError, TypeError, AttributeError):
        return raw  # a forward reference: the text of the annotation is judged instead


def _is_classvar(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return "ClassVar" in annotation
    return annotation is typing.ClassVar or typing.get_origin(annotation) is typing.ClassVar


def _holds(annotation: Any, kinds: tuple[type, ...], names: set[str]) -> bool:
    """Whether the annotation allows nothing but the given kinds (None, unions and containers seen through)."""
    if isinstance(annotation, str):
        parts = {part.strip() for part in annotation.split("|")} - {"None"}
        return bool(parts) and all(part.split("[")[0].split(".")[-1] in names | {"Literal"} for part in parts)
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        parts = [a for a in typing.get_args(annotation) if a is not type(None)]
        return bool(parts) and all(_holds(a, kinds, names) for a in parts)
    if origin in (tuple, list, frozenset, set):
        parts = [a for a in typing.get_args(annotation) if a is not Ellipsis]
        return bool(parts) and all(_holds(a, kinds, names) for a in parts)
    if kinds is _SCALARS and (origin in (typing.Literal, Callable, type) or annotation in (Callable, typing.Callable)):
        return True
    return isinstance(annotation, type) and issubclass(annotation, kinds)


def _text(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")
