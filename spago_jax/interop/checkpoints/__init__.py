# SPDX-License-Identifier: BSD-2-Clause
"""Files of tensors, whoever wrote them: safetensors, PyTorch's (no pickle is run), Flax's, whole or in shards."""

from spago_jax.interop.checkpoints.find import CHECKPOINTS as CHECKPOINTS
from spago_jax.interop.checkpoints.find import find_checkpoint as find_checkpoint
from spago_jax.interop.checkpoints.find import open_checkpoint as open_checkpoint
from spago_jax.interop.checkpoints.tensor_file import TensorFile as TensorFile
