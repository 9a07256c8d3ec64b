# SPDX-License-Identifier: BSD-2-Clause
"""Traced programs as values that can be looked at, differentiated and rewritten."""

from spago_jax.compiler.graph.debug import Evaluation as Evaluation
from spago_jax.compiler.graph.debug import NonFiniteError as NonFiniteError
from spago_jax.compiler.graph.graph import Graph as Graph
from spago_jax.compiler.graph.graph import graph as graph
from spago_jax.compiler.graph.likely_mistakes import GraphWarning as GraphWarning
from spago_jax.compiler.graph.nodes import Node as Node
from spago_jax.compiler.graph.work import Work as Work
