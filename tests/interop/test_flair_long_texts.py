"""Texts that are longer than an encoder reads, in files of Flair 0.15.1. Oracle: what Flair computed of them."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from helpers import exported_answers

import spago_jax as sj
from spago_jax.cli.main import run
from spago_jax.data.encoded import EncodedSentences
from spago_jax.data.examples import Tokens
from spago_jax.interop.flair.open import import_flair

FILES = Path(__file__).parent.parent / "data" / "flair-long"
WANTED = json.loads((FILES / "expected.json").read_text())
SHORT, LONG = WANTED["short"], WANTED["long"]


@jax.jit
def vectors_of(model, batch):
    return model.embeddings(batch)


@pytest.mark.parametrize("name", ["words-first-last", "words-context", "words-cut"])
def test_words_of_long_sentences_have_the_vectors_of_flair(name):
    """In windows (with the context of neighbors too), or cut, where words that are not read have zeros."""
    found = import_flair(FILES / f"{name}.pt")
    assert ("in windows of 16 pieces" in found.facts["embeddings"][0]) == (name != "words-cut")
    task, model = found.open()
    rows = task.processor.rows(EncodedSentences.of([Tokens(SHORT), Tokens(LONG), Tokens(SHORT)]))
    assert rows.lengths.max() > 16
    batch = task.processor.batch(rows, np.array([0, 1, 2, -1]), int(rows.lengths.max()) + 2)
    found = np.asarray(vectors_of(model, batch))
    for row, expected in zip((1, 2), WANTED[name], strict=True):
        np.testing.assert_allclose(found[row, : len(expected)], expected, rtol=1e-5, atol=3e-6)
    assert not found[3].any()


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_long_documents_are_pooled_over_all_windows_as_in_flair(pooling, tmp_path):
    import_flair(FILES / f"document-{pooling}.pt").save(tmp_path / "saved")
    classify: Any = sj.load_task("text-classification", tmp_path / "saved")
    for words, expected in zip((SHORT, LONG), WANTED[f"document-{pooling}"], strict=True):
        (answer,) = classify([" ".join(words)])
        assert {each.label: each.score for each in answer.ranking} == pytest.approx(expected, abs=1e-6)


def test_windows_have_gradients_and_do_not_depend_on_padding():
    task, model = import_flair(FILES / "words-first-last.pt").open()
    rows = task.processor.encode([Tokens(LONG)])

    def total(model, batch):
        found = model.embeddings(batch)[..., : len(LONG), :]
        return (found**3).sum(), found

    results = [
        jax.jit(jax.grad(total, allow_int=True, has_aux=True))(model, task.processor.batch(rows, np.array([0]), length))
        for length in (int(rows.lengths[0]), 40)
    ]
    (first, vectors), (second, again) = results
    np.testing.assert_allclose(vectors, again, rtol=1e-5, atol=1e-5)
    grads = [np.asarray(each.embeddings.parts[0].encoder.embeddings.words) for each in (first, second)]
    assert np.abs(grads[0]).max() > 1e-2
    np.testing.assert_allclose(grads[0], grads[1], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["stablehlo", "onnx"])
def test_an_exported_tagger_reads_long_sentences_in_windows(form, tmp_path):
    saved = import_flair(FILES / "words-first-last.pt").save(tmp_path / "saved")
    assert run(["export", str(saved), str(tmp_path / "shipped"), "--format", form]) == 0
    given = exported_answers(tmp_path / "shipped", [SHORT, LONG])
    wanted: Any = sj.load_task("token-classification", saved)([SHORT, LONG])
    for found, answer in zip(given, wanted, strict=True):
        assert found["tags"] == list(answer.tags)
        np.testing.assert_allclose(found["scores"], answer.scores, atol=3e-6)
