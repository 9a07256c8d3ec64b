# SPDX-License-Identifier: BSD-2-Clause
"""Reads pickles of objects: each becomes a record of its name and its state, and nothing of it is run or imported."""

from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_pickle import Machine, Name, Storage, Stream, Tensor, run_pickle, tensor_of

INSTRUCTIONS = 1 << 25
"""The most instructions of a pickle; a table of a million words has about ten million."""
RANK = 32  # axes of an array

_DICTS = {"collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict"}
_SETS = {f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("set", "frozenset")}
_LISTS = {"builtins.list", "__builtin__.list", "collections.deque"}
_TUPLES = {"torch.Size", "builtins.tuple", "__builtin__.tuple"}
_PARAMETERS = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
_TENSORS = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}
_RECONSTRUCT = {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"}
_SCALARS = (str, int, bytes, float, bool, type(None))


class Record:
    """An object of a pickle: its name, and what the pickle would have given to it.

    Attributes:
        name: the class or the function that makes it, ``flair.data.Dictionary``.
        arguments: what that is called with.
        state: what the object is then set to; of most objects a dict of their attributes.
        items: what is appended to it.
        pairs: what is set in it by key.
    """

    __slots__ = ("arguments", "items", "name", "pairs", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...] = ()):
        self.name, self.arguments = name, arguments
        self.state: Any = None
        self.items: list[Any] = []
        self.pairs: dict[Any, Any] = {}

    def __repr__(self) -> str:
        return f"Record({self.name!r})"

    @property
    def kind(self) -> str:
        """The last part of the name: that of the class."""
        return self.name.rpartition(".")[2]

    def get(self, key: str, default: Any = None) -> Any:
        """Returns an attribute of the state, where that is a dict which has it."""
        return self.state.get(key, default) if isinstance(self.state, dict) else default


def read_records(stream: Stream, path: Path) -> tuple[Any, dict[str, Storage]]:
    """Returns the value of the pickle that comes next in a stream, and the storages of its tensors by key.

    Plain values are themselves, tensors are descriptions of them, and every other object is a ``Record``.

    Raises:
        InputError: for a pickle that is damaged or too large.

    >>> import io, pathlib, pickle
    >>> read_records(io.BytesIO(pickle.dumps([pathlib.PurePosixPath("a/b"), {1}])), pathlib.Path("file"))[0]
    [Record('pathlib.PurePosixPath'), {1}]
    """
    machine = _RecordMachine(path)
    return run_pickle(stream, machine, INSTRUCTIONS), machine.storages


def as_array(value: Any, where: str, path: Path) -> np.ndarray:
    """Returns the NumPy array that a record describes.

    Raises:
        InputError: for another object, an array of objects, or one whose numbers do not fit its shape.
    """
    try:
        if not isinstance(value, Record) or value.name not in _RECONSTRUCT:
            raise TypeError(f"a {value.name if isinstance(value, Record) else type(value).__name__}")
        _, shape, dtype, by_columns, data = value.state
        found = np.frombuffer(data, _dtype(dtype))
        if not all(type(size) is int and size >= 0 for size in shape) or len(shape) > RANK:
            raise ValueError(f"an array of shape {shape!r}")
        return found.reshape(shape, order="F" if by_columns else "C")
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        raise InputError(f"{where} is not an array of numbers: {error}", path=path) from None


def _dtype(record: Any) -> np.dtype:
    code = record.arguments[0]
    code = code.decode("ascii") if isinstance(code, bytes) else code
    if record.name != "numpy.dtype" or code not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        raise TypeError(f"numbers of the kind {code!r}")
    order = record.state[1] if record.state else "="
    order = order.decode("ascii") if isinstance(order, bytes) else order
    return np.dtype(("<" if order not in ("<", ">") else order) + code)


class _RecordMachine(Machine):
    """The stack machine of pickles of objects: a name that it does not know is that of a record."""

    def run(self, name: str, argument: Any) -> None:
        """Carries one instruction out."""
        if name == "BYTEARRAY8":
            self.stack.append(bytes(argument))
        else:
            super().run(name, argument)

    def _name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a name that is not a text")
        self.stack.append(Name(f"{module}.{name}"))

    def _reduce(self, _: Any) -> None:
        function, arguments = self._top(2)
        del self.stack[-2:]
        if not isinstance(arguments, tuple):
            raise TypeError("a call without arguments")
        self.stack.append(_made(function, arguments))

    def _newobj(self, _: Any) -> None:
        self._reduce(None)

    def _newobj_ex(self, _: Any) -> None:
        self.stack.pop()  # by keyword
        self._reduce(None)

    def _obj(self, _: Any) -> None:
        kind, *arguments = self._above_mark()
        self.stack.append(_made(kind, tuple(arguments)))

    def _inst(self, argument: str) -> None:
        arguments = self._above_mark()
        self.stack.append(_made(Name(argument.replace(" ", ".", 1)), tuple(arguments)))

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Record):
            target.state = state

    def _extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Record):
            target.items.extend(values)
        else:
            raise TypeError("a value is appended to something other than a list")

    def _put(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Record):
            target = target.pairs
        if not isinstance(target, dict) or len(pairs) % 2:
            raise TypeError("a key is set in something other than a dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if _is_key(key):  # others are those of optimizers and schedules, which nobody reads
                target[key] = value

    def _empty_set(self, _: Any) -> None:
        self.stack.append(set())

    def _additems(self, _: Any) -> None:
        values = self._above_mark()
        target = self.stack[-1]
        if isinstance(target, set):
            target.update(filter(_is_key, values))
        elif isinstance(target, Record):
            target.items.extend(values)
        else:
            raise TypeError("a value is added to something other than a set")

    def _frozenset(self, _: Any) -> None:
        self.stack.append(frozenset(filter(_is_key, self._above_mark())))

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _pop_mark(self, _: Any) -> None:
        self._above_mark()

    def _binpersid(self, _: Any) -> None:
        given = self.stack[-1]
        if isinstance(given, tuple) and len(given) == 4 and given[0] == "module":
            self.stack[-1] = given[1]  # and the source of the class, which is left alone
        else:
            super()._binpersid(None)


def _made(function: Any, arguments: tuple[Any, ...]) -> Any:
    """What the call of a name gives: a plain value for the few that are known, and a record for any other."""
    name = function.text if isinstance(function, Name) else "?"
    first = arguments[0] if arguments else None
    if name in _TENSORS and len(arguments) >= 4:
        return tensor_of(*arguments[:4])
    if name in _PARAMETERS and isinstance(first, Tensor):
        return first
    if name in _DICTS:
        pairs = first if isinstance(first, list) else []
        return {p[0]: p[1] for p in pairs if isinstance(p, list | tuple) and len(p) == 2 and _is_key(p[0])}
    if name in _SETS:
        return {each for each in first if _is_key(each)} if isinstance(first, list | tuple) else set()
    if name in _LISTS:
        return list(first) if isinstance(first, list | tuple) else []
    if name in _TUPLES:
        return tuple(first) if isinstance(first, list | tuple) else ()
    if name == "_codecs.encode" and isinstance(first, str):
        return first.encode("latin-1", "replace")
    return Record(name, arguments)


def _is_key(value: Any) -> bool:
    """Whether a value may be a key: one that takes a moment to hash, however the pickle nests it."""
    if isinstance(value, tuple):
        return len(value) < 16 and all(isinstance(each, _SCALARS) for each in value)
    return isinstance(value, (*_SCALARS, Record, Tensor, Name))
