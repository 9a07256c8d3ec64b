# SPDX-License-Identifier: BSD-2-Clause
"""Reads the pickles of PyTorch's files without running them.

A pickle is a program for a small stack machine. This reader goes through its instructions and builds plain values and
descriptions of tensors; it imports no name and calls no object, whatever the pickle asks for.
"""

import io
import pickletools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import ml_dtypes
import numpy as np

from spago_jax.errors import InputError

LIMIT = 16 << 20  # bytes; that of a model of a thousand tensors has about 200,000
INSTRUCTIONS = 1 << 26  # of a pickle; a table of a million words of an old release of gensim has some twenty million
_BYTES = {"Float": "<f4", "Double": "<f8", "Half": "<f2", "Long": "<i8", "Int": "<i4", "Short": "<i2", "Char": "i1",
          "Byte": "u1", "Bool": "?"}  # fmt: skip
_STORAGES = {
    f"{module}.{name}Storage": np.dtype(code)
    for module in ("torch", "torch.cuda")
    for name, code in {**_BYTES, "BFloat16": ml_dtypes.bfloat16}.items()
}
_TENSOR, _PARAMETER = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"
_DICT = "collections.OrderedDict"
# Instructions whose argument is the value.
_VALUES = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
           "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
           "BINBYTES8"}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS, _GETS = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}


@dataclass(frozen=True, slots=True)
class Name:
    """A name that a pickle asks for, and that stays a name."""

    text: str


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers that lie outside the pickle: their dtype, the key under which they are stored, and how many they are.

    ``shift`` numbers are skipped (a view of a storage in an old file).
    """

    dtype: np.dtype
    key: str
    count: int
    shift: int = 0


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor over a storage; offset and strides count numbers."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    strides: tuple[int, ...]


def read_pickle(data: bytes, path: Path) -> tuple[Any, int]:
    """Returns the value of the pickle that ``data`` begins with, and how many bytes it takes.

    Raises:
        InputError: for a pickle that is damaged, or that asks for anything but tensors and plain values, naming it.

    >>> import pickle
    >>> read_pickle(pickle.dumps({"layers": [1, 2]}, 2), Path("model.bin"))[0]
    {'layers': [1, 2]}
    """
    return run_pickle(io.BytesIO(data[:LIMIT]), Machine(path), LIMIT)


def run_pickle(stream: BinaryIO, machine: "Machine", limit: int) -> tuple[Any, int]:
    """Returns what a machine makes of the pickle that a stream begins with, and where in the stream it ends.

    Raises:
        InputError: for a pickle that is damaged, longer than ``limit`` bytes, or refused by the machine.
    """
    path, count = machine.path, 0
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                return machine.stack.pop(), stream.tell()
            count += 1
            if count > INSTRUCTIONS:
                raise InputError(f"refused: its pickle has more than {INSTRUCTIONS:,} instructions", path=path)
            machine.run(opcode.name, argument)
    except InputError:
        raise
    except (ArithmeticError, AssertionError, LookupError, RecursionError, TypeError, ValueError, struct.error) as error:
        why = f"longer than {limit:,} bytes" if stream.tell() >= limit else error
        raise InputError(f"the pickle is damaged: {why}", path=path) from None
    raise InputError("the pickle is damaged: it does not end", path=path)


class Machine:
    """The stack machine of a pickle, for tensors and plain values.

    Attributes:
        stack: the values so far.
        storages: those that tensors were asked of, by key.
    """

    def __init__(self, path: Path):
        self.path = path
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def run(self, name: str, argument: Any) -> None:
        """Follows one instruction."""
        stack = self.stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _PUTS:
            self._memo[int(argument)] = stack[-1]
        elif name in _GETS:
            stack.append(self._memo[int(argument)])
        elif name in _TUPLES:
            stack[-_TUPLES[name] :] = [self._top(_TUPLES[name])]
        elif name not in ("PROTO", "FRAME"):
            action = getattr(self, f"_{name.lower()}", None)
            if action is None:
                self._refuse(f"the instruction {name}")
            action(argument)

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(
            f"refused, for it asks for {what}: only tensors and plain values are read from a pickle, and nothing in it "
            "is run. If you trust the file, convert it to safetensors with PyTorch",
            path=self.path,
        )

    def _top(self, count: int) -> tuple[Any, ...]:
        if len(self.stack) < count:
            raise IndexError("an empty stack")
        return tuple(self.stack[-count:])

    def _above_mark(self) -> list[Any]:
        at = self._marks.pop()
        values = self.stack[at:]
        del self.stack[at:]
        return values

    def _mark(self, _: object) -> None:
        self._marks.append(len(self.stack))

    def _memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self.stack[-1]

    def _pop(self, _: object) -> None:
        if self._marks and self._marks[-1] == len(self.stack):
            self._marks.pop()
        else:
            self.stack.pop()

    def _empty_dict(self, _: object) -> None:
        self.stack.append({})

    def _empty_list(self, _: object) -> None:
        self.stack.append([])

    def _tuple(self, _: object) -> None:
        self.stack.append(tuple(self._above_mark()))

    def _list(self, _: object) -> None:
        self.stack.append(self._above_mark())

    def _dict(self, _: object) -> None:
        values = self._above_mark()
        self.stack.append({})
        self._put(values)

    def _append(self, _: object) -> None:
        value = self.stack.pop()
        self._extend([value])

    def _appends(self, _: object) -> None:
        self._extend(self._above_mark())

    def _setitem(self, _: object) -> None:
        pair = list(self._top(2))
        del self.stack[-2:]
        self._put(pair)

    def _setitems(self, _: object) -> None:
        self._put(self._above_mark())

    def _extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("a value is appended to something other than a list")
        self.stack[-1].extend(values)

    def _put(self, pairs: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict) or len(pairs) % 2:
            raise TypeError("a key is set in something other than a dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str | int):  # a nested tuple could take for ever, or the whole stack, to hash
                raise TypeError(f"a key of a dict is a {type(key).__name__}")
            self.stack[-1][key] = value

    def _global(self, argument: str) -> None:
        self._name(*argument.split(" ", 1))

    def _stack_global(self, _: object) -> None:
        module, name = self._top(2)
        del self.stack[-2:]
        self._name(module, name)

    def _name(self, module: object, name: object) -> None:
        text = f"{module}.{name}"
        if text not in _STORAGES and text not in (_TENSOR, _PARAMETER, _DICT):
            self._refuse(f"{text[:200]!r}")
        self.stack.append(Name(text))

    def _reduce(self, _: object) -> None:
        function, arguments = self._top(2)
        del self.stack[-2:]
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            self._refuse("a call of something other than a known name")
        if function.text == _DICT and (not arguments or _pairs(arguments)):
            self.stack.append({})
            self._put([each for pair in (arguments[0] if arguments else ()) for each in pair])
        elif function.text == _PARAMETER and arguments and isinstance(arguments[0], Tensor):
            self.stack.append(arguments[0])
        elif function.text == _TENSOR and len(arguments) >= 4:
            self.stack.append(tensor_of(*arguments[:4]))
        else:
            self._refuse(f"a call of {function.text} with {len(arguments)} arguments that it does not take")

    def _build(self, _: object) -> None:
        # PyTorch hangs the versions of the modules at the OrderedDict; they say nothing about the tensors
        state = self.stack.pop()
        if not isinstance(self.stack[-1], dict) or not isinstance(state, dict):
            self._refuse("an object with a state of its own")

    def _binpersid(self, _: object) -> None:
        found = _storage(self.stack.pop())
        self.storages[found.key] = found
        self.stack.append(found)


def _pairs(arguments: tuple[Any, ...]) -> bool:
    """Whether a call has the one argument with which Python 2 wrote an OrderedDict."""
    (first, *rest) = arguments
    return not rest and isinstance(first, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in first)


def _storage(given: object) -> Storage:
    if not isinstance(given, tuple) or len(given) not in (5, 6) or given[0] != "storage":
        raise TypeError("a persistent id that is not a storage")
    _, kind, key, _, count, *view = given
    if not isinstance(kind, Name) or kind.text not in _STORAGES or not isinstance(key, str | int):
        raise TypeError("a storage without a dtype or a key")
    shift = 0
    if view and view[0] is not None:
        _, shift, _ = view[0]
    if not _naturals((count, shift)):
        raise TypeError("a storage whose size is not a number")
    return Storage(_STORAGES[kind.text], str(key), count, shift)


def tensor_of(storage: object, offset: Any, size: object, strides: object) -> Tensor:
    """Returns the description of a tensor.

    Raises:
        TypeError, ValueError: where its parts do not fit together.
    """
    if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(strides, tuple):
        raise TypeError("a tensor without a storage, a size or strides")
    if not _naturals((offset, *size, *strides)) or len(size) != len(strides):
        raise ValueError("a tensor whose offset, size and strides are not numbers that fit together")
    return Tensor(storage, offset, size, strides)


def _naturals(values: tuple[Any, ...]) -> bool:
    return all(type(each) is int and 0 <= each < 2**63 for each in values)
