# SPDX-License-Identifier: BSD-2-Clause
"""``replaced-token-detection``: which words of a text do not belong (ELECTRA's discriminator)."""
