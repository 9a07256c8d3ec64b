# SPDX-License-Identifier: BSD-2-Clause
"""The parts of flows by name, as YAML writes them: ``gelu``, ``{linear: 16}``, ``{threshold: {limit: 2.0}}``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spago_jax.errors import InputError, did_you_mean
from spago_jax.flow import ready_parts
from spago_jax.flow.layer import LayerSpec, layer, layer_classes
from spago_jax.flow.step import snake
from spago_jax.ops.activations import ACTIVATIONS

# Made by a call with the settings; a class of layers is found in `spago_jax.nn` by itself.
_MADE: dict[str, Callable[..., Any]] = {
    "threshold": ready_parts.threshold,
    "norm": ready_parts.Norm,
    "fixed_selector": ready_parts.fixed_selector,
    "reshape": ready_parts.reshape,
}


def functions() -> dict[str, Callable[..., Any]]:
    """The functions of arrays that have a name: activations, merges."""
    return {**ACTIVATIONS, **ready_parts.MERGES, "state_add": ready_parts.state_add}


def _layers() -> dict[str, type]:
    return {snake(cls.__name__): cls for cls in layer_classes().values()}


def known() -> list[str]:
    """Every name that a part may have."""
    return sorted({*functions(), *_layers(), *_MADE, "learned_halt"})


def part_of(written: object) -> Any:
    """A part from its name, or from ``{name: settings}``; a list of settings is given in order.

    Raises:
        InputError: for an unknown name, or settings that the part refuses.

    >>> part_of({"linear": 16}), part_of("learned_halt"), part_of({"threshold": {"limit": 2.0}})
    (Linear(16), Linear(1), Threshold(limit=2.0, per='batch'))
    """
    name, settings = (written, ()) if isinstance(written, str) else _single(written)
    spellings = {key.replace("_", ""): key for key in known()}
    plain = spellings.get(name.replace("-", "").replace("_", "").lower(), name)
    if plain in functions() and not settings:
        return functions()[plain]
    if plain == "learned_halt" and not settings:
        return ready_parts.learned_halt()
    arguments, options = _split(settings)
    try:
        if plain in _MADE:
            return _MADE[plain](*arguments, **options)
        if plain in _layers():
            return layer(_layers()[plain], *arguments, **options)
    except TypeError as error:
        raise InputError(f"{plain}: {error}") from None
    if plain in functions():
        raise InputError(f"{plain} is a function without settings; write it as {plain!r}")
    raise InputError(f"no part {name!r}: {did_you_mean(plain, known())}")


def written_part(part: object) -> Any:
    """The inverse of ``part_of``.

    Raises:
        InputError: for a part without a name: a lambda, a Module with arrays.

    >>> [written_part(part_of(part)) for part in ({"linear": 16}, "gelu", {"reshape": [2, -1]})]
    [{'linear': 16}, 'gelu', {'reshape': [2, -1]}]
    """
    for name, function in functions().items():
        if part is function:
            return name
    if isinstance(part, LayerSpec) and snake(part.name) in _layers():
        return _named(part)
    if isinstance(part, ready_parts.ReadyPart):
        return part.to_config()
    raise InputError(
        f"{part!r} has no name in YAML; give a layer, an activation, or one of the ready parts: {', '.join(known())}"
    )


def _named(part: LayerSpec) -> Any:
    name, arguments = snake(part.name), [_plain(value) for value in part.arguments]
    if not arguments and not part.options:
        return name
    if not part.options:
        return {name: arguments[0] if len(arguments) == 1 else arguments}
    # Settings by position and by name together are all written by name.
    by_name = dict(zip(part.settings, arguments, strict=False))
    return {name: by_name | {key: _plain(value) for key, value in part.options.items()}}


def _plain(value: object) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _single(written: object) -> tuple[str, Any]:
    if not isinstance(written, Mapping) or len(written) != 1:
        raise InputError(f"{written!r} is not a part; expected a name, {{name: settings}}, or a list of steps")
    name, settings = next(iter(written.items()))
    return str(name), settings


def _split(settings: object) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if settings is None:
        return (), {}
    if isinstance(settings, Mapping):
        return (), {str(key): _frozen(value) for key, value in settings.items()}
    return ([_frozen(v) for v in settings] if isinstance(settings, list | tuple) else [settings]), {}


def _frozen(value: object) -> Any:
    """Lists as tuples: static fields of layers must be hashable."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
