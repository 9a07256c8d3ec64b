# SPDX-License-Identifier: BSD-2-Clause
"""Reads pickles of objects without running them: every object stays a record of what the pickle says about it."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_pickle import LIMIT, Machine, Name, Storage, Tensor, run_pickle, tensor_of

_TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
_TUPLES = ("torch.Size", "builtins.tuple", "__builtin__.tuple")
_DICTS = {"collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict"}
_ARRAYS = {f"{module}.multiarray._reconstruct" for module in ("numpy.core", "numpy._core")}
_BUFFERS = {f"{module}.numeric._frombuffer" for module in ("numpy.core", "numpy._core")}
_SCALARS = {f"{module}.multiarray.scalar" for module in ("numpy.core", "numpy._core")}
_NUMBERS = "biuf"  # the kinds of dtypes that are numbers


@dataclass(eq=False, slots=True)
class Record:
    """An object of a pickle, of a class that is not imported.

    Attributes:
        name: of its class, or of the function that makes it, with its module.
        arguments: with which it is made.
        state: its attributes, or what else it is built from.
        items: appended to it.
        entries: set in it by their keys.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)

    def __repr__(self) -> str:  # what it holds may hold it
        return f"Record({self.name!r})"

    @property
    def kind(self) -> str:
        """The name of its class, without its module."""
        return self.name.rpartition(".")[2]

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute, where the state is a dict of them, or a pair of one and a dict of slots."""
        states = self.state if isinstance(self.state, tuple) else (self.state,)
        return next((state[key] for state in states if isinstance(state, dict) and key in state), default)


def read_objects(data: bytes | BinaryIO, path: Path, limit: int = LIMIT) -> tuple[Any, int]:
    """Returns the value of the pickle that ``data`` begins with, and how many bytes it takes.

    Nothing is imported or called: an object becomes a ``Record``, an array a record that ``array_of``
    reads, a tensor a ``Tensor``, a set a list. Entries of a dict under other keys than texts, bytes and numbers are
    left out.

    Raises:
        InputError: for a pickle that is damaged or longer than ``limit`` bytes.

    >>> import pickle
    >>> value, _ = read_objects(pickle.dumps({"path": Path("a"), "row": np.arange(3)}), Path("model.bin"))
    >>> array_of(value["row"], Path("model.bin"))
    array([0, 1, 2])
    """
    stream = io.BytesIO(data[:limit]) if isinstance(data, bytes) else data
    return run_pickle(stream, _Objects(path), limit)


def read_file_objects(stream: BinaryIO, path: Path, limit: int) -> tuple[Any, dict[str, Storage]]:
    """Returns the value of the pickle that comes next in a stream, and the storages of its tensors by their keys.

    Raises:
        InputError: for a pickle that is damaged or longer than ``limit`` bytes.
    """
    machine = _Objects(path)
    return run_pickle(stream, machine, limit)[0], machine.storages


def array_of(value: Any, path: Path) -> np.ndarray:
    """Returns the array of numbers that a record of one describes.

    Raises:
        InputError: where it is not an array, not of numbers, or not whole.
    """
    try:
        _, shape, dtype, fortran, raw = value.state
        kind = _dtype(dtype)
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw  # Python 2 knew one type of both
        if not all(type(n) is int and n >= 0 for n in shape) or prod(shape) * kind.itemsize != len(raw):
            raise ValueError("the bytes are too few or too many for its shape")
        return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")
    except (AttributeError, TypeError, ValueError, UnicodeEncodeError) as error:
        raise InputError(f"holds an array that cannot be read: {error}", path=path) from None


def number_of(value: object) -> Any:
    """Returns the number that a record of one of NumPy's describes; any other value as it is."""
    if isinstance(value, Record) and value.name in _SCALARS and len(value.arguments) == 2:
        dtype, raw = value.arguments
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw
        return np.frombuffer(raw, _dtype(dtype), 1)[0].item()
    return value


def _dtype(value: object) -> np.dtype:
    """The dtype of a record: the name with which it is made, and the order of bytes in its state."""
    if not isinstance(value, Record) or value.name != "numpy.dtype" or not value.arguments:
        raise TypeError("its dtype is not a dtype of NumPy")
    kind = np.dtype(str(value.arguments[0]))
    if kind.kind not in _NUMBERS:
        raise TypeError(f"of {kind}, not numbers")
    order = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else "="
    return kind.newbyteorder(order) if order in ("<", ">") else kind


class _Objects(Machine):
    """The machine, for any object."""

    def _name(self, module: object, name: object) -> None:
        self.stack.append(Name(f"{module}.{name}"[:200]))

    def _take(self, count: int) -> tuple[Any, ...]:
        taken = self._top(count)
        del self.stack[-count:]
        return taken

    def _make(self, kind: object, arguments: object) -> None:
        name = kind.text if isinstance(kind, Name) else getattr(kind, "name", type(kind).__name__)
        self.stack.append(Record(name, arguments if isinstance(arguments, tuple) else (arguments,)))

    def _reduce(self, _: object) -> None:
        function, arguments = self._top(2)
        text = function.text if isinstance(function, Name) else ""
        if not isinstance(arguments, tuple):
            raise TypeError("a call whose arguments are not a tuple")
        self._take(2)
        if text in _TENSORS and len(arguments) >= 4:
            self.stack.append(tensor_of(*arguments[:4]))
        elif text in _PARAMETERS and arguments and isinstance(arguments[0], Tensor):
            self.stack.append(arguments[0])
        elif text in _TUPLES:
            self.stack.append(tuple(arguments[0]) if arguments and isinstance(arguments[0], list | tuple) else ())
        elif text in _DICTS:
            pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
            self.stack.append({})
            self._put([each for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2 for each in pair])
        elif text == "_codecs.encode" and arguments and isinstance(arguments[0], str):
            self.stack.append(arguments[0].encode("latin-1"))
        elif text in ("builtins.set", "builtins.frozenset", "__builtin__.set", "builtins.list", "__builtin__.list"):
            self.stack.append(list(arguments[0]) if arguments and isinstance(arguments[0], list) else [])
        elif text in _BUFFERS and len(arguments) == 4:  # as protocol 5 writes arrays
            raw, dtype, shape, order = arguments
            self.stack.append(Record("numpy.ndarray", (), (1, shape, dtype, order == "F", raw)))
        else:
            self._make(Name("numpy.ndarray") if text in _ARRAYS else function, arguments)

    def _newobj(self, _: object) -> None:
        self._make(*self._take(2))

    def _newobj_ex(self, _: object) -> None:
        kind, arguments, named = self._take(3)
        self._make(kind, arguments)
        self.stack[-1].state = named

    def _obj(self, _: object) -> None:
        kind, *arguments = self._above_mark()
        self._make(kind, tuple(arguments))

    def _inst(self, argument: str) -> None:
        arguments = self._above_mark()
        self._global(argument)
        self._make(self.stack.pop(), tuple(arguments))

    def _build(self, _: object) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Record):
            self.stack[-1].state = state

    def _extend(self, values: list[Any]) -> None:
        if isinstance(self.stack[-1], Record):
            self.stack[-1].items.extend(values)
        else:
            super()._extend(values)

    def _put(self, pairs: Sequence[Any]) -> None:
        target = self.stack[-1].entries if isinstance(self.stack[-1], Record) else self.stack[-1]
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if isinstance(key, str | bytes | int | float | None):
                target[key] = value

    def _empty_set(self, _: object) -> None:
        self.stack.append([])

    def _additems(self, _: object) -> None:
        self._extend(self._above_mark())

    def _frozenset(self, _: object) -> None:
        self.stack.append(self._above_mark())

    def _dup(self, _: object) -> None:
        self.stack.append(self.stack[-1])

    def _pop_mark(self, _: object) -> None:
        self._above_mark()

    def _bytearray8(self, argument: bytes) -> None:
        self.stack.append(bytes(argument))

    def _binpersid(self, _: object) -> None:
        given = self.stack[-1]
        if isinstance(given, tuple) and len(given) > 1 and given[0] == "module":
            self.stack[-1] = given[1]  # the class; PyTorch's old writer adds its source text, which says nothing
        else:
            super()._binpersid(_)
