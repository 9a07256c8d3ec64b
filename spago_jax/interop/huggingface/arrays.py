# SPDX-License-Identifier: BSD-2-Clause
"""The arrays of a pre-trained model by our paths, for a model that is trained further."""

from pathlib import Path

import numpy as np

from spago_jax.interop.checkpoints import open_checkpoint
from spago_jax.interop.huggingface.load import read_config, weights_reader
from spago_jax.interop.huggingface.locate import find_model
from spago_jax.models.pretrained import weight_table
from spago_jax.models.weight_table import read_weights


def pretrained_arrays(source: str | Path, head: str) -> dict[str, np.ndarray]:
    """Returns what a model in Hugging Face's layout has of the arrays of an encoder with a head, in float32.

    Arrays that it lacks are not there; see ``load_pretrained`` for a whole model.

    Raises:
        InputError: where there is no such model, or it is damaged or not supported.
    """
    folder = find_model(source)
    config, _ = read_config(folder, head)
    table = weight_table(config.network, head)
    with open_checkpoint(folder) as tensors:
        read = weights_reader(tensors, np.dtype(np.float32))
        return dict(read_weights(table, tensors.names(), read, path=str(tensors.path)).arrays)
