# SPDX-License-Identifier: BSD-2-Clause
"""Branches that were not chosen are not moved by the optimizer: no decay, no momentum."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from spago_jax.core.paths import flat, map_named, matches, path_name
from spago_jax.core.tree import PyTree
from spago_jax.flow.network import Network


def branch_paths(model: PyTree) -> list[tuple[str, ...]]:
    """The paths of the modules of every branch of every switch in a model, flows inside flows included.

    >>> from spago_jax import flow
    >>> two = flow.start().switch(flow.fixed_selector(0), flow.copies(flow.linear(2), 2))
    >>> branch_paths(two.build(jax.random.key(0), "f32[batch, 2]"))
    [('layers.switch.branch_0',), ('layers.switch.branch_1',)]
    """
    found = []
    for path, node in jax.tree_util.tree_flatten_with_path(model, is_leaf=lambda n: isinstance(n, Network))[0]:
        if not isinstance(node, Network):
            continue
        lead = f"{path_name(path)}." if path else ""
        for step in node.plan.steps:
            branches = [part.layer_path for part in step.exclusive_parts() if part.layer_path]
            found += [(f"{lead}layers.{'.'.join(map(str, branch))}",) for branch in branches]
        found += [tuple(f"{lead}layers.{p}" for p in paths) for paths in branch_paths(node.layers)]
    return found


def skip_unused(optimizer: optax.GradientTransformation, model: PyTree) -> optax.GradientTransformation:
    """The optimizer, passing over branches that a step did not use, as if they had no gradient at all.

    JAX gives the parameters of a branch that was not chosen gradients of zero; Adam's moments and weight decay would
    still move them. Here, where all gradients of a branch are exactly zero, its parameters and the optimizer's memory
    of them (every array of its state under a parameter's path) stay as they are. What the arrays share, as Adam's
    count of steps, goes on.

    Args:
        optimizer: any optax transformation.
        model: has the flows with their switches; its arrays are not kept.

    >>> from spago_jax import flow
    >>> two = flow.start().switch(flow.fixed_selector(0), flow.copies(flow.linear(2), 2))
    >>> net = two.build(jax.random.key(0), "f32[batch, 2]")
    >>> adamw = skip_unused(optax.adamw(0.1, weight_decay=0.1), net)
    >>> grads = jax.grad(lambda net: net(jnp.ones((1, 2))).sum())(net)
    >>> updates, _ = adamw.update(grads, adamw.init(net), net)
    >>> bool((updates.layers["switch"]["branch_1"].weight == 0).all())
    True
    """
    groups = branch_paths(model)
    paths = sorted(flat(model), key=len, reverse=True)
    table = {path: i for path in paths for i, group in enumerate(groups) if any(matches(path, g) for g in group)}

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **more: Any) -> tuple[Any, Any]:
        used = [jnp.zeros((), bool) for _ in groups]
        for path, grad in flat(updates).items():
            if path in table:
                used[table[path]] |= (grad != 0).any()
        updates, new = optax.with_extra_args_support(optimizer).update(updates, state, params, **more)

        def moved(path: str, now: jax.Array, before: jax.Array) -> jax.Array:
            # A leaf of the state belongs to the parameter that its own path ends with, the longest where several fit:
            # the path of a flow's parameter is the end of that of the same step in a flow inside.
            owner = next((p for p in paths if path == p or path.endswith(f".{p}")), None)
            return now if owner not in table else jnp.where(used[table[owner]], now, before)

        updates = map_named(lambda path, u: moved(path, u, jnp.zeros_like(u)), updates)
        olds = flat(state)
        return updates, map_named(lambda path, leaf: moved(path, leaf, olds[path]), new)

    return optax.GradientTransformationExtraArgs(optimizer.init, update)
