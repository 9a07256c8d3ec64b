# SPDX-License-Identifier: BSD-2-Clause
"""Reading the mapping of a config.json of transformers: values of the right type, labels, keys that change nothing."""

import abc
import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, Generic, Self, TypeVar

from spago_jax.errors import InputError, did_you_mean

Network = TypeVar("Network")
PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")
OF_LABELS = ("id2label", "label2id", "num_labels", "problem_type")
# Null says that there is none.
_NULLABLE = ("pad_token_id", "classifier_dropout", "summary_activation", "decoder_start_token_id")


@dataclasses.dataclass(frozen=True)
class ConfigFile(abc.ABC, Generic[Network]):
    """What a config.json says.

    Attributes:
        network: which is all that a model needs.
        labels: of a classifier, in the order of its outputs.
        problem: ``regression``, ``single_label_classification``, ``multi_label_classification``, or None: not said.
        class_name: the class that ``architectures`` names; None where it names none.
        extra: the keys that change nothing, as they were read; they are written back.
    """

    network: Network
    labels: tuple[str, ...] = ("LABEL_0", "LABEL_1")
    problem: str | None = None
    class_name: str | None = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    @abc.abstractmethod
    def heads(self) -> Mapping[str, str]:
        """The head of each class of transformers for this architecture."""

    @property
    def head(self) -> str | None:
        """The head that ``class_name`` has; None for a class of somebody's own, which may have any."""
        return self.heads.get(self.class_name or "")

    def with_network(self, network: Any) -> Self:
        """The same with another network."""
        return dataclasses.replace(self, network=network)


@dataclasses.dataclass(frozen=True)
class Key:
    """A key that a field of ours takes: its name, and the value where a file has none."""

    field: str
    default: object


def read_value(name: str, given: Mapping[str, Any], key: Key, path: str | None) -> Any:
    """Returns the value of a key, or its default.

    Raises:
        InputError: for a value of another type.
    """
    value, default = given.get(name, key.default), key.default
    if value is None and (default is None or name in _NULLABLE):
        return None
    kind = bool if isinstance(default, bool) else int if isinstance(default, int) else type(default)
    if default is None or kind is float:
        kind = (int, float)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        expected = {bool: "true or false", int: "a whole number", str: "a name"}.get(kind, "a number")  # type: ignore
        raise InputError(f"{name} is {value!r}, expected {expected}", path=path)
    return value


def read_labels(given: Mapping[str, Any], path: str | None, *, count: int = 2) -> tuple[tuple[str, ...], str | None]:
    """Returns the labels in the order of their numbers, and the kind of problem; ``count`` labels where none are named.

    Raises:
        InputError: for numbers that are not 0, 1, 2, ..., and an unknown problem.

    >>> read_labels({"id2label": {"1": "no", "0": "yes"}}, None)
    (('yes', 'no'), None)
    """
    problem = given.get("problem_type")
    if problem is not None and problem not in PROBLEMS:
        raise InputError(f"problem_type is {problem!r}, {did_you_mean(str(problem), PROBLEMS)}", path=path)
    named = given.get("id2label")
    if named is None:
        said = given.get("num_labels", given.get("_num_labels"))
        return tuple(f"LABEL_{number}" for number in range(count if said is None else int(said))), problem
    try:
        by_number = {int(number): str(label) for number, label in named.items()}
    except (AttributeError, ValueError):
        raise InputError(f"id2label is {named!r}, expected a mapping of numbers to labels", path=path) from None
    if sorted(by_number) != list(range(len(by_number))):
        raise InputError(f"id2label has the numbers {sorted(by_number)}, expected 0 to {len(named) - 1}", path=path)
    return tuple(by_number[number] for number in range(len(by_number))), problem


def write_labels(labels: tuple[str, ...], problem: str | None) -> dict[str, Any]:
    """Returns the keys that ``read_labels`` reads.

    >>> write_labels(("no",), None)
    {'id2label': {'0': 'no'}, 'label2id': {'no': 0}}
    """
    found: dict[str, Any] = {
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
    }
    return found if problem is None else {**found, "problem_type": problem}


def check_extra(
    name: str,
    value: object,
    kind: str,
    *,
    known: Collection[str],
    must_be: Mapping[str, tuple[Any, ...]],
    harmless: Collection[str],
    path: str | None,
) -> None:
    """Refuses a key that may change what a model computes.

    Args:
        name: of the key.
        value: of the key.
        kind: the ``model_type``.
        known: the keys that are honored.
        must_be: keys that change the computation, and the values under which they do not.
        harmless: keys that change nothing.
        path: of the file, for messages.

    Raises:
        InputError: naming the key.
    """
    if name in must_be:
        if value not in must_be[name]:
            allowed = " or ".join(repr(one) for one in must_be[name] if one is not None) or "null"
            raise InputError(
                f"{name} is {value!r}, which changes what the model computes and is not supported; expected {allowed}",
                path=path,
            )
        return
    if name in ("auto_map", "trust_remote_code"):
        raise InputError(f"{name}: the model runs code of its own, which is not supported", path=path)
    if name not in harmless:
        hint = did_you_mean(name, {*known, *must_be, *harmless, *OF_LABELS})
        raise InputError(
            f"unknown key {name!r} of a {kind} config, which may change what the model computes"
            + (f": {hint}" if hint.startswith("did") else "; take it out if it changes nothing"),
            path=path,
        )
