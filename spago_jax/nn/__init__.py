# SPDX-License-Identifier: BSD-2-Clause
"""Layers: parameters and a pure ``__call__`` over the functions of ``ops``, one concept a file."""

from spago_jax.nn.birnn import BiRNN as BiRNN
from spago_jax.nn.characters import CharacterCNN as CharacterCNN
from spago_jax.nn.characters import CharacterLSTM as CharacterLSTM
from spago_jax.nn.convolution import Convolution1d as Convolution1d
from spago_jax.nn.crf import CRF as CRF
from spago_jax.nn.dropout import Dropout as Dropout
from spago_jax.nn.dropout import VariationalDropout as VariationalDropout
from spago_jax.nn.dropout import WordDropout as WordDropout
from spago_jax.nn.embedding import Embedding as Embedding
from spago_jax.nn.embedding import FixedEmbedding as FixedEmbedding
from spago_jax.nn.gru import GRU as GRU
from spago_jax.nn.layer_norm import LayerNorm as LayerNorm
from spago_jax.nn.linear import Linear as Linear
from spago_jax.nn.lstm import LSTM as LSTM
from spago_jax.nn.stacked_rnn import StackedRNN as StackedRNN
