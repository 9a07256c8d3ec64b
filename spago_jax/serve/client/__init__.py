# SPDX-License-Identifier: BSD-2-Clause
"""Clients: one over HTTP and one over gRPC, each waiting or in an event loop."""
