# SPDX-License-Identifier: BSD-2-Clause
"""The encoder of BERT, RoBERTa, XLM-R, CamemBERT, DistilBERT, ELECTRA, ALBERT and MPNet."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from spago_jax.core import Array, Module, Rng, child, static
from spago_jax.core.initializers import normal
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.models.encoder.config import EncoderConfig
from spago_jax.models.encoder.embeddings import Embeddings
from spago_jax.models.encoder.layer import Layer
from spago_jax.models.encoder.relative import relative_bias
from spago_jax.models.execution import Execution, LayerStack, current_execution, run_layers


class Encoder(Module, LayerStack):
    """Texts to a state per token, ``layer_n(... layer_1(embeddings(ids)))``: int[..., time] -> [..., time, hidden].

    The parameters of all layers are stacked, one array for each, with a leading axis of layers. Source: Devlin et al.
    (2019), Liu et al. (2019), Sanh et al. (2019), Clark et al. (2020), Lan et al. (2020), Song et al. (2020).

    >>> config = EncoderConfig(vocabulary=9, hidden=4, layers=2, heads=2, intermediate=8, positions=6)
    >>> encoder = Encoder.init(jax.random.key(0), config)
    >>> encoder(jnp.array([[2, 5, 3]])).shape, encoder.layers.up.weight.shape
    ((1, 3, 4), (2, 8, 4))
    """

    embeddings: Embeddings
    layers: Layer | tuple[Layer, ...]
    relative_bias: Array | None
    config: EncoderConfig = static()

    @classmethod
    def init(cls, key: Array, config: EncoderConfig) -> "Encoder":
        """Normal weights with the config's ``initializer_range``, biases of zeros, gains of ones."""
        keys = jax.random.split(key, 3)
        relative = normal(keys[2], (config.relative, config.heads), config.initializer_range)
        return cls(
            embeddings=Embeddings.init(keys[0], config),
            layers=Layer.init(keys[1], config),
            relative_bias=relative if config.relative else None,
            config=config,
        )

    def __call__(
        self,
        ids: Array,
        *,
        lengths: Array | None = None,
        mask: Array | None = None,
        types: Array | None = None,
        positions: Array | None = None,
        segments: Array | None = None,
        rng: Rng | None = None,
        execution: Execution | None = None,
    ) -> Array:
        """int[..., time] -> [..., time, hidden].

        Args:
            ids: int[..., time], the tokens.
            lengths: int[...], how many tokens are real; padding is on the right.
            mask: bool or int[..., time] instead: which tokens are real, wherever they stand.
            types: int[..., time], token types; zeros if None.
            positions: int[..., time]; by default those of the architecture.
            segments: int[..., time], which text of a packed row each token belongs to, 0 for padding: a token sees its
                own text alone, and positions start again with each.
            rng: randomness of the dropout, or None for none.
            execution: how the layers run; by default as the block around says.

        Raises:
            InputError: for lengths beside a mask, and for more tokens than there are positions.
        """
        inputs = {"lengths": lengths, "mask": mask, "types": types, "positions": positions, "segments": segments}
        return self._run(ids, inputs, rng, execution, collect=False)[-1]

    def separate(self) -> "Encoder":
        """The same encoder with an array per layer, ``layers.0.up.weight``, to run texts and not to be saved.

        A program that runs stacked layers copies each one's parameters before it multiplies with them, which for a
        single short text takes a fifth of the time.
        """
        if isinstance(self.layers, tuple):
            return self
        rows = range(self.config.stacked)
        return self.replace(layers=tuple(jax.tree.map(lambda a, row=row: row_of(a, row), self.layers) for row in rows))

    def stacked(self) -> "Encoder":
        """The same encoder with the arrays of all layers in one, to be saved: the reverse of ``separate``."""
        return self.replace(layers=stack_of(self.layers))

    def all_states(self, ids: Array, *, rng: Rng | None = None, execution: Execution | None = None, **inputs) -> Array:
        """The embeddings' output and that of every layer: [layers + 1, ..., time, hidden].

        The arguments are those of a call.
        """
        first, rest, _ = self._run(ids, inputs, rng, execution, collect=True)
        return jnp.concatenate([first[None], rest])

    def _run(
        self, ids: Array, inputs: dict[str, Any], rng: Rng | None, execution: Execution | None, *, collect: bool
    ) -> tuple[Array, Any, Array]:
        how = current_execution(execution).resolved(separate=isinstance(self.layers, tuple), trains=rng is not None)
        seen = visible(inputs.pop("lengths", None), inputs.pop("mask", None), inputs.get("segments"))
        first = self.embeddings(ids, rng=rng, how=how, **inputs)
        if self.relative_bias is not None:
            seen["bias"] = relative_bias(self.relative_bias, ids.shape[-1])

        def step(layer: Layer, x: Array, number: int | Array) -> Array:
            own = child(rng, "layer")
            return layer(x, rng=None if own is None else own.at(number), how=how, **seen)

        last, rest = run_layers(step, self.layers, first, self.config.order, how, collect=collect)
        return first, rest, last


def row_of(stack: PyTree, row: int) -> Any:
    """Returns a layer's array of a stack; on a CPU it lies in the stack's memory where its first number is aligned."""
    if isinstance(stack, jax.Array) and not isinstance(stack, Tracer):
        devices = stack.devices()
        if len(devices) == 1 and next(iter(devices)).platform == "cpu":
            return jax.device_put(np.asarray(stack)[row], stack.sharding)
    return stack[row]


def stack_of(layers: Any) -> Any:
    """Returns layers as one, whose arrays [layers, ...] lie in the host's memory; as they are where they are one."""
    if not isinstance(layers, tuple):
        return layers
    return jax.tree.map(lambda *rows: np.stack([np.asarray(row) for row in rows]), *layers)


def visible(lengths: Array | None, mask: Array | None, segments: Array | None) -> dict[str, Any]:
    """The arguments of attention for what the tokens of a batch may see.

    Raises:
        InputError: for lengths beside a mask.
    """
    if lengths is not None and mask is not None:
        raise InputError("lengths and a mask were given; give the one or the other")
    seen: dict[str, Any] = {"lengths": lengths, "segments": segments}
    if mask is not None:
        seen["mask"] = jnp.asarray(mask).astype(bool)[..., None, None, :]
    return {name: value for name, value in seen.items() if value is not None}
