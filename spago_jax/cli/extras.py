# SPDX-License-Identifier: BSD-2-Clause
"""What a command says where the packages of an extra are missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from spago_jax.errors import InputError


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turns a missing package into a message that names the extra.

    Raises:
        InputError: where a package is missing.

    >>> with needing("serve"):
    ...     import no_such_package
    Traceback (most recent call last):
    ...
    spago_jax.errors.InputError: no package 'no_such_package': pip install 'spago_jax[serve]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("spago_jax"):
            raise
        raise InputError(f"no package {error.name!r}: pip install 'spago_jax[{extra}]'") from None
