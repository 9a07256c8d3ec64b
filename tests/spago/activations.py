"""spaGO's names of activations: two of them mean another function than the name does elsewhere."""

from spago_jax.ops.activations import parse_activation

_OTHERS = {"gelu": "gelu_tanh", "hardsigmoid": "hard_sigmoid_keras"}


def our_activation(name: str | None) -> str:
    """Our name of spaGO's activation: its GELU is the approximation by tanh, its HardSigmoid rises by 0.2.

    Raises:
        InputError: for an unknown name.

    >>> our_activation("GELU"), our_activation("LeakyReLU"), our_activation(None)
    ('gelu_tanh', 'leaky_relu', 'identity')
    """
    if not name:
        return "identity"
    return _OTHERS.get(name.lower()) or parse_activation(name)


def gradient_tolerance(*names: str | None) -> float:
    """How exact spaGO's gradient is: its derivative of GELU has constants of six digits."""
    return 1e-6 if "gelu_tanh" in map(our_activation, names) else 1e-9
