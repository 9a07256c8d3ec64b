# SPDX-License-Identifier: BSD-2-Clause
"""The answer of token classification: a text with its tags and spans."""

import dataclasses
from typing import Any

from spago_jax.data.examples import Frame
from spago_jax.data.processor import Answer, Paint


@dataclasses.dataclass(frozen=True)
class LabeledSpan:
    """A labeled span.

    Attributes:
        label: its label.
        start: where it begins in the text, in code points.
        end: where it ends, exclusive.
        text: ``source[start:end]``.
        tokens: the same span in tokens.
        score: how probable the tags of the whole span are.
    """

    label: str
    start: int
    end: int
    text: str
    tokens: tuple[int, int] = (0, 0)
    score: float = 1.0


@dataclasses.dataclass(frozen=True)
class TaggedText(Answer):
    """A text with a tag for each of its tokens.

    Attributes:
        text: as it was given; tokens joined by blanks where only tokens were given.
        tokens: the pieces of the text that have tags.
        offsets: the place of each token in the text, in code points, half-open.
        tags: one per token, in the scheme of the training files.
        spans: the spans that the tags mark; empty where tags do not mark spans.
        plain: whether tags do not mark spans (parts of speech, roles).
        line: the line that the text begins in, where it came from a file.
        scores: how probable the tag of each token is, whatever the others are; empty where it is not known.
        frame: the lines of the file that the tokens stand in, to write the tags into.
        distributions: the score of every tag of each token, by its name, where they were asked for.
    """

    text: str
    tokens: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    tags: tuple[str, ...]
    spans: tuple[LabeledSpan, ...] = ()
    plain: bool = False
    line: int = 0
    scores: tuple[float, ...] = ()
    frame: Frame | None = dataclasses.field(default=None, repr=False, compare=False)
    distributions: tuple[dict[str, float], ...] = dataclasses.field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Text, tokens, offsets, tags, spans and scores."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del found["plain"], found["frame"], found["distributions"]
        found["scores"] = [round(p, 6) for p in self.scores]
        found["spans"] = [{**dataclasses.asdict(span), "score": round(span.score, 6)} for span in self.spans]
        if self.distributions:
            found["distributions"] = [{tag: round(p, 6) for tag, p in each.items()} for each in self.distributions]
        return found

    def to_text(self, paint: Paint | None = None) -> str:
        """The text with its labels in place; a text of several lines without paint: one line per token."""
        if paint is None and "\n" in self.text.strip("\n"):
            return self._listing()
        mark = paint or (lambda piece, label: f"[{piece}]({label})")
        out, at = [], 0
        for start, end, label in self._marked():
            out += [self.text[at:start], _in_lines(self.text[start:end], label, mark)]
            at = end
        text = "".join([*out, self.text[at:]])
        return text if text.endswith("\n") else f"{text}\n"

    def to_columns(self) -> str:
        """One token and its tag per line, and a blank line; white space within a token is written as ``␣``.

        A sentence of a CoNLL or CoNLL-U file has the lines of that file: with the tag as one more column, or in the
        column that was predicted.
        """
        if self.frame is not None:
            return self.frame.with_tags(self.tags)
        tokens = ("".join("␣" if char.isspace() else char for char in token) for token in self.tokens)
        return "".join(f"{token}\t{tag}\n" for token, tag in zip(tokens, self.tags, strict=True)) + "\n"

    def _marked(self) -> list[tuple[int, int, str]]:
        if self.plain:
            return [(*offset, tag) for offset, tag in zip(self.offsets, self.tags, strict=True)]
        return [(span.start, span.end, span.label) for span in self.spans]

    def _listing(self) -> str:
        """``line:column``, text and tag of every token, apart by tabs; both numbers count from 1."""
        out, row, start = [], 1, 0
        for (begin, end), tag in zip(self.offsets, self.tags, strict=True):
            while (found := self.text.find("\n", start, begin)) >= 0:
                row, start = row + 1, found + 1
            out.append(f"{row}:{begin - start + 1}\t{self.text[begin:end]!r}\t{tag}\n")
        return "".join(out)


def _in_lines(text: str, label: str, mark: Paint) -> str:
    """Marks the lines of a piece of text one by one: colours do not run over line ends."""
    return "\n".join(mark(line, label) if line else line for line in text.split("\n"))
