# SPDX-License-Identifier: BSD-2-Clause
"""Flair's language models as models of ``text-generation``."""

from spago_jax.errors import InputError
from spago_jax.interop.flair.file import FlairFile
from spago_jax.interop.flair.imported import Imported
from spago_jax.interop.flair.language_model import language_model_of
from spago_jax.tasks.text_generation.processor import CharacterProcessor
from spago_jax.text.alphabet import Alphabet


def generator_of(file: FlairFile) -> Imported:
    """Returns the language model of a file, which writes texts; a backward one what stands before them.

    Raises:
        InputError: for a model without a decoder, or a damaged file.
    """
    found = language_model_of(file)
    shape = found.shape
    if "decoder.weight" not in found.weights:
        raise InputError(
            "a language model without a decoder (has_decoder=False), which writes nothing: name it in "
            "model.embeddings: [{kind: contextual-strings, forward: FILE}]",
            path=file.path,
        )
    model = {key: shape[key] for key in ("embedding", "cell", "reset_after", "hidden", "layers", "projection")}
    direction = "forward" if found.forward else "backward"
    settings = {
        "task": "text-generation",
        "data": {"format": "text", "train": "texts.txt"},
        "model": {**model, "direction": direction, "dropout": float(file.number("dropout", 0.0))},
    }
    facts = {
        "direction": direction,
        "layers": f"{shape['layers']} {shape['cell'].upper()} of {shape['hidden']}",
        "projection": shape["projection"],
        "characters": len(found.alphabet),
    }
    alphabet = Alphabet(found.alphabet)
    return Imported.of(file, settings, lambda _: CharacterProcessor(alphabet, direction), found.weights, facts)
