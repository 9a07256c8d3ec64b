# SPDX-License-Identifier: BSD-2-Clause
"""The rows of scripts/bench.py: this library beside PyTorch on the same work."""
