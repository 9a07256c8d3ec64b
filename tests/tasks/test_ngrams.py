"""The n-grams of a text classifier. Oracle: the n-grams of fastText, written out, and the checksum that hashes them."""

import zlib

import numpy as np
import pytest

import spago_jax as sj
from spago_jax.data.examples import Labeled
from spago_jax.data.processor import padded_length
from spago_jax.tasks.predictor import LENGTHS
from spago_jax.tasks.text_classification.processor import TextProcessor
from spago_jax.text.tokenizers.tokenizer import tokenizer_from

ROWS = 1000
LONG = "Donaudampfschifffahrtsgesellschaft Rechtsschutzversicherungsgesellschaften"
SHORT = "I am so happy it was a good day"


def processor(*, order: int = 2, characters: bool = True, max_length: int = 20) -> TextProcessor:
    ngrams = {"rows": ROWS, "order": order, "characters": characters}
    return TextProcessor(tokenizer_from({"kind": "whitespace"}), (), ["a", "b"], max_length, ngrams)


def expected(text: str, *, order: int = 2, characters: bool = True, max_length: int = 20) -> list[int]:
    tokens = text.split()[:max_length]
    grams = [" ".join(tokens[i : i + n]) for n in range(1, order + 1) for i in range(len(tokens) - n + 1)]
    if characters:
        for word in tokens:
            marked = f"<{word}>"
            grams += ["#" + marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1)]
    return sorted(1 + zlib.crc32(gram.encode()) % ROWS for gram in grams)


def found(made: TextProcessor, texts: list[str]) -> list[list[int]]:
    """The n-grams of each text in one batch, of the length that a predictor pads the longest row to."""
    rows = made.encode([Labeled(text) for text in texts])
    batch = made.batch(rows, np.arange(len(rows)), padded_length(int(rows.lengths.max()), LENGTHS))
    return [sorted(row[:n].tolist()) for row, n in zip(batch["ngrams"], batch["ngram_lengths"], strict=True)]


@pytest.mark.parametrize("settings", [{}, {"order": 1}, {"order": 3, "characters": False}], ids=str)
def test_every_ngram_of_the_words_that_are_kept_counts(settings):
    texts = [LONG, SHORT, f"{SHORT} {LONG}", "", "x" * 300, " ".join([LONG] * 5), " ".join([SHORT] * 9)]
    made = processor(**settings)
    assert found(made, texts) == [expected(text, **settings) for text in texts]
    for text in texts:
        assert found(made, [text]) == [expected(text, **settings)]  # whatever stands beside it


def test_two_german_words_have_all_their_ngrams():
    assert len(expected(LONG)) == 216
    assert found(processor(), [LONG]) == [expected(LONG)]


def test_a_text_of_long_words_is_read_no_further_than_others():
    """Its row is longer, for its n-grams, but its tokens are not more."""
    made = processor(max_length=4)
    rows = made.encode([Labeled(" ".join([LONG] * 9))])
    assert rows.lengths.tolist() == [16]  # four times as long at most
    batch = made.batch(rows, np.arange(1), 16)
    assert batch["lengths"].tolist() == [4]
    assert batch["ngrams"].shape == (1, 16 * 17)


def test_a_server_is_ready_for_texts_of_long_words(mood):
    """After the warm-up nothing is compiled; another shape would be an error."""
    classifier = sj.load_task("text-classification", mood[1])
    classifier.max_tokens = 64  # few programs
    classifier.warm_up()
    for text in (LONG, " ".join([LONG] * 100)):
        assert np.isfinite(classifier(text).score)
