# SPDX-License-Identifier: BSD-2-Clause
"""What every part of a config is: frozen, validated, closed to unknown keys."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of a config: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


PositiveInt = Annotated[int, Field(ge=1)]
