# SPDX-License-Identifier: BSD-2-Clause
"""Every layer once: the conformance suite, the documentation and ``spago-jax layers`` read this table."""

from spago_jax.errors import InputError, did_you_mean
from spago_jax.nn.catalogue import attention, basic, experts, normalization, recurrent, structural
from spago_jax.nn.catalogue.entry import Entry as Entry

# One table a subject; each layer is named once, and a name stands for one layer.
_TABLES = (basic, attention, normalization, recurrent, structural, experts)
CATALOGUE: dict[str, Entry] = {entry.name: entry for table in _TABLES for entry in table.ENTRIES}


def find(name: str) -> Entry:
    """The entry of that name.

    Raises:
        InputError: for an unknown name, with the nearest.

    >>> find("lstm").title
    'LSTM'
    """
    if name not in CATALOGUE:
        raise InputError(f"unknown layer {name!r}: {did_you_mean(name, CATALOGUE)}")
    return CATALOGUE[name]
