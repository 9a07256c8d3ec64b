# SPDX-License-Identifier: BSD-2-Clause
"""The messages of spaGO 0.7 and of cybertron, field by field, in terms of tasks; both doors use them."""
