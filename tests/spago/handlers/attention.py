"""Attention: scaled dot-product, linear, self- and cross-attention, multi-head, LSH, synthetic."""

import numpy as np

from spago.activations import our_activation
from spago.golden import Case
from spago.layers import linear_from
from spago.registry import Computation, Instead, golden
from spago.shapes import columns, sequence, vector
from spago_jax.core import Array
from spago_jax.nn import LSHAttention, MultiHeadAttention, SelfAttention, SyntheticAttention
from spago_jax.ops.activations import activation
from spago_jax.ops.attention import linear_attention, scaled_dot_product_attention


def _three(case: Case, inputs) -> tuple[Array, Array, Array]:
    """Queries q0.., and keys and values as matrices k, v or as lists k0.., v0..."""
    named = dict(zip((name for name, _ in case.inputs), inputs, strict=True))

    def one(letter: str) -> Array:
        if letter in named:
            return named[letter]
        return sequence([value for name, value in named.items() if name[0] == letter])

    return one("q"), one("k"), one("v")


@golden("nn.scaled_dot_product_attention")
def dot_product(case: Case) -> Computation:
    """No parameters."""
    causal = case.config.get("causal", "causal" in case.config.get("kind", ""))

    def function(params, inputs):
        query, key, value = _three(case, inputs)
        y = scaled_dot_product_attention(
            query, key, value, scale=case.config["scale_factor"], causal=causal, offset=_offset(query, key)
        )
        return columns(y)

    return Computation(function)


def _offset(query: Array, key: Array) -> int:
    """Where spaGO's causal mask starts: at the first key, but one query alone sees all."""
    return key.shape[0] - 1 if query.shape[0] == 1 else 0


@golden("nn.linear_attention")
def linear(case: Case) -> Computation:
    """The feature map is named in the config."""
    phi = activation(our_activation(case.config["mapping"]))

    def function(params, inputs):
        return columns(linear_attention(*_three(case, inputs), feature_map=phi, eps=case.config["eps"]))

    return Computation(function)


def _head(case: Case, params, path: str, scale: float) -> SelfAttention:
    parts = [linear_from(params, f"{path}{name}.") for name in ("Query", "Key", "Value")]
    return SelfAttention(*parts, scale=scale, causal=bool(case.config["causal"]))


def _run(case: Case, layer: SelfAttention | MultiHeadAttention, inputs) -> list[Array]:
    """Self-attention, cross-attention from q to x, or the second of two calls with what the first left in the cache."""
    names, variant = [name for name, _ in case.inputs], str(case.config.get("variant", case.id.split("/")[0]))
    if any(name.startswith("q") for name in names):
        queries = sequence([x for name, x in zip(names, inputs, strict=True) if name.startswith("q")])
        memory = sequence([x for name, x in zip(names, inputs, strict=True) if not name.startswith("q")])
        if "cached" in variant:
            return columns(layer.recall(queries, layer.remember(memory)))
        return columns(layer(queries, memory=memory))
    first = len(inputs) - len(case.outputs)
    if first == 0:
        return columns(layer(sequence(inputs)))
    cache = layer.initial_cache((), len(inputs), inputs[0].dtype)
    _, cache = layer.step(sequence(inputs[:first]), cache)
    return columns(layer.step(sequence(inputs[first:]), cache)[0])


def _late_mask(case: Case, paths: list[str], scale: float) -> Instead | None:
    """Where several queries follow a cache, spaGO's causal mask forgets that there is one."""
    first = len(case.inputs) - len(case.outputs)
    if not case.config["causal"] or case.config.get("cross") or first == 0 or len(case.outputs) == 1:
        return None

    def right(case: Case) -> list[np.ndarray]:
        xs, p = np.concatenate([x.T for _, x in case.inputs]), case.params
        heads = []
        for path in paths:
            q, k, v = (xs @ p[f"{path}{n}.W"].T + p[f"{path}{n}.B"].T for n in ("Query", "Key", "Value"))
            scores = np.where(np.tri(len(xs), dtype=bool), scale * q @ k.T, -np.inf)
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            heads.append(weights / weights.sum(axis=1, keepdims=True) @ v)
        ys = np.concatenate(heads, axis=1)
        if "OutputMerge.W" in p:
            ys = ys @ p["OutputMerge.W"].T + p["OutputMerge.B"].T
        return [y[:, None] for y in ys[first:]]

    return Instead("its causal mask does not count the cached steps; the oracle is the whole sequence in NumPy", right)


@golden("nn.selfattention")
def self_attention(case: Case) -> Computation:
    """One head."""
    scale = case.config["scale_factor"]
    return Computation(
        lambda params, inputs: _run(case, _head(case, params, "", scale), inputs), _late_mask(case, [""], scale)
    )


@golden("nn.multiheadattention")
def multi_head(case: Case) -> Computation:
    """The heads' matrices are fused; spaGO main's backward pass never ends, so that there are no gradients there."""
    count = case.config["heads"]
    scale = (case.config["size"] // count) ** -0.5
    stem = "Heads" if "Heads.0.Query.W" in case.params else "Attention"
    paths = [f"{stem}.{place}." for place in range(count)]

    def function(params, inputs):
        heads = [_head(case, params, path, scale) for path in paths]
        layer = MultiHeadAttention.from_heads(
            heads, linear_from(params, "OutputMerge."), causal=bool(case.config["causal"])
        )
        return _run(case, layer, inputs)

    return Computation(function, _late_mask(case, paths, scale))


@golden("nn.lshattention")
def lsh(case: Case) -> Computation:
    """R is not trained."""

    def function(params, inputs):
        layer = LSHAttention(
            query=linear_from(params, "Query."),
            value=linear_from(params, "Value."),
            rotations=params["R"],
            scale=case.config["scale_factor"],
        )
        return columns(layer(sequence(inputs)))

    return Computation(function)


@golden("nn.syntheticattention")
def synthetic(case: Case) -> Computation:
    """The outputs are rows in spaGO."""

    def function(params, inputs):
        layer = SyntheticAttention(
            hidden=linear_from(params, "FFN.Layers.0."), value=linear_from(params, "Value."), weight=params["W"]
        )
        return [vector(y)[None] for y in layer(sequence(inputs))]

    return Computation(function)
