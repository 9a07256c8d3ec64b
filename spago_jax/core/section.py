# SPDX-License-Identifier: BSD-2-Clause
"""Section: the base of every part of a config, frozen, validated, and closed to unknown keys."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of a config: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, serialize_by_alias=True)


PositiveInt = Annotated[int, Field(ge=1)]
