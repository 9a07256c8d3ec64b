# SPDX-License-Identifier: BSD-2-Clause
"""Text classification: one label per text."""
