# SPDX-License-Identifier: BSD-2-Clause
"""Writes docs/onnx.md: ``python -m spago_jax.interop.onnx.page docs/onnx.md``."""

import sys
from pathlib import Path

from spago_jax.interop.onnx.convert import OPSET, supported_operations

_HEAD = """# ONNX

<!-- Made by: python -m spago_jax.interop.onnx.page docs/onnx.md -->

`spago_jax.interop.onnx.to_onnx(function, path, *arguments)` writes a pure function as an ONNX model (opset {opset}),
through its jaxpr; `spago-jax export RUN FOLDER --format onnx` does it for a trained run. Named dimensions of the specs
(`"f32[batch, time, 8]"`) stay free. Weights become initializers under their dotted paths, inputs are named by
argument and path (`batch.words`), outputs by their path.

    from spago_jax.interop.onnx import to_onnx
    to_onnx(lambda model, x: model(x), "model.onnx", model, "f32[batch, time, 8]")

Feed-forward, convolution, attention, LSTM, GRU and CRF-Viterbi models are checked against onnxruntime to 1e-5, at
sizes that the export did not know (`tests/interop`). An operation that is not in the list below stops the export before
anything is written, and one message names all of them with their lines in the source.

## Operations

Names are those of JAX's primitives ({count} in all).

"""

_TAIL = """
## What is not covered

* bfloat16 and 8-bit floats: cast the model to float32 before.
* Random numbers: an exported program is for inference.
* Convolutions with dilated inputs (transposed convolutions) or batch groups; padding between elements; pooling with
  base dilation.
* Gathers of windows of more than one element at many places; scatters with batch axes, or at computed places that may
  lie outside (`mode="drop"`).
* Sorting by several keys; linear algebra (Cholesky, QR, ...); FFT; running maxima and products.
* `erfc` is `1 - erf`: its absolute, not its relative error is small for large arguments (GELU is not affected).
* A file holds 2 GB of weights.
"""


def page() -> str:
    """Returns the text of docs/onnx.md."""
    groups = supported_operations()
    count = sum(map(len, groups.values()))
    lines = [f"* **{group}**: {', '.join(f'`{name}`' for name in names)}" for group, names in groups.items()]
    return _HEAD.format(opset=OPSET, count=count) + "\n".join(lines) + "\n" + _TAIL


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
