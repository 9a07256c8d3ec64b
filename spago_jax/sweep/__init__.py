# SPDX-License-Identifier: BSD-2-Clause
"""Sweeps: one experiment with many settings, by grid, by chance or by successive halving.

from spago_jax.sweep import load_sweep, run_sweep
result = run_sweep(load_sweep("configs/sweeps/digits.yaml"), "runs/digits")
"""

from spago_jax.core.lazy_names import lazy_names as _lazy_names

# Found when asked for: a sweep is read and checked before JAX is set up.
__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "SweepFile": "spago_jax.sweep.source",
        "SweepResult": "spago_jax.sweep.folder",
        "load_sweep": "spago_jax.sweep.source",
        "run_sweep": "spago_jax.sweep.runner",
    },
)
