# SPDX-License-Identifier: BSD-2-Clause
"""Text: vocabularies, a word tokenizer, tag schemes."""

from spago_jax.text.tags import Scheme as Scheme
from spago_jax.text.tags import Span as Span
from spago_jax.text.tags import convert as convert
from spago_jax.text.tags import detect_scheme as detect_scheme
from spago_jax.text.tags import spans as spans
from spago_jax.text.tags import tags_from_spans as tags_from_spans
from spago_jax.text.tags import transition_mask as transition_mask
from spago_jax.text.vocabulary import Vocabulary as Vocabulary
from spago_jax.text.words import Token as Token
from spago_jax.text.words import normalise as normalise
from spago_jax.text.words import tokenize as tokenize
from spago_jax.text.words import word_shape as word_shape
from spago_jax.text.words import words as words
