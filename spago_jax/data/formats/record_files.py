# SPDX-License-Identifier: BSD-2-Clause
"""Parts of a corpus that are records of tables and of JSON."""

import abc
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from spago_jax.data.formats.records import Key, refuse_delimiter
from spago_jax.data.formats.split_files import SplitFiles


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool | float):  # `yes` and `1.0` would become the number 1
        raise ValueError("expected a name, or a number from 0")
    return value


Column = Annotated[Key, BeforeValidator(_no_truth)]
"""A column of a table or a key of JSON objects, by name or by number from 0."""


class RecordFiles(SplitFiles, abc.ABC):
    """How the records of a corpus stand in its files, whatever they are records of."""

    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="separates the columns of a CSV file (null: as its header)",
    )
    header: bool = Field(default=True, description="whether the first row of a table names its columns")
    comment: str | None = Field(default=None, min_length=1, description="lines that begin with this are skipped")

    @field_validator("delimiter")
    @classmethod
    def _one_mark(cls, value: str | None) -> str | None:
        return refuse_delimiter(value)
