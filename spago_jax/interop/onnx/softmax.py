# SPDX-License-Identifier: BSD-2-Clause
"""Maxima that may lose a NaN: those that a softmax subtracts, whose exponentials keep it."""

from spago_jax.compiler import jaxprs

_CARRY = ("stop_gradient", "broadcast_in_dim", "reshape", "expand_dims", "optimization_barrier")


def maxima_of_softmax(closed: jaxprs.ClosedJaxpr) -> set[int]:
    """Returns the identities of the equations ``m = reduce_max(x)`` of which nothing is used but ``x - m``.

    Runtimes skip NaN in ReduceMax, where JAX gives NaN. In ``exp(x - m) / sum(exp(x - m))`` the NaN of x is in the sum.
    """
    readers: dict[jaxprs.Var, list[jaxprs.JaxprEqn | None]] = {}
    for eqn in closed.jaxpr.eqns:
        for atom in eqn.invars:
            if isinstance(atom, jaxprs.Var):
                readers.setdefault(atom, []).append(eqn)
    for atom in closed.jaxpr.outvars:
        if isinstance(atom, jaxprs.Var):
            readers.setdefault(atom, []).append(None)

    def subtracted(value: jaxprs.Var, x: jaxprs.Atom) -> bool:
        found = readers.get(value, [])
        return bool(found) and all(reader is not None and below(reader, value, x) for reader in found)

    def below(reader: jaxprs.JaxprEqn, value: jaxprs.Var, x: jaxprs.Atom) -> bool:
        if reader.primitive.name == "sub":
            rest = [each for each in readers.get(reader.outvars[0], [])]
            return reader.invars[0] is x and all(each is not None and each.primitive.name == "exp" for each in rest)
        return reader.primitive.name in _CARRY and all(subtracted(out, x) for out in reader.outvars)

    return {
        id(eqn)
        for eqn in closed.jaxpr.eqns
        if eqn.primitive.name == "reduce_max" and subtracted(eqn.outvars[0], eqn.invars[0])
    }
