# SPDX-License-Identifier: BSD-2-Clause
"""How a config.json says which of ModernBERT's layers see the whole text, in the spellings of transformers 4 and 5."""

from collections.abc import Mapping
from typing import Any

from spago_jax.errors import InputError
from spago_jax.models.modernbert.config import ModernBertConfig

_FULL, _SLIDING = "full_attention", "sliding_attention"
LAYER_KEYS = (
    "layer_types",
    "rope_parameters",
    "global_attn_every_n_layers",
    "global_rope_theta",
    "local_rope_theta",
)


def layers_from_huggingface(given: Mapping[str, Any], layers: int) -> dict[str, Any]:
    """The fields ``full``, ``full_theta`` and ``local_theta``.

    Raises:
        InputError: for kinds of layers or rotations that are not known.

    >>> layers_from_huggingface({"global_attn_every_n_layers": 2, "local_rope_theta": 5.0}, 3)
    {'full': (True, False, True), 'full_theta': 160000.0, 'local_theta': 5.0}
    """
    kinds = given.get("layer_types")
    if kinds is None:
        every = given.get("global_attn_every_n_layers", 3)
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(f"global_attn_every_n_layers is {every!r}, expected a whole number of at least 1")
        kinds = [_SLIDING if layer % every else _FULL for layer in range(layers)]
    for kind in kinds:
        if kind not in (_FULL, _SLIDING):
            raise InputError(f"layer_types holds {kind!r}, expected {_FULL!r} or {_SLIDING!r}")
    rotations = given.get("rope_parameters") or {}
    return {
        "full": tuple(kind == _FULL for kind in kinds),
        "full_theta": _theta(rotations, _FULL, given.get("global_rope_theta"), 160_000.0),
        "local_theta": _theta(rotations, _SLIDING, given.get("local_rope_theta"), 10_000.0),
    }


def layers_to_huggingface(config: ModernBertConfig) -> dict[str, Any]:
    """The keys that transformers 5 reads, and, where the layers' kinds allow, those of transformers 4."""
    found: dict[str, Any] = {
        "layer_types": [_FULL if full else _SLIDING for full in config.sees_all],
        "rope_parameters": {
            _FULL: {"rope_type": "default", "rope_theta": config.full_theta},
            _SLIDING: {"rope_type": "default", "rope_theta": config.local_theta},
        },
    }
    for every in range(1, config.layers + 1):
        if config.sees_all == tuple(layer % every == 0 for layer in range(config.layers)):
            thetas = {"global_rope_theta": config.full_theta, "local_rope_theta": config.local_theta}
            return {**found, "global_attn_every_n_layers": every, **thetas}
    return found


def _theta(rotations: Mapping[str, Any], kind: str, old: object, default: float) -> float:
    own = rotations.get(kind) or {}
    rope = own.get("rope_type", own.get("type", "default"))
    unknown = set(own) - {"rope_type", "type", "rope_theta"}
    if rope != "default" or unknown:
        raise InputError(
            f"rope_parameters.{kind} is {dict(own)!r}, which changes what the model computes and is not supported; "
            "expected rope_type 'default' and a rope_theta"
        )
    return float(own.get("rope_theta", default if old is None else old))
