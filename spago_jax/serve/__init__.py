# SPDX-License-Identifier: BSD-2-Clause
"""Serving: an engine over predictors, HTTP and gRPC doors to it, pages, and clients."""
