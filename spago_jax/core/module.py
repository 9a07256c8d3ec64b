# SPDX-License-Identifier: BSD-2-Clause
"""Module: a frozen dataclass that is its own parameter pytree."""

import dataclasses
import inspect
from typing import Any, ClassVar, Self, dataclass_transform

import jax
from flax import struct

from spago_jax.core.definition import buffer, check_definition, checked_init, is_static, param, static
from spago_jax.core.scopes import name_methods
from spago_jax.errors import DefinitionError, did_you_mean

Array = jax.Array

_CLASS = "_class_of_tree"


@dataclass_transform(frozen_default=True, field_specifiers=(param, buffer, static, dataclasses.field))
class Module(struct.PyTreeNode):
    """A frozen dataclass of arrays and sub-modules; ``__call__`` is a pure function of (self, inputs).

    The constructor takes arrays. A classmethod ``init(key, ...)`` makes them: random, validated, with clear
    errors. ``jax.jit``, ``jax.vmap``, ``jax.grad`` and ``jax.lax.scan`` work on a Module as they are.

    Raises:
        DefinitionError: at class definition, for ``__post_init__``, ``__init__``, a plain ``int``, ``str``
            or ``Callable`` field that is not ``static()``, or an array field that is; at ``init``, for
            unhashable static values, parameters that are not arrays, and arrays in two places.

    >>> class Scale(Module):
    ...     gain: Array
    ...     power: int = static(default=1)
    ...     def __call__(self, x):
    ...         return self.gain * x**self.power
    >>> scale = Scale(gain=jnp.array([1.0, 2.0]), power=2)
    >>> scale
    Scale(gain=float32[2], power=2)
    >>> scale(jnp.array([3.0, 3.0]))
    Array([ 9., 18.], dtype=float32)
    """

    # What a flow reads off its stream when it makes a layer: the first parameter of `init` after the key, if it has one
    # of these names, is the size of this axis of the input.
    size_names: ClassVar[tuple[str, ...]] = ("in_features", "features", "in_channels")
    size_axis: ClassVar[int] = -1

    def __init_subclass__(cls, **kwargs: Any):
        check_definition(cls)
        own_init = cls.__dict__.get("init")
        if isinstance(own_init, classmethod | staticmethod):
            cls.init = checked_init(own_init)  # type: ignore[attr-defined]
        name_methods(cls)
        own_replace = cls.__dict__.get("replace")
        # To JAX the tree structures of two dataclasses are equal if their static values are, whatever their classes,
        # and a jitted function may run the program of one for the other. So the class is a static value, not a field.
        cls.__annotations__ = {**inspect.get_annotations(cls), _CLASS: type}
        setattr(cls, _CLASS, dataclasses.field(default=cls, kw_only=True, metadata={"pytree_node": False}))
        super().__init_subclass__(repr=False, eq=False, **kwargs)
        del cls.__dataclass_fields__[_CLASS]  # type: ignore[attr-defined]
        if own_replace is None:  # Flax puts its own on every class
            del cls.replace
        else:
            cls.replace = own_replace

    def replace(self, **updates: Any) -> Self:
        """A copy with some fields changed.

        Raises:
            DefinitionError: for a name that is not a field, with the nearest one.
        """
        names = [field.name for field in dataclasses.fields(self)]
        for name in updates:
            if name not in names:
                raise DefinitionError(f"{type(self).__name__} has no field {name!r}: {did_you_mean(name, names)}")
        return dataclasses.replace(self, **updates)

    _replace = replace

    # An array has no truth value, so a generated __eq__ would fail (and the one inherited from Flax's empty base
    # class finds any two modules of a class equal); identity is the honest answer.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return render(self)


Module.replace = Module._replace  # over the one that Flax has put there


def render(module: Module, indent: int = 0) -> str:
    """One line a module, with the shapes and dtypes of its arrays; nested modules are indented."""
    parts, nested = [], False
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if is_static(field):
            parts.append(f"{field.name}={value!r}")
        else:
            parts.append(f"{field.name}={_render_value(value, indent + 2)}")
            nested = nested or _contains_module(value)
    name = type(module).__name__
    if not nested:
        return f"{name}({', '.join(parts)})"
    return f"{name}({_lines(parts, indent)})"


def _lines(parts: list[str], indent: int) -> str:
    pad = " " * (indent + 2)
    return "\n" + "".join(f"{pad}{part},\n" for part in parts) + " " * indent


def _contains_module(value: object) -> bool:
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return any(_contains_module(v) for v in value)
    return isinstance(value, Module)


def _render_value(value: Any, indent: int) -> str:
    if isinstance(value, Module):
        return render(value, indent)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype.name}[{', '.join(map(str, value.shape))}]"
    if isinstance(value, tuple | list | dict):
        if isinstance(value, dict):
            parts, ends = [f"{key!r}: {_render_value(v, indent + 2)}" for key, v in value.items()], "{}"
        else:
            parts, ends = [_render_value(v, indent + 2) for v in value], "()" if isinstance(value, tuple) else "[]"
        inside = _lines(parts, indent) if _contains_module(value) else ", ".join(parts)
        return f"{ends[0]}{inside}{ends[1]}"
    return repr(value)
