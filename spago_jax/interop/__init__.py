# SPDX-License-Identifier: BSD-2-Clause
"""Exchange with other systems."""
