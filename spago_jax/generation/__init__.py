# SPDX-License-Identifier: BSD-2-Clause
"""Choosing the next token, and loops on the device that write text."""

from spago_jax.generation.choice import Choice as Choice
from spago_jax.generation.generated import Generated as Generated
from spago_jax.generation.generator import Generator as Generator
from spago_jax.generation.option_files import options_from as options_from
from spago_jax.generation.options import Options as Options
from spago_jax.generation.protocol import Decoder as Decoder
