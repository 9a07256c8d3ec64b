# SPDX-License-Identifier: BSD-2-Clause
"""The fluent graph builder: networks written as data flows, which are built into Modules.

net = flow.start(flow.linear(16)).through(jax.nn.gelu).also(flow.linear(16)).build(key, "f32[batch, 2]")
"""

from spago_jax.flow.builder import Flow as Flow
from spago_jax.flow.builder import copies as copies
from spago_jax.flow.builder import start as start
from spago_jax.flow.layer import LayerSpec as LayerSpec
from spago_jax.flow.layer import layer as layer
from spago_jax.flow.layer import layer_norm as layer_norm
from spago_jax.flow.layer import linear as linear
from spago_jax.flow.network import Network as Network
from spago_jax.flow.origin import FlowError as FlowError
from spago_jax.flow.picture import dot as dot
from spago_jax.flow.picture import mermaid as mermaid
from spago_jax.flow.picture import svg as svg
from spago_jax.flow.ready_parts import add as add
from spago_jax.flow.ready_parts import argmax_selector as argmax_selector
from spago_jax.flow.ready_parts import cat as cat
from spago_jax.flow.ready_parts import fixed_selector as fixed_selector
from spago_jax.flow.ready_parts import glimpse as glimpse
from spago_jax.flow.ready_parts import learned_halt as learned_halt
from spago_jax.flow.ready_parts import mean as mean
from spago_jax.flow.ready_parts import mixture_of_experts as mixture_of_experts
from spago_jax.flow.ready_parts import reshape as reshape
from spago_jax.flow.ready_parts import sigmoid_router as sigmoid_router
from spago_jax.flow.ready_parts import softmax_router as softmax_router
from spago_jax.flow.ready_parts import state_add as state_add
from spago_jax.flow.ready_parts import threshold as threshold
from spago_jax.flow.ready_parts import top_k_router as top_k_router
from spago_jax.flow.segments import Outcome as Outcome
from spago_jax.flow.segments import run as run
from spago_jax.flow.segments import step_times as step_times
from spago_jax.flow.unused import skip_unused as skip_unused
from spago_jax.flow.yaml_form import from_config as from_config
from spago_jax.flow.yaml_form import to_config as to_config
from spago_jax.nn import ArgmaxSelector as ArgmaxSelector
from spago_jax.nn import Glimpse as Glimpse
from spago_jax.nn import MixtureOfExperts as MixtureOfExperts
from spago_jax.nn import SigmoidRouter as SigmoidRouter
from spago_jax.nn import SoftmaxRouter as SoftmaxRouter
from spago_jax.nn import TopKRouter as TopKRouter
