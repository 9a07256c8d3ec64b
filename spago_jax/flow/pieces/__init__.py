# SPDX-License-Identifier: BSD-2-Clause
"""Ready parts for flows: halting conditions, routers, selectors, shapes, mixtures of experts."""
