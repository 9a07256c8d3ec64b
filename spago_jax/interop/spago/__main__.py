# SPDX-License-Identifier: BSD-2-Clause
"""``python -m spago_jax.interop.spago DIR``: see ``scripts/parity``."""

import sys

from spago_jax.interop.spago.parity import main

if __name__ == "__main__":
    sys.exit(main())
