# SPDX-License-Identifier: BSD-2-Clause
"""Encoders on ONNX Runtime, by a graph of its own operators. Needs the packages ``onnx`` and ``onnxruntime``."""
