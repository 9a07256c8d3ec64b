# SPDX-License-Identifier: BSD-2-Clause
"""Experiments: a YAML config that trains, checkpoints, resumes, evaluates and writes a report.

from spago_jax.train import fit, load_experiment
result = fit(load_experiment("configs/quickstart.yaml"), "runs/quickstart")
"""

from spago_jax.core.lazy_names import lazy_names as _lazy_names

# Imported on first use: `spago_jax.train.metrics` must not pull in Orbax.
__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "Experiment": "spago_jax.train.schema",
        "LivePlot": "spago_jax.train.watch.live",
        "Interrupted": "spago_jax.train.interrupt",
        "Task": "spago_jax.train.task",
        "Result": "spago_jax.train.loop",
        "RunFolder": "spago_jax.train.run_folder",
        "TrainingError": "spago_jax.errors",
        "Trend": "spago_jax.train.watch.trend",
        "TrendGroup": "spago_jax.train.watch.trend",
        "Watch": "spago_jax.train.watch.watch",
        "fit": "spago_jax.train.loop",
        "load_experiment": "spago_jax.tasks.experiment",
    },
)
