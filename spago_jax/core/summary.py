# SPDX-License-Identifier: BSD-2-Clause
"""A table of a model's arrays: paths, shapes, counts, bytes, and what each is for."""

import dataclasses
import math

from spago_jax.core.paths import flat, roles
from spago_jax.core.show import text_table
from spago_jax.core.tree import PyTree


@dataclasses.dataclass(frozen=True)
class Row:
    """One array of a model."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    count: int
    bytes: int
    role: str


def rows(model: PyTree) -> list[Row]:
    """The table of a model's arrays, in the order of its fields."""
    out = []
    role = roles(model)
    for path, leaf in flat(model).items():
        count = math.prod(leaf.shape)
        kind = "buffer" if not role[path].trainable else "param" if role[path].decay else "param, no decay"
        size = count * leaf.dtype.itemsize if hasattr(leaf.dtype, "itemsize") else 0
        out.append(Row(path, tuple(leaf.shape), leaf.dtype.name, count, size, kind))
    return out


def count_parameters(model: PyTree) -> int:
    """The number of trainable numbers in a model."""
    return sum(row.count for row in rows(model) if row.role != "buffer")


def summary(model: PyTree) -> str:
    """The table as text, with totals.

    >>> import spago_jax as sj
    >>> class Line(sj.Module):
    ...     weight: sj.Array
    ...     bias: sj.Array = sj.param(decay=False)
    >>> print(summary(Line(jnp.zeros((2, 3)), jnp.zeros(2))))
    path    shape   dtype    count  bytes  role
    weight  [2, 3]  float32      6     24  param
    bias    [2]     float32      2      8  param, no decay
    total                        8     32  8 trainable
    """
    table = rows(model)
    total = sum(row.count for row in table)
    size = sum(row.bytes for row in table)
    cells = [
        (r.path, f"[{', '.join(map(str, r.shape))}]", r.dtype, f"{r.count:,}", f"{r.bytes:,}", r.role) for r in table
    ]
    cells.append(("total", "", "", f"{total:,}", f"{size:,}", f"{count_parameters(model):,} trainable"))
    return text_table(("path", "shape", "dtype", "count", "bytes", "role"), cells, align="lllrrl")
