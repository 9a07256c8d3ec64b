# SPDX-License-Identifier: BSD-2-Clause
"""``report.html``: one self-contained page about a run, made from the files in its folder."""

from spago_jax.report.page import render, write_report
from spago_jax.report.source import RunData, read_run

__all__ = ["RunData", "read_run", "render", "write_report"]
