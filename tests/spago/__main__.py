"""``scripts/parity``, which puts this package on the path."""

import sys

from quick_compiler import quick_compiler

quick_compiler()

from spago.parity import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
