# SPDX-License-Identifier: BSD-2-Clause
"""Input specifications: a name, a dtype and named dimensions, as text."""

import dataclasses
import re
from collections.abc import Mapping

import jax

from spago_jax.core.dtypes import LONG, long_name, short_name
from spago_jax.errors import InputError, did_you_mean

RESERVED = frozenset({"floordiv", "max", "min", "mod"})
"""What no dimension may be called: in ``jax.export.symbolic_shape`` these are functions of sizes."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """What one argument of a Program looks like; a dimension is a size or a name."""

    name: str
    dtype: str
    dims: tuple[int | str, ...]

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Returns the shape once every named dimension has a size.

        Raises:
            InputError: for a name without a size.
        """
        for dim in self.dims:
            if isinstance(dim, str) and dim not in sizes:
                raise InputError(f"{self.name}: dimension {dim!r} has no size; give it one, or a bucket")
        return tuple(sizes[dim] if isinstance(dim, str) else dim for dim in self.dims)

    def struct(self, sizes: Mapping[str, int] | None = None) -> jax.ShapeDtypeStruct:
        """Returns the spec as JAX's own ``ShapeDtypeStruct``."""
        return jax.ShapeDtypeStruct(self.shape(sizes or {}), self.dtype)

    def bind(self, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
        """Reads the sizes of named dimensions off a shape, into ``sizes``.

        Raises:
            InputError: when the rank, a fixed size, or a size already bound disagrees.
        """
        if len(shape) != len(self.dims):
            raise InputError(f"{self.name}: shape {list(shape)} has rank {len(shape)}, expected {self}")
        for dim, size in zip(self.dims, shape, strict=True):
            known = sizes.setdefault(dim, size) if isinstance(dim, str) else dim
            if known != size:
                raise InputError(f"{self.name}: shape {list(shape)} does not fit {self}: {dim} is {known}, not {size}")

    def __str__(self) -> str:
        return f"{short_name(self.dtype)}[{', '.join(map(str, self.dims))}]"


def spec(name: str, text: str) -> Spec:
    """Reads ``f32[batch, 8]``: a dtype, then dimensions that are sizes or names.

    Raises:
        InputError: for text that is not of this form, or an unknown dtype.

    >>> spec("x", "f32[batch, 8]")
    Spec(name='x', dtype='float32', dims=('batch', 8))
    >>> spec("x", "f32[batch, 8]").struct({"batch": 2})
    ShapeDtypeStruct(shape=(2, 8), dtype=float32)
    """
    match = re.fullmatch(r"\s*(\w+)\s*\[([^\]]*)\]\s*", text)
    if not match:
        raise InputError(f"spec {name!r}: {text!r} is not of the form 'f32[batch, 8]'")
    short, inside = match.groups()
    if short not in LONG and short not in LONG.values():
        raise InputError(f"spec {name!r}: unknown dtype {short!r} in {text!r}, {did_you_mean(short, LONG)}")
    dims: list[int | str] = []
    for part in filter(None, (p.strip() for p in inside.split(","))):
        if not re.fullmatch(r"\d+|[A-Za-z_]\w*", part):
            raise InputError(f"spec {name!r}: dimension {part!r} in {text!r} is neither a size nor a name")
        if part in RESERVED:
            raise InputError(
                f"spec {name!r}: dimension {part!r} in {text!r} is a function of JAX's symbolic sizes "
                f"({', '.join(sorted(RESERVED))}); give it another name, as {part}_size"
            )
        dims.append(int(part) if part.isdigit() else part)
    return Spec(name, long_name(short), tuple(dims))
