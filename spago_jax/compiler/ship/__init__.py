# SPDX-License-Identifier: BSD-2-Clause
"""Shipping: a program as a folder that runs elsewhere, with JAX and NumPy alone."""

from spago_jax.compiler.ship.export import export as export
from spago_jax.compiler.ship.load import LoadedProgram as LoadedProgram
from spago_jax.compiler.ship.load import ProgramError as ProgramError
from spago_jax.compiler.ship.load import load_program as load_program
from spago_jax.errors import ExportError as ExportError
