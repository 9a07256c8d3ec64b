# SPDX-License-Identifier: BSD-2-Clause
"""What runs a pre-trained encoder for a predictor: XLA, or ONNX Runtime."""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import jax
import numpy as np

from spago_jax.compiler import compile
from spago_jax.core import Array
from spago_jax.errors import InputError
from spago_jax.interop.encoder_onnx.session import OnnxEncoder
from spago_jax.interop.huggingface import Pretrained
from spago_jax.models.encoder import EncoderModel
from spago_jax.models.pretrained import Model, Network
from spago_jax.models.quantized import quantized
from spago_jax.tasks.model_call import ModelCall
from spago_jax.tasks.predictor import Call
from spago_jax.tasks.pretrained.fastest import fastest

Runtime = Literal["xla", "onnxruntime", "auto"]
Quantize = Literal["int8"]


class HeadModel(Protocol):
    """What a traced half asks of a model: of an encoder, of an encoder-decoder, or of the ``Known`` numbers of one."""

    @property
    def config(self) -> Any:
        """The sizes of its network."""
        ...

    def states(self, *args: Any, **inputs: Any) -> Array:
        """Returns the states of the last layer, [batch, time, hidden]."""
        ...

    def logits(self, *args: Any, **inputs: Any) -> Array:
        """Returns what its head gives."""
        ...


Outputs = Callable[[HeadModel, Mapping[str, Array]], dict[str, Array]]
"""From a model and a batch to the arrays that answers are made from: the traced half of a task."""


class Engine(abc.ABC):
    """Runs a model for the traced halves of a task."""

    @abc.abstractmethod
    def call(self, outputs: Outputs, name: str) -> tuple[Call, Callable[[], object]]:
        """Returns the function of a batch, and what forbids it any further shape."""


class XlaEngine(Engine):
    """Runs a model in a Program of its own, whose weights lie layer by layer.

    Args:
        model: an ``EncoderModel`` or an ``EncoderDecoder``.
        quantize: ``int8``, or None.
    """

    def __init__(self, model: Model, *, quantize: str | None = None):
        if quantize is not None:
            model = quantized(model)
        self.model = model.separate()

    def call(self, outputs: Outputs, name: str) -> tuple[Call, Callable[[], object]]:
        """Returns the function of a batch, and what forbids it any further shape."""
        program = compile(outputs, name=name)
        return ModelCall(program, self.model), program.freeze


@dataclasses.dataclass(frozen=True)
class Known:
    """Stands for a model whose numbers are known: whatever is asked of it, it answers with them.

    Attributes:
        config: that of the encoder.
        found: what the head gave.
    """

    config: Network
    found: Array

    def states(self, *_: Any, **__: Any) -> Array:
        """Returns what was found."""
        return self.found

    def logits(self, *_: Any, **__: Any) -> Array:
        """Returns what was found."""
        return self.found


class OnnxEngine(Engine):
    """Runs the encoder and its head by ONNX Runtime, and the little that a task does with them in a Program.

    Args:
        model: an ``EncoderModel`` in float32.
        quantize: ``int8``, or None.
        places: whether the head reads places ``at``.

    Raises:
        InputError: where packages are missing, and for models that have no graph.
    """

    def __init__(self, model: Model, *, quantize: str | None, places: bool):
        if not isinstance(model, EncoderModel):
            raise InputError(
                f"runtime 'onnxruntime' runs encoders, and {model.config.architecture} is an encoder-decoder; leave "
                "the runtime out"
            )
        dtype = model.dtype
        if dtype != np.float32:
            raise InputError(
                f"runtime 'onnxruntime' computes in float32, and dtype is {dtype.name!r}; leave the dtype out, and for "
                "more speed set quantize='int8'"
            )
        self._encoder = OnnxEncoder(model, quantize=quantize, places=places)
        self._config = model.config

    def call(self, outputs: Outputs, name: str) -> tuple[Call, Callable[[], object]]:
        """Returns the function of a batch, and what forbids it any further shape."""
        rest = compile(lambda found, batch: outputs(Known(self._config, found), batch), name=name)
        return (lambda batch: rest(self._encoder(batch), batch)), rest.freeze


def make_engine(pretrained: Pretrained, runtime: str, quantize: str | None, *, places: bool = False) -> Engine:
    """Returns what runs a model.

    Args:
        pretrained: the model.
        runtime: ``xla``, ``onnxruntime``, or ``auto`` for the one that was faster on this machine.
        quantize: ``int8``, or None.
        places: whether the head reads places ``at``.

    Raises:
        InputError: where ONNX Runtime is asked for and cannot run the model.
    """
    model = pretrained.model
    if runtime == "auto":
        # An encoder-decoder has no choice.
        runtime = _faster(model, quantize, places=places) if isinstance(model, EncoderModel) else "xla"
    if runtime == "onnxruntime":
        return OnnxEngine(model, quantize=quantize, places=places)
    return XlaEngine(model, quantize=quantize)


def _faster(model: EncoderModel, quantize: str | None, *, places: bool) -> str:
    try:
        onnx = OnnxEngine(model, quantize=quantize, places=places)
    except InputError:  # it has no choice, so there is nothing to measure
        return "xla"

    def outputs(model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
        types = {"types": batch["types"]} if getattr(model.config, "types", 0) > 1 else {}
        at = {"at": batch["at"]} if places else {}
        return {"found": model.logits(ids=batch["ids"], lengths=batch["lengths"], **types, **at)}

    calls = {
        "xla": lambda: XlaEngine(model, quantize=quantize).call(outputs, "measure")[0],
        "onnxruntime": lambda: onnx.call(outputs, "measure")[0],
    }
    return fastest(calls, f"{model.config}, {model.head_name}, {quantize}", model.config.longest)


def without_weights(pretrained: Pretrained) -> Pretrained:
    """Returns a model whose arrays are shapes alone, for what is only asked about its sizes."""
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), pretrained.model)
    return dataclasses.replace(pretrained, model=shapes)
