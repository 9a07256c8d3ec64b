# SPDX-License-Identifier: BSD-2-Clause
"""The errors a user can meet. Each names the value, what was expected, where, and the way out."""

import difflib
from collections.abc import Iterable
from pathlib import Path


class SpagoError(Exception):
    """Base of every error that spago_jax raises on purpose; the command line prints it without a traceback."""


class InputError(SpagoError, ValueError):
    """The user's input (a file, a config, an argument) is not what was expected. Exit code 2.

    ``path`` and ``line`` say where in a file, and are put before the message as ``file:line: message``.

    >>> str(InputError("3 columns, expected 2", path="train.conll", line=7))
    'train.conll:7: 3 columns, expected 2'
    """

    def __init__(self, message: str, *, path: str | Path | None = None, line: int | None = None):
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(f"{place}{message}")
        self.path = None if path is None else str(path)
        self.line = line


class InputWarning(UserWarning):
    """Something about the user's input that is worth a look; the work goes on. The command line prints one line."""


class DefinitionError(SpagoError, TypeError):
    """A Module class is declared in a way that JAX could not work with."""


class CheckpointError(SpagoError, RuntimeError):
    """A checkpoint cannot be written, or what is on disk cannot be read back."""


class ExportError(SpagoError, RuntimeError):
    """A function cannot be exported as it stands, or the folder cannot be written."""


class TrainingError(SpagoError, RuntimeError):
    """Training cannot go on: the loss or a gradient is not finite. Exit code 1."""


def did_you_mean(name: str, choices: Iterable[str], *, known: str | None = None) -> str:
    """Ends an error message: the nearest name, or the list of all of them.

    >>> did_you_mean("batchsize", ["batch_size", "epochs"])
    "did you mean 'batch_size'?"
    >>> did_you_mean("zzz", ["batch_size", "epochs"])
    'known: batch_size, epochs'
    """
    names = sorted(choices)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"{known or 'known'}: {', '.join(names)}"
