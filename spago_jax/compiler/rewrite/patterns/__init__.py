# SPDX-License-Identifier: BSD-2-Clause
"""The rules of ``stabilize``, in the order in which they are tried."""

from spago_jax.compiler.rewrite.patterns import differences, logarithms, quotients, roots
from spago_jax.compiler.rewrite.rules import Rules

STABILITY = Rules()
for _rules in (logarithms.RULES, differences.RULES, quotients.RULES, roots.RULES):
    STABILITY.all.extend(_rules.all)

__all__ = ["STABILITY"]
