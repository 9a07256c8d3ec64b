# SPDX-License-Identifier: BSD-2-Clause
"""What may become of a request other than an answer, each with its HTTP status."""

from typing import Any, ClassVar

from spago_jax.errors import InputError, SpagoError


class Problem(SpagoError):
    """A request, or one of its inputs, is not answered.

    Attributes:
        status: of HTTP.
        type: a word for programs.
        field: the part of the request that it is about, such as ``inputs[3]``.
        hint: the way out.
        retry_after: seconds after which it is worth another try.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "failed"

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None, retry_after: int = 0):
        super().__init__(message)
        self.message, self.field, self.hint, self.retry_after = message, field, hint, retry_after

    def to_dict(self, request_id: str = "") -> dict[str, Any]:
        """Returns the one shape that errors have."""
        found = {"type": self.type, "message": self.message, "field": self.field, "hint": self.hint}
        return {**found, "request_id": request_id or None}


class Malformed(Problem):
    """The body is not JSON."""

    status, type = 400, "malformed"


class Unauthorized(Problem):
    """No key, or a wrong one."""

    status, type = 401, "unauthorized"


class Forbidden(Problem):
    """A key that does not open this."""

    status, type = 403, "forbidden"


class Unknown(Problem):
    """There is no such model, task, collection or page."""

    status, type = 404, "not_found"


class WrongMethod(Problem):
    """The route takes other methods."""

    status, type = 405, "method_not_allowed"


class SlowBody(Problem):
    """The rest of a body does not come."""

    status, type = 408, "slow_body"


class Conflict(Problem):
    """Another change is under way."""

    status, type = 409, "conflict"


class TooLarge(Problem):
    """More than one request may hold."""

    status, type = 413, "too_large"


class Refused(Problem):
    """An input, or an option, that the task does not take."""

    status, type = 422, "invalid"


class Overloaded(Problem):
    """The queue is full."""

    status, type = 429, "overloaded"


class Cancelled(Problem):
    """Nobody waits for the answer any more."""

    status, type = 499, "cancelled"


class Failed(Problem):
    """The fault is the server's."""

    status, type = 500, "failed"


class Unavailable(Problem):
    """Not ready yet, or not any more."""

    status, type = 503, "unavailable"


class Expired(Problem):
    """The time that the request had is over."""

    status, type = 504, "timeout"


def problem_of(error: BaseException, field: str | None = None) -> Problem:
    """Returns an error as a problem: what an input is to blame for names it, and anything else says little.

    >>> problem_of(InputError("empty"), "inputs[0]").status, problem_of(KeyError("x")).message
    (422, 'the server failed to answer; its log says more')
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, InputError):
        message, _, hint = str(error).partition(": did you mean ")
        return Refused(message, field=field, hint=f"did you mean {hint}" if hint else None)
    return Failed("the server failed to answer; its log says more", field=field)
