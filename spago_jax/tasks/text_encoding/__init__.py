# SPDX-License-Identifier: BSD-2-Clause
"""``text-encoding``: a vector for a text."""
