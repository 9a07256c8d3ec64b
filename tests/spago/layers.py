"""spaGO's parameters by their path (``Layers.0.W``) as our layers."""

from collections.abc import Mapping

from spago.shapes import vector
from spago_jax.core import Array
from spago_jax.nn import LayerNorm, Linear


def linear_from(params: Mapping[str, Array], path: str = "") -> Linear:
    """``{path}W`` and ``{path}B`` as a Linear."""
    return Linear(weight=params[f"{path}W"], bias=vector(params[f"{path}B"]))


def norm_from(params: Mapping[str, Array], path: str, eps: float) -> LayerNorm:
    """``{path}W`` and ``{path}B`` as a LayerNorm."""
    return LayerNorm(weight=vector(params[f"{path}W"]), bias=vector(params[f"{path}B"]), eps=eps)
