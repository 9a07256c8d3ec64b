# SPDX-License-Identifier: BSD-2-Clause
"""Rewriting traced programs: simpler at the same values, or stable where the formula as written is not."""

from spago_jax.compiler.rewrite.identities import REFUSED as REFUSED
from spago_jax.compiler.rewrite.nested import operation_count as operation_count
from spago_jax.compiler.rewrite.report import Rewrite as Rewrite
from spago_jax.compiler.rewrite.report import table as table
from spago_jax.compiler.rewrite.simplify import Simplified as Simplified
from spago_jax.compiler.rewrite.simplify import simplify as simplify
from spago_jax.compiler.rewrite.stabilize import Stabilized as Stabilized
from spago_jax.compiler.rewrite.stabilize import stabilize as stabilize
from spago_jax.compiler.rewrite.stabilize import stabilized as stabilized
