# SPDX-License-Identifier: BSD-2-Clause
"""The train step and the evaluation step, each a Program; one call runs several steps on the device."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from spago_jax.compiler import Program, compile
from spago_jax.core import Array, Module, Precision, Rng, combine, partition, with_losses
from spago_jax.core.partition import Where
from spago_jax.core.tree import PyTree
from spago_jax.models.execution import Execution, cast_but_layers, execution
from spago_jax.optim import current_learning_rate
from spago_jax.train.layout import Layout
from spago_jax.train.state import TrainState
from spago_jax.train.task import Batch, Loss, Objective
from spago_jax.train.watch.measures import NOTHING, Measures

Totals = dict[str, Array]


def no_totals(measures: Measures) -> Totals:
    """Returns the zero sums that a call of the train program starts from."""
    return {
        **measures.start(),
        "loss": jnp.zeros((), jnp.float32),
        "weight": jnp.zeros((), jnp.float32),
        "gradient_norm": jnp.zeros((), jnp.float32),
        "learning_rate": jnp.zeros((), jnp.float32),
        "bad_step": jnp.full((), -1, jnp.int32),
    }


def train_program(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    trained: Where,
    layout: Layout | None,
    precision: Precision,
    *,
    average: float | None = None,
    measures: Measures = NOTHING,
    how: Execution | None = None,
) -> Program:
    """Returns a Program ``(state, block, count) -> (state, totals)`` that takes ``count`` training steps.

    The arrays of ``block`` are [steps, batch, ...]; ``count`` of the steps are real, so that one program serves full
    and partial blocks. The state is donated. On several devices, ``layout`` says where its arrays lie; it is the same
    program, which XLA splits over them: losses, gradients and random numbers are those of the whole batch. The totals
    include the values that ``measures`` asks for; ``how`` says how stacks of layers run.
    """

    cast_in_layers = dataclasses.replace(how or Execution(), layer_dtype=precision.compute)

    def one_step(state: TrainState, totals: Totals, batch: Batch) -> tuple[TrainState, Totals]:
        params, rest = partition(state.model, trained)
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)

        def loss(params: PyTree) -> tuple[Array, Any]:
            model = combine(params, rest)
            if layout is None:
                model = cast_but_layers(model, precision.compute)
            else:  # cast first, arrays in parts are brought together with half the bytes
                model = layout.whole(precision.to_compute(model))
            with measures.collect() as taps, execution(cast_in_layers):
                found = training_loss(objective, model, batch, state.carry, Rng(key))
            aux = found.weight.astype(jnp.float32), found.carry, measures.inside(taps)
            return found.total.astype(jnp.float32), aux

        (total, (weight, carry, inside)), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        divisor = jnp.maximum(weight, 1e-8)
        gradients = jax.tree.map(lambda g: (g / divisor).astype(g.dtype), gradients)
        with jax.named_scope("optimizer"):  # one box in pictures and profiles, like a module
            norm = optax.tree.norm(gradients)
            updates, memory = optax.with_extra_args_support(optimizer).update(
                gradients, state.optimizer, params, weight=weight
            )
            before, params = params, optax.apply_updates(params, updates)
            step = state.step + 1
            averaged = state.average
            if average is not None:
                decay = jnp.minimum(average, (1.0 + step) / (10.0 + step))
                averaged = jax.tree.map(lambda a, p: (decay * a + (1 - decay) * p).astype(a.dtype), averaged, params)
        bad = ~jnp.isfinite(total) | ~jnp.isfinite(norm)
        first_bad = (totals["bad_step"] < 0) & bad
        watched = measures.step(
            totals, inside, loss=total, gradients=gradients, params=before, updates=updates, first_bad=first_bad
        )
        totals = {
            **watched,
            "loss": totals["loss"] + total,
            "weight": totals["weight"] + weight,
            "gradient_norm": totals["gradient_norm"] + norm.astype(jnp.float32),
            "learning_rate": current_learning_rate(memory).astype(jnp.float32),
            "bad_step": jnp.where(first_bad, step, totals["bad_step"]),
        }
        state = state.replace(model=combine(params, rest), optimizer=memory, average=averaged, carry=carry, step=step)
        return (state if layout is None else layout.keep(state)), totals

    def train_block(state: TrainState, block: Batch, count: Array) -> tuple[TrainState, Totals]:
        steps = jax.tree.leaves(block)[0].shape[0]
        if steps == 1:
            return one_step(state, no_totals(measures), jax.tree.map(lambda a: a[0], block))

        def body(i: Array, carried: tuple[TrainState, Totals]) -> tuple[TrainState, Totals]:
            batch = jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, i, keepdims=False), block)
            return one_step(*carried, batch)

        return jax.lax.fori_loop(0, count, body, (state, no_totals(measures)))

    if layout is None:
        return compile(train_block, donate="state")

    def train_block_on_mesh(state: TrainState, block: Batch, count: Array) -> tuple[TrainState, Totals]:
        with layout.splitting():
            state, totals = train_block(state, block, count)
        return layout.keep(state), layout.everywhere(totals)

    return compile(train_block_on_mesh, donate="state", name="train_block")


def training_loss(objective: Objective, model: Module, batch: Batch, carry: PyTree, rng: Rng) -> Loss:
    """Returns the objective's loss plus the auxiliary losses of layers, weighted like the loss itself."""
    found, extra = with_losses(objective.loss)(model, batch, carry, rng)
    return found if extra is None else dataclasses.replace(found, total=found.total + extra * found.weight)


def evaluation_program(objective: Objective, layout: Layout | None, precision: Precision) -> Program:
    """Returns a Program ``(model, block, carry) -> (outputs, carry)``; outputs keep the axes [steps, batch]."""

    def evaluate_block(model: Module, block: Batch, carry: PyTree) -> tuple[Any, Any]:
        model = precision.to_compute(model)
        if layout is not None:
            model = layout.whole(model)

        def body(carry: PyTree, batch: Batch) -> tuple[Any, Any]:
            outputs, carry = objective.predict(model, batch, carry)
            return carry, objective.measure(model, batch, outputs)

        carry, outputs = jax.lax.scan(body, carry, block)
        return outputs, carry

    if layout is None:
        return compile(evaluate_block)

    def evaluate_block_on_mesh(model: Module, block: Batch, carry: PyTree) -> tuple[Any, Any]:
        with layout.splitting():
            outputs, carry = evaluate_block(model, block, carry)
        return layout.outputs(outputs), layout.carried(carry)

    return compile(evaluate_block_on_mesh, name="evaluate_block")
