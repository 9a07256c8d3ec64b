# SPDX-License-Identifier: BSD-2-Clause
"""Pure functions of arrays: products, masks, recurrences, convolution, the CRF, losses. No parameters here."""
