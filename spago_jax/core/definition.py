# SPDX-License-Identifier: BSD-2-Clause
"""Fields of a Module and their roles; a mistake in a class is caught at its definition, with the fix in the message."""

import ast
import dataclasses
import enum
import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import struct

from spago_jax.errors import DefinitionError

_SCALARS = (int, float, str, bool, bytes, complex, type, enum.Enum, np.dtype)
_SCALAR_NAMES = frozenset({"int", "float", "str", "bool", "bytes", "complex", "Callable", "type", "Literal", "dtype"})
_ARRAYS = (jax.Array, np.ndarray)
_ARRAY_NAMES = frozenset({"Array", "ndarray"})
_CONTAINERS = (tuple, list, frozenset, set)
_CONTAINER_NAMES = frozenset({"tuple", "list", "frozenset", "set", "Tuple", "List", "Sequence", "Iterable"})
_MAPPING_NAMES = frozenset({"dict", "Dict", "Mapping"})

ROLE = "spago_jax.role"
DECAY = "spago_jax.decay"


@dataclasses.dataclass(frozen=True)
class Role:
    """What one array of a model is for: is it trained, and does weight decay shrink it?"""

    trainable: bool = True
    decay: bool = True


def param(*, decay: bool = True, **kwargs: Any) -> Any:
    """A trainable array, or a sub-module; ``decay=False`` keeps it out of weight decay (biases, norm gains).

    >>> import spago_jax as sj
    >>> class Scale(sj.Module):
    ...     gain: sj.Array = sj.param(decay=False)
    >>> sj.roles(Scale(gain=jnp.ones(3)))
    {'gain': Role(trainable=True, decay=False)}
    """
    return dataclasses.field(metadata={"pytree_node": True, ROLE: "param", DECAY: decay}, **kwargs)


def buffer(**kwargs: Any) -> Any:
    """An array that is saved with the model but gets no gradient (running averages, lookup tables)."""
    return dataclasses.field(metadata={"pytree_node": True, ROLE: "buffer", DECAY: False}, **kwargs)


def static(**kwargs: Any) -> Any:
    """Hashable configuration: part of the program's signature, not of its arrays.

    Static values are compared at every call of a compiled program, so they are small and cheap to hash.
    """
    return dataclasses.field(metadata={"pytree_node": False, ROLE: "static"}, **kwargs)


def check_definition(cls: type) -> None:
    """Refuses a class that JAX could not rebuild, or whose fields would fail only later, inside a trace.

    Raises:
        DefinitionError: naming the class, the field and the line to write instead.
    """
    if hasattr(cls, "__post_init__"):
        raise DefinitionError(
            f"{cls.__name__} defines __post_init__, but JAX rebuilds a Module from tracers, None and strings, "
            f"so a check there breaks jit, vmap and tree.map. Validate in the classmethod `init` instead."
        )
    if "__init__" in cls.__dict__:
        raise DefinitionError(
            f"{cls.__name__} defines __init__, but JAX rebuilds a Module by its dataclass constructor. "
            f"Make arrays in a classmethod: `@classmethod def init(cls, key, ...): ... return cls(...)`."
        )
    annotations = _own_annotations(cls)
    for name, annotation in annotations.items():
        if _is_classvar(annotation):
            continue
        default = cls.__dict__.get(name, dataclasses.MISSING)
        static = isinstance(default, dataclasses.Field) and is_static(default)
        if static and _holds(annotation, _ARRAYS, _ARRAY_NAMES):
            raise DefinitionError(
                f"{cls.__name__}.{name}: an array cannot be static: it is compared at every call of a compiled "
                f"program, and the second call fails. Declare {name}: Array = buffer()."
            )
        if static and _holds(annotation, (struct.PyTreeNode,), frozenset({"Module"})):
            raise DefinitionError(
                f"{cls.__name__}.{name}: a Module cannot be static: its arrays would be constants of the compiled "
                f"program. Declare {name}: {_text(annotation)}, or buffer() if it is not to be trained."
            )
        if not static and _holds(annotation, _SCALARS, _SCALAR_NAMES):
            raise DefinitionError(
                f"{cls.__name__}.{name}: {_text(annotation)} is not an array; "
                f"declare {name}: {_text(annotation)} = static()."
            )
        value = default.default if isinstance(default, dataclasses.Field) else default
        if value is not dataclasses.MISSING and _has_array(value):
            raise DefinitionError(
                f"{cls.__name__}.{name}: a default array would be shared by every instance. Make it in `init` instead."
            )
    for name, value in cls.__dict__.items():
        if name not in annotations and isinstance(value, (*_ARRAYS, dataclasses.Field)):
            raise DefinitionError(
                f"{cls.__name__}.{name} has no annotation, so it is no field of the Module; declare {name}: Array, "
                f"or {name}: ClassVar[Array] for a constant of the class."
            )


def is_static(field: dataclasses.Field) -> bool:
    """Whether a field is configuration, no part of the tree of arrays."""
    return field.metadata.get("pytree_node", True) is False


def check_instance(module: Any) -> None:
    """Refuses an instance made by ``init`` whose fields hold what their roles do not allow.

    Raises:
        DefinitionError: for an unhashable or array static value, a non-array parameter, or one array in
            two places (the copies would drift apart after the first update).
    """
    name = type(module).__name__
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if is_static(field):
            _check_static(f"{name}.{field.name}", value)
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


def _check_static(name: str, value: Any) -> None:
    if _has_array(value):
        raise DefinitionError(f"{name}: a static field holds an array; declare it as buffer().")
    try:
        hash(value)
    except TypeError:
        raise DefinitionError(
            f"{name} = {value!r}: a static value must be hashable; "
            f"use a tuple for a list, a frozen dataclass for a dict."
        ) from None
    if value != value:
        raise DefinitionError(f"{name} = {value!r} differs from itself, so every call would be traced anew; use None.")


def _has_array(value: object) -> bool:
    return any(isinstance(leaf, _ARRAYS) for leaf in jax.tree.leaves(value))


def checked_init(init: classmethod | staticmethod) -> classmethod | staticmethod:
    """Wraps a class's own ``init`` so that what it returns is checked once, at the place where it was made."""
    function = init.__func__

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        module = function(*args, **kwargs)
        if isinstance(module, struct.PyTreeNode):
            check_instance(module)
        return module

    return type(init)(wrapper)


def _own_annotations(cls: type) -> dict[str, Any]:
    """The annotations of the class itself, each evaluated where that is possible already, else as it was written."""
    if sys.version_info >= (3, 14):
        import annotationlib  # a forward reference would raise in inspect.get_annotations

        raw = annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    else:
        raw = inspect.get_annotations(cls)
    names = {**vars(sys.modules[cls.__module__]), cls.__name__: cls} if cls.__module__ in sys.modules else {}
    return {name: _evaluated(annotation, names) for name, annotation in raw.items()}


def _evaluated(annotation: object, names: dict[str, Any]) -> Any:
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, dict(names))
    except Exception:  # a name that is not defined yet, or not here: the text of the annotation is judged instead
        return annotation


def _is_classvar(annotation: object) -> bool:
    if isinstance(annotation, str):
        return re.match(r"(\w+\.)*ClassVar\b", annotation.strip()) is not None
    return annotation is typing.ClassVar or typing.get_origin(annotation) is typing.ClassVar


def _holds(annotation: object, kinds: tuple[type, ...], names: frozenset[str]) -> bool:
    """Whether the annotation allows nothing but the given kinds (None, unions and containers seen through)."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        try:
            return _text_holds(ast.parse(annotation.strip(), mode="eval").body, names)
        except SyntaxError:
            return False
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _holds(arguments[0], kinds, names)
    if origin in (typing.Union, types.UnionType, *_CONTAINERS) or getattr(origin, "__name__", "") in _CONTAINER_NAMES:
        parts = [part for part in arguments if part not in (type(None), Ellipsis)]
        return bool(parts) and all(_holds(part, kinds, names) for part in parts)
    if getattr(origin, "__name__", "") in _MAPPING_NAMES:
        return _holds(arguments[1], kinds, names)
    if kinds is _SCALARS and (origin in (typing.Literal, Callable, type) or annotation in (Callable, typing.Callable)):
        return True
    return origin is None and isinstance(annotation, type) and issubclass(annotation, kinds)


def _text_holds(node: ast.expr, names: frozenset[str]) -> bool:
    """``_holds`` for an annotation that cannot be evaluated yet."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _text_holds(ast.parse(node.value.strip(), mode="eval").body, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        parts = [part for part in (node.left, node.right) if not _is_none(part)]
        return bool(parts) and all(_text_holds(part, names) for part in parts)
    if not isinstance(node, ast.Subscript):
        return _last_name(node) in names
    outer = _last_name(node.value)
    inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer == "Annotated":
        return _text_holds(inside[0], names)
    if outer in _MAPPING_NAMES:
        return len(inside) == 2 and _text_holds(inside[1], names)
    if outer in _CONTAINER_NAMES | {"Optional", "Union"}:
        parts = [part for part in inside if not _is_none(part)]
        return bool(parts) and all(_text_holds(part, names) for part in parts)
    return outer in names


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (None, Ellipsis)


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _text(annotation: object) -> str:
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")
