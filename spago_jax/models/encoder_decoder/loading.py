# SPDX-License-Identifier: BSD-2-Clause
"""What a file of tensors says about an encoder-decoder beyond its config.json."""

import dataclasses
from collections.abc import Callable, Collection

import numpy as np

from spago_jax.errors import InputError
from spago_jax.models.encoder_decoder.config import EncoderDecoderConfig
from spago_jax.models.encoder_decoder.names import BIAS, SINUSOIDS
from spago_jax.models.encoder_decoder.positions import sinusoids

# Files in 16 bits round their sines; another formula would be off by more than a half.
_ROUNDED = 0.02


def without_bias(network: EncoderDecoderConfig, names: Collection[str]) -> EncoderDecoderConfig:
    """Returns the network of a file, which may lack the bias of the product with the vocabulary: it is zero then."""
    return dataclasses.replace(network, words_bias=network.words_bias and BIAS in names)


def check_sinusoids(
    network: EncoderDecoderConfig, names: Collection[str], read: Callable[[str], np.ndarray], *, path: str | None = None
) -> None:
    """Refuses a file whose positions are other than those that Marian and Pegasus compute.

    Raises:
        InputError: naming the tensor.
    """
    if network.family.positions != "sinusoidal":
        return
    for spelled in (each for name in SINUSOIDS for each in (name, name.removeprefix("model."))):
        if spelled not in names:
            continue
        table = np.asarray(read(spelled), np.float32)
        wanted = sinusoids(network.positions, network.hidden)
        if table.shape != wanted.shape or not np.allclose(table, wanted, atol=_ROUNDED):
            raise InputError(
                f"{spelled} [{', '.join(map(str, table.shape))}] does not hold the sines and cosines of "
                f"{network.positions} positions, which {network.architecture} computes; positions of a model's own "
                "are not supported",
                path=path,
            )
