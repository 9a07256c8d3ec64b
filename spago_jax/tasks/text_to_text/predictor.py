# SPDX-License-Identifier: BSD-2-Clause
"""TextToText: the predictor of ``text2text-generation``, and the base of others that write a text for a text."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from spago_jax.core.section import PositiveInt, Section
from spago_jax.data.examples import Parallel
from spago_jax.data.processor import Answer, Paint
from spago_jax.errors import InputError
from spago_jax.generation import Generated
from spago_jax.interop.huggingface import Pretrained, load_pretrained
from spago_jax.interop.huggingface.locate import Download
from spago_jax.models.pretrained import config_to_huggingface
from spago_jax.tasks.predictor import FINE_LENGTHS, Predictor, Prepared, padded_length, plan
from spago_jax.tasks.pretrained.pieces import CONFIG
from spago_jax.tasks.pretrained.predictor import checked, longest
from spago_jax.tasks.text_to_text.answer import WrittenTexts
from spago_jax.tasks.text_to_text.processor import LongText, Marks, TextToTextProcessor, Written
from spago_jax.tasks.text_to_text.separate import separate_target
from spago_jax.tasks.text_to_text.trained import HEAD
from spago_jax.text.sentences import joined

MAX_TOKENS = 4096
"""The most padded tokens of the sources of a call, each counted once for every beam."""
WAITING = 256
"""Inputs that are read before the first of them is answered, so that those of like length meet."""
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class WritingOptions(Section):
    """How texts are written, by transformers' names; what is not given is as the model's files say."""

    max_length: PositiveInt | None = Field(
        default=None, description="the most tokens of a text, the start token among them"
    )
    max_new_tokens: PositiveInt | None = Field(default=None, description="the same without the start token")
    min_length: int | None = Field(default=None, ge=0, description="the fewest tokens, the start token among them")
    min_new_tokens: int | None = Field(default=None, ge=0, description="the same without the start token")
    num_beams: PositiveInt | None = Field(default=None, description="beams; 1 takes one token after the other")
    num_return_sequences: PositiveInt | None = Field(default=None, description="how many texts are given")
    do_sample: bool | None = Field(default=None, description="draw tokens, rather than take the likeliest ones")
    temperature: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="of the drawing: above 1 wilder, below 1 tamer"
    )
    top_k: int | None = Field(default=None, ge=0, description="draw among so many likeliest tokens; 0 for all")
    top_p: float | None = Field(
        default=None, gt=0, le=1, description="draw among the fewest tokens that have this probability together"
    )
    length_penalty: float | None = Field(
        default=None, description="the exponent of the length that the scores of beams are divided by"
    )
    early_stopping: bool | Literal["never"] | None = Field(
        default=None, description="stop at as many finished texts as there are beams; never: when none can be better"
    )
    no_repeat_ngram_size: int | None = Field(default=None, ge=0, description="no run of so many tokens occurs twice")
    repetition_penalty: float | None = Field(
        default=None, gt=0, description="above 1, tokens that are there already are less likely"
    )
    seed: int | None = Field(default=None, ge=0, lt=2**32, description="of the drawing")
    token_scores: bool | None = Field(default=None, description="give each token's log-probability with the texts")


class TextSettings(Section):
    """How texts are read."""

    max_source_length: PositiveInt | None = Field(default=None, description="the most pieces of a text that are read")
    long_text: LongText = Field(
        default="refuse", description="longer texts: refuse, or split into windows of whole sentences"
    )
    prefix: str | None = Field(default=None, description="what stands before each text, such as 'summarize: ' for T5")
    source_language: str | None = Field(default=None, description="language code of the texts, for models with codes")
    target_language: str | None = Field(default=None, description="language code of what is written")


class TextToText(Predictor):
    """Answers by an encoder-decoder, which writes a text for each text.

    Args:
        pretrained: the model with its tokenizer.
        settings: the fields of ``TextSettings``.

    Attributes:
        processor_class: reads texts and makes answers.
        Options: what a user may set when predicting.
        Settings: what a user may set when opening.
        plain: whether an answer in words is the text that was written, which may then be shown piece by piece.
    """

    plain: ClassVar[bool] = True
    name = "text2text-generation"
    processor_class: ClassVar[type[TextToTextProcessor]] = TextToTextProcessor
    Options: ClassVar[type[Section]] = WritingOptions
    Settings: ClassVar[type[Section]] = TextSettings

    def __init__(self, pretrained: Pretrained, **settings: Any):
        self.pretrained = pretrained = pretrained.separate()
        self.settings: TextSettings = checked(self.Settings, settings, self.name)
        self.processor = self.make_processor(pretrained, self.settings)
        self.generator = pretrained.generator

    @classmethod
    def open(cls, source: str | Path, *, dtype: str = "float32", download: Download = "never", **settings: Any) -> Self:
        """Opens a folder, or a name, in Hugging Face's layout; arguments as for ``load_pretrained``."""
        return cls(load_pretrained(source, head=HEAD, dtype=dtype, download=download), **settings)

    def renew(self, pretrained: Pretrained) -> None:
        """Goes on with other weights of the same shapes; the programs are kept, and the weights before are not."""
        self.pretrained = pretrained.separate()
        model: Any = self.pretrained.model
        self.generator.model = model

    @classmethod
    def make_processor(cls, pretrained: Pretrained, settings: TextSettings) -> TextToTextProcessor:
        """Makes the processor, with what the folder says and the user's ``Settings``."""
        facts = config_to_huggingface(pretrained.config, HEAD)
        return cls.processor_class(
            pretrained.tokenizer,
            Marks.of(facts, str(pretrained.folder / CONFIG)),
            longest(pretrained, settings.max_source_length),
            target_tokenizer=pretrained.own_target_tokenizer or separate_target(pretrained.folder, facts),
            long_text=settings.long_text,
            **cls._prefix(facts, settings),
        )

    @classmethod
    def _prefix(cls, facts: Mapping[str, Any], settings: TextSettings) -> dict[str, Any]:
        """Returns what stands before each text: as a user says, or as the ``task_specific_params`` of T5 do.

        Its languages are words of the prefix, and no tokens: ``translation_en_to_de`` has ``translate English to
        German: ``.
        """
        languages = {"source_language": settings.source_language, "target_language": settings.target_language}
        known = facts.get("task_specific_params") or {}
        pair = f"translation_{settings.source_language}_to_{settings.target_language}"
        if settings.prefix is not None:
            return {"prefix": settings.prefix, **languages}
        if pair in known:
            return {"prefix": known[pair].get("prefix") or ""}
        found = known.get(cls.name) or {}
        return {"prefix": found.get("prefix") or facts.get("prefix") or "", **languages}

    def writing(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options of one call for the generator: the task's own defaults, and what a user has set.

        ``token_scores`` is not one of them: the loop always keeps the scores of tokens, which texts are scored by.

        Raises:
            InputError: for an option that does not exist, or a value out of range.
        """
        given = {name: value for name, value in options.items() if value is not None}
        checked(self.Options, given, self.name)
        given.pop("token_scores", None)
        found = {**self.defaults(given), **given, "output_scores": True}
        languages = self.processor.languages
        if languages.forced is not None:
            found["forced_bos_token_id" if languages.leads else "decoder_start_token_id"] = languages.forced
        self.generator.options.updated(**found)
        return found

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options that hold in this task where a user does not say, and the model's files should not."""
        return {}

    def stream(self, inputs: Iterable[Any], *, at_once: int | None = None, **options: Any) -> Iterator[WrittenTexts]:
        """The answers as they come, in order; at most ``WAITING`` inputs are held.

        Of inputs with a method ``arrived(count)``, as many as are there are answered together.

        Args:
            inputs: texts, or examples of the task.
            at_once: the most inputs that are answered together.
            options: the fields of ``Options``.

        Raises:
            InputError: for an option that does not exist, a value out of range, or a text that is too long.
        """
        asked = {name: options.pop(name) for name in self.processor.example_options if name in options}
        how, scored = self.writing(options), bool(options.get("token_scores"))
        iterator = iter(inputs)
        arrived = getattr(inputs, "arrived", lambda count: list(islice(iterator, count)))
        while chunk := arrived(at_once or WAITING):
            examples = [self._example(value, **asked) for value in chunk]
            yield from self._answers(examples, how, scored=scored)

    def prepare(self, value: Any, **options: Any) -> Prepared:
        """Reads a text and checks the options; it costs its padded pieces, once for every beam."""
        found = super().prepare(value, **options)
        how = self.generator.options.updated(**self.writing(found.options))
        padded = tuple(self._padded(length) for length in found.lengths)
        return dataclasses.replace(found, lengths=padded * max(how.num_beams, how.num_return_sequences))

    def streamed(self, prepared: Prepared) -> Iterator[str]:
        """The text in pieces, without beams unless they are asked for (which is refused)."""
        return self.pieces(prepared.example, **{"num_beams": 1, **prepared.options})

    def _prepared(self, prepared: Sequence[Prepared], cancelled: Callable[[], bool] | None) -> Iterator[Answer]:
        options = prepared[0].options
        how, scored = self.writing(options), bool(options.get("token_scores"))
        examples = [each.example for each in prepared]
        if not self.generator.options.updated(**how).do_sample:
            return self._answers(examples, how, cancelled, scored=scored)
        # What is drawn depends on the place in a call: one by one, the same request draws the same text.
        return (answer for example in examples for answer in self._answers([example], how, cancelled, scored=scored))

    def _answers(
        self,
        examples: Sequence[Parallel],
        how: Mapping[str, Any],
        cancelled: Callable[[], bool] | None = None,
        *,
        scored: bool,
    ) -> Iterator[WrittenTexts]:
        rows = self.processor.encode(examples)
        outputs: dict[int, list[Written]] = {}
        for chunk in self._calls(rows.lengths.tolist(), how):
            found = self.generator.generate(*self._read(rows, chunk), cancelled=cancelled, **how)
            count = len(found.ids) // len(chunk)
            texts = _written(found, scored)
            for place, row in enumerate(chunk):
                outputs[row] = texts[place * count : (place + 1) * count]
        owned: dict[int, list[int]] = defaultdict(list)
        for row, owner in enumerate(rows.owners.tolist()):
            owned[owner].append(row)
        for number, example in enumerate(examples):
            yield self.processor.written([outputs[row] for row in owned[number]], example, scored=scored)

    def _calls(self, lengths: Sequence[int], how: Mapping[str, Any]) -> list[list[int]]:
        """Returns the rows of each call: rows of like length together, so many tokens in all beams at most."""
        options = self.generator.options.updated(**how)
        beams = max(options.num_beams, options.num_return_sequences)
        padded = [self._padded(length) for length in lengths]

        def counts(length: int) -> list[int]:
            most = max(MAX_TOKENS // (beams * max(length, 16)), 1)
            return [count for count in _ROWS if count < most] + [most]

        return [chunk for chunk, _ in plan(lengths, padded, counts)]

    def _padded(self, length: int) -> int:
        return min(padded_length(length, FINE_LENGTHS), self.processor.max_length)

    def _read(self, rows: Any, chunk: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ids of some rows, and which of them are real."""
        longest = int(rows.lengths[list(chunk)].max())
        batch = self.processor.batch(rows, np.array(chunk), longest)
        return batch["ids"], np.arange(longest) < batch["lengths"][:, None]

    def written(
        self,
        inputs: Iterable[Any],
        form: str,
        paint: Paint | None = None,
        *,
        at_once: int | None = None,
        **options: Any,
    ) -> Iterator[str]:
        """The answers as text; of texts that are answered one by one, each piece as soon as it is written."""
        how = self.generator.options.updated(**self.writing(self._own(options)))
        alone = at_once == 1 or (isinstance(inputs, Sequence) and len(inputs) == 1)
        alone = alone and not options.get("token_scores")
        if form != "text" or not alone or max(how.num_beams, how.num_return_sequences) > 1 or not self.plain:
            yield from super().written(inputs, form, paint, at_once=at_once, **options)
            return
        asked = {name: options[name] for name in self.processor.example_options if name in options}
        for value in inputs:
            yield from self.pieces(self._example(value, **asked), **self._own(options))
            yield "\n"

    def pieces(self, value: Any, **options: Any) -> Iterator[str]:
        """The text that is written for one text, in pieces as they come, without beams.

        Args:
            value: a text, or an example of the task.
            options: the fields of ``Options``.

        Raises:
            InputError: for beams, whose best one is known at the end, and for the scores of tokens, which pieces do not
                have; or as for ``stream``.
        """
        if options.get("token_scores"):
            raise InputError("token_scores = True: they come with the whole text; read it whole, not in pieces")
        how = {**self.writing(options), "output_scores": False}
        rows = self.processor.encode([self._example(value)])
        before = ""
        for row in range(len(rows)):
            ids: list[int] = []
            done = ""
            for found in self.generator.stream(*self._read(rows, [row]), **how):
                ids += found[0].tolist()
                text = self.processor.text(ids)
                # A character may be several tokens, and a token may change how the one before it is written.
                known = text[: len(text.rstrip("\ufffd"))]
                if known.startswith(done) and len(known) > len(done):
                    piece = known[len(done) :]
                    if not done and before:
                        piece = joined([before[-1], piece[0]])[1:-1] + piece
                    yield piece
                    done = known
            before = done or before

    def _own(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if name not in self.processor.example_options}


def _written(found: Generated, scored: bool) -> list[Written]:
    assert found.scores is not None
    assert found.token_scores is not None
    rows = zip(found.texts(), found.scores.tolist(), found.token_scores, strict=True)
    return [Written(ids.tolist(), score, each[: len(ids)].tolist() if scored else None) for ids, score, each in rows]
