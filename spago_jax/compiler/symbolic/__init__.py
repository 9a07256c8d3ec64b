# SPDX-License-Identifier: BSD-2-Clause
"""Expressions built by hand, in the manner of Gorgonia: named inputs, operations, values, gradients.

>>> g = Expressions()
>>> x, y = g.scalar("x"), g.scalar("y")
>>> z = x + y
>>> float(g.let(x, 2.0).let(y, 2.5).run(z))
4.5
"""

from spago_jax.compiler.symbolic.expressions import Expressions as Expressions
from spago_jax.compiler.symbolic.functions import *  # noqa: F403 - its __all__
from spago_jax.compiler.symbolic.node import Node as Node
from spago_jax.compiler.symbolic.tensors import *  # noqa: F403
