# SPDX-License-Identifier: BSD-2-Clause
"""The processor of tasks that write a text for a text: sources to ids, ids to texts."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np

from spago_jax.data.examples import Parallel
from spago_jax.data.notes import Notes
from spago_jax.data.processor import Processor, load_settings, restoring, save_settings
from spago_jax.errors import InputError
from spago_jax.tasks.pretrained.pieces import fields, load_config, placed, save_config, text_of
from spago_jax.tasks.text_to_text.answer import WrittenText, WrittenTexts, WrittenToken
from spago_jax.tasks.text_to_text.languages import Languages
from spago_jax.tasks.text_to_text.rows import ParallelRows, SourceRows
from spago_jax.text.sentences import joined, sentence_spans
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.subword import SubwordTokenizer

LongText = Literal["refuse", "split"]
LongPairs = Literal["refuse", "leave-out", "cut"]
_AT_ONCE = 1024  # pairs


class Written(NamedTuple):
    """What was written for one row.

    Attributes:
        ids: the ids, the end among them.
        score: of the text.
        token_scores: one per id; None where they are not asked for.
    """

    ids: Sequence[int]
    score: float
    token_scores: Sequence[float] | None = None


@dataclasses.dataclass(frozen=True)
class Marks:
    """The ids that a decoder begins with and is padded with.

    Attributes:
        start: the id that stands before a text that is written.
        pad: the id beyond its end.
        rotate: whether the last id of a target, that of its language, is what stands before it (mBART).
    """

    start: int
    pad: int
    rotate: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any], path: str = "config.json") -> "Marks":
        """Returns those of a ``config.json``.

        Raises:
            InputError: where it does not say them.
        """
        rotate = config.get("model_type") == "mbart"
        pad, start = config.get("pad_token_id"), config.get("decoder_start_token_id")
        start = pad if start is None and rotate else start  # which is then never read
        for name, value in (("pad_token_id", pad), ("decoder_start_token_id", start)):
            if not isinstance(value, int):
                raise InputError(
                    f"{name} is {value!r}, expected an id: a decoder has to begin with something", path=path
                )
        assert isinstance(start, int)
        assert isinstance(pad, int)
        return cls(start, pad, rotate)


class TextToTextProcessor(Processor[Parallel, WrittenTexts]):
    """Texts to the ids that an encoder reads, pairs to what a decoder learns from, and ids to texts.

    Args:
        tokenizer: that of the texts that are read.
        marks: of the decoder.
        max_length: the most pieces of a source, marks among them.
        max_target_length: the most pieces of a target that is learned from.
        target_tokenizer: that of the texts that are written; None: the same.
        prefix: what stands before each source (T5's ``translate English to German: ``).
        long_text: what is done with a source that is longer than ``max_length``: it is refused, or split into windows
            of whole sentences whose texts are put together again. Nothing is cut off silently.
        source_language: the language of the texts that are read, for models that are told it.
        target_language: the language of the texts that are written.

    Attributes:
        config: the ``config.json`` of the model, where it was trained by a run, whose assets hold it.
        generation: how a run writes texts where a user does not say, by transformers' names.
    """

    unit = "pieces"
    config: Mapping[str, Any] | None = None
    generation: Mapping[str, Any]
    example_options: ClassVar[tuple[str, ...]] = ()
    keep_special: ClassVar[bool] = False
    task: ClassVar[str] = "text2text-generation"

    def __init__(
        self,
        tokenizer: SubwordTokenizer,
        marks: Marks,
        max_length: int,
        max_target_length: int | None = None,
        *,
        target_tokenizer: SubwordTokenizer | None = None,
        prefix: str = "",
        long_text: LongText = "refuse",
        source_language: str | None = None,
        target_language: str | None = None,
    ):
        self.tokenizer, self.target_tokenizer = tokenizer, target_tokenizer or tokenizer
        self.marks, self.max_length, self.prefix, self.long_text = marks, max_length, prefix, long_text
        self.max_target_length = max_length if max_target_length is None else max_target_length
        self.source_language, self.target_language = source_language, target_language
        self.languages = Languages(tokenizer, source_language, target_language)
        self.generation = {}

    # -- reading ---------------------------------------------------------------------------------------------------

    def example(self, value: object) -> Parallel:
        """A text, or a record with ``text``.

        Raises:
            InputError: for anything else.
        """
        value, line = placed(value)
        if isinstance(value, Mapping):
            value = fields(value, "text")["text"]
        if isinstance(value, Parallel):
            return value
        return Parallel(text_of(value), line=line)

    def source(self, example: Parallel) -> str:
        """Returns what is read of an example: its source behind the prefix and the mark of its language."""
        return f"{self.languages.prefix}{self.prefix}{example.source}"

    def encode(self, examples: Iterable[Parallel]) -> SourceRows:
        """The rows of some texts; an empty one has none, and a long one several if it may be split.

        Raises:
            InputError: for a text that is longer than the model reads, unless it may be split.
        """
        given = list(examples)
        numbers = [number for number, example in enumerate(given) if example.source.strip()]
        whole = self._encoded([self.source(given[number]) for number in numbers])
        ids: list[list[int]] = []
        owners: list[int] = []
        for number, row in zip(numbers, whole, strict=True):
            rows = [row]
            if len(row) > self.max_length:
                rows = self._windows(given[number], len(row))
            ids += rows
            owners += [number] * len(rows)
        return SourceRows(ids, owners)

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.languages.marked(encoding) for encoding in self.tokenizer.encode_batch(texts)]

    def _windows(self, example: Parallel, length: int) -> list[list[int]]:
        if self.long_text == "refuse":
            raise InputError(
                f"{example.source!r:.60} has {length} pieces with its marks, and the model reads {self.max_length} at "
                'most; shorten it, or open the task with long_text="split", which reads windows of whole sentences'
            )
        room = self.max_length - (len(self._encoded([self.source(Parallel(""))])[0]))
        if room < 1:
            raise InputError(f"max_length = {self.max_length} leaves no room beside the marks of a text")
        texts = [example.source[start:end] for start, end in self.pieces(example.source, room)]
        return self._encoded([self.source(Parallel(text)) for text in texts])

    def pieces(self, text: str, room: int) -> list[tuple[int, int]]:
        """Returns the places of windows of whole sentences of at most so many pieces, as few as it takes in order.

        A sentence that is longer itself is split between words, and a longer word within it.
        """
        spans: list[tuple[int, int]] = []
        for start, end in sentence_spans(text):
            spans += self._split(text, start, end, room)
        found: list[tuple[int, int]] = []
        for start, end in spans:
            if found and len(self.tokenizer.cut([text[found[-1][0] : end]])[0]) <= room:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
        return found

    def _split(self, text: str, start: int, end: int, room: int) -> list[tuple[int, int]]:
        """Returns the parts of a sentence that have at most so many pieces."""
        found = []
        while start < end:
            pieces = self.tokenizer.cut([text[start:end]])[0]
            if len(pieces) <= room:
                found.append((start, end))
                break
            reach = start + max(pieces.offsets[room - 1][1], 1)  # the last letter that may fit
            blank = max((at for at in range(start + 1, reach + 1) if text[at : at + 1].isspace()), default=reach)
            # Cut off from what follows, a part may have other pieces, and more of them.
            while blank > start + 1 and len(self.tokenizer.cut([text[start:blank].strip()])[0]) > room:
                shorter = max((at for at in range(start + 1, blank) if text[at].isspace()), default=blank - 1)
                blank = shorter
            found.append((start, blank))
            start = blank
            while start < end and text[start].isspace():
                start += 1
        return found

    # -- learning --------------------------------------------------------------------------------------------------

    def parallel(
        self, pairs: Iterable[Parallel], *, longer: LongPairs = "refuse", notes: Notes | None = None
    ) -> ParallelRows:
        """Returns the rows of pairs to be learned from.

        Args:
            pairs: from a reader.
            longer: what is done with pairs of which one side is too long.
            notes: where those are counted that are left out or cut.

        Raises:
            InputError: for pairs that are too long, with the first one's line, or where none is left.
        """
        notes = notes or Notes()
        ids: list[list[int]] = []
        target_ids: list[list[int]] = []
        kept: list[Parallel] = []
        too_long: list[tuple[Parallel, int, int]] = []
        iterator = iter(pairs)
        while chunk := list(islice(iterator, _AT_ONCE)):
            sources = self._encoded([self.source(pair) for pair in chunk])
            targets = self.target_ids([pair.target or "" for pair in chunk])
            for pair, source, target in zip(chunk, sources, targets, strict=True):
                if len(source) > self.max_length or len(target) > self.max_target_length:
                    too_long.append((pair, len(source), len(target)))
                    if longer == "cut":
                        notes.add("pairs are cut to train.max_length and train.max_target_length pieces")
                        source = self._cut(self.tokenizer, self.source(pair), self.max_length)
                        target = self._cut(self.target_tokenizer, pair.target or "", self.max_target_length, True)
                    elif longer == "leave-out":
                        notes.add(
                            "pairs are left out: a side is longer than train.max_length or train.max_target_length"
                        )
                        continue
                ids.append(source)
                target_ids.append(target)
                kept.append(pair)
        if too_long and longer == "refuse":
            pair, source, target = too_long[0]
            raise InputError(
                f"{len(too_long)} pairs are too long, the first of line {pair.line} with {source} and {target} pieces: "
                f"at most {self.max_length} (train.max_length) and {self.max_target_length} (train.max_target_length) "
                "are read and written; raise these, or set train.long_pairs: leave-out or cut"
            )
        if not kept:
            raise InputError("no pair of texts is left to learn from")
        return ParallelRows(ids, target_ids, kept)

    def target_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of targets, with the marks beside them."""
        return [self.languages.marked(found, target=True) for found in self.target_tokenizer.encode_batch(texts)]

    def _cut(self, tokenizer: SubwordTokenizer, text: str, length: int, target: bool = False) -> list[int]:
        found = tokenizer.encode(text, max_length=length, truncation="longest_first")
        return self.languages.marked(found, target=target)

    # -- batches ---------------------------------------------------------------------------------------------------

    def batch(
        self,
        rows: Any,
        indices: np.ndarray,
        length: int,
        *,
        targets: bool = False,
        target_length: int | None = None,
    ) -> dict[str, np.ndarray]:
        """The ``ids`` and ``lengths`` of some rows.

        As targets, the ids ``labels`` that are to be written, how many they are (``label_lengths``), and ``targets``,
        what the decoder reads: the same, one place later, behind the start. They are padded to ``target_length``.
        """
        length = min(length, self.max_length)
        ids, lengths = rows.ids.gather(indices, length, pad=self.marks.pad)
        found = {"ids": ids, "lengths": lengths}
        if targets:
            width = int(rows.target_lengths.max()) if target_length is None else target_length
            labels, label_lengths = rows.target_ids.gather(indices, width, pad=self.marks.pad)
            first = np.full((*labels.shape[:-1], 1), self.marks.start, np.int32)
            if self.marks.rotate:
                last = np.maximum(label_lengths - 1, 0)[..., None]
                first = np.take_along_axis(labels, last.astype(np.int64), -1)
            read = np.concatenate([first, labels[..., :-1]], -1)
            real = np.arange(width) < label_lengths[..., None]
            found |= {
                "targets": np.where(real, read, self.marks.pad).astype(np.int32),
                "labels": labels,
                "label_lengths": label_lengths,
            }
        return found

    def specs(self) -> dict[str, str]:
        """The ids of the sources, and what the decoder reads."""
        return {"ids": "i32[batch, time]", "lengths": "i32[batch]", "targets": "i32[batch, target]"}

    def sizes(self) -> dict[str, int]:
        """Those of short texts."""
        return {"time": 32, "target": 32}

    # -- answers ---------------------------------------------------------------------------------------------------

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of ids that were written, without special tokens."""
        known = [int(id) for id in ids if 0 <= id < self.target_tokenizer.size]
        if not self.keep_special:
            return self.target_tokenizer.decode(known)
        marks = {self.marks.start, self.marks.pad, *self.target_tokenizer.special_ids.values()}
        return self.target_tokenizer.decode([id for id in known if id not in marks], skip_special=False)

    def tokens(self, ids: Sequence[int], scores: Sequence[float]) -> tuple[WrittenToken, ...]:
        """Returns ids that were written as tokens with their scores."""
        vocabulary = self.target_tokenizer
        return tuple(
            WrittenToken(vocabulary.token(id) if 0 <= id < vocabulary.size else "", id, score)
            for id, score in zip(map(int, ids), map(float, scores), strict=True)
        )

    def written(self, rows: Sequence[Sequence[Written]], example: Parallel, *, scored: bool = False) -> WrittenTexts:
        """The answer to an example; windows of a split text are put together, rank by rank, with their mean score.

        An empty text is answered by an empty text of score 0.

        Args:
            rows: for each of its rows what was written, the best first.
            example: the text.
            scored: whether the scores of tokens are asked for.
        """
        if not rows:
            return self.answer(example, [WrittenText("", 0.0, () if scored else None)])
        texts = []
        for rank in zip(*rows, strict=True):
            parts = [self.text(each.ids) for each in rank]
            score = sum(each.score for each in rank) / len(rank)
            tokens = [self.tokens(each.ids, each.token_scores) for each in rank if each.token_scores is not None]
            text = parts[0] if len(parts) == 1 else joined(parts)
            texts.append(WrittenText(text, float(score), sum(tokens, ()) if tokens else None))
        return self.answer(example, texts)

    def answer(self, example: Parallel, texts: Sequence[WrittenText]) -> WrittenTexts:
        """Returns the answer to an example."""
        return WrittenTexts(example.source, tuple(texts), example.line)

    # -- assets ----------------------------------------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """What restores it beside the tokenizers."""
        names = ("max_length", "max_target_length", "prefix", "long_text", "source_language", "target_language")
        return {
            "task": self.task,
            "marks": dataclasses.asdict(self.marks),
            "separate": self.target_tokenizer is not self.tokenizer,
            "generation": dict(self.generation),
            **{name: getattr(self, name) for name in names},
        }

    def save(self, folder: Path) -> None:
        """Writes ``processor.json``, the files of the tokenizers, and the model's ``config.json``."""
        save_settings(self, folder)
        self.tokenizer.save(folder / "tokenizer")
        if self.target_tokenizer is not self.tokenizer:
            self.target_tokenizer.save(folder / "target_tokenizer")
        if self.config is not None:
            save_config(self.config, folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what ``save`` wrote."""
        settings = {name: value for name, value in load_settings(folder).items() if name != "task"}
        tokenizer = load_tokenizer(folder / "tokenizer")
        target = load_tokenizer(folder / "target_tokenizer") if settings.get("separate") else None
        with restoring(folder, "a processor of texts to texts"):
            settings.pop("separate")
            generation, marks = dict(settings.pop("generation")), Marks(**settings.pop("marks"))
            found = cls(tokenizer, marks, target_tokenizer=target, **settings)
        found.config, found.generation = load_config(folder), generation
        return found

    def components(self) -> list[Any]:
        """The processor and its tokenizers."""
        return [self, self.tokenizer, self.target_tokenizer]


__all__ = ["LongPairs", "LongText", "Marks", "TextToTextProcessor", "Written"]
