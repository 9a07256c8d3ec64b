# SPDX-License-Identifier: BSD-2-Clause
"""Tokenizers: one interface, from a text to tokens with their places in it."""

from spago_jax.text.tokenizers.load import load_tokenizer as load_tokenizer
from spago_jax.text.tokenizers.tokenizer import tokenizer_from as tokenizer_from
from spago_jax.text.tokenizers.train import train_tokenizer as train_tokenizer
