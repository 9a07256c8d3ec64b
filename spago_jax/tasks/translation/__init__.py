# SPDX-License-Identifier: BSD-2-Clause
"""Translation: a text in another language."""
