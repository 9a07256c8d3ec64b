# SPDX-License-Identifier: BSD-2-Clause
"""This library's runs of an encoder with the weights of PyTorch's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from spago_jax.interop.encoder_onnx.session import OnnxEncoder
from spago_jax.models.encoder import EncoderModel, config_from_huggingface, weight_table
from spago_jax.models.execution import Execution, cast_but_layers
from spago_jax.models.quantized import quantized
from spago_jax.models.weight_table import read_weights
from spago_jax.tasks.predictor import BatchPredictor

Run = Callable[[list[np.ndarray]], list[np.ndarray]]


def our_model(model: torch.nn.Module, head: str = "states", dtype: Any = np.float32) -> EncoderModel:
    """Returns our model with PyTorch's weights; a head starts with zeros."""
    config = config_from_huggingface({**model.config.to_dict(), "architectures": None}).encoder
    state = {f"bert.{name}": tensor.numpy() for name, tensor in model.state_dict().items()}
    table = weight_table(config, "states")
    arrays = dict(read_weights(table, list(state), lambda name: state[name].astype(dtype)).arrays)
    made = EncoderModel.from_arrays(config, "states", {name: jnp.asarray(a) for name, a in arrays.items()})
    if head == "states":
        return made
    return made.replace(head=EncoderModel.init(jax.random.key(0), config, head=head).head, head_name=head)


def our_runners(model: torch.nn.Module, folder: Path) -> dict[str, Run]:
    """Returns each way of ours by name: from texts to their states, in the texts' order."""
    ours = our_model(model)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), ours)
    runs = {
        "ours XLA fp32": _by_xla(ours),
        "ours XLA bf16": _by_xla(half),
        "ours XLA int8": _by_xla(quantized(ours)),
    }
    for precision, quantize in (("fp32", None), ("int8", "int8")):
        encoder = OnnxEncoder(ours, quantize=quantize)
        runs[f"ours ONNX Runtime {precision}"] = _planned(
            lambda ids, lengths, encoder=encoder: encoder({"ids": ids, "lengths": lengths, "types": np.zeros_like(ids)})
        )
    return runs


def _by_xla(model: EncoderModel) -> Run:
    model = model.replace(encoder=model.encoder.separate())
    program = jax.jit(lambda model, ids, lengths: model.states(ids, lengths=lengths))

    return _planned(lambda ids, lengths: program(model, ids, lengths))


def _planned(call: Callable[[np.ndarray, np.ndarray], Any]) -> Run:
    """The calls that a predictor makes for these texts, with the same padding."""
    predictor = BatchPredictor("bench", _Lengths(), lambda batch: {}, fine=True)  # type: ignore[arg-type]

    def run(texts: list[np.ndarray]) -> list[np.ndarray]:
        calls = []
        for rows, (count, length) in predictor.plan_of([len(text) for text in texts]):
            ids, lengths = np.zeros((count, length), np.int32), np.zeros(count, np.int32)
            for place, row in enumerate(rows):
                ids[place, : len(texts[row])], lengths[place] = texts[row], len(texts[row])
            calls.append((rows, call(ids, lengths)))
        found: dict[int, np.ndarray] = {}
        for rows, states in calls:
            array = np.asarray(states)
            found |= {row: array[place, : len(texts[row])] for place, row in enumerate(rows)}
        return [found[row] for row in range(len(texts))]

    return run


class _Lengths:
    """As much of a processor as planning asks for."""

    longest = 512

    def specs(self) -> dict[str, str]:
        return {"ids": "i32[batch, time]"}


def our_step(model: torch.nn.Module, ids: np.ndarray, labels: np.ndarray, precision: str) -> Callable[[], object]:
    """Returns a training step of a classifier with AdamW, whose state is given away at each call."""
    ours = our_model(model, "sequence-classification")
    tx = optax.adamw(1e-5)
    held = [(ours, tx.init(ours))]

    def loss(model: EncoderModel) -> jax.Array:
        dtype = "bfloat16" if precision == "bf16" else "float32"
        model = cast_but_layers(model, dtype)
        # Neither side draws random numbers, so this one has to be told that it trains.
        how = Execution(layer_dtype=dtype).resolved(separate=False, trains=True)
        logits = model.logits(jnp.asarray(ids, jnp.int32), execution=how).astype(jnp.float32)
        return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(labels)).mean()

    def step(model: EncoderModel, state: Any) -> tuple[Any, Any, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(model)
        updates, state = tx.update(gradient, state, model)
        return optax.apply_updates(model, updates), state, value

    program = jax.jit(step, donate_argnums=(0, 1))

    def run() -> float:
        model, state, value = program(*held.pop())
        held.append((model, state))
        return float(value)

    return run
