# SPDX-License-Identifier: BSD-2-Clause
"""The encoder, or the decoder: embeddings, layers, and the norm after them."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, child, static
from spago_jax.core.initializers import normal
from spago_jax.errors import InputError
from spago_jax.models.encoder.embeddings import rows_of
from spago_jax.models.encoder.encoder import row_of, stack_of, visible
from spago_jax.models.encoder.relative import relative_bias, relative_bias_at
from spago_jax.models.encoder_decoder.config import EncoderDecoderConfig, StackConfig
from spago_jax.models.encoder_decoder.layer import Layer, Norm, init_norm
from spago_jax.models.encoder_decoder.positions import sinusoids
from spago_jax.models.encoder_decoder.state import State
from spago_jax.models.execution import Execution, LayerStack, run_layers
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.ops.dropout import dropout
from spago_jax.ops.embedding import take_rows


class Stack(Module, LayerStack):
    """Tokens to a state each: int[..., time] -> [..., time, hidden].

    The parameters of all layers are stacked, one array for each, with a leading axis of layers. The table of words is
    the model's, since both stacks may share it.
    """

    positions: Array | None
    embedding_norm: LayerNorm | None
    layers: Layer | tuple[Layer, ...]
    norm: Norm | None
    relative_bias: Array | None
    config: EncoderDecoderConfig = static()
    decodes: bool = static(default=False)

    @classmethod
    def init(cls, key: Array, config: EncoderDecoderConfig, *, decodes: bool) -> "Stack":
        """Normal weights, biases of zeros, gains of ones."""
        first, second, third = jax.random.split(key, 3)
        family, std = config.family, config.std(config.hidden)
        rows = config.positions + family.offset
        heads = (config.decoder if decodes else config.encoder).heads
        norm = LayerNorm.init(config.hidden, eps=config.eps) if family.norms_embeddings else None
        return cls(
            positions=normal(first, (rows, config.hidden), std) if family.positions == "learned" else None,
            embedding_norm=norm,
            layers=Layer.init(second, config, decodes=decodes),
            norm=init_norm(config) if family.norms_states else None,
            relative_bias=normal(third, (config.relative, heads), std) if family.positions == "relative" else None,
            config=config,
            decodes=decodes,
        )

    @property
    def sizes(self) -> StackConfig:
        """Those of this stack."""
        return self.config.decoder if self.decodes else self.config.encoder

    def separate(self) -> "Stack":
        """The same stack with an array per layer, to run and not to be saved; see ``Encoder.separate``."""
        if isinstance(self.layers, tuple):
            return self
        return self.replace(layers=tuple(self._rows(row_of)))

    def stacked(self) -> "Stack":
        """The same stack with the arrays of all layers in one, to be saved: the reverse of ``separate``."""
        return self.replace(layers=stack_of(self.layers))

    def __call__(
        self,
        ids: Array,
        words: Array,
        memory: Array | None = None,
        memory_mask: Array | None = None,
        *,
        mask: Array | None = None,
        lengths: Array | None = None,
        rng: Rng | None = None,
        how: Execution,
    ) -> Array:
        """int[..., time] -> [..., time, hidden].

        Args:
            ids: int[..., time].
            words: [vocabulary, hidden], the table of words.
            memory: [..., source, hidden], what a decoder reads.
            memory_mask: bool[..., source], which of it is real.
            mask: bool or int[..., time], which tokens are real.
            lengths: int[...] instead: how many are, with padding on the right.
            rng: randomness of the dropout.
            how: of the execution.

        Raises:
            InputError: for lengths beside a mask, and for more tokens than there are positions.
        """
        how = how.resolved(separate=isinstance(self.layers, tuple), trains=rng is not None)
        seen, memory_seen = visible(lengths, mask, None), visible(None, memory_mask, None)
        x = self._embedded(ids, words, None, rng, how)
        if self.relative_bias is not None:
            of = {"count": self.config.relative, "farthest": self.config.farthest}
            seen["bias"] = relative_bias(self.relative_bias, ids.shape[-1], both=not self.decodes, **of)

        def step(layer: Layer, x: Array, number: Any) -> Array:
            own = child(rng, "layer")
            own = None if own is None else own.at(number)
            y = layer(x, memory, memory_seen=memory_seen, rng=own, how=how, causal=self.decodes, **seen)
            rate = self.sizes.layer_dropout
            if own is None or rate == 0.0:
                return y
            return jnp.where(own["whole"].bernoulli(rate, ()), x, y)

        x, _ = run_layers(step, self.layers, x, [(row,) for row in range(self.sizes.layers)], how)
        return self._normed(x, rng, how)

    def project(self, memory: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The keys and values of a source, per layer: [batch, source, hidden] -> [batch, heads, source, size]."""
        pairs = [layer.memory_attention.project(memory, self.sizes.heads) for layer in self._rows()]  # type: ignore
        return tuple(keys for keys, _ in pairs), tuple(values for _, values in pairs)

    def step(self, ids: Array, words: Array, state: State, how: Execution) -> tuple[Array, State]:
        """The next token of every beam: int[batch, beams] -> [batch, beams, hidden], and the state after it."""
        how = how.resolved(separate=True)
        state = state.wrote()
        seen = how.settle(state.seen())
        memory_seen = None if state.mask is None else state.mask[:, None, None, :]
        bias = None
        if self.relative_bias is not None:
            of = {"count": self.config.relative, "farthest": self.config.farthest}
            members = seen.shape[-2]
            bias = relative_bias_at(self.relative_bias, state.position, seen.shape[-1] // members, **of)
            bias = jnp.repeat(bias, members, axis=-1)[:, None, :]
        x = self._embedded(ids[..., None], words, state.position, None, how)[..., 0, :]
        keys, values = list(state.keys), list(state.values)
        for row, layer in enumerate(self._rows()):
            x, keys[row], values[row] = layer.step(
                x,
                keys[row],
                values[row],
                (state.memory_keys[row], state.memory_values[row]),
                position=state.position,
                seen=seen,
                bias=bias,
                memory_seen=memory_seen,
                how=how,
            )
        after = state._replace(keys=tuple(keys), values=tuple(values), position=state.position + 1)
        return self._normed(x, None, how), after

    def _rows(self, take: Any = lambda stack, row: stack[row]) -> list[Layer]:
        if isinstance(self.layers, tuple):
            return list(self.layers)
        return [
            jax.tree.map(lambda a, row=row: take(a, row), self.layers) for row in range(self.sizes.layers)
        ]  # fmt: skip

    def _embedded(self, ids: Array, words: Array, first: Array | None, rng: Rng | None, how: Execution) -> Array:
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise InputError(f"token ids have dtype {ids.dtype}, expected integers")
        config = self.config
        x = rows_of(words, ids, None if config.family.pads_learn else config.padding)
        if config.scales_embeddings:
            x = x * jnp.asarray(math.sqrt(config.hidden), x.dtype)
        if config.family.positions != "relative":
            x = x + self._positions(ids.shape[-1], first).astype(x.dtype)
        x = how.settle(x)
        if self.embedding_norm is not None:
            x = how.settle(self.embedding_norm(x))
        return dropout(x, config.dropout, child(rng, "embeddings"))

    def _positions(self, time: int, first: Array | None) -> Array:
        longest, offset = self.config.positions, self.config.family.offset
        table = sinusoids(longest, self.config.hidden) if self.positions is None else self.positions
        if first is not None:
            return take_rows(jnp.asarray(table), first[None] + offset)
        if not isinstance(time, int):  # an export's, which is not known
            return take_rows(jnp.asarray(table), jnp.arange(time) + offset)
        if time > longest:
            raise InputError(f"{time} tokens, and {self.config.architecture} has positions for {longest}: cut the text")
        return jnp.asarray(table[offset : offset + time])

    def _normed(self, x: Array, rng: Rng | None, how: Execution) -> Array:
        if self.norm is not None:
            x = how.settle(self.norm(x))
        if self.config.family.positions == "relative":
            x = dropout(x, self.config.dropout, child(rng, "states"))
        return x
