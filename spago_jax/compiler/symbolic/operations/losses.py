# SPDX-License-Identifier: BSD-2-Clause
"""Losses: binary cross-entropy, and connectionist temporal classification."""

from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.compiler.rewrite import stable
from spago_jax.compiler.symbolic.node import Node
from spago_jax.compiler.symbolic.operations.elementwise import same_shapes
from spago_jax.compiler.symbolic.registry import described, operation
from spago_jax.errors import InputError


@operation("binary_xent", same_shapes)
def binary_xent(probability: Any, target: Any) -> Any:
    """``-t log(p) - (1 - t) log(1 - p)``, where ``0 log 0`` is 0."""
    on = jnp.where(target == 0, 0, -target * jnp.log(jnp.where(target == 0, 1, probability)))
    off = jnp.where(target == 1, 0, (target - 1) * jnp.log1p(-jnp.where(target == 1, 0, probability)))
    return on + off


def _check_ctc(name: str, scores: Node, targets: Node, sizes: Node, target_sizes: Node, **_: Any) -> None:
    nodes = (scores, targets, sizes, target_sizes)
    if scores.ndim != 3 or targets.ndim != 2 or targets.shape[0] != scores.shape[1]:
        raise InputError(f"{name}({described(nodes)}): needs scores [time, batch, classes], targets [batch, length]")
    if sizes.shape != (scores.shape[1],) or target_sizes.shape != sizes.shape:
        raise InputError(f"{name}({described(nodes)}): needs one length of input and of target for each of the batch")


@operation("ctc_loss", _check_ctc)
def ctc_loss(
    log_probabilities: Any, targets: Any, sizes: Any, target_sizes: Any, *, reduction: str = "mean", blank: int = 0
) -> Any:
    """Minus the log-likelihood of the targets over all alignments (Graves 2006), of log-probabilities as they stand.

    ``reduction`` is ``"sum"``, or ``"mean"``: over the batch, of each divided by the length of its target.
    """
    each = jax.vmap(_negative_log_likelihood, (1, 0, 0, 0, None))(
        log_probabilities, targets, sizes, target_sizes, blank
    )  # fmt: skip
    return jnp.sum(each) if reduction == "sum" else jnp.mean(each / target_sizes.astype(each.dtype))


def _negative_log_likelihood(scores: Any, target: Any, size: Any, target_size: Any, blank: int) -> Any:
    length = target.shape[0]
    labels = jnp.full((2 * length + 1,), blank, target.dtype).at[1::2].set(target)
    floor = jnp.asarray(-1e30, scores.dtype)
    skips = (labels != blank) & (labels != jnp.roll(labels, 2)) & (jnp.arange(2 * length + 1) >= 2)
    start = jnp.where(jnp.arange(2 * length + 1) < 2, scores[0, labels], floor)

    def step(alpha: Any, inputs: Any) -> tuple[Any, None]:
        t, row = inputs
        one = jnp.roll(alpha, 1).at[0].set(floor)
        two = jnp.where(skips, jnp.roll(alpha, 2), floor)
        new = stable.logaddexp(stable.logaddexp(alpha, one), two) + row[labels]
        return jnp.where(t < size, new, alpha), None

    alpha, _ = jax.lax.scan(step, start, (jnp.arange(1, scores.shape[0]), scores[1:]))
    last = 2 * target_size
    before = jnp.where(target_size > 0, alpha[jnp.maximum(last - 1, 0)], floor)
    return -stable.logaddexp(alpha[last], before)
