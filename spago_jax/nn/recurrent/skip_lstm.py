# SPDX-License-Identifier: BSD-2-Clause
"""The LSTM with dynamic skip connections."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from spago_jax.core import Array, param, static
from spago_jax.errors import InputError
from spago_jax.nn.linear import Linear
from spago_jax.nn.recurrent.base import Recurrent, affine
from spago_jax.nn.recurrent.lstm import LSTM
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.linear import accumulation_dtype, float_dtype, matmul
from spago_jax.ops.lstm import LSTMState, lstm_update
from spago_jax.ops.recurrence import push, scan_recurrence


class SkipState(NamedTuple):
    """The last ``actions`` steps, newest first.

    ``hidden`` [..., actions, out]; ``cell`` [..., actions, out], in float32 at least; ``known`` [..., actions], 1 for
    the steps that there have been.
    """

    hidden: Array
    cell: Array
    known: Array


class SkipActions(NamedTuple):
    """What the policy chose: ``probabilities`` [..., time, actions], ``log_prob`` and ``action`` [..., time]."""

    probabilities: Array
    log_prob: Array
    action: Array


class SkipLSTM(Recurrent):
    """LSTM with dynamic skip connections: [..., time, in] -> [..., time, out] and the final state.

        a = softmax(V tanh(U [h[t-1]; x] + u) + v),  k = argmax a            (the policy; its input is detached)
        h' = mix h[t-1-k] + (1 - mix) h[t-1],  c' = mix c[t-1-k] + (1 - mix) c[t-1]
        i, f, g, o = W x + b + W' h'
        c = sigmoid(f) c' + sigmoid(i) tanh(g),  h = sigmoid(o) tanh(c)

    Where there has been no step t-1-k, h' and c' are h[t-1] and c[t-1]. No gradient comes to the policy from the
    outputs: it is trained by reinforcement through ``actions``. ``input_weight`` [4 * out, in], ``recurrent_weight``
    [4 * out, out], ``bias`` [4 * out] in PyTorch's order i, f, g, o; ``policy_hidden`` and ``policy_output`` are the
    affine layers U and V. Source: Gui, Zhang, Zhao, Lin, Peng, Gong and Huang, "Long short-term memory with dynamic
    skip connections" (2019); spaGO nn/recurrent/lstmsc.

    >>> cell = SkipLSTM.init(jax.random.key(0), 3, 2, actions=4)
    >>> ys, state = cell(jnp.ones((5, 3)))
    >>> ys.shape, state.hidden.shape, bool((state.hidden[0] == ys[-1]).all())
    ((5, 2), (4, 2), True)
    """

    input_weight: Array
    recurrent_weight: Array
    policy_hidden: Linear
    policy_output: Linear
    bias: Array = param(decay=False)
    mix: float = static(default=0.5)

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        out_features: int,
        *,
        actions: int = 5,
        mix: float = 0.5,
        policy_features: int = 16,
        forget_bias: float = 1.0,
    ) -> "SkipLSTM":
        """As an LSTM, and a Xavier-uniform policy.

        Args:
            key: the randomness.
            in_features: size of an input.
            out_features: size of an output.
            actions: how many past states the policy chooses from.
            mix: weight of the chosen state beside the last one, in [0, 1].
            policy_features: size of the policy's hidden layer.
            forget_bias: of the forget gate.

        Raises:
            InputError: for a size below 1 or a mix outside [0, 1].
        """
        check_sizes("SkipLSTM", actions=actions, policy_features=policy_features)
        if not 0.0 <= mix <= 1.0:
            raise InputError(f"SkipLSTM: mix is {mix}, expected a number in [0, 1]")
        keys = jax.random.split(key, 3)
        lstm = LSTM.init(keys[0], in_features, out_features, forget_bias=forget_bias)
        return cls(
            input_weight=lstm.input_weight,
            recurrent_weight=lstm.recurrent_weight,
            policy_hidden=Linear.init(keys[1], out_features + in_features, policy_features, activation="tanh"),
            policy_output=Linear.init(keys[2], policy_features, actions),
            bias=lstm.bias,
            mix=mix,
        )

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.input_weight.shape[1]

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.recurrent_weight.shape[1]

    @property
    def choices(self) -> int:
        """How many past states the policy chooses from."""
        return self.policy_output.weight.shape[0]

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> SkipState:
        """No step yet; cells in float32 at least."""
        dtype = float_dtype(dtype, self)
        shape, wide = (*lead, self.choices, self.out_features), accumulation_dtype(dtype)
        return SkipState(jnp.zeros(shape, dtype), jnp.zeros(shape, wide), jnp.zeros(shape[:-1], wide))

    def project(self, xs: Array) -> tuple[Array, Array]:
        """``W x + b`` [..., 4 * out] and the inputs' share ``U x + u`` of the policy, in the accumulation dtype."""
        weight = self.policy_hidden.weight[:, self.out_features :]
        policy = affine(jax.lax.stop_gradient(xs), weight, self.policy_hidden.bias)
        return affine(xs, self.input_weight, self.bias), policy

    def policy(self, state: SkipState, z: Array) -> Array:
        """The probabilities of the actions, given the projected input of the policy: [..., actions]."""
        weight = self.policy_hidden.weight[:, : self.out_features]
        hidden = jnp.tanh(z + matmul(jax.lax.stop_gradient(state.hidden[..., 0, :]), weight))
        hidden = hidden.astype(state.hidden.dtype)
        return jax.nn.softmax(affine(hidden, self.policy_output.weight, self.policy_output.bias), axis=-1)

    def step(self, state: SkipState, z: tuple[Array, Array]) -> tuple[SkipState, Array]:
        """One step from a projected input."""
        gates, policy = z
        probabilities = jax.lax.stop_gradient(self.policy(state, policy))
        # One-hot over the past states; none where the chosen one has not been yet.
        chosen = jax.nn.one_hot(jnp.argmax(probabilities, axis=-1), self.choices, dtype=gates.dtype)
        chosen = jax.lax.stop_gradient(chosen * state.known.astype(gates.dtype))
        share = self.mix * jnp.sum(chosen, axis=-1, keepdims=True)

        def mixed(past: Array) -> Array:
            wide = past.astype(gates.dtype)
            result = (1 - share) * wide[..., 0, :]
            for k in range(
                self.choices
            ):  # a reduction over the axis would be slow: XLA's CPU backend runs it in scalars
                result = result + self.mix * chosen[..., k, None] * wide[..., k, :]
            return result.astype(past.dtype)

        last = LSTMState(mixed(state.hidden), mixed(state.cell))
        new = lstm_update(gates + matmul(last.hidden, self.recurrent_weight), last)
        known = push(state.known[..., None], jnp.ones_like(state.known[..., :1]))[..., 0]
        return SkipState(push(state.hidden, new.hidden), push(state.cell, new.cell), known), new.hidden

    def actions(
        self, xs: Array, lengths: Array | None = None, *, initial: SkipState | None = None, reverse: bool = False
    ) -> SkipActions:
        """What the policy chooses, differentiable in the policy's parameters: for the loss of policy gradients.

        A first step has no choice; its entries are zero, as are those beyond the lengths.
        """
        joint, _ = scan_recurrence(_Policy(self), xs, lengths=lengths, initial=initial, reverse=reverse)
        probabilities, log_prob, action = jnp.split(joint, [self.choices, self.choices + 1], axis=-1)
        return SkipActions(probabilities, log_prob[..., 0], action[..., 0].astype(jnp.int32))


class _Policy:
    """The cell with the policy's choice for outputs."""

    def __init__(self, cell: SkipLSTM):
        self.cell = cell
        self.initial_state, self.project = cell.initial_state, cell.project

    def step(self, state: SkipState, z: tuple[Array, Array]) -> tuple[SkipState, Array]:
        probabilities = self.cell.policy(state, z[1])
        action = jnp.argmax(probabilities, axis=-1)[..., None]
        log_prob = jnp.log(jnp.take_along_axis(probabilities, action, axis=-1))
        joint = jnp.concatenate([probabilities, log_prob, action.astype(log_prob.dtype)], axis=-1)
        return self.cell.step(state, z)[0], joint * state.known[..., :1].astype(joint.dtype)
