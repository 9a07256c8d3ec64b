# SPDX-License-Identifier: BSD-2-Clause
"""``next-sentence``: whether one text follows another."""
