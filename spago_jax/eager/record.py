# SPDX-License-Identifier: BSD-2-Clause
"""What an eager variable remembers of how it was made: the operation, its inputs, the time step."""

import dataclasses
import functools
import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import jax

if TYPE_CHECKING:
    from spago_jax.eager.tape import Tape
    from spago_jax.eager.var import Var


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """A function of arrays with its settings bound, compiled once for each shape; equal settings share one."""

    name: str
    function: Callable[..., Any]

    @functools.cached_property
    def compiled(self) -> Callable[..., Any]:
        """The function as one XLA program."""
        return jax.jit(self.function)


@functools.lru_cache(maxsize=4096)
def operation(name: str, make: Callable[..., Callable[..., Any]], settings: Hashable) -> Operation:
    """The operation ``make(settings)``; the same object for the same arguments, so that programs are found again."""
    return Operation(name, make(settings))


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One operation that ran.

    Attributes:
        operation: what ran.
        inputs: a variable, or a constant array, for each argument.
        values: the arrays that the inputs held when it ran: a variable may be given a new one later.
        outputs: how many arrays came out.
        time_step: when it ran; 0 without a tape.
    """

    operation: Operation
    inputs: "tuple[Var | None, ...]"
    values: tuple[Any, ...]
    outputs: int
    time_step: int


class _Current(threading.local):
    def __init__(self) -> None:
        self.tapes: list[Tape] = []


current = _Current()


def time_step() -> int:
    """The time step of the innermost open tape, or 0."""
    return current.tapes[-1].time_step if current.tapes else 0
