"""What a transformer embedding reads beside a sentence. Oracle: the pieces, laid out by hand."""

import numpy as np
import pytest
from tiny_pretrained import write_vocabulary

from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.neighbors import Neighbors
from spago_jax.embeddings.transformer_index import TransformerIndexer
from spago_jax.errors import InputError
from spago_jax.text.tokenizers.load import load_tokenizer

# [CLS] is 2, [SEP] 3, [MASK] 4, and the letters from a on 5, 6, ...
SENTENCES = ["ab", "cde", "f", "gh"]
OWNERS = np.array([0, 0, 0, 1])


@pytest.fixture
def tokenizer(tmp_path):
    write_vocabulary(tmp_path)
    return load_tokenizer(tmp_path, form="bert")


def laid(indexer, owners: np.ndarray | None = OWNERS, length=None):
    """The ids of each sentence, and where its words begin."""
    builder = LexiconBuilder()
    ids = [builder.encode(list(sentence)) for sentence in SENTENCES]
    forms = RaggedArray.from_lengths(np.concatenate(ids), [len(row) for row in ids])
    tables, neighbors = indexer.tables(builder.build()), Neighbors.of(forms, owners)
    indices = np.array([0, 1, 2, 3, -1])
    positions = indexer.positions_among(tables, neighbors)
    rows, _ = forms.gather(indices, 4, pad=-1)
    found = indexer.arrays_among(tables, rows, length or int(positions.max()), neighbors, indices)
    name, lengths = indexer.name, found[f"{indexer.name}_lengths"]
    if length is None:
        np.testing.assert_array_equal(positions, lengths[:4])
    assert lengths[4] == 0
    kept = [found[name][row, :end].tolist() for row, end in enumerate(lengths[:4])]
    starts = [found[f"{name}_starts"][row, : len(sentence)].tolist() for row, sentence in enumerate(SENTENCES)]
    return kept, starts


def test_the_words_beside_a_sentence_are_those_of_its_text(tokenizer, tmp_path):
    indexer = TransformerIndexer("x", tokenizer, {}, 20, context=2, separator="[MASK]")
    expected = (
        [[2, 4, 5, 6, 4, 7, 8, 3], [2, 5, 6, 4, 7, 8, 9, 4, 10, 3], [2, 8, 9, 4, 10, 4, 3], [2, 4, 11, 12, 4, 3]],
        [[2, 3], [4, 5, 6], [4], [2, 3]],
    )
    assert laid(indexer) == expected
    indexer.save(tmp_path)
    assert laid(TransformerIndexer.load(tmp_path, "x")) == expected


def test_the_sentences_of_a_corpus_are_beside_each_other(tokenizer):
    kept, starts = laid(TransformerIndexer("x", tokenizer, {}, 20, context=2), owners=None)
    assert kept[2:] == [[2, 8, 9, 10, 11, 12, 3], [2, 9, 10, 11, 12, 3]]
    assert starts[2:] == [[3], [3, 4]]


def test_context_takes_the_room_that_a_sentence_leaves(tokenizer):
    """Six pieces at most, two of them special: beside three words there is room for one."""
    kept, starts = laid(TransformerIndexer("x", tokenizer, {}, 6, context=2), length=6)
    assert kept[1] == [2, 6, 7, 8, 9, 3]
    assert kept[0] == [2, 5, 6, 7, 8, 3]
    assert (starts[0], starts[1]) == ([1, 2], [2, 3, 4])


def test_a_text_that_is_cut_is_read_from_its_beginning(tokenizer):
    kept, _ = laid(TransformerIndexer("x", tokenizer, {}, 4, truncate=True), length=4)
    assert kept[1] == [2, 7, 8, 3]
    with pytest.raises(InputError, match="a sentence of 3 words, and the encoder reads 2 pieces"):
        laid(TransformerIndexer("x", tokenizer, {}, 4), length=4)


def test_windows_read_what_one_window_would_cut(tokenizer, tmp_path):
    """Eight pieces at once and four times as many at most; the context is read too."""
    indexer = TransformerIndexer("x", tokenizer, {}, 8, context=3, windows=True)
    assert (indexer.window, indexer.longest) == (8, 32)
    kept, starts = laid(indexer, owners=None)
    assert kept[1] == [2, *range(5, 13), 3]
    assert starts[1] == [3, 4, 5]
    indexer.save(tmp_path)
    again = TransformerIndexer.load(tmp_path, "x")
    assert (again.window, again.longest) == (8, 32)
    with pytest.raises(InputError, match="windows of 7 pieces, expected 8 at least"):
        TransformerIndexer("x", tokenizer, {}, 7, windows=True)
