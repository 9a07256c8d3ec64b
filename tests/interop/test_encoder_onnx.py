"""Encoders on ONNX Runtime by our own graph, beside our XLA programs, which are held to transformers elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.errors import InputError
from spago_jax.interop.encoder_onnx.session import OnnxEncoder, threads
from spago_jax.models.encoder import EncoderConfig, EncoderModel
from spago_jax.models.encoder.config import ACTIVATIONS
from spago_jax.models.encoder.plans import PLANS

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
SIZES = {"vocabulary": 19, "hidden": 8, "layers": 2, "heads": 2, "intermediate": 12, "positions": 14}
KINDS = {
    "bert": {},
    "roberta": {"count_from": 1, "padding": 1, "types": 1},
    "distilbert": {"types": 0},
    "electra": {"embedding": 4, "projects": True},
    "albert": {"embedding": 4, "projects": True, "groups": 2},
    "mpnet": {"count_from": 1, "padding": 1, "types": 0, "relative": 32},
}
HEADS = [
    (kind, head)
    for kind in KINDS
    for head in PLANS[kind]
    if head not in ("pretraining", "multiple-choice", "sentence-order")
]
LENGTHS = np.array([9, 1, 5, 0], np.int32)


def make(kind: str = "bert", head: str = "states", **how) -> EncoderModel:
    config = EncoderConfig(architecture=kind, initializer_range=0.4, **(SIZES | KINDS[kind] | how))
    model = EncoderModel.init(jax.random.key(0), config, head=head, labels=3)
    leaves, tree = jax.tree.flatten(model)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, moved)


def batch(config, time: int = 9) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    pad = 0 if config.padding is None else config.padding
    ids = rng.integers(2, config.vocabulary, (len(LENGTHS), time))
    ids = np.where(np.arange(time) < LENGTHS[:, None], ids, pad).astype(np.int32)
    types = rng.integers(0, max(config.types, 1), ids.shape).astype(np.int32)
    return {"ids": ids, "lengths": LENGTHS, "types": types, "at": np.array([[3, 0], [0, 0], [4, 1], [0, 0]], np.int32)}


def expected(model: EncoderModel, given: dict[str, np.ndarray], *, places: bool = False) -> np.ndarray:
    names = ("ids", "lengths", *(["types"] if model.config.types > 1 else []), *(["at"] if places else []))
    return np.asarray(jax.jit(lambda model, given: model.logits(**given))(model, {name: given[name] for name in names}))


def close(model: EncoderModel, found: np.ndarray, wanted: np.ndarray, atol: float, *, per_token: bool) -> None:
    assert found.shape == wanted.shape
    real = LENGTHS > 0
    found, wanted = found[real], wanted[real]
    if per_token:
        seen = np.arange(wanted.shape[1]) < LENGTHS[real][:, None]
        found, wanted = found[seen], wanted[seen]
    np.testing.assert_allclose(found, wanted, atol=atol, rtol=0)


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        pytest.param(kind, head, marks=() if head == ("masked-words" if kind != "bert" else head) else pytest.mark.slow)
        for kind, head in HEADS
    ],
)
def test_every_head_gives_what_xla_gives(kind, head):
    """Also with padding, and with a row that has no token."""
    model = make(kind, head)
    given = batch(model.config)
    wanted = expected(model, given)
    close(model, OnnxEncoder(model)(given), wanted, 1e-5, per_token=wanted.ndim > 1 and wanted.shape[1] == 9)


def test_every_activation_is_that_of_xla(tmp_path):
    import onnxruntime

    from spago_jax.interop.encoder_onnx.builder import GraphBuilder
    from spago_jax.interop.encoder_onnx.graph import activated

    graph = GraphBuilder(tmp_path)
    x = graph.input("x", "float32", ("n", 2))
    bias = np.array([0.5, -3.0], np.float32)
    for name in ACTIVATIONS:
        graph.output(name, activated(graph, x, graph.weight(bias), name), ("n", 2))
    session = onnxruntime.InferenceSession(str(graph.write()), providers=["CPUExecutionProvider"])
    xs = np.linspace(-14, 14, 58, dtype=np.float32).reshape(-1, 2)
    for name, found in zip(ACTIVATIONS, session.run(list(ACTIVATIONS), {"x": xs}), strict=True):
        np.testing.assert_allclose(found, ACTIVATIONS[name](jnp.asarray(xs + bias)), atol=2e-6, err_msg=name)


@pytest.mark.parametrize("head", ["masked-words", "token-classification"])
def test_a_head_reads_places(head):
    model = make("bert", head)
    given = batch(model.config)
    found = OnnxEncoder(model, places=True)(given)
    close(model, found, expected(model, given, places=True), 1e-5, per_token=False)


def test_a_decoder_that_is_not_tied_to_the_words():
    model = make("bert", "masked-words", tied=False)
    given = batch(model.config)
    close(model, OnnxEncoder(model)(given), expected(model, given), 1e-5, per_token=True)


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_int8_rounds_as_on_xla_and_no_row_changes_another(kind):
    """Both round rows and weights alike, so they differ where a number lies near the middle of two integers."""
    from spago_jax.models.quantized import quantized

    model = make(kind, hidden=32, intermediate=64)
    given = batch(model.config)
    encoder = OnnxEncoder(model, quantize="int8")
    found, wanted = encoder(given), expected(quantized(model), given)
    exact = expected(model, given)
    seen = np.arange(9) < LENGTHS[:, None]
    apart = lambda a, b: np.sqrt(np.mean((a[seen] - b[seen]) ** 2) / np.mean(b[seen] ** 2))  # noqa: E731
    assert apart(found, exact) < 0.05
    assert apart(found, wanted) < 0.05
    one = {name: array[2:3, :5] if array.ndim > 1 else array[2:3] for name, array in given.items()}
    np.testing.assert_allclose(encoder(one)[0], found[2, :5], atol=1e-5)


def test_layers_that_lie_apart_have_the_same_graph():
    model = make()
    given = batch(model.config)
    apart = model.replace(encoder=model.encoder.separate())
    np.testing.assert_array_equal(OnnxEncoder(apart)(given)[0], OnnxEncoder(model)(given)[0])


def test_models_without_a_graph_are_refused_by_name():
    from spago_jax.models.modernbert.config import ModernBertConfig

    config = ModernBertConfig(vocabulary=9, hidden=4, layers=1, heads=1, intermediate=4, padding=0)
    modern = EncoderModel.init(jax.random.key(0), config)
    with pytest.raises(InputError, match="modernbert does not run on ONNX Runtime here; leave out runtime="):
        OnnxEncoder(modern)
    with pytest.raises(InputError, match="head 'multiple-choice' does not run on ONNX Runtime here"):
        OnnxEncoder(make("bert", "multiple-choice"))


def test_the_threads_are_those_of_the_environment(monkeypatch):
    monkeypatch.setenv("SPAGO_THREADS", "3")
    assert threads() == 3
    monkeypatch.setenv("SPAGO_THREADS", "many")
    with pytest.raises(InputError, match=r"\$SPAGO_THREADS is 'many', expected a number of threads from 1"):
        threads()
    monkeypatch.delenv("SPAGO_THREADS")
    assert threads() >= 1


def test_no_file_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("SPAGO_CACHE", str(tmp_path))
    model = make()
    encoder = OnnxEncoder(model)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert encoder(batch(model.config)).shape == (4, 9, 8)
