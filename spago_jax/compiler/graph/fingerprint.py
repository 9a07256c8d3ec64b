# SPDX-License-Identifier: BSD-2-Clause
"""A stable hash of what a Graph computes."""

import dataclasses
import enum
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from spago_jax.compiler import jaxprs
from spago_jax.compiler.primitives import words

# What a program is called, where it came from, and how JAX goes about compiling it.
_IGNORED = words(
    "name debug_info in_shardings out_shardings in_layouts out_layouts ctx_mesh donated_invars keep_unused inline "
    "compiler_options_kvs jvp_jaxpr_fun fwd_jaxpr_thunk bwd jvp jvp_jaxpr_thunk api_name policy"
)


def fingerprint(closed: jaxprs.ClosedJaxpr) -> str:
    """Returns a hash of the operations, shapes, parameters and constants of a graph, 32 hexadecimal digits.

    It does not depend on names, on places in the source, on ``jit`` boundaries, on the process or its hash seed. It is
    made from JAX's traced program, so another version of JAX may give another one.

    >>> from spago_jax.compiler.graph import graph
    >>> increment = graph(lambda x: x + 1.0, "f32[3]").fingerprint()
    >>> increment == graph(lambda y: 1.0 + 0.0 + y, "f32[3]").fingerprint(), len(increment)
    (False, 32)
    >>> increment == graph(jax.jit(lambda other: other + 1.0), "f32[3]").fingerprint()
    True
    """
    hasher = _Hasher()
    hasher.program(closed)
    return hasher.digest.hexdigest()


class _Hasher:
    def __init__(self) -> None:
        self.digest = hashlib.blake2b(digest_size=16)

    def add(self, *parts: Any) -> None:
        """Takes in short texts; each with its length, so that no two lists run into one."""
        for part in parts:
            data = part if isinstance(part, bytes) else str(part).encode()
            self.digest.update(b"%d:" % len(data))
            self.digest.update(data)

    def program(self, closed: jaxprs.ClosedJaxpr) -> None:
        count = iter(range(1 << 62))
        numbers = {var: next(count) for var in closed.jaxpr.invars}
        self.add("program", *(self.type(var.aval) for var in closed.jaxpr.invars))
        outputs = self.equations(closed, dict(numbers), count)
        self.add("outputs", *outputs)

    def equations(self, closed: jaxprs.ClosedJaxpr, known: dict[jaxprs.Var, Any], count: Iterator[int]) -> list[Any]:
        """Takes in the equations; a value is its number, or its contents where it is a constant."""
        for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
            known[var] = self.contents(value)

        def read(atom: jaxprs.Atom) -> Any:
            return self.contents(atom.val) if isinstance(atom, jaxprs.Literal) else known[atom]

        for eqn in closed.jaxpr.eqns:
            given = [read(atom) for atom in eqn.invars]
            body = jaxprs.call_body(eqn, custom=False, remat=False)
            if body is not None:
                inside = dict(zip(body.jaxpr.invars, given, strict=True))
                known.update(zip(eqn.outvars, self.equations(body, inside, count), strict=True))
                continue
            self.add("equation", eqn.primitive.name, *given)
            for name in sorted(eqn.params):
                if name not in _IGNORED:
                    self.add(name)
                    self.parameter(eqn.params[name])
            for var in eqn.outvars:
                known[var] = next(count)
                self.add(self.type(var.aval))
        return [read(atom) for atom in closed.jaxpr.outvars]

    def type(self, aval: object) -> str:
        return f"{getattr(aval, 'dtype', aval)}{list(getattr(aval, 'shape', ()))}"

    def contents(self, value: ArrayLike) -> str:
        if jnp.issubdtype(getattr(value, "dtype", np.float32), jax.dtypes.extended):
            value = jax.random.key_data(value)
        array = np.ascontiguousarray(np.asarray(value))
        found = hashlib.blake2b(array.tobytes(), digest_size=16).hexdigest()
        return f"{array.dtype}{list(array.shape)}{found}"

    def parameter(self, value: object) -> None:
        if isinstance(value, jaxprs.Jaxpr) and not isinstance(value, jaxprs.ClosedJaxpr):
            value = jaxprs.ClosedJaxpr(value, ())
        if isinstance(value, jaxprs.ClosedJaxpr):
            if len(value.jaxpr.constvars) != len(value.consts):
                self.add("open")  # a body whose constants are handed over otherwise
                return
            self.program(value)
        elif isinstance(value, np.ndarray | jax.Array):
            self.add(self.contents(value))
        elif isinstance(value, enum.Enum):
            self.add(value.name)
        elif isinstance(value, Mapping):
            for key in sorted(value, key=str):
                self.add(key)
                self.parameter(value[key])
        elif isinstance(value, set | frozenset):
            self.add("set", *sorted(map(_plain, value)))
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            self.add(type(value).__name__)
            for field in dataclasses.fields(value):
                self.add(field.name)
                self.parameter(getattr(value, field.name))
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            self.add(type(value).__name__, len(value))
            for item in value:
                self.parameter(item)
        else:
            self.add(_plain(value))


def _plain(value: object) -> str:
    """Returns a text without addresses; of a function its name alone."""
    if callable(value) and not isinstance(value, type) and not hasattr(value, "dtype"):
        return getattr(value, "__qualname__", type(value).__name__)
    return re.sub(r" ?(at )?0x[0-9a-f]+", "", str(value))
