# SPDX-License-Identifier: BSD-2-Clause
"""Options of generation from a model's files: ``generation_config.json``, or the older keys of ``config.json``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError
from spago_jax.generation.options import NAMES, Options

# What a file may say that asks for something we do not have, with the value that asks for nothing.
_REFUSED: dict[str, tuple[Any, ...]] = {
    "num_beam_groups": (1,),
    "diversity_penalty": (0, 0.0),
    "penalty_alpha": (0, 0.0),
    "guidance_scale": (1, 1.0),
    "watermarking_config": (),
    "constraints": (),
    "force_words_ids": (),
    "forced_decoder_ids": (),
    "stop_strings": (),
    "top_h": (),
    "dola_layers": (),
    "low_memory": (False,),
    "prompt_lookup_num_tokens": (),
    "token_healing": (False,),
}


def options_from(
    generation: Mapping[str, Any] | None, config: Mapping[str, Any] | None = None, *, path: str | Path | None = None
) -> Options:
    """Returns the options that a model's files give.

    Args:
        generation: of ``generation_config.json``; None where there is none.
        config: of ``config.json``, whose generation keys hold where there is no ``generation_config.json``; of both,
            the special tokens hold that the other does not name.
        path: for errors.

    Raises:
        InputError: for a value out of range, or a key that asks for what there is not.

    >>> options_from({"num_beams": 4, "eos_token_id": [2, 3], "transformers_version": "5.0"}).eos_token_id
    (2, 3)
    """
    config = config or {}
    facts = config if generation is None else generation
    for name, nothing in _REFUSED.items():
        value = facts.get(name)
        if value is not None and value not in nothing:
            raise InputError(f"{name} = {value!r} is not supported: remove it to generate without", path=path)
    found = {name: facts[name] for name in NAMES if facts.get(name) is not None and name != "output_scores"}
    for name in ("decoder_start_token_id", "bos_token_id", "eos_token_id", "pad_token_id"):
        if name not in found and config.get(name) is not None:
            found[name] = config[name]
    if isinstance(found.get("eos_token_id"), list) and not found["eos_token_id"]:
        del found["eos_token_id"]
    if "min_length" in found and "eos_token_id" not in found:
        del found["min_length"]
    try:
        return Options(**found)
    except InputError as error:
        raise InputError(str(error), path=path) from None
