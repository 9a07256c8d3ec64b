# SPDX-License-Identifier: BSD-2-Clause
"""The linear-chain conditional random field as a layer: see ``spago_jax.ops.crf`` for the equations."""

import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array, Module, buffer
from spago_jax.core.initializers import xavier_uniform
from spago_jax.errors import InputError
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops import crf


class CRF(Module):
    """Transition scores over tags, learned with the emissions' model: [..., time, tags].

        log p(y | x) = score(x, y) - log sum_y' exp score(x, y')

    ``transitions`` [tags + 1, tags + 1] is in spaGO's layout: row 0 START -> tag, column 0 tag -> END. ``allowed``
    is a boolean buffer of that layout, or None: a transition that is False has no probability, ever. So the likelihood
    of a gold path with such a transition (an I- tag after O, say) is -inf, and ``impossible`` says where: mend the
    data, or allow the transition.
    Source: Lafferty et al. (2001); spaGO nn/crf.

    >>> layer = CRF(transitions=jnp.zeros((3, 3)))
    >>> emissions = jnp.array([[1.0, 0.0], [0.0, 2.0]])
    >>> layer(emissions)
    Array([0, 1], dtype=int32)
    >>> layer.log_likelihood(emissions, jnp.array([0, 1])).round(4)
    Array(-0.4402, dtype=float32)
    """

    transitions: Array
    allowed: Array | None = buffer(default=None)

    @classmethod
    def init(cls, key: Array, tags: int, *, allowed: tuple[Array, Array, Array] | None = None) -> "CRF":
        """Xavier-uniform scores.

        Args:
            key: the randomness.
            tags: the number of tags.
            allowed: what may start bool[tags], follow bool[tags, tags], and end bool[tags], as
                ``spago_jax.text.tags.transition_mask`` gives them; None: everything may.

        Raises:
            InputError: for a size below 1, masks of other shapes, or masks that allow no path at all.
        """
        check_sizes("CRF", tags=tags)
        matrix = None
        if allowed is not None:
            start, follow, end = (np.asarray(part, bool) for part in allowed)  # NumPy: init may be traced
            if start.shape != (tags,) or follow.shape != (tags, tags) or end.shape != (tags,):
                raise InputError(
                    f"CRF: allowed transitions have shapes {start.shape}, {follow.shape}, {end.shape}, expected "
                    f"{(tags,)}, {(tags, tags)}, {(tags,)}: what may start, follow and end"
                )
            reached = start
            for _ in range(tags):
                reached = reached | (reached[:, None] & follow).any(axis=0)
            if not bool((reached & end).any()):
                raise InputError("CRF: the allowed transitions leave no path from START to END")
            matrix = crf.allowed_matrix(start, follow, end)
        return cls(transitions=xavier_uniform(key, (tags + 1, tags + 1)), allowed=matrix)

    def __call__(self, emissions: Array, lengths: Array | None = None) -> Array:
        """The best tag path: [..., time, tags], int[...] -> int32[..., time], 0 beyond the lengths."""
        return self.decode(emissions, lengths)[0]

    def decode(self, emissions: Array, lengths: Array | None = None) -> tuple[Array, Array]:
        """The best tag path int32[..., time] and its score [...] (Viterbi)."""
        return crf.viterbi(emissions, self.transitions, lengths, allowed=self.allowed)

    def log_likelihood(self, emissions: Array, tags: Array, lengths: Array | None = None) -> Array:
        """``log p(tags | emissions)`` [...], for tags int[..., time]; -inf for an impossible path."""
        return crf.log_likelihood(emissions, tags, self.transitions, lengths, allowed=self.allowed)

    def path_probabilities(self, emissions: Array, tags: Array, lengths: Array | None = None) -> tuple[Array, Array]:
        """``p(y_t)`` and ``p(y_t | y_{t-1})`` along a path of tags, both [..., time]."""
        return crf.path_probabilities(emissions, tags, self.transitions, lengths, allowed=self.allowed)

    def impossible(self, tags: Array, lengths: Array | None = None) -> Array:
        """Which transitions of a path are not allowed: int[..., time] -> bool[..., time + 1].

        Entry t is the transition into step t, from START for the first; the one at the length goes to END.
        """
        if self.allowed is None:
            return jnp.zeros((*tags.shape[:-1], tags.shape[-1] + 1), bool)
        return crf.banned_transitions(tags, self.allowed, lengths)

    def marginals(self, emissions: Array, lengths: Array | None = None) -> Array:
        """``p(tag at t | emissions)`` [..., time, tags], zero beyond the lengths."""
        return crf.marginals(emissions, self.transitions, lengths, allowed=self.allowed)
