# SPDX-License-Identifier: BSD-2-Clause
"""Pre-trained encoder-decoders and their heads: BART, mBART, Marian, Pegasus, T5, mT5."""

from spago_jax.models.encoder_decoder.config import EncoderDecoderConfig as EncoderDecoderConfig
from spago_jax.models.encoder_decoder.config import StackConfig as StackConfig
from spago_jax.models.encoder_decoder.huggingface import EncoderDecoderFile as EncoderDecoderFile
from spago_jax.models.encoder_decoder.huggingface import config_from_huggingface as config_from_huggingface
from spago_jax.models.encoder_decoder.huggingface import config_to_huggingface as config_to_huggingface
from spago_jax.models.encoder_decoder.model import EncoderDecoder as EncoderDecoder
from spago_jax.models.encoder_decoder.names import weight_table as weight_table
from spago_jax.models.encoder_decoder.shift import shift_right as shift_right
from spago_jax.models.encoder_decoder.state import State as State
