# SPDX-License-Identifier: BSD-2-Clause
"""What goes wrong when a program is shipped."""

from spago_jax.errors import SpagoError


class ExportError(SpagoError, RuntimeError):
    """A function cannot be exported as it stands, or the folder cannot be written."""
