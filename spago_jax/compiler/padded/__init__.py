# SPDX-License-Identifier: BSD-2-Clause
"""Where the padding of buckets lies in what a function computes."""

from spago_jax.compiler.padded.walk import misplaced as misplaced
