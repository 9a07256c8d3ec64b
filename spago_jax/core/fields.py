# SPDX-License-Identifier: BSD-2-Clause
"""Field roles: what a field of a Module is for. A plain array field is a trainable parameter."""

import dataclasses
from typing import Any

ROLE = "spago_jax.role"
DECAY = "spago_jax.decay"


@dataclasses.dataclass(frozen=True)
class Role:
    """What one array of a model is for: is it trained, and does weight decay shrink it?"""

    trainable: bool = True
    decay: bool = True


def param(*, decay: bool = True, **kwargs: Any) -> Any:
    """A trainable array, or a sub-module; ``decay=False`` keeps it out of weight decay (biases, norm gains).

    >>> import spago_jax as sj
    >>> class Scale(sj.Module):
    ...     gain: sj.Array = sj.param(decay=False)
    >>> sj.roles(Scale(gain=jnp.ones(3)))
    {'gain': Role(trainable=True, decay=False)}
    """
    return dataclasses.field(metadata={"pytree_node": True, ROLE: "param", DECAY: decay}, **kwargs)


def buffer(**kwargs: Any) -> Any:
    """An array that is saved with the model but gets no gradient (running averages, lookup tables)."""
    return dataclasses.field(metadata={"pytree_node": True, ROLE: "buffer", DECAY: False}, **kwargs)


def static(**kwargs: Any) -> Any:
    """Hashable configuration: part of the program's signature, not of its arrays.

    Static values are compared at every call of a compiled program, so they are small and cheap to hash.
    """
    return dataclasses.field(metadata={"pytree_node": False, ROLE: "static"}, **kwargs)
