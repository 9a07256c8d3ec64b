# SPDX-License-Identifier: BSD-2-Clause
"""Randomness as an argument: a key with a path that is folded in only where a number is drawn."""

import dataclasses
import zlib

import jax

from spago_jax.core.module import Array


@dataclasses.dataclass(frozen=True)
class Rng:
    """A random key and the path of the layer that will use it.

    ``rng["encoder"]["dropout"]`` only extends the path, which costs nothing in the traced program; ``key()``
    folds a hash of the path into the key, at the place where a number is drawn. The same path gives the same
    key, so a layer that draws twice asks twice under different names.

    >>> rng = Rng.seed(0)
    >>> a, b = rng["a"].uniform((2,)), rng["b"].uniform((2,))
    >>> bool((a == b).any()), bool((a == rng["a"].uniform((2,))).all())
    (False, True)
    """

    base: Array
    path: str = dataclasses.field(default="", metadata={"static": True})

    @classmethod
    def seed(cls, seed: int) -> "Rng":
        """The generator of one seed."""
        return cls(jax.random.key(seed))

    def __getitem__(self, name: str | int) -> "Rng":
        return Rng(self.base, f"{self.path}/{name}")

    def at(self, step: Array | int) -> "Rng":
        """The generator of one step: folds in a number that may be traced."""
        return Rng(jax.random.fold_in(self.base, step), self.path)

    def key(self) -> Array:
        """The key of this path."""
        if not self.path:
            return self.base
        return jax.random.fold_in(self.base, zlib.crc32(self.path.encode()))

    def uniform(self, shape: tuple[int, ...], **kwargs) -> Array:
        """Uniform numbers in [0, 1) drawn with the key of this path."""
        return jax.random.uniform(self.key(), shape, **kwargs)

    def bernoulli(self, p: float, shape: tuple[int, ...]) -> Array:
        """True with probability ``p``, drawn with the key of this path."""
        return jax.random.bernoulli(self.key(), p, shape)


def child(rng: Rng | None, name: str | int) -> Rng | None:
    """``rng[name]``, or None where there is no rng (inference)."""
    return None if rng is None else rng[name]


# Not `register_dataclass`: to JAX the tree structures of two dataclasses are equal if their static values are, whatever
# their classes, and a jitted function may run the program of one for the other.
jax.tree_util.register_pytree_with_keys(
    Rng,
    lambda rng: (((jax.tree_util.GetAttrKey("base"), rng.base),), rng.path),
    lambda path, children: Rng(next(iter(children)), path),
    lambda rng: ((rng.base,), rng.path),
)
