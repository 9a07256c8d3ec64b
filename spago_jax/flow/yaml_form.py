# SPDX-License-Identifier: BSD-2-Clause
"""Flows as plain data, the form in which they stand in YAML, and back.

- linear: 64                       # through; a name without settings is a text: gelu
- tag: encoded
- loop: {body: [{linear: 64}, tanh], until: {threshold: 2.0}, most: 5}
- gate: {router: {softmax_router: 2}, experts: [{linear: 64}, [{linear: 64}, gelu]]}
- using: [encoded]
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spago_jax.errors import InputError, did_you_mean
from spago_jax.flow.builder import Flow, start
from spago_jax.flow.loop_steps import LoopOptions
from spago_jax.flow.names import known, part_of, written_part
from spago_jax.flow.origin import FlowError, Origin, written_at
from spago_jax.flow.simple_steps import Branch

_OPTIONS = tuple(field.name for field in dataclasses.fields(LoopOptions))


def from_config(steps: Sequence[Any], where: str = "flow") -> Flow:
    """A flow from a list of steps.

    Args:
        steps: each a part (``gelu``, ``{linear: 16}``), or ``{method: arguments}`` with a method of ``Flow``.
        where: the key of the list, for messages.

    Raises:
        InputError: for an unknown name or a step that does not fit, naming its place in the list.

    >>> from_config([{"linear": 4}, "gelu", {"tag": "h"}, {"also": {"linear": 4}}])
    Flow, 3 steps
      through (Linear)
      through (gelu) #h
      also (Linear)
    """
    if not isinstance(steps, Sequence) or isinstance(steps, str) or not steps:
        raise _at(where, f"expected a list of at least one step, got {steps!r}")
    # A first step that is a part is the start itself, so that a flow written in Python has the same weights.
    flow = Flow() if _is_part(steps[0]) else start()
    for i, step in enumerate(steps):
        here = f"{where}[{i}]"
        with written_at(Origin(here, 0)):
            try:
                flow = _step(flow, step, here)
            except FlowError:
                raise
            except (InputError, TypeError) as error:
                raise _at(here, str(error)) from None
    return flow


def _step(flow: Flow, step: object, where: str) -> Flow:
    if isinstance(step, Mapping) and len(step) == 1:
        name, value = next(iter(step.items()))
        if name in _METHODS:
            return _METHODS[name](flow, value, f"{where}.{name}")
        if name not in known():
            raise InputError(f"no step {name!r}: {did_you_mean(str(name), [*_METHODS, *known()])}")
    return flow.through(_part(step, where))


def _is_part(written: object) -> bool:
    return not (isinstance(written, Mapping) and any(name in _METHODS for name in written))


def _part(written: object, where: str) -> Any:
    if isinstance(written, list | tuple):
        return from_config(written, where)
    try:
        return part_of(written)
    except InputError as error:
        raise _at(where, str(error)) from None


def _at(where: str, message: str) -> FlowError:
    """An error of a key in a config."""
    return Origin(where, 0).error(message)


def _parts(written: object, where: str) -> list[Any]:
    if not isinstance(written, list | tuple):
        raise _at(where, f"expected a list of parts, got {written!r}")
    return [_part(part, f"{where}[{i}]") for i, part in enumerate(written)]


def _take(value: object, where: str, required: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _at(where, f"expected {', '.join(required)}, got {value!r}")
    for key in value:
        if key not in required and key not in optional:
            raise _at(where, f"unknown key {key!r}: {did_you_mean(str(key), [*required, *optional])}")
    missing = [key for key in required if key not in value]
    if missing:
        raise _at(where, f"key {missing[0]!r} is missing")
    return dict(value)


def _gate(flow: Flow, value: object, where: str) -> Flow:
    given = _take(value, where, ("router", "experts"), ())
    return flow.gate(_part(given["router"], f"{where}.router"), _parts(given["experts"], f"{where}.experts"))


def _switch(flow: Flow, value: object, where: str) -> Flow:
    given = _take(value, where, ("selector", "branches"), ("per",))
    branches = _parts(given["branches"], f"{where}.branches")
    return flow.switch(_part(given["selector"], f"{where}.selector"), branches, per=given.get("per", "batch"))


def _loop(flow: Flow, value: object, where: str) -> Flow:
    ways = ("times", "while", "until", "adaptive")
    given = _take(value, where, ("body",), (*ways, "most", "per", "epsilon", "cost", *_OPTIONS))
    chosen = [way for way in ways if way in given]
    if len(chosen) != 1:
        raise _at(where, f"give one of {', '.join(ways)}, got {chosen or 'none'}")
    way = chosen[0]
    unfinished = flow.loop(_part(given["body"], f"{where}.body"), **{k: given[k] for k in _OPTIONS if k in given})
    if way == "times":
        _take({k: v for k, v in given.items() if k not in ("body", *_OPTIONS)}, where, ("times",), ())
        return unfinished.times(given["times"])
    if "most" not in given:
        raise _at(where, "key 'most' is missing")
    condition = _part(given[way], f"{where}.{way}")
    if way == "adaptive":
        extra = {k: given[k] for k in ("epsilon", "cost") if k in given}
        return unfinished.adaptive(condition, given["most"], **extra)
    method = unfinished.while_ if way == "while" else unfinished.until
    return method(condition, given["most"], per=given.get("per", "batch"))


def _map(flow: Flow, value: object, where: str) -> Flow:
    given = _take(value, where, ("body",), ("each", "over", "slices", "batched"))
    chosen = [way for way in ("each", "over", "slices") if given.get(way)]
    if len(chosen) != 1:
        raise _at(where, f"give one of each, over, slices, got {chosen or 'none'}")
    unfinished = flow.map(_part(given["body"], f"{where}.body"))
    if given.get("batched"):
        unfinished = unfinished.batched()
    if chosen == ["each"]:
        return unfinished.each()
    return getattr(unfinished, chosen[0])(given[chosen[0]])


def _names(value: Any) -> list[str]:
    return list(value) if isinstance(value, list | tuple) else [value]


_METHODS: dict[str, Callable[[Flow, Any, str], Flow]] = {
    "through": lambda flow, value, where: flow.through(_part(value, where)),
    "also": lambda flow, value, where: flow.also(_part(value, where)),
    "split": lambda flow, value, where: flow.split(*_parts(value, where)),
    "merge": lambda flow, value, where: flow.merge(_part(value, where)),
    "tag": lambda flow, value, where: flow.tag(value),
    "tag_group": lambda flow, value, where: flow.tag_group(value),
    "using": lambda flow, value, where: flow.using(*_names(value)),
    "input": lambda flow, value, where: flow.input(*_names(value)),
    "gate": _gate,
    "switch": _switch,
    "loop": _loop,
    "map": _map,
}


def to_config(flow: Flow) -> list[Any]:
    """The list of steps that ``from_config`` makes this flow of.

    Raises:
        InputError: for a part that has no name in YAML, or that stands in two places (shared weights).

    >>> to_config(start(part_of({"linear": 4})).tag("h").also(part_of("gelu")))
    [{'linear': 4}, {'tag': 'h'}, {'also': 'gelu'}]
    """
    written: list[Any] = []
    seen: set[int] = set()
    steps = list(flow.steps)
    while steps:
        step = steps[0]
        group = [s for s in steps if isinstance(s, Branch) and s.sources == step.sources] or [step]
        group = group if isinstance(step, Branch) else [step]
        steps = steps[len(group) :]
        given = [part for s in group for part in s.parts]
        for part in given:
            if id(part) in seen and not callable(part):
                raise InputError(f"{step.kind}: {part!r} is shared by two steps, which YAML cannot say")
            seen.add(id(part))
        data = step.to_config([to_config(part) if isinstance(part, Flow) else written_part(part) for part in given])
        if data is None:
            continue
        written.append(data)
        if step.refs:
            written.append({"using": [name for name, _ in step.refs]})
        tags = tuple(s.tag for s in group)
        written += [{"tag_group": name} for name, members in flow.groups if members == tags]
        if len(group) == 1 and step.tag and not step.is_root:
            written.append({"tag": step.tag})
    # A list that begins with a method starts with the input by itself.
    return written[1:] if written[0] == "identity" and len(written) > 1 and not _is_part(written[1]) else written
