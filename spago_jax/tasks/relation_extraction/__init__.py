# SPDX-License-Identifier: BSD-2-Clause
"""Relation extraction: who stands in which relation to whom, as a text says."""
