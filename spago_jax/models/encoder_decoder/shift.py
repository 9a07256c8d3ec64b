# SPDX-License-Identifier: BSD-2-Clause
"""From the target of a text to what the decoder reads: the same tokens, one place to the right."""

import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.errors import InputError
from spago_jax.models.encoder_decoder.config import EncoderDecoderConfig


def shift_right(ids: Array, config: EncoderDecoderConfig) -> Array:
    """``[start, y_1, ..., y_n-1]`` of a target ``[y_1, ..., y_n]``: int[..., time], kept.

    mBART has no token to start with: its targets end in the code of their language, which moves to the front. Places
    that count for no loss (-100) become pads.

    Raises:
        InputError: where the config names no start, or no pad.

    >>> shift_right(jnp.array([[5, 6, 2, 1]]), EncoderDecoderConfig("bart", start=2))
    Array([[2, 5, 6, 2]], dtype=int32)
    >>> shift_right(jnp.array([[5, 2, 9, 1]]), EncoderDecoderConfig("mbart"))
    Array([[9, 5, 2, 9]], dtype=int32)
    """
    if config.padding is None:
        raise InputError(f"{config.architecture}: pad_token_id is null, and the decoder's input is filled with it")
    ids = jnp.where(ids < 0, config.padding, ids)
    if config.family.rotates:
        places = jnp.arange(ids.shape[-1])
        last = jnp.max(jnp.where(ids != config.padding, places, 0), axis=-1, keepdims=True)
        first = jnp.take_along_axis(ids, last, axis=-1)
    elif config.start is None:
        raise InputError(
            f"{config.architecture}: decoder_start_token_id is missing from the config, so say what the decoder reads"
        )
    else:
        first = jnp.full_like(ids[..., :1], config.start)
    return jnp.concatenate([first, ids[..., :-1]], axis=-1)
