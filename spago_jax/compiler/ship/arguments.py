# SPDX-License-Identifier: BSD-2-Clause
"""What is shipped: a function whose weights are a plain ``{path: array}`` and whose inputs are plain trees."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler.program import Program
from spago_jax.compiler.ship.plain import leaves_of, map_paths, plain, rebuilder
from spago_jax.compiler.spec import Spec, spec
from spago_jax.core.module import Module
from spago_jax.core.paths import flat, path_name, roles, unflat
from spago_jax.errors import InputError, did_you_mean


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One input array: a dtype and dimensions, each a size, a name, or an expression of names (``2*time``)."""

    dtype: str
    dims: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.dims))}]"


@dataclasses.dataclass(frozen=True)
class Shipment:
    """A function ready to be shipped.

    Attributes:
        name: of the program.
        call: ``call(weights, *inputs)``: a dict and plain trees to a plain tree.
        weights: the arrays by path.
        trainable: which of them a fine-tuning may change.
        inputs: the other arguments by name: plain trees of ``Leaf``.
    """

    name: str
    call: Callable[..., Any]
    weights: dict[str, Any]
    trainable: dict[str, bool]
    inputs: dict[str, Any]

    def names(self) -> tuple[str, ...]:
        """Returns the free dimensions, in the order in which they appear."""
        found = [dim for _, leaf in self.leaves() for dim in leaf.dims if isinstance(dim, str) and dim.isidentifier()]
        return tuple(dict.fromkeys(found))

    def leaves(self) -> list[tuple[str, Leaf]]:
        """Returns every input array by its path, ``batch.words``."""
        return [pair for name, tree in self.inputs.items() for pair in leaves_of(tree, name)]


def shipment(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    *,
    static: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Shipment:
    """Sorts the arguments of a function into weights and inputs.

    Args:
        function: a pure function, a Program, a Module, or a method of one.
        arguments: in the function's order, trees of arrays (weights) or of specs: text ``"f32[batch, 8]"``, ``Spec``,
            ``ShapeDtypeStruct``. A ``Spec`` with the name of a parameter goes to that parameter.
        static: other arguments by name, fixed for good.
        name: of the program; by default the function's.

    Raises:
        InputError: where an argument is neither, is missing, or there are too many.

    >>> found = shipment(lambda w, x: x @ w["weight"], ({"weight": np.eye(3)}, "f32[batch, 3]"), name="product")
    >>> list(found.weights), {name: str(leaf) for name, leaf in found.leaves()}, found.names()
    (['weight'], {'x': 'float32[batch, 3]'}, ('batch',))
    """
    specs: tuple[Spec, ...] = ()
    if isinstance(function, Program):
        name, specs, function = name or function.name, tuple(function._specs.values()), function.function
    if isinstance(function, Module):
        name = name or type(function).__name__
        function, arguments = type(function).__call__, (function, *arguments)  # type: ignore[attr-defined]
    elif inspect.ismethod(function) and isinstance(function.__self__, Module):
        function, arguments = function.__func__, (function.__self__, *arguments)
    base = function
    while isinstance(base, functools.partial):
        base = base.func
    name = name or str(getattr(base, "__name__", type(base).__name__)).strip("<>")
    bound = _bind(name, function, arguments, dict(static or {}), specs)
    weights, inputs, fixed = _sorted(name, bound)
    return _assemble(name, function, weights, inputs, {**fixed, **dict(static or {})})


def _bind(
    name: str, function: Callable[..., Any], given: Sequence[Any], static: dict[str, Any], specs: Sequence[Spec]
) -> dict[str, Any]:
    """Returns the arguments by parameter name, in the order of the parameters."""
    parameters = inspect.signature(function).parameters
    names = [key for key, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    for key in static:
        if key not in names:
            raise InputError(f"{name}: static {key!r} is not an argument of it: {did_you_mean(key, names)}")
    by_name = {value.name: value for value in given if isinstance(value, Spec) and value.name in names}
    positional = [value for value in given if not (isinstance(value, Spec) and value.name in by_name)]
    known = {value.name: value for value in specs if value.name not in by_name}
    free = [key for key in names if key not in by_name and key not in static]
    required = [key for key in free if key not in known]
    # Where the Program's own specs leave just these parameters open, the arguments are for those.
    targets = required if len(positional) <= len(required) else free
    if len(positional) > len(targets):
        raise InputError(f"{name}: {len(positional)} arguments for {len(targets)} parameters ({', '.join(targets)})")
    found = {**known, **by_name, **dict(zip(targets, positional, strict=False))}
    missing = [key for key in free if key not in found and parameters[key].default is inspect.Parameter.empty]
    if missing:
        raise InputError(
            f"{name}: nothing was given for {', '.join(missing)}; give each argument as arrays (weights), as a spec "
            f"such as 'f32[batch, 8]', or a fixed value in static={{...}}"
        )
    return {key: found[key] for key in names if key in found}


def _sorted(name: str, bound: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Arguments of arrays, arguments of specs, and those without leaves (None, empty containers)."""
    weights, inputs, fixed = {}, {}, {}
    for key, value in bound.items():
        leaves = jax.tree_util.tree_flatten_with_path(value)[0]
        kinds = {_kind(name, ".".join(filter(None, (key, path_name(path)))), leaf) for path, leaf in leaves}
        if not leaves:
            fixed[key] = value
        elif kinds == {"array"}:
            weights[key] = value
        elif kinds == {"spec"}:
            if any(isinstance(node, Module) for node in jax.tree.leaves(value, is_leaf=_is_module)):
                raise InputError(f"{name}: {key} is a model of shapes without numbers; export a model with its weights")
            inputs[key] = value
        else:
            raise InputError(f"{name}: {key} mixes arrays (weights) and specs (inputs); make them two arguments")
    return weights, inputs, fixed


def _is_module(node: object) -> bool:
    return isinstance(node, Module)


def _kind(name: str, path: str, leaf: object) -> str:
    if isinstance(leaf, str | Spec | jax.ShapeDtypeStruct):
        return "spec"
    if isinstance(leaf, jax.Array | np.ndarray | np.generic):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise InputError(f"{name}: {path} is a random key, which no file holds; pass jax.random.key_data of it")
        return "array"
    raise InputError(
        f"{name}: {path} = {leaf!r} is neither an array nor a spec such as 'f32[batch, 8]'; a fixed Python value "
        f"goes into static={{{path.split('.')[0]!r}: ...}}"
    )


def _assemble(
    name: str, function: Callable[..., Any], models: dict[str, Any], inputs: dict[str, Any], fixed: dict[str, Any]
) -> Shipment:
    prefixes = {key: "" if len(models) == 1 and not _kind_leaf(model) else key for key, model in models.items()}
    weights, trainable = {}, {}
    for key, model in models.items():
        named_roles = roles(model)
        for path, array in flat(model).items():
            full = ".".join(filter(None, (prefixes[key], path)))
            weights[full], trainable[full] = array, named_roles[path].trainable
    leaves = {key: map_paths(plain(tree), _leaf, key) for key, tree in inputs.items()}
    rebuild = {key: rebuilder(tree) for key, tree in inputs.items()}
    skeletons = {key: jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), m) for key, m in models.items()}

    def call(weights: dict[str, Any], *values: Any) -> Any:
        arguments = dict(fixed)
        for key, skeleton in skeletons.items():
            own = {path: weights[".".join(filter(None, (prefixes[key], path)))] for path in flat(skeleton)}
            arguments[key] = unflat(skeleton, own)
        arguments |= {key: rebuild[key](value) for key, value in zip(inputs, values, strict=True)}
        return plain(_apply(function, arguments))

    call.__name__ = call.__qualname__ = name if name.isidentifier() else "program"
    return Shipment(name, call, weights, trainable, leaves)


def _apply(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Calls a function by parameter name, also where a parameter is positional only."""
    parameters = inspect.signature(function).parameters
    positional, named = [], {}
    for key, parameter in parameters.items():
        if key not in arguments:
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(arguments[key])
        else:
            named[key] = arguments[key]
    return function(*positional, **named)


def _kind_leaf(tree: object) -> bool:
    return jax.tree_util.all_leaves([tree])


def _leaf(path: str, value: Any) -> Leaf:
    if isinstance(value, str):
        value = spec(path, value)
    if isinstance(value, Spec):
        return Leaf(value.dtype, value.dims)
    return Leaf(value.dtype.name, tuple(dim if isinstance(dim, int) else str(dim) for dim in value.shape))
