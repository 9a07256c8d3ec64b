# SPDX-License-Identifier: BSD-2-Clause
"""Shapes of values while a flow is built: as text, compared, and read from specs."""

from collections.abc import Mapping
from typing import Any

import jax

from spago_jax.compiler.spec import spec as read_spec
from spago_jax.core.dtypes import short_name
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError

# Sizes for named dimensions while shapes are inferred: no layer has such a number by chance.
_SIZES = (11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71)


def shape_text(value: PyTree) -> str:
    """``f32[3, 2]``, or a tuple of such.

    >>> shape_text(jax.ShapeDtypeStruct((3, 2), "float32")), shape_text((jnp.ones(2), jnp.int32(1)))
    ('f32[3, 2]', '(f32[2], i32[])')
    """
    leaves = [leaf for leaf in jax.tree.leaves(value) if hasattr(leaf, "shape")]
    texts = [f"{short_name(leaf.dtype)}{list(leaf.shape)}" for leaf in leaves]
    return texts[0] if len(texts) == 1 and value is leaves[0] else f"({', '.join(texts)})"


def same_shape(first: PyTree, second: PyTree) -> bool:
    """Whether two trees have the same form, shapes and dtypes."""

    def form(tree: PyTree) -> Any:
        leaves, treedef = jax.tree.flatten(tree)
        return treedef, [(tuple(leaf.shape), leaf.dtype) for leaf in leaves]

    return form(first) == form(second)


def read_shapes(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """Specs (text, arrays, ``ShapeDtypeStruct``, or trees of them) as shapes, and the sizes that names stand for.

    Raises:
        InputError: for text that is not a spec.

    >>> shapes, sizes = read_shapes({"x": "f32[batch, 2]", "memory": "f32[batch, 4]"})
    >>> shapes["memory"].shape, sizes
    ((11, 4), {'batch': 11})
    """
    specs = {
        name: jax.tree.map(lambda leaf, name=name: read_spec(name, leaf) if isinstance(leaf, str) else leaf, tree)
        for name, tree in given.items()
    }
    texts = [leaf for leaf in jax.tree.leaves(specs) if hasattr(leaf, "dims")]
    taken = {dim for one in texts for dim in one.dims}
    free = iter([size for size in _SIZES if size not in taken])
    sizes = {dim: next(free) for dim in dict.fromkeys(d for one in texts for d in one.dims if isinstance(d, str))}

    def struct(name: str, leaf: Any) -> Any:
        if hasattr(leaf, "dims"):
            return leaf.struct(sizes)
        try:
            return jax.ShapeDtypeStruct(jax.numpy.shape(leaf), jax.dtypes.result_type(leaf))
        except TypeError:
            raise InputError(f"spec {name!r}: {leaf!r} is not a spec; expected 'f32[batch, 8]' or an array") from None

    shapes = {name: jax.tree.map(lambda leaf, name=name: struct(name, leaf), tree) for name, tree in specs.items()}
    return shapes, sizes
