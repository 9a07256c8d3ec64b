# SPDX-License-Identifier: BSD-2-Clause
"""``zero-shot-classification``: classes that a model has not been trained for, by textual entailment."""
