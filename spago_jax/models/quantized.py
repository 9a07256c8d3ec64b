# SPDX-License-Identifier: BSD-2-Clause
"""A model whose layers multiply 8-bit integers: made from a float one to answer with, never saved."""

import jax

from spago_jax.core.tree import PyTree
from spago_jax.models.encoder_decoder.model import EncoderDecoder, WordsHead
from spago_jax.models.pretrained import Model
from spago_jax.nn.linear import Linear
from spago_jax.ops.quantized import Int8Weight


def quantized(model: Model) -> Model:
    """Returns the model with the matrices of its layers rounded to 8-bit integers.

    The embeddings, the layer norms and the head stay as they are: they are small, or near the answer. The product with
    the vocabulary of an encoder-decoder is more than half of the work of writing a word, and is rounded too. See
    ``Int8Weight`` for what is rounded.

    >>> from spago_jax.models.encoder import EncoderConfig, EncoderModel
    >>> config = EncoderConfig(vocabulary=9, hidden=4, layers=2, heads=2, intermediate=8, positions=6)
    >>> quantized(EncoderModel.init(jax.random.key(0), config)).encoder.layers.up.weight.values.dtype
    dtype('int8')
    """

    of = jax.jit(Int8Weight.of)  # one program per shape, not one per operation

    def rounded(part: PyTree) -> PyTree:
        return part.replace(weight=of(part.weight)) if isinstance(part, Linear) else part

    def layers(stack: PyTree) -> PyTree:
        found = jax.tree.map(rounded, stack.layers, is_leaf=lambda part: isinstance(part, Linear))
        return stack.replace(layers=found)

    if not isinstance(model, EncoderDecoder):
        return model.replace(encoder=layers(model.encoder))
    head = model.head
    if isinstance(head, WordsHead):
        head = head.replace(decoder=of(model.output_words))
    return model.replace(encoder=layers(model.encoder), decoder=layers(model.decoder), head=head)
