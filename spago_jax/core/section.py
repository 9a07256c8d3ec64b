# SPDX-License-Identifier: BSD-2-Clause
"""Section: the base of every part of a config, frozen, validated, and closed to unknown keys."""

import os
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A part of a config: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, serialize_by_alias=True)


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


PositiveInt = Annotated[int, Field(ge=1)]
DataPath = Annotated[str, Field(min_length=1), AfterValidator(_absolute)]
"""A path that is made absolute when a config is read, so that a run finds its data from any folder."""


def one_or_more(value: object) -> Any:
    """Returns a list of texts as it is, and one text as a list of itself: it is not a list of its letters.

    >>> one_or_more("encoder"), one_or_more(["a", "b"])
    (('encoder',), ['a', 'b'])
    """
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(one_or_more)]
