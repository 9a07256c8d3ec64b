# SPDX-License-Identifier: BSD-2-Clause
"""Limits: how much a server takes on, all of it refused before work is done."""

from typing import Self

from pydantic import Field, model_validator

from spago_jax.core.section import PositiveInt, Section

_MB = 2**20
_PER_TOKEN = 1024  # bytes that a padded token takes while it waits
_PROGRAMS = 512 * _MB  # what compiled programs take
_PER_COMPUTED = 320 * 1024  # bytes that a padded token takes while it is computed: scores of attention, most of all


class Limits(Section):
    """How much a server takes on.

    >>> Limits(queue_items=8, request_items=4).request_items
    4
    """

    body_bytes: PositiveInt = Field(default=2 * 2**20, description="the body of a request, in bytes (413)")
    json_depth: PositiveInt = Field(default=32, description="how deep lists and objects of a body are nested (422)")
    request_items: PositiveInt = Field(default=32, description="inputs of one request (413)")
    item_characters: PositiveInt = Field(default=100_000, description="characters of an input (422)")
    item_tokens: PositiveInt = Field(default=16_384, description="padded tokens of an input, all its windows (422)")
    queue_items: PositiveInt = Field(default=512, description="inputs that wait or are answered, of all requests (429)")
    queue_tokens: PositiveInt = Field(default=262_144, description="padded tokens that wait, of all requests (429)")
    batch_tokens: PositiveInt = Field(default=4096, description="padded tokens that are answered together, at most")
    streams: PositiveInt = Field(default=16, description="texts that are streamed at the same time (429)")
    timeout: float = Field(default=60.0, gt=0, description="seconds that a request has where it does not say (504)")
    most_timeout: float = Field(default=600.0, gt=0, description="the most seconds that a request may ask for")
    wait: float = Field(default=0.0, ge=0, le=1, description="seconds that the first input of a batch waits for more")
    stall: float = Field(default=60.0, gt=0, description="seconds after which a call that runs counts as stuck")
    memory: PositiveInt | None = Field(default=None, description="MB that the weights of all open models may take")
    workers: PositiveInt = Field(default=2, description="threads that read texts beside the one that computes")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.request_items > self.queue_items:
            raise ValueError(
                f"request_items = {self.request_items} is more than queue_items = {self.queue_items}: a request "
                "that is allowed could never be taken"
            )
        if self.item_tokens > self.queue_tokens:
            raise ValueError(
                f"item_tokens = {self.item_tokens} is more than queue_tokens = {self.queue_tokens}: an input that is "
                "allowed could never be taken"
            )
        return self

    def most_memory(self, weights: int) -> int:
        """Returns the bytes that serving one model takes at most, beyond those of Python and its libraries.

        They are 1.3 times the weights, 1 KB for each of ``queue_tokens``, 4 bytes for each character that may wait,
        512 MB for the compiled programs, and 320 KB for each of ``batch_tokens``.

        Args:
            weights: bytes of the model's file.

        >>> Limits(batch_tokens=1024, queue_items=64, item_characters=2000).most_memory(2**28) // 2**20
        1421
        """
        waiting = self.queue_tokens * _PER_TOKEN + self.queue_items * self.item_characters * 4
        return int(1.3 * weights) + waiting + _PROGRAMS + self.batch_tokens * _PER_COMPUTED
