"""``python -m spago DIR``: see ``scripts/parity``."""

import sys

from spago.parity import main

if __name__ == "__main__":
    sys.exit(main())
