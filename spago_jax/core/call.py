# SPDX-License-Identifier: BSD-2-Clause
"""Calls by signature: what a callable takes, and the options of a call that it takes."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from spago_jax.core.module import Module


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """The signature of a call, without ``self``; None where there is none, as for functions written in C.

    That of a Module is read once per class.

    >>> str(signature_of(lambda x, *, rng=None: x))
    '(x, *, rng=None)'
    """
    if isinstance(function, Module):
        return _of_class(type(function))
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


@functools.cache
def _of_class(cls: type[Module]) -> inspect.Signature:
    signature = inspect.signature(cls.__call__)  # type: ignore[attr-defined]
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def accepted(function: Callable[..., Any], **options: Any) -> dict[str, Any]:
    """The options that a callable names in its signature.

    >>> accepted(lambda x, rng: x, rng=1, lengths=2)
    {'rng': 1}
    """
    signature = signature_of(function)
    names = () if signature is None else signature.parameters
    return {name: value for name, value in options.items() if name in names}
