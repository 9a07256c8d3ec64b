# SPDX-License-Identifier: BSD-2-Clause
"""How a model of Hugging Face's layout writes texts, where a call says nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError
from spago_jax.generation import Generator, Options, options_from
from spago_jax.interop.huggingface.layout import CONFIG, GENERATION
from spago_jax.models.encoder_decoder import EncoderDecoder, EncoderDecoderFile

# What a text that reaches the longest length ends with, where no file says: transformers has it in its classes.
_FORCED_END = {"bart": 2, "mbart": 2, "marian": 0, "pegasus": 1}


def generation_options(
    config: EncoderDecoderFile, generation: Mapping[str, Any] | None, folder: str | Path | None = None
) -> Options:
    """Returns the options of a folder: of ``generation_config.json``, else the older keys of ``config.json``.

    Args:
        config: of the model.
        generation: the settings of ``generation_config.json``; None where there is none.
        folder: of the files, for errors.

    Raises:
        InputError: for a value out of range, or a key that asks for what there is not.

    >>> from spago_jax.models.encoder_decoder import EncoderDecoderConfig
    >>> config = EncoderDecoderFile(EncoderDecoderConfig("marian", start=7, padding=7, end=(0,)))
    >>> options = generation_options(config, None)
    >>> options.start, options.eos_token_id, options.forced_eos_token_id
    (7, (0,), (0,))
    """
    network = config.network
    facts = {
        "decoder_start_token_id": network.start, "pad_token_id": network.padding, "eos_token_id": list(network.end),
        **config.extra,
    }  # fmt: skip
    if generation is None and (end := _FORCED_END.get(network.architecture)) is not None:
        facts.setdefault("forced_eos_token_id", end)
    path = None if folder is None else Path(folder) / (CONFIG if generation is None else GENERATION)
    return options_from(generation, facts, path=path)


def make_generator(model: EncoderDecoder, options: Options) -> Generator:
    """Returns what writes texts with an encoder-decoder.

    Raises:
        InputError: for a model whose head is not the words.
    """
    if model.head_name != "words":
        said = f"a model with the head {model.head_name!r} writes no texts"
        raise InputError(f"{said}: open it with head='words', if its folder has it")
    config = model.config
    return Generator(model.separate(), options, longest=config.longest, source_vocabulary=config.vocabulary)
