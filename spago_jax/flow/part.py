# SPDX-License-Identifier: BSD-2-Clause
"""A part of a step: anything that can be called. How it is described, what it takes, and how it is called."""

import abc
import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from spago_jax.core import Array, Module, Rng, child, count_parameters
from spago_jax.core.call import signature_of
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.flow.layer import LayerSpec
from spago_jax.flow.origin import Origin

if TYPE_CHECKING:
    from spago_jax.flow.network import Network

Refs = Sequence[tuple[str, Any]]
"""Tagged values by tag, in the order in which ``using`` names them."""


class Unbuilt(abc.ABC):
    """A flow that is a part of another one, and is built with it."""

    @property
    @abc.abstractmethod
    def input_names(self) -> tuple[str, ...]:
        """The names of its further inputs, in order."""

    @abc.abstractmethod
    def built_inside(
        self, key: Array, spec: PyTree, inputs: Mapping[str, Any], origin: Origin, owners: "dict[int, Unbuilt]"
    ) -> "Network":
        """The network for inputs of these shapes; ``owners`` are the flows of the parts that have weights so far."""


Given: TypeAlias = Module | LayerSpec | Unbuilt | Callable[..., Any]
"""What a step may be given to do: a layer, one that is initialized later, a flow, or a function."""


@dataclasses.dataclass(frozen=True)
class Context:
    """What a call hands on to every part that takes it: randomness in training, and lengths of padded sequences."""

    rng: Rng | None = None
    lengths: Array | None = None

    def child(self, name: str | int) -> "Context":
        """That of one part."""
        return self if self.rng is None else Context(child(self.rng, name), self.lengths)

    def at(self, step: int | Array) -> "Context":
        """That of one iteration of a loop."""
        return self if self.rng is None else Context(self.rng.at(step), self.lengths)


@dataclasses.dataclass(frozen=True)
class Takes:
    """The keyword arguments that a part has: ``rng``, ``lengths``, and those that are named after tags."""

    rng: bool = False
    lengths: bool = False
    named: tuple[str, ...] = ()

    @classmethod
    def of(cls, part: Any) -> "Takes":
        """Read off the signature; nothing where there is none, as for functions written in C."""
        signature = signature_of(part)
        if signature is None:
            return cls()
        names = signature.parameters
        keywords = tuple(name for name, p in names.items() if p.kind is p.KEYWORD_ONLY and name not in _OWN)
        return cls(rng="rng" in names, lengths="lengths" in names, named=keywords)


_OWN = ("rng", "lengths")


@dataclasses.dataclass(frozen=True)
class Part(abc.ABC):
    """A part of a built flow."""

    takes: Takes
    shown: str

    @property
    def layer_path(self) -> tuple[str | int, ...]:
        """Where in ``Network.layers`` its module is; empty for a function."""
        return ()

    @abc.abstractmethod
    def target(self, layers: Mapping[str, Any]) -> Any:
        """What is called."""

    def network(self, layers: Mapping[str, Any]) -> "Network | None":
        """The flow inside, for a part that is one."""
        return None

    def parameters(self, layers: Mapping[str, Any]) -> int | None:
        """How many numbers a layer trains; None for a function."""
        return None

    def call(
        self, layers: Mapping[str, Any], inputs: Sequence[Any], refs: Refs, context: Context, memory: PyTree
    ) -> tuple[Any, Any]:
        """The output, and the new memory of a flow inside."""
        named = {name: value for name, value in refs if name in self.takes.named}
        positional = [value for name, value in refs if name not in named]
        options: dict[str, Any] = dict(named)
        if self.takes.rng and context.rng is not None:
            options["rng"] = context.rng
        if self.takes.lengths and context.lengths is not None:
            options["lengths"] = context.lengths
        return self.target(layers)(*inputs, *positional, **options), memory


@dataclasses.dataclass(frozen=True)
class FunctionPart(Part):
    """A part without arrays."""

    function: Callable[..., Any]

    def target(self, layers: Mapping[str, Any]) -> Callable[..., Any]:
        """The function."""
        return self.function


@dataclasses.dataclass(frozen=True)
class LayerPart(Part):
    """A part with arrays: a module in ``Network.layers``, which may be a flow itself."""

    path: tuple[str | int, ...]
    is_flow: bool = False

    @property
    def layer_path(self) -> tuple[str | int, ...]:
        """Where its module is."""
        return self.path

    def target(self, layers: Mapping[str, Any]) -> Any:
        """The module."""
        found: Any = layers
        for key in self.path:
            found = found[key]
        return found

    def network(self, layers: Mapping[str, Any]) -> "Network | None":
        """The module, if it is a flow."""
        return self.target(layers) if self.is_flow else None

    def parameters(self, layers: Mapping[str, Any]) -> int:
        """How many numbers the module trains."""
        return count_parameters(self.target(layers))

    def call(
        self, layers: Mapping[str, Any], inputs: Sequence[Any], refs: Refs, context: Context, memory: PyTree
    ) -> tuple[Any, Any]:
        """The output, and the new memory of a flow inside."""
        network = self.network(layers)
        if network is not None:
            return network.advance(inputs[0], memory, context, network.plan.inputs_from(refs))
        y, memory = super().call(layers, inputs, refs, context, memory)
        return (y[0] if isinstance(y, tuple) else y), memory  # a recurrent layer's outputs, beside its final state


def check_part(part: object, where: str) -> Any:
    """Refuses what cannot be called.

    Raises:
        InputError: for a class (its ``init`` would be missed), a method of a Module (its arrays would be constants),
            or a value that is not callable, or has no hash.
    """
    if isinstance(part, type):
        raise InputError(
            f"{where}: {part.__name__} is a class; give flow.layer({part.__name__}, ...), which is initialised when "
            f"shapes are known, or an instance"
        )
    owner = getattr(part, "__self__", None)
    if isinstance(part, types.MethodType) and isinstance(owner, Module):
        raise InputError(
            f"{where}: a method of {type(owner).__name__} hides its arrays from training; give the module itself, or "
            f"write a Module that calls the method"
        )
    if not callable(part) and not isinstance(part, LayerSpec | Unbuilt):
        raise InputError(
            f"{where}: {part!r} cannot be called; expected a Module, flow.layer(...), a function, or a flow"
        )
    if not isinstance(part, Module):
        try:
            hash(part)
        except TypeError as error:
            raise InputError(
                f"{where}: {shown(part)} is part of a compiled program's key, so it must be hashable, but: {error}; "
                f"write it as a frozen dataclass, or as a Module if it has arrays"
            ) from None
    return part


def shown(part: object) -> str:
    """How a part is called in names and messages.

    >>> import jax
    >>> shown(jax.nn.relu), shown(lambda x: x), shown(LayerSpec(__import__("spago_jax").nn.Linear, 2))
    ('relu', 'lambda', 'Linear')
    """
    if isinstance(part, Part):
        return part.shown
    if isinstance(part, LayerSpec):
        return part.name
    if isinstance(part, Module | Unbuilt):
        return type(part).__name__
    name = getattr(part, "__name__", None) or getattr(getattr(part, "func", None), "__name__", None)
    name = name or type(part).__name__
    return "lambda" if name == "<lambda>" else name.strip("_")
