# SPDX-License-Identifier: BSD-2-Clause
"""Similar words, by vectors of any format or a store."""
