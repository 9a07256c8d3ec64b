# SPDX-License-Identifier: BSD-2-Clause
"""PyTorch's recurrent layers, as Flair names them, to the arrays of ours."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.errors import InputError

Get = Callable[[str], np.ndarray]
Has = Callable[[str], bool]


def shape_of_recurrence(get: Get, has: Has, prefix: str, path: Path) -> dict[str, Any]:
    """Returns ``cell``, ``hidden``, ``layers`` and ``bidirectional`` of an RNN, from its tensors.

    Raises:
        InputError: for a plain RNN, or tensors that do not fit together.
    """
    weight, state = get(f"{prefix}weight_ih_l0"), get(f"{prefix}weight_hh_l0")
    gates, hidden = weight.shape[0], state.shape[-1]
    if hidden == 0 or gates not in (4 * hidden, 3 * hidden):
        kind = "a plain recurrent layer" if gates == hidden else f"{gates} gates over {hidden} units"
        raise InputError(f"{prefix.rstrip('.')} is {kind}; LSTM and GRU layers are read", path=path)
    layers = 0
    while has(f"{prefix}weight_ih_l{layers}"):
        layers += 1
    both = has(f"{prefix}weight_ih_l0_reverse")
    return {"cell": "lstm" if gates == 4 * hidden else "gru", "hidden": hidden, "layers": layers, "bidirectional": both}


def recurrent_arrays(get: Get, prefix: str, shape: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the arrays of a ``StackedRNN`` by path, ``layers.0.forward.input_weight``."""
    found: dict[str, np.ndarray] = {}
    for layer in range(shape["layers"]):
        sides = {"": "forward.", "_reverse": "backward."} if shape["bidirectional"] else {"": ""}
        for suffix, side in sides.items():
            arrays = _cell(get, prefix, f"l{layer}{suffix}", shape["cell"])
            found |= {f"layers.{layer}.{side}{name}": array for name, array in arrays.items()}
    return found


def _cell(get: Get, prefix: str, suffix: str, cell: str) -> dict[str, np.ndarray]:
    inputs, state = get(f"{prefix}bias_ih_{suffix}"), get(f"{prefix}bias_hh_{suffix}")
    found = {
        "input_weight": get(f"{prefix}weight_ih_{suffix}"),
        "recurrent_weight": get(f"{prefix}weight_hh_{suffix}"),
    }
    if cell == "lstm":
        return {**found, "bias": inputs + state}
    # The bias of a GRU's candidate lies inside the reset gate's product, so it cannot join the other one.
    last = len(state) // 3 * 2
    return {
        **found,
        "bias": inputs + np.concatenate([state[:last], np.zeros_like(state[last:])]),
        "recurrent_bias": state[last:],
    }
