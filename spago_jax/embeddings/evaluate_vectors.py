# SPDX-License-Identifier: BSD-2-Clause
"""Scores of word vectors: how they agree with people on similar words, and how many analogies they answer."""

import dataclasses
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from spago_jax.data.files import open_text
from spago_jax.embeddings.nearest import NearestWords
from spago_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class PairScores:
    """The agreement with judgments of pairs of words.

    Attributes:
        pairs: how many the file has.
        covered: of how many both words have a vector.
        spearman: the rank correlation of cosines and judgments over these; NaN for fewer than two.
    """

    pairs: int
    covered: int
    spearman: float


@dataclasses.dataclass(frozen=True)
class AnalogyScores:
    """The analogies that were answered.

    Attributes:
        questions: how many the file has.
        covered: of how many all four words have a vector.
        right: of how many the nearest word to ``b - a + c`` is the fourth.
        sections: the two numbers, covered and right, of each section.
    """

    questions: int
    covered: int
    right: int
    sections: dict[str, tuple[int, int]]


def read_pairs(path: str | Path) -> list[tuple[str, str, float]]:
    """Reads judgments: two words and a number per line, apart by tabs, commas or blanks (WordSim-353, SimLex-999).

    Comments begin with ``#``; a first line without a number is a head. Of more columns, the fourth is the judgment
    where the head says so (SimLex's own file), else the third.

    Raises:
        InputError: for a line that is not a judgment, or a file without any.
    """
    found, column = [], 2
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\r\n")
            if not line.strip() or line.startswith("#"):
                continue
            fields = line.split("\t" if "\t" in line else "," if "," in line else None)
            try:
                found.append((fields[0], fields[1], float(fields[column])))
            except (IndexError, ValueError):
                if found:
                    message = f"{line[:60]!r}, expected two words and a number"
                    raise InputError(message, path=path, line=number) from None
                column = next((n for n, name in enumerate(fields) if "simlex" in name.lower()), 2)
    if not found:
        raise InputError("no pair of words with a number in it", path=path)
    return found


def score_pairs(words: NearestWords, path: str | Path) -> PairScores:
    """Compares cosines with a file of judgments; pairs with a word without a vector are left out and counted."""
    pairs = read_pairs(path)
    covered = [pair for pair in pairs if words.vector(pair[0]) is not None and words.vector(pair[1]) is not None]
    cosines = [words.similarity(one, other) for one, other, _ in covered]
    judged = [judgment for _, _, judgment in covered]
    enough = len(set(cosines)) > 1 and len(set(judged)) > 1
    correlation = float(spearmanr(cosines, judged).statistic) if enough else float("nan")  # type: ignore[attr-defined]
    return PairScores(len(pairs), len(covered), correlation)


def score_analogies(words: NearestWords, path: str | Path) -> AnalogyScores:
    """Answers a file of analogies: four words per line, ``: NAME`` before a section (Mikolov et al., 2013).

    Raises:
        InputError: for a line of another number of words.
    """
    questions, sections, section = 0, {"": [0, 0]}, ""
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            fields = line.split()
            if not fields or line.startswith("#"):
                continue
            if fields[0] == ":" or (fields[0].startswith(":") and len(fields) == 1):
                section = " ".join(fields).lstrip(": ")
                sections.setdefault(section, [0, 0])
                continue
            if len(fields) != 4:
                raise InputError(f"{len(fields)} words, expected four", path=path, line=number)
            questions += 1
            if all(words.vector(word) is not None for word in fields):
                a, b, c, expected = fields
                sections[section][0] += 1
                best = words.analogy(a, b, c, 1)
                sections[section][1] += bool(best) and best[0][0] in (expected, expected.lower())
    covered, right = (int(np.sum([counts[n] for counts in sections.values()])) for n in (0, 1))
    named = {name: (counts[0], counts[1]) for name, counts in sections.items() if counts[0]}
    return AnalogyScores(questions, covered, right, named)


def is_analogies(path: str | Path) -> bool:
    """Whether a file is one of analogies: its first line of content is a section, or four words."""
    with open_text(path) as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                return line.startswith(":") or (len(line.split()) == 4 and "\t" not in line)
    return False
