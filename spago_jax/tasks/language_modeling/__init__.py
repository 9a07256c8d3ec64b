# SPDX-License-Identifier: BSD-2-Clause
"""How probable texts are, by a trained language model of characters."""
