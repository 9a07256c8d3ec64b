"""nn.linear."""

import jax

from spago.golden import Case
from spago.registry import Computation, golden
from spago.shapes import columns, sequence, vector
from spago_jax.nn import Linear


@golden("nn.linear")
def linear(case: Case) -> Computation:
    """y = W x + B for each position; the variant nobiasgrad freezes B."""
    frozen = case.config.get("bias_grad") is False

    def function(params, inputs):
        bias = vector(params["B"])
        layer = Linear(weight=params["W"], bias=jax.lax.stop_gradient(bias) if frozen else bias)
        return columns(layer(sequence(inputs)))

    return Computation(function)
