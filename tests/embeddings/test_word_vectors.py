# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: cosines by hand, and numbers computed with NumPy on published vectors and human judgements."""

import json

import numpy as np
import pytest
from helpers import refuses

from spago_jax.embeddings.nearest import NearestWords
from spago_jax.embeddings.read_vectors import read_word_vectors
from spago_jax.embeddings.word_vectors import WordVectors


@pytest.fixture
def vectors():
    return WordVectors(["up", "high", "left", "zero"], np.array([[0, 2.0], [0.2, 1], [-1, 0], [0, 0]], np.float32))


def test_looking_up(vectors):
    assert len(vectors) == 4
    assert vectors.dimensions == 2
    assert vectors["left"].tolist() == [-1, 0]
    assert "up" in vectors
    assert "down" not in vectors
    assert vectors.index == {"up": 0, "high": 1, "left": 2, "zero": 3}
    with pytest.raises(KeyError, match="no vector for 'down'"):
        vectors["down"]
    assert repr(vectors) == "WordVectors(4 words, 2 dimensions, float32)"


def test_nearest(vectors):
    (first, cosine), *others = NearestWords(vectors).nearest("up")
    assert first == "high"
    assert cosine == pytest.approx(1 / np.sqrt(1.04), rel=1e-6)
    assert [score for _, score in others] == [0, 0]
    assert NearestWords(vectors).nearest("up", 1) == [(first, cosine)]
    with refuses("no vector for 'hihg'; did you mean 'high'?"):
        NearestWords(vectors).nearest("hihg")
    with refuses("no vector for 'qqqq'"):
        NearestWords(vectors).nearest("qqqq")


def test_coverage(vectors):
    report = vectors.coverage(["up", "down", "up", "strange", "left"])
    assert (report.words, report.found, report.missing) == (4, 2, ("down", "strange"))
    assert report.share == 0.5
    assert str(report) == "2 of 4 words (50.0%) have a vector"
    assert vectors.coverage([]).share == 0.0


def ranks(values):
    """Ranks with ties averaged."""
    values = np.asarray(values)
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])


@pytest.mark.shared_data
def test_published_similarities_and_neighbours(shared_data):
    reference = json.loads((shared_data / "emb-eval-gensim/reference_similarity.json").read_text())
    reference = reference["glove-twitter-25d-12k"]
    vectors = read_word_vectors(shared_data / "emb-glove-twitter-25d-12k/glove.twitter.25d.12k.txt")
    assert len(vectors) == 11925
    for name in ("wordsim353.tsv", "simlex999.txt"):
        lines = (shared_data / "emb-eval-gensim" / name).read_text().splitlines()
        pairs = [line.split("\t") for line in lines if line and line[0] != "#"]
        assert len(pairs) == reference[name]["pairs"]
        covered = [
            (a.lower(), b.lower(), float(s)) for a, b, s in pairs if a.lower() in vectors and b.lower() in vectors
        ]
        assert len(covered) == reference[name]["covered"]
        cosines = [
            vectors[a] @ vectors[b] / (np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b])) for a, b, _ in covered
        ]
        spearman = np.corrcoef(ranks(cosines), ranks([s for *_, s in covered]))[0, 1]
        assert round(float(spearman), 4) == reference[name]["spearman_cosine"]
    for word in ("king", "paris", "monday", "good"):
        assert [near for near, _ in NearestWords(vectors).nearest(word, 5)] == reference[f"nn_{word}"]
