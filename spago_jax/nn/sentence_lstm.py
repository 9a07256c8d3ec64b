# SPDX-License-Identifier: BSD-2-Clause
"""The sentence-state LSTM."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, param, static
from spago_jax.core.initializers import blocks, uniform, xavier_uniform
from spago_jax.errors import InputError, did_you_mean
from spago_jax.nn.recurrent.base import affine
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import fast_sigmoid
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import as_float, matmul
from spago_jax.ops.masks import length_mask, same_steps, some_steps

FORMS = ("paper", "spago")


class SentenceLSTM(Module):
    """Sentence-state LSTM: [..., time, in] -> [..., time, out] and the sentence's state [..., out].

    Each word has a state, and the sentence has one. Each of ``steps`` rounds updates all at once: a word from its
    neighbours, its input and the sentence; the sentence from all words.

        i, l, r, f, s, o = sigmoid(W [h[t-1]; h[t]; h[t+1]] + U x[t] + V g + b),  u = tanh(...) likewise
        c[t] = l c[t-1] + f c[t] + r c[t+1] + s cg + i u,  h[t] = o tanh(c[t])
        fg = sigmoid(Wf g + Uf mean(h) + bf),  og likewise,  fi[t] = sigmoid(Wi g + Ui h[t] + bi)
        cg = fg cg + sum over t of fi[t] c[t],  g = og tanh(cg)

    In the paper's form (``form="paper"``) i, l, r, f, s go through a softmax over the five of them, and fg and all
    fi[t] through one over the sentence. spaGO's (``form="spago"``) leaves both out, and has g in the place of cg. Its
    third oddity, U's block of u used for V's, is not kept: copying the one to the other has the same effect.

    The fused arrays hold the blocks i, l, r, f, s, o, u: ``window_weight`` W [7 * out, 3 * out], ``input_weight``
    U [7 * out, in], ``sentence_weight`` V [7 * out, out], ``bias`` [7 * out]; and the blocks fg, fi, og:
    ``global_weight`` [3 * out, out] for g, ``local_weight`` [3 * out, out] for h, ``global_bias`` [3 * out]. ``start``
    and ``end`` [out] stand beside the first and the last word, as state and as cell; ``first`` [out] is where all
    states begin.

    Source: Zhang, Liu and Song, "Sentence-state LSTM for text representation" (2018); spaGO gnn/slstm, whose ``Steps``
    counts the beginning: one more than ``steps``.

    >>> model = SentenceLSTM.init(jax.random.key(0), 3, 4, steps=2)
    >>> ys, sentence = model(jnp.ones((5, 3)))
    >>> ys.shape, sentence.shape
    ((5, 4), (4,))
    """

    window_weight: Array
    input_weight: Array
    sentence_weight: Array
    global_weight: Array
    local_weight: Array
    start: Array
    end: Array
    first: Array
    bias: Array = param(decay=False)
    global_bias: Array = param(decay=False)
    steps: int = static(default=3)
    form: str = static(default="paper")

    @classmethod
    def init(
        cls, key: Array, in_features: int, out_features: int, *, steps: int = 3, form: str = "paper"
    ) -> "SentenceLSTM":
        """Xavier-uniform weights (a block per gate), small states to begin with, biases of zeros.

        Raises:
            InputError: for a size or a number of steps below 1, or an unknown form.
        """
        check_sizes("SentenceLSTM", in_features=in_features, out_features=out_features, steps=steps)
        if form not in FORMS:
            raise InputError(f"SentenceLSTM: unknown form {form!r}, {did_you_mean(form, FORMS)}")
        keys = jax.random.split(key, 8)
        out = out_features
        return cls(
            window_weight=blocks(keys[0], 7, lambda k: xavier_uniform(k, (out, 3 * out))),
            input_weight=blocks(keys[1], 7, lambda k: xavier_uniform(k, (out, in_features))),
            sentence_weight=blocks(keys[2], 7, lambda k: xavier_uniform(k, (out, out))),
            global_weight=blocks(keys[3], 3, lambda k: xavier_uniform(k, (out, out))),
            local_weight=blocks(keys[4], 3, lambda k: xavier_uniform(k, (out, out))),
            start=uniform(keys[5], (out,), 0.1),
            end=uniform(keys[6], (out,), 0.1),
            first=uniform(keys[7], (out,), 0.1),
            bias=jnp.zeros(7 * out),
            global_bias=jnp.zeros(3 * out),
            steps=steps,
            form=form,
        )

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.input_weight.shape[1]

    @property
    def out_features(self) -> int:
        """The size of a word's and of the sentence's state."""
        return self.start.shape[0]

    def __call__(self, xs: Array, lengths: Array | None = None) -> tuple[Array, Array]:
        """[..., time, in], int[...] -> words' states (zero beyond the lengths) and the sentence's state."""
        given = xs
        xs, lengths = some_steps(xs, lengths)
        time = xs.shape[-2]
        if lengths is None:
            lengths = jnp.full(xs.shape[:-2], time, jnp.int32)
        mask = length_mask(jnp.asarray(lengths), time)[..., None]
        xs = as_float(xs, self)
        xs = jnp.where(mask, xs, jnp.zeros((), xs.dtype))
        z = affine(xs, self.input_weight, self.bias)
        ends = jnp.asarray(lengths)[..., None] - 1
        last = (over(jnp.arange(time), ends) == ends)[..., None]

        def body(state: tuple[Array, Array, Array, Array], _: None):
            return self._round(state, z, mask, last, xs.dtype), None

        words = jnp.broadcast_to(self.first.astype(z.dtype), (*xs.shape[:-1], self.out_features))
        sentence = jnp.broadcast_to(self.first.astype(z.dtype), (*xs.shape[:-2], self.out_features))
        state, _ = jax.lax.scan(body, (words, words, sentence, sentence), None, length=self.steps)
        ys = jnp.where(mask, state[0], jnp.zeros((), z.dtype))
        return same_steps(ys.astype(xs.dtype), given), state[2].astype(xs.dtype)

    def _round(self, state: tuple[Array, Array, Array, Array], z: Array, mask: Array, last: Array, dtype):
        """One round: the words' states and cells [..., time, out], the sentence's [..., out]."""
        hidden, cell, g, g_cell = state
        memory = g_cell if self.form == "paper" else g
        left, right = self._neighbours(hidden, last)
        window = jnp.concatenate([left, hidden, right], axis=-1).astype(dtype)
        shared = matmul(g.astype(dtype), self.sentence_weight)[..., None, :]
        gates = z + matmul(window, self.window_weight) + shared
        *five, o, u = jnp.split(gates, 7, axis=-1)
        five = jnp.stack([fast_sigmoid(gate) for gate in five])
        if self.form == "paper":
            five = jax.nn.softmax(five, axis=0)
        i, l, r, f, s = five  # noqa: E741  (the paper's names)
        cell_left, cell_right = self._neighbours(cell, last)
        mixed = l * cell_left + f * cell + r * cell_right + s * memory[..., None, :] + i * jnp.tanh(u)
        new_hidden = fast_sigmoid(o) * jnp.tanh(mixed)

        count = jnp.maximum(jnp.sum(mask, axis=-2), 1).astype(z.dtype)
        mean = jnp.sum(jnp.where(mask, hidden, jnp.zeros((), z.dtype)), axis=-2) / count
        of_sentence = affine(g.astype(dtype), self.global_weight, self.global_bias)
        out = self.out_features
        of_mean = matmul(mean.astype(dtype), jnp.concatenate([self.local_weight[:out], self.local_weight[2 * out :]]))
        of_words = matmul(hidden.astype(dtype), self.local_weight[out : 2 * out])
        forget = fast_sigmoid(of_sentence[..., :out] + of_mean[..., :out])
        output = fast_sigmoid(of_sentence[..., 2 * out :] + of_mean[..., out:])
        write = fast_sigmoid(of_sentence[..., None, out : 2 * out] + of_words)
        if self.form == "paper":
            joint = jnp.concatenate([forget[..., None, :], write], axis=-2)
            some = jnp.concatenate([jnp.ones_like(mask[..., :1, :]), mask], axis=-2)
            joint = jax.nn.softmax(joint, axis=-2, where=some)
            forget, write = joint[..., 0, :], joint[..., 1:, :]
        written = jnp.sum(jnp.where(mask, write * cell, jnp.zeros((), z.dtype)), axis=-2)
        new_cell = forget * memory + written
        return new_hidden, mixed, output * jnp.tanh(new_cell), new_cell

    def _neighbours(self, x: Array, last: Array) -> tuple[Array, Array]:
        """What stands left and right of each word [..., time, out]; ``start`` and ``end`` at the edges."""
        start = jnp.broadcast_to(self.start.astype(x.dtype), x[..., :1, :].shape)
        end = jnp.broadcast_to(self.end.astype(x.dtype), x[..., :1, :].shape)
        left = jnp.concatenate([start, x[..., :-1, :]], axis=-2)
        right = jnp.concatenate([x[..., 1:, :], end], axis=-2)
        return left, jnp.where(last, over(self.end.astype(x.dtype), right), right)
