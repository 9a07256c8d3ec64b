# SPDX-License-Identifier: BSD-2-Clause
"""Routers and selectors, mixtures of experts, and the glimpse."""

from spago_jax import nn
from spago_jax.nn.catalogue.entry import Entry

ROWS = ("f32[batch, 6]",)

ENTRIES = (
    Entry(
        "softmax_router",
        lambda key: nn.SoftmaxRouter.init(key, 6, 4),
        ROWS,
        "w = softmax(W x + b), one weight per expert",
        "Jacobs et al. (1991)",
    ),
    Entry(
        "sigmoid_router",
        lambda key: nn.SigmoidRouter.init(key, 6, 4),
        ROWS,
        "w = s(W x + b), one weight per expert",
    ),
    Entry(
        "top_k_router",
        lambda key: nn.TopKRouter.init(key, 6, 4, 2),
        ROWS,
        "w = softmax of the k largest of W x + b, 0 for the others",
        "Shazeer et al. (2017)",
    ),
    Entry(
        "argmax_selector",
        lambda key: nn.ArgmaxSelector.init(key, 6, 4),
        ROWS,
        "k = argmax(W x + b)",
        trains=False,
    ),
    Entry(
        # With room for all rows: where rows compete for room, a batch is not its examples.
        "mixture_of_experts",
        lambda key: nn.MixtureOfExperts.init(key, 6, 5, experts=4, k=2, capacity=2.0),
        ROWS,
        "y = sum_(i in top k) g_i (W2_i f(W1_i x + b1_i) + b2_i), g = softmax of the k largest of R x",
        "Shazeer et al. (2017)",
    ),
    Entry(
        "glimpse",
        lambda key: nn.Glimpse.init(key, 6, channels=2, size=3, scales=2),
        (*ROWS, "f32[batch, 2, height, width]"),
        "h = tanh(U h + V g + L l), g the picture around l = tanh(A h)",
        "Mnih et al. (2014)",
    ),
)
