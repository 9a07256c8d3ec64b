"""Pooled documents and normalized vectors, in files that Flair 0.15.1 wrote. Oracle: what Flair computed of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from flair_files import with_settings

import spago_jax as sj
from spago_jax.errors import InputError
from spago_jax.interop.flair.open import import_flair

FILES = Path(__file__).parent.parent / "data" / "flair"
WANTED = json.loads((FILES / "expected.json").read_text())
TOKENS = WANTED["tokens"]


@pytest.mark.parametrize("name", ["linear-min", "nonlinear-mean", "nonlinear-max"])
def test_documents_pooled_after_a_trained_layer_have_the_classes_of_flair(name, tmp_path):
    """The linear layer has no bias; after a nonlinear one stands a second linear layer."""
    import_flair(FILES / f"{name}.pt").save(tmp_path / "saved")
    answer = sj.load_task("text-classification", tmp_path / "saved")(" ".join(TOKENS))
    assert {each.label: each.score for each in answer.ranking} == pytest.approx(WANTED[name], abs=1e-6)


@pytest.mark.parametrize("name", ["frozen", "tuned", "one-hot"])
def test_normalized_vectors_of_words_are_those_of_flair(name):
    """``stable=True``; a tuned table has a trained row for unknown words, which is not zeros."""
    found = import_flair(FILES / f"stable-{name}.pt")
    assert found.facts["embeddings"][0].endswith(", normalized")
    task, _ = found.open()
    (indexer,) = task.processor.indexers
    rows = [indexer.id(token) for token in TOKENS]
    table = found.arrays["embeddings.parts.0.table.weight"]
    np.testing.assert_allclose(table[rows], WANTED[f"stable-{name}"], atol=1e-6)


def test_an_embedding_of_something_else_than_the_text_is_refused(tmp_path):
    """Of every kind that has a field: ``text`` is the one that is read."""
    source = FILES / "stable-one-hot.pt"
    for kind in ("WordEmbeddings", "OneHotEmbeddings", "BytePairEmbeddings"):
        settings = {"__cls__": kind, "name": "x", "field": "pos", "vocab": {}, "vocab_dictionary": None}
        path = with_settings(source, tmp_path / f"{kind}.pt", embeddings=settings)
        with pytest.raises(InputError, match="reads 'pos' of tokens, not their text"):
            import_flair(path)
