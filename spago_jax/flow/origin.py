# SPDX-License-Identifier: BSD-2-Clause
"""Where in the user's source a step was written, and the errors that say so."""

import contextlib
import contextvars
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

from spago_jax.errors import InputError

_HERE = str(Path(__file__).resolve().parent)


@dataclasses.dataclass(frozen=True)
class Origin:
    """A file and a line, or, with line 0, a key in a config."""

    path: str
    line: int

    def error(self, message: str) -> "FlowError":
        """The error of a step that was written here."""
        return FlowError(message, path=self.path, line=self.line or None)


class FlowError(InputError):
    """A flow cannot be built: the message names the step, the tag, the shapes and the user's line."""


_written: contextvars.ContextVar[Origin | None] = contextvars.ContextVar("written", default=None)


@contextlib.contextmanager
def written_at(origin: Origin) -> Iterator[None]:
    """Steps that are added within were written here, and not in the code that adds them."""
    token = _written.set(origin)
    try:
        yield
    finally:
        _written.reset(token)


def user_origin() -> Origin:
    """The line outside this package that is being run."""
    written = _written.get()
    if written is not None:
        return written
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return Origin(frame.f_code.co_filename, frame.f_lineno)
