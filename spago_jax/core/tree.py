# SPDX-License-Identifier: BSD-2-Clause
"""The type of what JAX walks through."""

from typing import Any, TypeAlias

PyTree: TypeAlias = Any
"""Arrays in nested containers: tuples, lists, dicts, NamedTuples, Modules, or an array alone.

Python cannot say it more narrowly; the name tells it from a value of which nothing is known.
"""
