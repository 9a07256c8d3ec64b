# SPDX-License-Identifier: BSD-2-Clause
"""Names of dtypes, short and long."""

import numpy as np
from jax.typing import DTypeLike

LONG = {
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f64": "float64",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "u64": "uint64",
    "bool": "bool",
}
_SHORT = {long: short for short, long in LONG.items()} | {"complex64": "c64", "complex128": "c128"}


def long_name(name: str) -> str:
    """The long form of a name; one that is not known is returned as it is.

    >>> long_name("f32"), long_name("float32"), long_name("decimal")
    ('float32', 'float32', 'decimal')
    """
    return LONG.get(name, name)


def short_name(dtype: DTypeLike) -> str:
    """The short name of a dtype; its own name where there is none, as for random keys.

    >>> short_name(jnp.float32), short_name(jnp.bool_), short_name(jnp.bfloat16), short_name("int8")
    ('f32', 'bool', 'bf16', 'i8')
    """
    name = str(getattr(dtype, "name", "") or np.dtype(dtype))
    return _SHORT.get(name, name)
