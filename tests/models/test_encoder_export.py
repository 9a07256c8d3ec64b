"""Encoders as StableHLO and ONNX, at sizes that the export did not know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from test_encoder import KINDS, tiny

from spago_jax.models.encoder import EncoderModel
from spago_jax.models.execution import Execution, execution

CALLS = ((1, 3), (3, 9))
logits = jax.jit(EncoderModel.logits)


def batch(size: tuple[int, int], seed: int = 0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    lengths = draw.integers(1, size[1] + 1, size[0])
    mask = np.arange(size[1]) < lengths[:, None]
    ids = np.where(mask, draw.integers(3, 17, size), 1)
    return {"ids": ids.astype(np.int32), "mask": mask.astype(np.int32)}


@pytest.mark.parametrize("kind", KINDS)
def test_stablehlo_of_an_encoder_runs_at_other_sizes(kind):
    model = tiny(kind, "token-classification")
    scope = export.symbolic_shape("batch, time")
    spec = jax.ShapeDtypeStruct(scope, jnp.int32)
    exported = export.export(jax.jit(lambda ids, mask: model.logits(ids, mask)))(spec, spec)
    for size in CALLS:
        given = batch(size)
        np.testing.assert_allclose(exported.call(given["ids"], given["mask"]), logits(model, **given), atol=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("layers", ["unroll", pytest.param("scan", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_onnx_of_an_encoder_equals_it_in_onnxruntime(kind, layers, tmp_path):
    import onnxruntime

    from spago_jax.interop.onnx import to_onnx

    model = tiny(kind, "sequence-classification")

    def run(model, ids, mask):
        return {"logits": model.logits(ids, mask)}

    with execution(Execution(layers=layers)):
        to_onnx(run, tmp_path / "m.onnx", model, "i32[batch, time]", "i32[batch, time]")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    for size in CALLS:
        given = batch(size)
        (found,) = session.run(None, given)
        np.testing.assert_allclose(found, logits(model, **given), atol=1e-5)
