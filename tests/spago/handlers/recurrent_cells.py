"""Our recurrent cells from spaGO's parameters; nothing is registered here."""

from typing import Any

import jax.numpy as jnp

from spago.registry import Params
from spago.shapes import vector
from spago_jax.core import Array
from spago_jax.nn import CFN, GRU, LSTM, LTM, MIST, RAN, SRN

LSTM_GATES = ("In", "For", "Cand", "Out")


def fused(params: Params, prefix: str, *names: str) -> Array:
    """Matrices one under the other, or vectors one after the other."""
    parts = [params[prefix + name] for name in names]
    return jnp.concatenate(
        [vector(part) if name.startswith("B") else part for name, part in zip(names, parts, strict=True)]
    )


def lstm_arrays(params: Params, prefix: str = "") -> dict[str, Array]:
    """The fused arrays of an LSTM and of its relatives."""
    return {
        "input_weight": fused(params, prefix, *(f"W{gate}" for gate in LSTM_GATES)),
        "recurrent_weight": fused(params, prefix, *(f"W{gate}Rec" for gate in LSTM_GATES)),
        "bias": fused(params, prefix, *(f"B{gate}" for gate in LSTM_GATES)),
    }


def build_lstm(params: Params, prefix: str = "", config: Any = None) -> LSTM:
    """An LSTM."""
    return LSTM(**lstm_arrays(params, prefix))


def build_gru(params: Params, prefix: str = "", config: Any = None) -> GRU:
    """A GRU in spaGO's form."""
    return GRU(
        input_weight=fused(params, prefix, "WRes", "WPart", "WCand"),
        recurrent_weight=fused(params, prefix, "WResRec", "WPartRec", "WCandRec"),
        bias=fused(params, prefix, "BRes", "BPart", "BCand"),
    )


def build_srn(params: Params, prefix: str = "", config: Any = None) -> SRN:
    """A simple recurrent network."""
    return SRN(
        input_weight=params[prefix + "W"],
        recurrent_weight=params[prefix + "WRec"],
        bias=vector(params[prefix + "B"]),
    )


def build_cfn(params: Params, prefix: str = "", config: Any = None) -> CFN:
    """A chaos-free network."""
    return CFN(
        input_weight=fused(params, prefix, "WIn", "WFor", "WCand"),
        recurrent_weight=fused(params, prefix, "WInRec", "WForRec"),
        bias=fused(params, prefix, "BIn", "BFor"),
    )


def build_ran(params: Params, prefix: str = "", config: Any = None) -> RAN:
    """A recurrent additive network."""
    return RAN(
        input_weight=fused(params, prefix, "WIn", "WFor", "WCand"),
        recurrent_weight=fused(params, prefix, "WInRec", "WForRec"),
        bias=fused(params, prefix, "BIn", "BFor", "BCand"),
    )


def build_ltm(params: Params, prefix: str = "", config: Any = None) -> LTM:
    """A long-term memory network."""
    return LTM(weight=fused(params, prefix, "W1", "W2", "W3"), cell_weight=params[prefix + "WCell"])


def build_mist(params: Params, prefix: str, config: dict[str, Any]) -> MIST:
    """A mixed-history network; the softmax runs over all outputs, as in spaGO."""
    return MIST(
        input_weight=fused(params, prefix, "Wrx", "Wx", "Wax"),
        recurrent_weight=fused(params, prefix, "Wrh", "Wah"),
        history_weight=params[prefix + "Wh"],
        bias=fused(params, prefix, "Br", "B", "Ba"),
        delays=int(config["num_of_delays"]),
    )


BUILDERS = {
    "lstm": build_lstm,
    "gru": build_gru,
    "srn": build_srn,
    "cfn": build_cfn,
    "ran": build_ran,
    "ltm": build_ltm,
    "mist": build_mist,
}
