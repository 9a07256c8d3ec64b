# SPDX-License-Identifier: BSD-2-Clause
"""The static-graph compiler: pure functions become Programs."""

from spago_jax.compiler.buckets import Buckets as Buckets
from spago_jax.compiler.cache import CompileCounter as CompileCounter
from spago_jax.compiler.cache import cache as cache
from spago_jax.compiler.donation import DonationWarning as DonationWarning
from spago_jax.compiler.program import Program as Program
from spago_jax.compiler.program import compile as compile
from spago_jax.compiler.program import compile_all as compile_all
from spago_jax.compiler.signature import RetraceError as RetraceError
from spago_jax.compiler.spec import Spec as Spec
from spago_jax.compiler.spec import spec as spec
