# SPDX-License-Identifier: BSD-2-Clause
"""The HTTP door: native routes, those of other systems, and pages."""

from spago_jax.serve.http.app import Shared, make_app, mount

__all__ = ["Shared", "make_app", "mount"]
