# SPDX-License-Identifier: BSD-2-Clause
"""What was rewritten, where, and into what."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from spago_jax.compiler.jaxprs import Place


@dataclasses.dataclass(frozen=True)
class Rewrite:
    """One change of a graph.

    Attributes:
        rule: its name, as ``log(1 + exp(x))`` or ``common sub-expression``.
        place: the line of the user's source that wrote what was changed; None where JAX does not know it.
        before: the expression as it was.
        after: as it is now; empty for what was removed.

    >>> print(Rewrite("log(1 + x)", None, "log(1 + rate)", "log1p(rate)"))
    log(1 + x): log(1 + rate) -> log1p(rate)
    """

    rule: str
    place: Place | None
    before: str
    after: str

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place else ""
        return f"{self.rule}{where}: {self.before} -> {self.after or 'nothing'}"


def table(rewrites: Iterable[Any]) -> str:
    """Returns the rewrites, one per line: rule, place, before, after.

    >>> print(table([Rewrite("x / 1", None, "x / 1", "x")]))
    x / 1: x / 1 -> x
    """
    return "\n".join(str(rewrite) for rewrite in rewrites)
