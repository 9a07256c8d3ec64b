# SPDX-License-Identifier: BSD-2-Clause
"""TextEncoding: the predictor of ``text-encoding``."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from spago_jax.core import Array
from spago_jax.core.section import Section, Texts
from spago_jax.errors import InputError, did_you_mean
from spago_jax.interop.huggingface import Pretrained, load_pretrained
from spago_jax.interop.huggingface.sentence import Normalize, Pooling, SentencePipeline
from spago_jax.ops.masks import length_mask
from spago_jax.ops.pooling_modes import POOLING_MODES
from spago_jax.tasks.predictor import BatchPredictor, Prepared
from spago_jax.tasks.pretrained.engine import HeadModel
from spago_jax.tasks.pretrained.predictor import PretrainedPredictor, RowSettings, inputs, longest
from spago_jax.tasks.text_encoding.processor import EncodingProcessor

POOLER = "pooler"
ALIASES = {"weighted": "weightedmean", "last": "lasttoken", "mean_sqrt": "mean_sqrt_len_tokens"}


class EncodingOptions(Section):
    """How the states of a text's pieces become its vector."""

    pooling: Texts | None = Field(default=None, description="cls, pooler, mean, max, ...; several are joined")
    normalize: bool | None = Field(default=None, description="scale vectors to length 1 (default: as the folder says)")


class EncodingSettings(RowSettings):
    """How texts are read."""

    prompt: str | None = Field(default=None, description="the name of a prompt of the folder, or a prompt")


class TextEncoding(PretrainedPredictor[EncodingSettings]):
    """Gives a vector for each text (Reimers and Gurevych, 2019).

    ``v = normalize(dense(pool(states)))``, as the folder says; the mean of the states where it says nothing.
    """

    name: ClassVar[str] = "text-encoding"
    head: ClassVar[str] = "states"
    encoders_only: ClassVar[bool] = True
    Options = EncodingOptions
    Settings = EncodingSettings

    def __init__(self, pretrained: Pretrained, **settings: Any):
        super().__init__(pretrained, **settings)
        self._making = threading.Lock()
        self._others: dict[tuple[tuple[str, ...] | None, bool | None], BatchPredictor] = {}

    @property
    def pipeline(self) -> SentencePipeline:
        """What the folder says of pooling and normalization; the mean where it says nothing."""
        return self.pretrained.pooling or SentencePipeline()

    @classmethod
    def make_processor(cls, pretrained: Pretrained, settings: EncodingSettings) -> EncodingProcessor:
        """Texts are cut at what the folder says, and its default prompt stands before them."""
        pipeline = pretrained.pooling or SentencePipeline()
        size = longest(pretrained, settings.max_length or pipeline.max_length)
        prompts = dict(pipeline.prompts)
        name = pipeline.default_prompt if settings.prompt is None else settings.prompt
        text = prompts.get(name, name) if name else ""
        return EncodingProcessor(pretrained.tokenizer, size, pipeline.lowercase, text)

    def outputs(self, model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
        """The ``vector`` [batch, features] by the folder's own pooling."""
        return self._pooled(model, batch, None, None)

    def _pooled(
        self, model: HeadModel, batch: Mapping[str, Array], pooling: tuple[str, ...] | None, normalize: bool | None
    ) -> dict[str, Array]:
        pipeline = changed(self.pipeline, pooling, normalize)
        states = model.states(**inputs(model, batch))
        mask = length_mask(batch["lengths"], states.shape[-2])
        return {"vector": pipeline.pool(states, mask, self.processor.prompt_pieces)}

    def stream(self, inputs: Iterable[Any], *, at_once: int | None = None, **options: Any) -> Iterator[Any]:
        """The vectors with their texts, as they come; options ``pooling`` and ``normalize``."""
        other = self._other(options)
        if other is None:
            return super().stream(inputs, at_once=at_once, **options)
        return other.stream(inputs, at_once=at_once, **options)

    def prepare(self, value: object, **options: Any) -> Prepared:
        """Encodes a text, for the predictor that has the pooling that is asked for."""
        other = self._other(options)
        return super().prepare(value, **options) if other is None else other.prepare(value, **options)

    def _other(self, options: dict[str, Any]) -> BatchPredictor | None:
        """Takes the pooling out of some options; returns the predictor that has it, unless that is this one."""
        pooling, normalize = options.pop("pooling", None), options.pop("normalize", None)
        if pooling is None and normalize is None:
            return None
        key = (None if pooling is None else modes_of(pooling), normalize)
        with self._making:
            if key not in self._others:
                self._others[key] = self._with(*key)
        return self._others[key]

    def _with(self, pooling: tuple[str, ...] | None, normalize: bool | None) -> BatchPredictor:
        """A predictor with another pooling, on a program of its own."""
        engine = self.engine
        if pooling == (POOLER,):
            engine = self.make_engine(load_pretrained(self.pretrained.folder, head=POOLER, dtype=self.dtype))

        def outputs(model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
            if pooling != (POOLER,):
                return self._pooled(model, batch, pooling, normalize)
            vector = model.logits(**inputs(model, batch))
            return {"vector": Normalize()(vector) if normalize else vector}

        return BatchPredictor(self.name, self.processor, engine.call(outputs, f"predict {self.name}")[0], fine=True)

    def __call__(
        self,
        texts: str | list[str],
        pooling: str | Sequence[str] | None = None,
        normalize: bool | None = None,
        **options: Any,
    ) -> Any:
        """The vector of a text [features], or those of a list of texts [texts, features].

        Args:
            texts: one text, or a list of them.
            pooling: ``cls``, ``pooler``, ``mean``, ``max``, ``mean_sqrt``, ``weighted``, ``last``, or several, a
                list or ``mean+max``, which are joined; as the folder says by default.
            normalize: scale vectors to length 1; as the folder says by default.
            options: none.
        """
        options |= {"pooling": pooling, "normalize": normalize}
        if isinstance(texts, str):
            (found,) = self.stream([texts], **options)
            return found.vector
        vectors = [found.vector for found in self.stream(texts, **options)]
        return np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)


def modes_of(pooling: str | Sequence[str]) -> tuple[str, ...]:
    """Returns the names of poolings as sentence-transformers has them.

    Raises:
        InputError: for an unknown one, or the pooler beside others.

    >>> modes_of("mean+max"), modes_of(["cls", "weighted"])
    (('mean', 'max'), ('cls', 'weightedmean'))
    """
    names = pooling.split("+") if isinstance(pooling, str) else pooling
    found = tuple(ALIASES.get(name, name) for name in names)
    for name in found:
        if name not in POOLING_MODES and name != POOLER:
            known = [POOLER, *POOLING_MODES, *ALIASES]
            raise InputError(f"pooling = {name!r}: {did_you_mean(str(name), known)}")
    if POOLER in found and len(found) > 1:
        raise InputError("pooling: the pooler's vector is not joined with others; ask for it alone")
    return found


def changed(pipeline: SentencePipeline, pooling: tuple[str, ...] | None, normalize: bool | None) -> SentencePipeline:
    """Returns a pipeline with another pooling, with or without a last scaling to length 1; None keeps what there is."""
    if pooling is not None:
        pipeline = pipeline.replace(pooling=Pooling(modes=pooling))
    if normalize is not None:
        layers = tuple(layer for layer in pipeline.layers if not isinstance(layer, Normalize))
        pipeline = pipeline.replace(layers=(*layers, Normalize()) if normalize else layers)
    return pipeline
