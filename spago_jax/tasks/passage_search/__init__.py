# SPDX-License-Identifier: BSD-2-Clause
"""``passage-search``: the passages that are nearest to a question, and answers read from them."""
