"""Tasks answered by ONNX Runtime and in 8-bit integers, beside the same tasks on XLA in float32."""

import jax
import numpy as np
import pytest
from helpers import refuses

from spago_jax.errors import InputError
from spago_jax.interop.huggingface import Pretrained
from spago_jax.models.encoder import EncoderConfig, EncoderModel
from spago_jax.tasks.pretrained.engine import OnnxEngine, XlaEngine, make_engine

pytest.importorskip("onnxruntime")
BATCH = {
    "ids": np.array([[2, 7, 5, 3], [2, 8, 3, 0]], np.int32),
    "types": np.zeros((2, 4), np.int32),
    "lengths": np.array([4, 3], np.int32),
}


def outputs(model, batch):
    """What a task does with a model: the first label's logit, doubled."""
    return {"first": 2 * model.logits(batch["ids"], lengths=batch["lengths"], types=batch["types"])[..., 0]}


@pytest.fixture(scope="module")
def pretrained() -> Pretrained:
    config = EncoderConfig(vocabulary=9, hidden=32, layers=1, heads=2, intermediate=32, positions=6, types=2)
    model = EncoderModel.init(jax.random.key(0), config, head="sequence-classification", labels=3)
    return Pretrained(*[None] * 3, model, *[None] * 3)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def expected(pretrained) -> np.ndarray:
    call, _ = XlaEngine(pretrained.model).call(outputs, "expected")
    return np.asarray(call(BATCH)["first"])


def test_a_task_has_the_same_outputs_on_both(pretrained, expected):
    call, freeze = make_engine(pretrained, "onnxruntime", None).call(outputs, "test")
    np.testing.assert_allclose(call(BATCH)["first"], expected, atol=1e-5)
    freeze()
    np.testing.assert_allclose(call(BATCH)["first"], expected, atol=1e-5)


@pytest.mark.parametrize("runtime", ["xla", "onnxruntime"])
def test_int8_rounds_the_layers(pretrained, expected, runtime):
    engine = make_engine(pretrained, runtime, "int8")
    found = np.asarray(engine.call(outputs, "test")[0](BATCH)["first"])
    assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max() + 1e-3


def test_the_runtime_refuses_another_dtype(pretrained):
    half = jax.tree.map(lambda leaf: leaf.astype(jax.numpy.bfloat16), pretrained.model)
    with pytest.raises(InputError, match="computes in float32, and dtype is 'bfloat16'; leave the dtype out"):
        OnnxEngine(half, quantize=None, places=False)


def test_a_missing_package_is_named_with_its_extra(pretrained, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with refuses("runtime 'onnxruntime' needs the package onnxruntime: pip install 'spago_jax[onnxruntime]'"):
        make_engine(pretrained, "onnxruntime", None)


def test_unknown_settings_are_refused():
    from spago_jax.tasks.pretrained.predictor import RowSettings, checked

    with pytest.raises(InputError, match="fill-mask: runtime = 'tvm': .*'xla', 'onnxruntime' or 'auto'"):
        checked(RowSettings, {"runtime": "tvm"}, "fill-mask")
    with pytest.raises(InputError, match="fill-mask: quantize = 'int4': .*'int8'"):
        checked(RowSettings, {"quantize": "int4"}, "fill-mask")


def test_auto_measures_once_and_keeps_the_answer(pretrained, tmp_path, monkeypatch):
    from spago_jax.tasks.pretrained import fastest

    monkeypatch.setenv("SPAGO_CACHE", str(tmp_path))
    taken = []
    seconds = iter([[3.0, 3.0], [1.0, 2.0]])
    monkeypatch.setattr(fastest, "_seconds", lambda call, longest: taken.append(longest) or next(seconds))
    assert isinstance(make_engine(pretrained, "auto", None), OnnxEngine)
    assert isinstance(make_engine(pretrained, "auto", None), OnnxEngine)
    assert taken == [6, 6]
    seconds = iter([[1.0, 1.0], [2.0, 2.0]])
    assert isinstance(make_engine(pretrained, "auto", "int8"), XlaEngine)  # another work: measured anew


def test_a_measurement_runs_both(pretrained, tmp_path, monkeypatch):
    monkeypatch.setenv("SPAGO_CACHE", str(tmp_path))
    assert isinstance(make_engine(pretrained, "auto", None), XlaEngine | OnnxEngine)
    assert len((tmp_path / "runtimes.json").read_text().splitlines()) == 3


def test_auto_is_xla_where_the_package_is_missing(pretrained, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    assert isinstance(make_engine(pretrained, "auto", None), XlaEngine)
