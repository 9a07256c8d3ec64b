# SPDX-License-Identifier: BSD-2-Clause
"""Rules that change the scores of the next token: pure functions, and the order that they run in."""
