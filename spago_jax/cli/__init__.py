# SPDX-License-Identifier: BSD-2-Clause
"""The `spago-jax` command."""

from spago_jax.cli.main import main as main
