# SPDX-License-Identifier: BSD-2-Clause
"""From text to answer: one folder per task, the registry of their names, and what uses them.

``load_experiment`` checks a config; ``load_task`` opens a trained model; ``export_run`` ships one.
"""
