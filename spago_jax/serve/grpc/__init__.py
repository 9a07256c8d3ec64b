# SPDX-License-Identifier: BSD-2-Clause
"""The gRPC door: the native service, health, reflection, and the services of spaGO and cybertron."""
