# SPDX-License-Identifier: BSD-2-Clause
"""Opens the character language model of a run, for embeddings that read it."""

from pathlib import Path

from spago_jax.data.processor import load_settings
from spago_jax.embeddings.language_model import LanguageModel
from spago_jax.errors import InputError
from spago_jax.train.schema import InitConfig
from spago_jax.train.start import read_weights


def read_run(folder: Path) -> LanguageModel:
    """Reads the alphabet and the weights of a run of ``text-generation``, or of what was exported or imported of one.

    Raises:
        InputError: for the run of another task.
        CheckpointError: for weights that cannot be read.
    """
    settings = load_settings(folder / "assets")
    alphabet = settings.get("alphabet")
    if not isinstance(alphabet, list) and alphabet != "bytes":
        raise InputError(f"a model of the task {settings.get('task')!r}, not of 'text-generation'", path=folder)
    weights = read_weights(InitConfig.model_validate({"from": str(folder)}))
    direction = settings.get("direction")  # which not every run says
    return LanguageModel(alphabet, None, weights, None if direction is None else direction == "forward")
