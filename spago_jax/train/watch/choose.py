# SPDX-License-Identifier: BSD-2-Clause
"""Which of the model's taps, modules and arrays the patterns of a config mean."""

from collections.abc import Iterable, Sequence

from spago_jax.core.paths import matches
from spago_jax.errors import InputError, did_you_mean


def choose(names: Sequence[str], patterns: Iterable[str], where: str, what: str) -> list[str]:
    """The names that a pattern covers, in their order; ``"*"`` may cover none, any other has to cover some.

    Args:
        names: all there are.
        patterns: shell wildcards over the whole name, or the beginning of dotted names.
        where: the key of the config, for the error.
        what: what the names are of, for the error.

    Raises:
        InputError: for a pattern that covers nothing, with the nearest name.

    >>> choose(["hidden", "encoder.h", "encoder.c"], ["encoder"], "train.watch.tags", "tap")
    ['encoder.h', 'encoder.c']
    """
    found: set[str] = set()
    for pattern in patterns:
        hits = {name for name in names if matches(name, pattern)}
        if not hits and pattern != "*":
            rest = did_you_mean(pattern, names) if names else f"the model has no {what}"
            raise InputError(f"{where}: {pattern!r} matches no {what} of the model: {rest}")
        found |= hits
    return [name for name in names if name in found]
