# SPDX-License-Identifier: BSD-2-Clause
"""Pre-trained encoders and their heads: BERT, RoBERTa, XLM-R, CamemBERT, DistilBERT, ELECTRA, ALBERT, MPNet."""

from spago_jax.models.encoder.config import EncoderConfig as EncoderConfig
from spago_jax.models.encoder.encoder import Encoder as Encoder
from spago_jax.models.encoder.huggingface import PretrainedConfig as PretrainedConfig
from spago_jax.models.encoder.huggingface import config_from_huggingface as config_from_huggingface
from spago_jax.models.encoder.huggingface import config_to_huggingface as config_to_huggingface
from spago_jax.models.encoder.model import EncoderModel as EncoderModel
from spago_jax.models.encoder.names import named_classifiers as named_classifiers
from spago_jax.models.encoder.names import weight_table as weight_table
