# SPDX-License-Identifier: BSD-2-Clause
"""ONNX models from pure functions, through their jaxpr. Needs the package ``onnx``."""

from spago_jax.interop.onnx.convert import supported_operations as supported_operations
from spago_jax.interop.onnx.convert import to_onnx as to_onnx
