# SPDX-License-Identifier: BSD-2-Clause
"""A layer that is not made yet: its class and settings, to be initialised when the shape of its input is known."""

import inspect
from typing import Any

import jax

from spago_jax.core import Array, Module
from spago_jax.errors import InputError, did_you_mean


class LayerSpec:
    """A class of layers and the arguments of its ``init``, without the key and the size of the input.

    The same object in two places of a flow is one layer with shared weights, as in Keras; ``copies`` makes others.
    ``settings`` names the arguments.

    >>> from spago_jax.nn import Linear
    >>> LayerSpec(Linear, 3)
    Linear(3)
    >>> LayerSpec(Linear, 3).init(jax.random.key(0), jax.ShapeDtypeStruct((5, 2), "float32"))
    Linear(weight=float32[3, 2], bias=float32[3])
    """

    def __init__(self, cls: type, *arguments: Any, **options: Any):
        self.cls, self.arguments, self.options = cls, arguments, options
        names = list(inspect.signature(cls.init).parameters)  # type: ignore[attr-defined]
        self._keyed = names[:1] == ["key"]
        names = names[1:] if self._keyed else names
        self._size = names[0] if names and names[0] in getattr(cls, "size_names", Module.size_names) else None
        self.settings = tuple(names if self._size is None else names[1:])

    @property
    def name(self) -> str:
        """The class's name."""
        return self.cls.__name__

    def init(self, key: Array, *inputs: Any) -> Module:
        """The layer for inputs of these shapes; the first is the stream.

        Raises:
            InputError: for settings that the class refuses, or a stream that has no axis of features.
        """
        found: list[Any] = [key] if self._keyed else []
        if self._size is not None and self._size not in self.options:
            axis = getattr(self.cls, "size_axis", Module.size_axis)
            shape = _shape(inputs[0], self.name)
            if len(shape) < -axis:
                raise InputError(f"{self.name} reads its {self._size} off axis {axis}, but its input is {list(shape)}")
            found.append(shape[axis])
        try:
            return self.cls.init(*found, *self.arguments, **self.options)  # type: ignore[attr-defined]
        except TypeError as error:  # a missing or unknown argument
            raise InputError(f"{self!r}: {error}") from None

    def copy(self) -> "LayerSpec":
        """Another layer of the same settings."""
        return LayerSpec(self.cls, *self.arguments, **self.options)

    def __repr__(self) -> str:
        parts = [repr(a) for a in self.arguments] + [f"{key}={value!r}" for key, value in self.options.items()]
        return f"{self.name}({', '.join(parts)})"


def _shape(value: Any, name: str) -> tuple[int, ...]:
    if len(jax.tree.leaves(value)) != 1 or not hasattr(value, "shape"):
        raise InputError(f"{name} takes one array, but its input is a tree of {len(jax.tree.leaves(value))}")
    return tuple(value.shape)


def layer(kind: "type | str", *arguments: Any, **options: Any) -> LayerSpec:
    """A layer to be initialised when shapes are known: ``layer(nn.Linear, 16)`` or ``layer("linear", 16)``.

    Args:
        kind: a Module class with ``init``, or its name in ``spago_jax.nn``: ``Linear``, ``layer_norm``.
        arguments: of ``init`` after the key and the size of the input, which is read off the stream.
        options: likewise.

    Raises:
        InputError: for an unknown name, or a class without ``init``.

    >>> layer("layer_norm", eps=1e-6)
    LayerNorm(eps=1e-06)
    """
    if isinstance(kind, str):
        kind = layer_classes().get(_plain(kind)) or _unknown(kind)
    if not (isinstance(kind, type) and callable(getattr(kind, "init", None))):
        raise InputError(f"layer: {kind!r} is not a class with an `init`; for a function give the function itself")
    return LayerSpec(kind, *arguments, **options)


def linear(features: int, **options: Any) -> LayerSpec:
    """``layer(nn.Linear, features)``."""
    return layer("Linear", features, **options)


def layer_norm(**options: Any) -> LayerSpec:
    """``layer(nn.LayerNorm)``."""
    return layer("LayerNorm", **options)


def layer_classes() -> dict[str, type]:
    """The layers of ``spago_jax.nn`` by name, in lower case and without underscores."""
    from spago_jax import nn

    found = {name: value for name, value in vars(nn).items() if isinstance(value, type) and hasattr(value, "init")}
    return {_plain(name): value for name, value in found.items()}


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _unknown(name: str) -> type:
    names = [cls.__name__ for cls in layer_classes().values()]
    raise InputError(f"no layer {name!r} in spago_jax.nn: {did_you_mean(name, names)}")
