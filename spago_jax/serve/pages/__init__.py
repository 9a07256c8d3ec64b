# SPDX-License-Identifier: BSD-2-Clause
"""The files of the pages."""
