# SPDX-License-Identifier: BSD-2-Clause
"""PretrainedPredictor: a task answered by a pre-trained model with a head."""

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import Field, ValidationError

from spago_jax.core import Array
from spago_jax.core.section import PositiveInt, Section
from spago_jax.errors import InputError, did_you_mean
from spago_jax.interop.huggingface import Pretrained, find_model, load_pretrained
from spago_jax.interop.huggingface.load import read_encoder_config
from spago_jax.interop.huggingface.locate import Download
from spago_jax.tasks.predictor import BatchPredictor
from spago_jax.tasks.pretrained.engine import (
    Engine,
    HeadModel,
    Quantize,
    Runtime,
    XlaEngine,
    make_engine,
    without_weights,
)
from spago_jax.tasks.pretrained.pieces import PieceProcessor

LONGEST = 512
"""The most pieces of a row where neither the tokenizer nor the encoder says."""


class RowSettings(Section):
    """How texts are read, and what runs the model."""

    max_length: PositiveInt | None = Field(default=None, description="the most pieces that are read at once")
    runtime: Runtime = Field(default="xla", description="what runs the model; auto: the faster one on this machine")
    quantize: Quantize | None = Field(default=None, description="int8 multiplies 8-bit integers: faster, less exact")


class WindowSettings(RowSettings):
    """How long texts are read."""

    stride: int | None = Field(default=None, ge=0, description="how many pieces of a window the next one repeats")


SettingsType = TypeVar("SettingsType", bound=RowSettings)


class PretrainedPredictor(BatchPredictor, abc.ABC, Generic[SettingsType]):
    """Answers by a pre-trained model with a head, on a Program per padded shape.

    Args:
        pretrained: the model with its tokenizer.
        settings: the fields of ``Settings``: ``max_length``, ``runtime``, ``quantize`` and the task's own.

    Attributes:
        head: the head that the task needs.
        encoders_only: whether an encoder-decoder that has the head will not do.
        Options: what a user may set when predicting.
        Settings: what a user may set when opening.
    """

    name: ClassVar[str]
    head: ClassVar[str]
    encoders_only: ClassVar[bool] = False
    Options: ClassVar[type[Section]] = Section
    Settings: ClassVar[type[Section]] = RowSettings

    def __init__(self, pretrained: Pretrained, **settings: Any):
        self.dtype = pretrained.model.dtype.name
        self.settings: SettingsType = checked(self.Settings, settings, self.name)
        processor = self.make_processor(pretrained, self.settings)
        self.engine = self.make_engine(pretrained, places="at" in processor.specs())
        if isinstance(self.engine, XlaEngine) and self.settings.quantize is None:
            self.pretrained = dataclasses.replace(pretrained, model=self.engine.model)  # in memory once
        else:  # which has weights of its own
            self.pretrained = without_weights(pretrained)
        call, freeze = self.engine.call(self.outputs, f"predict {self.name}")
        super().__init__(self.name, processor, call, freeze=freeze, fine=True)

    @classmethod
    def open(cls, source: str | Path, *, dtype: str = "float32", download: Download = "never", **settings: Any) -> Self:
        """Opens a folder, or a name, in Hugging Face's layout; arguments as for ``load_pretrained``."""
        if cls.encoders_only:
            read_encoder_config(find_model(source, download=download), cls.head)
        return cls(load_pretrained(source, head=cls.head, dtype=dtype, download=download), **settings)

    def make_engine(self, pretrained: Pretrained, *, places: bool = False) -> Engine:
        """Returns what runs a model, as the settings say."""
        return make_engine(pretrained, self.settings.runtime, self.settings.quantize, places=places)

    @classmethod
    @abc.abstractmethod
    def make_processor(cls, pretrained: Pretrained, settings: SettingsType) -> PieceProcessor:
        """Makes the processor, with what the folder says and the user's ``Settings``."""

    @abc.abstractmethod
    def outputs(self, model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Returns the arrays that answers are made from: the traced half."""


def checked(section: type[Section], settings: Mapping[str, Any], where: str) -> Any:
    """Returns a section of these settings.

    Raises:
        InputError: for an unknown setting, or one of the wrong type.

    >>> checked(RowSettings, {"max_length": 64}, "fill-mask").max_length
    64
    """
    for name in settings:
        if name not in section.model_fields:
            raise InputError(f"{where} has no setting {name!r}: {did_you_mean(name, section.model_fields)}")
    try:
        return section.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{where}: {first['loc'][0]} = {first['input']!r}: {first['msg']}") from None


def inputs(model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the arguments of a model's ``logits`` for a batch: token types where the encoder has some."""
    found = {"ids": batch["ids"], "lengths": batch["lengths"]}
    return found | ({"types": batch["types"]} if getattr(model.config, "types", 0) > 1 else {})


def longest(pretrained: Pretrained, wanted: int | None = None) -> int:
    """Returns the most pieces of a row: as many as are wanted, and the tokenizer and the positions allow."""
    limits = (wanted, pretrained.tokenizer.max_length, pretrained.model.config.longest)
    return min((limit for limit in limits if limit is not None), default=LONGEST)
