# SPDX-License-Identifier: BSD-2-Clause
"""A character language model: stacked LSTM or GRU with an optional projection, its state carried across chunks."""
