# SPDX-License-Identifier: BSD-2-Clause
"""Runs side by side: which there are, how they differ, and one page that draws them."""

from spago_jax.report.compare.page import comparison
from spago_jax.report.compare.summary import RunSummary, find_runs, read_summary

__all__ = ["RunSummary", "comparison", "find_runs", "read_summary"]
