# SPDX-License-Identifier: BSD-2-Clause
"""Sweeps: one experiment with many settings, by grid, by chance or by successive halving.

from spago_jax.sweep import load_sweep, run_sweep
result = run_sweep(load_sweep("configs/sweeps/digits.yaml"), "runs/digits")
"""

from typing import Any

_NAMES = {
    "SweepFile": "spago_jax.sweep.source",
    "SweepResult": "spago_jax.sweep.folder",
    "load_sweep": "spago_jax.sweep.source",
    "run_sweep": "spago_jax.sweep.runner",
}


def __getattr__(name: str) -> Any:
    # Found when asked for: a sweep is read and checked before JAX is set up.
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_NAMES[name]), name)
