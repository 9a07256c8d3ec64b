# SPDX-License-Identifier: BSD-2-Clause
"""Image classification: one class per picture."""
