# SPDX-License-Identifier: BSD-2-Clause
"""Charts as SVG and PNG, without a plotting library."""
