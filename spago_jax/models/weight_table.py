# SPDX-License-Identifier: BSD-2-Clause
"""Tables of a model's weights: our paths and the names in other libraries' files, read in both directions."""

import dataclasses
import fnmatch
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np

from spago_jax.core.host_arrays import aligned
from spago_jax.errors import InputError, InputWarning

# Names of layer norms before 2019, which old files still have.
_OLD = ((".weight", ".gamma"), (".bias", ".beta"))
# Numbers that other libraries save and that no model needs.
_ROUNDED = 0.02
_BOOKKEEPING = ("*position_ids", "*token_type_ids", "*num_batches_tracked", "*.version")


@dataclasses.dataclass(frozen=True)
class Weight:
    """One array of a model, and its tensors in a file.

    Attributes:
        path: of the array in our model, as ``flat`` names it.
        name: of the tensor; with ``{layer}``, or ``{group}`` and ``{inner}``, where ours stacks several of them.
        layers: how many tensors are stacked along our leading axis; None: the array is one tensor.
        inner: how many of them make a group.
        first: the number of the first layer.
        aliases: other names of the same tensor: tied members, in the order in which the model reads them.
        untied: for each alias the path of the array that holds it where its numbers differ from those of ``name``;
            empty, or none, where the alias alone counts then.
        instead: names that are read where the file has none of the others, and that mean nothing where it has one.
        copies: names under which it is written again, since another library looks for a tensor that it does not use.

    >>> weight = Weight("layers.up.weight", "layer.{layer}.up.weight", layers=2)
    >>> weight.names()
    ('layer.0.up.weight', 'layer.1.up.weight')
    """

    path: str
    name: str
    layers: int | None = None
    inner: int = 1
    first: int = 0
    aliases: tuple[str, ...] = ()
    untied: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """The names of its tensors in the order of our leading axis."""
        if self.layers is None:
            return (self.name,)
        return tuple(
            self.name.format(layer=self.first + row, group=row // self.inner, inner=row % self.inner)
            for row in range(self.layers)
        )


@dataclasses.dataclass(frozen=True)
class Computed:
    """A tensor in a file that the model computes.

    Attributes:
        name: of the tensor.
        make: computes it.
        written: whether it is written; a file may have it or lack it.
    """

    name: str
    make: Callable[[], np.ndarray]
    written: bool = True


@dataclasses.dataclass(frozen=True)
class WeightTable:
    """All weights of a model.

    Attributes:
        weights: in the order of the model's paths.
        prefix: of the names of the base model in a file that has a head (``bert.``); a file may have it or lack it.
        surplus: patterns of names that belong to other heads, which a file may hold without a word.
        computed: tensors that the model computes.
    """

    weights: tuple[Weight, ...]
    prefix: str = ""
    surplus: tuple[str, ...] = ()
    computed: tuple[Computed, ...] = ()

    def __iter__(self) -> Iterator[Weight]:
        return iter(self.weights)

    def __len__(self) -> int:
        return len(self.weights)


@dataclasses.dataclass(frozen=True)
class Weights:
    """What ``read_weights`` found.

    Attributes:
        arrays: by our path.
        missing: their names of tensors that the file lacks; the arrays of these paths are not in ``arrays``.
        missing_paths: our paths of the same.
        surplus: names in the file that the model does not know.
        untied: our paths of arrays that the architecture ties and the file does not.
    """

    arrays: dict[str, np.ndarray]
    missing: tuple[str, ...] = ()
    missing_paths: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    untied: tuple[str, ...] = ()


def read_weights(
    table: WeightTable, names: Collection[str], read: Callable[[str], Any], *, path: str | None = None
) -> Weights:
    """Reads a file's tensors into our arrays, one after the other.

    A name may have the table's prefix or lack it, and a layer norm may be called by its old names. Of tied tensors any
    member fills the array; where two are present and differ they are kept apart, with a warning.

    Args:
        table: of the model.
        names: of all tensors in the file.
        read: from a name in the file to its tensor, as a NumPy array.
        path: of the file, for messages.

    Raises:
        InputError: for tensors of different shapes that we stack, and for one that is not what the model computes.

    >>> table = WeightTable((Weight("up.weight", "bert.layer.{layer}.up.weight", layers=2),), prefix="bert.")
    >>> file = {"layer.0.up.weight": np.zeros(3), "layer.1.up.weight": np.ones(3), "cls.bias": np.ones(1)}
    >>> found = read_weights(table, file, file.__getitem__)
    >>> found.arrays["up.weight"].shape, found.surplus
    ((2, 3), ('cls.bias',))
    """
    source = _Source(frozenset(names), table.prefix)
    arrays: dict[str, np.ndarray] = {}
    missing: list[str] = []
    missing_paths: list[str] = []
    untied: list[str] = []
    for weight in table:
        if weight.layers is None:
            untied_paths = ("", *weight.untied, *("" for _ in weight.aliases[len(weight.untied) :]))
            members = zip((weight.name, *weight.aliases), untied_paths, strict=True)
            found = [(name, kept) for spelled, kept in members if (name := source.find(spelled))]
            instead = [(name, "") for name in map(source.find, weight.instead) if name]
            found = found or instead[:1]
            if not found:
                missing.append(weight.name)
                missing_paths.append(weight.path)
                continue
            first = found[0][0]
            arrays[weight.path] = np.asarray(read(first))
            for other, kept in found[1:]:
                value = np.asarray(read(other))
                if not _same(arrays[weight.path], value):
                    untied.append(kept or weight.path)
                    arrays[kept or weight.path] = value
                    warnings.warn(
                        InputWarning(
                            f"{_place(path)}{first!r} and {other!r} are tied in this architecture and differ in the "
                            f"file; {'both are kept' if kept else f'{other!r} counts'}"
                        ),
                        stacklevel=2,
                    )
            continue
        members = [(name, source.find(name)) for name in weight.names()]
        lacking = [name for name, found in members if found is None]
        if lacking:
            missing += lacking
            missing_paths.append(weight.path)
            continue
        arrays[weight.path] = _stacked([found for _, found in members if found], read, path)
    for computed in table.computed:
        found = source.find(computed.name)
        if found is not None:
            _check_computed(found, read(found), computed.make(), path)
    left = sorted(source.names - source.used)
    harmless = (*_BOOKKEEPING, *table.surplus)
    surplus = tuple(name for name in left if not any(fnmatch.fnmatchcase(name, pattern) for pattern in harmless))
    return Weights(arrays, tuple(missing), tuple(missing_paths), surplus, tuple(untied))


def write_weights(table: WeightTable, arrays: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """The file's tensors for our arrays, one after the other: one member for each tied group.

    Raises:
        InputError: for a path that the table has and the arrays have not.

    >>> table = WeightTable((Weight("up.weight", "layer.{layer}.up.weight", layers=2),))
    >>> [(name, x.tolist()) for name, x in write_weights(table, {"up.weight": np.array([[1], [2]])})]
    [('layer.0.up.weight', [1]), ('layer.1.up.weight', [2])]
    """
    for weight in table:
        if weight.path not in arrays:
            raise InputError(f"array {weight.path!r} is missing: it is written as {weight.name!r}")
        array = arrays[weight.path]
        if weight.layers is None:
            for name in (weight.name, *weight.copies):
                yield name, np.asarray(array)
        else:
            for row, name in enumerate(weight.names()):
                yield name, np.asarray(array[row])
    dtype = next(iter(arrays.values())).dtype if arrays else np.dtype(np.float32)
    for computed in table.computed:
        if computed.written:
            yield computed.name, computed.make().astype(dtype)


class _Source:
    """Finds names in a file, and remembers which were used."""

    def __init__(self, names: frozenset[str], prefix: str) -> None:
        self.names = names
        self.prefix = prefix
        self.used: set[str] = set()

    def find(self, name: str) -> str | None:
        bare = name.removeprefix(self.prefix)
        for spelled in dict.fromkeys((name, bare, self.prefix + bare)):
            for new, old in (("", ""), *_OLD):
                other = spelled.removesuffix(new) + old if spelled.endswith(new) else spelled
                if other in self.names:
                    self.used.add(other)
                    return other
        return None


def _stacked(names: list[str], read: Callable[[str], Any], path: str | None) -> np.ndarray:
    first = np.asarray(read(names[0]))
    whole = aligned((len(names), *first.shape), first.dtype)
    whole[0] = first
    for row, name in enumerate(names[1:], 1):
        value = np.asarray(read(name))
        if value.shape != first.shape:
            raise InputError(
                f"tensor {name!r} has shape {value.shape} and {names[0]!r} {first.shape}; expected one shape in all "
                "layers",
                path=path,
            )
        whole[row] = value
    return whole


def _check_computed(name: str, value: object, wanted: np.ndarray, path: str | None) -> None:
    value = np.asarray(value)
    # Files in 16 bits round it; another formula is off by more.
    if value.shape != wanted.shape or not np.allclose(value.astype(np.float32), wanted, atol=_ROUNDED):
        raise InputError(
            f"tensor {name!r} of shape {value.shape} is not what the model computes, of shape {wanted.shape}: numbers "
            "of its own are not supported there",
            path=path,
        )


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have the same bytes (a nan equals itself), without copies of what may be half of a file."""
    return a.shape == b.shape and np.array_equal(a.reshape(-1).view(np.uint8), b.reshape(-1).view(np.uint8))


def _place(path: str | None) -> str:
    return f"{path}: " if path else ""
