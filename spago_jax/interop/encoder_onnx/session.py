# SPDX-License-Identifier: BSD-2-Clause
"""OnnxEncoder: an encoder with its head, run by ONNX Runtime."""

import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from spago_jax.core.machine import cache_root, processor
from spago_jax.errors import InputError
from spago_jax.models.encoder import EncoderModel

THREADS = "SPAGO_THREADS"


class OnnxEncoder:
    """An encoder with its head, run by ONNX Runtime on the processor.

    The weights are written to a file once and mapped from it; the model's own arrays are not needed afterwards.

    Args:
        model: in float32.
        quantize: ``int8`` to multiply 8-bit integers; None for float32.
        places: whether the head reads places ``at``.

    Raises:
        InputError: where the packages are missing, for ModernBERT, and for a head that has no graph.
    """

    def __init__(self, model: EncoderModel, *, quantize: str | None = None, places: bool = False):
        try:
            import onnx  # noqa: F401
            import onnxruntime
        except ImportError as error:
            raise InputError(
                f"runtime 'onnxruntime' needs the package {error.name}: pip install 'spago_jax[onnxruntime]'"
            ) from None
        from spago_jax.interop.encoder_onnx.builder import GraphBuilder
        from spago_jax.interop.encoder_onnx.graph import EncoderGraph, refuse_unknown
        from spago_jax.interop.encoder_onnx.products import FloatProducts, Int8Products

        refuse_unknown(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        options.log_severity_level = 3
        # Waiting threads that spin take the cores from the tokenizer and from XLA.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        heads = model.config.heads
        with tempfile.TemporaryDirectory(dir=_folder(), ignore_cleanup_errors=True) as folder:
            graph = GraphBuilder(Path(folder))
            products = FloatProducts(graph, heads)
            if quantize == "int8":
                products = Int8Products(graph, heads, 63 if _sums_in_16_bits() else 127)
            path = EncoderGraph(model, graph, products, places=places).write()
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._inputs = [each.name for each in self._session.get_inputs()]

    def __call__(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """The head's numbers for the ``ids``, ``lengths``, and where they are read ``types`` and ``at``, of a batch."""
        given = {name: np.ascontiguousarray(batch[name], np.int32) for name in self._inputs}
        return np.asarray(self._session.run(["found"], given)[0])


def threads() -> int:
    """How many threads a product may use: ``$SPAGO_THREADS``, else one per core that the process may run on.

    Raises:
        InputError: for a value that is not a number of threads.
    """
    value = os.environ.get(THREADS, "").strip()
    if not value:
        return processor().usable
    if not value.isdecimal() or int(value) < 1:
        raise InputError(f"${THREADS} is {value!r}, expected a number of threads from 1")
    return int(value)


def _sums_in_16_bits() -> bool:
    """Whether products of 8-bit integers are added in 16 bits, as Intel's and AMD's are without VNNI."""
    flags = processor().flags or ()
    return platform.machine().lower() in ("x86_64", "amd64") and not {"avx512_vnni", "avx_vnni"} & set(flags)


def _folder() -> Path | None:
    """A folder of a disk: what a system has for temporary files may lie in memory."""
    folder = cache_root() / "onnx"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
