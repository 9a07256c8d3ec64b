# SPDX-License-Identifier: BSD-2-Clause
"""Served: a model under a name, ready to be asked."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ValidationError

from spago_jax.errors import InputError, did_you_mean
from spago_jax.serve.engine.limits import Limits
from spago_jax.serve.engine.problems import Refused
from spago_jax.serve.tasks import schema_of
from spago_jax.tasks.predictor import Predictor

Opener = Callable[[], Predictor]


@dataclasses.dataclass(frozen=True, eq=False)
class Served:
    """A model under a name.

    Attributes:
        name: by which requests name it.
        task: what it answers.
        predictor: what answers.
        revision: changes whenever the model does.
        source: where it was opened from.
        since: when it was opened, in seconds since 1970.
    """

    name: str
    task: str
    predictor: Predictor
    revision: str = ""
    source: str = ""
    since: float = dataclasses.field(default_factory=time.time)

    @property
    def streams(self) -> bool:
        """Whether its texts can be read as they are written."""
        own = type(self.predictor)
        return own.streamed is not Predictor.streamed and getattr(own, "plain", True)

    @property
    def Options(self) -> type[BaseModel] | None:
        """What a request may set, where the task says it."""
        return self.predictor.Options

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options of a request, checked.

        Raises:
            Refused: for one that the task does not have, or a value that it does not take.
        """
        section = self.Options
        if section is None:
            return dict(given)
        for name in given:
            if name not in section.model_fields:
                raise Refused(
                    f"{self.task} has no option {name!r}",
                    field=f"options.{name}",
                    hint=did_you_mean(str(name), section.model_fields) if section.model_fields else "it has none",
                )
        try:
            return section.model_validate(dict(given)).model_dump(exclude_unset=True)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in ("options", *first["loc"]))
            raise Refused(f"{first.get('input')!r:.60}: {first['msg']}", field=place) from None

    def warm(self, limits: Limits) -> None:
        """Compiles and runs every program that an answer may need, and allows no other.

        Raises:
            InputError: where a row of the model is longer than a batch may be.
        """
        predictor: Any = self.predictor
        longest = getattr(predictor.processor, "longest", None)
        if longest is not None and hasattr(predictor, "max_tokens"):
            if limits.batch_tokens < longest:
                raise InputError(
                    f"batch_tokens = {limits.batch_tokens}, and a row of {self.name} may have {longest} tokens: set at "
                    f"least {longest}, or open the model with max_length={limits.batch_tokens}"
                )
            predictor.max_tokens = limits.batch_tokens
        warm_up = getattr(predictor, "warm_up", None)
        if warm_up is not None:
            warm_up()
        elif self.streams:
            self._try_out()

    def _try_out(self) -> None:
        """Writes the beginning of one text, at once and piece by piece, which compiles what most requests need."""
        with suppress(InputError):
            prepared = self.predictor.prepare("" if self.task == "text-generation" else schema_of(self.task).example)
            self.predictor.answers([prepared], lambda: True)
            next(iter(self.predictor.streamed(prepared)), None)
