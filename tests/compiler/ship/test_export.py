"""Exported programs against the functions they were made of, in this process."""

import importlib.util
import json
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.compiler.ship import ExportError, ProgramError, export, load_program
from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.errors import InputError
from spago_jax.nn import CRF, GRU, LSTM, Linear


class State(NamedTuple):
    total: jax.Array
    count: jax.Array


class Net(sj.Module):
    """A linear map of masked means, with a buffer."""

    linear: Linear
    scale: sj.Array = sj.buffer()

    def __call__(self, batch, state):
        mask = jnp.arange(batch["x"].shape[1]) < batch["lengths"][:, None]
        mean = jnp.where(mask[..., None], batch["x"], 0).sum(1) / batch["lengths"][:, None]
        y = self.linear(mean) * self.scale
        return y, State(state.total + y.sum(0), state.count + batch["lengths"].sum())


@pytest.fixture(scope="module")
def net():
    return Net(linear=Linear.init(jax.random.key(0), 3, 2), scale=jnp.float32(2.0))


SPECS = (
    {"x": "f32[batch, time, 3]", "lengths": "i32[batch]"},
    State(jax.ShapeDtypeStruct((2,), jnp.float32), jax.ShapeDtypeStruct((), jnp.int32)),
)


def example(batch, time, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(batch, time, 3)).astype(np.float32)
    return {"x": x, "lengths": draw.integers(1, time + 1, batch).astype(np.int32)}, State(
        np.ones(2, np.float32), np.int32(3)
    )


@pytest.fixture(scope="module")
def shipped(net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ship") / "net"
    assert export(net, folder, *SPECS, differentiable=True, metadata={"tags": ["a", "b"]}) == folder
    return folder


@pytest.mark.parametrize(("batch", "time"), [(1, 1), (3, 7), (8, 20)])
def test_equal_outputs_at_any_size(net, shipped, batch, time):
    inputs, state = example(batch, time)
    y, after = net(jax.tree.map(jnp.asarray, inputs), state)
    found, found_state = load_program(shipped)(inputs, {"total": state.total, "count": state.count})
    np.testing.assert_array_equal(found, y)
    np.testing.assert_array_equal(found_state["total"], after.total)
    assert int(found_state["count"]) == int(after.count)


def test_the_manifest_says_what_it_takes_and_gives(shipped):
    program = load_program(shipped)
    assert program.specs["batch"] == {
        "dict": {
            "x": {"dtype": "float32", "shape": ["batch", "time", 3]},
            "lengths": {"dtype": "int32", "shape": ["batch"]},
        }
    }
    assert program.manifest["dimensions"] == ["batch", "time"]
    assert program.manifest["weights"]["linear.weight"] == {"dtype": "float32", "shape": [2, 3], "trainable": True}
    assert program.manifest["weights"]["scale"]["trainable"] is False
    assert program.metadata == {"tags": ["a", "b"]}
    assert program.platforms == ("cpu", "cuda", "tpu")
    assert repr(program) == (
        "LoadedProgram('Net'\n"
        "  batch: {x: float32[batch, time, 3], lengths: int32[batch]}\n"
        "  state: {total: float32[2], count: int32[]}\n"
        "  -> (float32[batch, 2], {count: int32[], total: float32[2]})\n"
        "  9 numbers in 3 weights; cpu, cuda, tpu; differentiable)"
    )
    assert sorted(path.name for path in shipped.iterdir()) == [
        "load_program.py",
        "manifest.json",
        "program.jax_export",
        "weights.safetensors",
    ]


def test_gradients_equal_those_of_the_function(net, shipped):
    inputs, state = example(4, 5)
    program = load_program(shipped)

    def loss(model, x):
        y, after = model({**inputs, "x": x}, state)
        return (y**2).sum() + after.total.sum()

    by_model, by_x = jax.grad(loss, argnums=(0, 1))(net, jnp.asarray(inputs["x"]))
    plain_state = {"total": state.total, "count": state.count}
    value, gradients = program.gradient(lambda out: (out[0] ** 2).sum() + out[1]["total"].sum(), inputs, plain_state)
    assert sorted(gradients) == ["linear.bias", "linear.weight"]  # the buffer gets none
    np.testing.assert_allclose(value, loss(net, jnp.asarray(inputs["x"])), rtol=1e-6)
    np.testing.assert_allclose(gradients["linear.weight"], by_model.linear.weight, rtol=1e-5)
    (y, _), pullback = program.vjp(inputs, plain_state)
    weights, arguments = pullback((2 * y, {"total": np.ones(2), "count": None}))
    np.testing.assert_allclose(weights["linear.bias"], by_model.linear.bias, rtol=1e-5)
    np.testing.assert_allclose(arguments["batch"]["x"], by_x, rtol=1e-5)
    assert arguments["batch"]["lengths"] is None


def test_fine_tuned_weights_go_back_in(shipped):
    inputs, state = example(4, 5)
    state = {"total": state.total, "count": state.count}
    program = load_program(shipped)
    step = jax.jit(jax.value_and_grad(lambda w: ((program.apply(w, inputs, state)[0] - 1.0) ** 2).mean()))
    weights = {path: value for path, value in program.weights.items()}
    first, _ = step(weights)
    for _ in range(20):
        _, gradients = step(weights)
        weights = {path: value - 0.05 * gradients[path] for path, value in weights.items()}
    tuned = program.with_weights(weights)
    assert float(((tuned(inputs, state)[0] - 1.0) ** 2).mean()) < 0.7 * float(first)


def test_without_its_gradient_it_says_so(net, tmp_path):
    export(net, tmp_path / "net", *SPECS)
    inputs, state = example(2, 2)
    program = load_program(tmp_path / "net")
    with pytest.raises(ProgramError, match="Net: was exported without its gradient; export it again with"):
        program.vjp(inputs, {"total": state.total, "count": state.count})


@pytest.mark.parametrize("cell", [LSTM, GRU])
def test_recurrent_kernels_with_free_batch_and_time_and_gradients(cell, tmp_path):
    layer = cell.init(jax.random.key(1), 3, 4)

    def run(model, x, lengths):
        return {"ys": model(x, lengths)[0]}

    export(run, tmp_path / "rnn", layer, "f32[batch, time, 3]", "i32[batch]", differentiable=True)
    program = load_program(tmp_path / "rnn")
    for batch, time in ((1, 1), (3, 6), (5, 11)):
        inputs, _ = example(batch, time, seed=time)
        want = run(layer, jnp.asarray(inputs["x"]), jnp.asarray(inputs["lengths"]))["ys"]
        np.testing.assert_allclose(program(inputs["x"], inputs["lengths"])["ys"], want, atol=1e-6)
    wanted = jax.grad(lambda m: run(m, jnp.asarray(inputs["x"]), jnp.asarray(inputs["lengths"]))["ys"].sum())(layer)
    _, gradients = program.gradient(lambda out: out["ys"].sum(), inputs["x"], inputs["lengths"])
    for path, value in sj.flat(wanted).items():
        np.testing.assert_allclose(gradients[path], value, atol=1e-5, err_msg=path)


def test_bfloat16_weights_travel_bit_for_bit(tmp_path):
    weight = jnp.arange(6, dtype=jnp.bfloat16).reshape(2, 3) / 7
    export(lambda w, x: x @ w["w"].T, tmp_path / "p", {"w": weight}, "bf16[n, 3]", name="product")
    program = load_program(tmp_path / "p")
    assert program.weights["w"].dtype == jnp.bfloat16
    assert np.asarray(program.weights["w"]).tobytes() == np.asarray(weight).tobytes()
    x = jnp.ones((4, 3), jnp.bfloat16)
    np.testing.assert_array_equal(np.asarray(program(x), np.float32), np.asarray(x @ weight.T, np.float32))


def test_the_safetensors_library_reads_our_file(tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy", reason="needs safetensors")
    arrays = {"a.b": np.arange(6, dtype=np.float32).reshape(2, 3), "c": np.array(True), "d": np.zeros((0, 2), np.int64)}
    write_safetensors(tmp_path / "w.safetensors", arrays)
    found = numpy_files.load_file(tmp_path / "w.safetensors")
    assert sorted(found) == ["a.b", "c", "d"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_program_brings_its_own_specs(tmp_path):
    program = sj.compile(lambda w, x: w["gain"] * x, sj.spec("x", "f32[n]"), name="scale")
    export(program, tmp_path / "p", {"gain": jnp.float32(3.0)})
    with pytest.raises(InputError, match="scale: nothing was given for w; give each argument as arrays"):
        export(program, tmp_path / "q")
    loaded = load_program(tmp_path / "p")
    assert loaded.name == "scale"
    assert loaded.specs == {"x": {"dtype": "float32", "shape": ["n"]}}


def test_several_models_are_told_apart_by_the_argument(tmp_path):
    first, second = (Linear.init(jax.random.key(i), 3, 3) for i in range(2))
    export(lambda one, two, x: two(one(x)), tmp_path / "p", first, second, "f32[n, 3]", name="two")
    program = load_program(tmp_path / "p")
    assert sorted(program.weights) == ["one.bias", "one.weight", "two.bias", "two.weight"]
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(program(x), second(first(x)), atol=1e-6)


# -- what cannot be free -----------------------------------------------------------------------------------------------


def branching(x):
    if x.shape[1] > 8:
        return x[:, :8].sum(1)
    return x.sum(1)


def test_a_branch_on_a_free_dimension_names_it_and_the_way_out(tmp_path):
    with pytest.raises(ExportError) as caught:
        export(branching, tmp_path / "p", "f32[batch, time]")
    message = str(caught.value)
    assert message.startswith("branching cannot be exported with 'time' left free: ")
    assert "'batch' can stay free" in message
    assert "test_export.py:" in message
    assert "sizes={'time': (16, 64)}" in message
    assert list(tmp_path.iterdir()) == []


def test_several_sizes_make_several_entries(tmp_path):
    export(branching, tmp_path / "p", "f32[batch, time]", sizes={"time": (4, 12)})
    program = load_program(tmp_path / "p")
    for batch, time in ((2, 4), (5, 12)):
        x = np.random.default_rng(0).normal(size=(batch, time)).astype(np.float32)
        np.testing.assert_allclose(program(x), branching(x), atol=1e-6)
    with pytest.raises(ProgramError, match="was exported for time = 4; time = 12; this call has time = 5"):
        program(np.ones((2, 5), np.float32))
    with pytest.raises(InputError, match="sizes: 'tme' is not a free dimension of the specs, did you mean 'time'"):
        export(branching, tmp_path / "q", "f32[batch, time]", sizes={"tme": (4,)})


def test_a_constraint_settles_a_branch(tmp_path):
    export(branching, tmp_path / "p", "f32[batch, time]", constraints=["time >= 9"])
    program = load_program(tmp_path / "p")
    x = np.random.default_rng(0).normal(size=(2, 11)).astype(np.float32)
    np.testing.assert_allclose(program(x), branching(x), atol=1e-6)
    with pytest.raises(ProgramError, match="branching: sizes that do not fit: it was exported for time >= 9"):
        program(x[:, :5])


def test_the_function_s_own_error_stays_its_own(tmp_path):
    with pytest.raises(TypeError, match="dot_general requires contracting dimensions"):
        export(lambda x: x @ jnp.ones((4, 4)), tmp_path / "p", "f32[n, 3]")


# -- bad calls of export -----------------------------------------------------------------------------------------------


def test_bad_arguments_are_refused_before_anything_is_written(net, tmp_path):
    def refused(pattern, *arguments, **options):
        with pytest.raises(InputError, match=pattern):
            export(*arguments, **options)
        assert list(tmp_path.iterdir()) == []

    target = tmp_path / "p"
    refused("unknown platform 'gpu': write cuda", branching, target, "f32[n]", platforms=("gpu",))
    refused("unknown platform 'cpi': did you mean 'cpu'", branching, target, "f32[n]", platforms=("cpi",))
    refused("branching: nothing was given for x", branching, target)
    refused("branching: 2 arguments for 1 parameters", branching, target, "f32[n]", "f32[n]")
    refused("x = 3 is neither an array nor a spec", branching, target, 3)
    refused("'f32n' is not of the form", branching, target, "f32n")
    refused("x mixes arrays", branching, target, {"a": jnp.ones(2), "b": "f32[n]"})
    refused("x is a random key", branching, target, jax.random.key(0))
    refused("static 'y' is not an argument of it", branching, target, "f32[n]", static={"y": 1})
    refused("metadata must be plain JSON", branching, target, "f32[n]", metadata={"a": object()})
    refused("is a model of shapes without numbers", Net.__call__, target, jax.eval_shape(lambda: net), *SPECS)
    refused("x is float64.*which JAX narrows", branching, target, "f64[n]")
    refused("the dict key 1 is not a string", lambda x: x[1], target, {1: "f32[n]"})
    refused("the constraints .* cannot be read", branching, target, "f32[n]", constraints=["n is large"])


def test_an_existing_folder_is_kept_unless_it_may_be_replaced(net, tmp_path):
    target = tmp_path / "p"
    export(lambda x: x + 1, target, "f32[n]", name="one")
    with pytest.raises(InputError, match="the folder exists"):
        export(lambda x: x + 2, target, "f32[n]", name="two")
    assert load_program(target).name == "one"
    export(lambda x: x + 2, target, "f32[n]", name="two", overwrite=True)
    assert float(load_program(target)(np.zeros(1, np.float32))[0]) == 2.0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds other things than an exported program"):
        export(lambda x: x, tmp_path / "mine", "f32[n]", name="id", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "p"]


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    module = sys.modules["spago_jax.compiler.ship.export"]  # the package holds the function under this name

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_safetensors", fail)
    with pytest.raises(OSError, match="No space left"):
        export(lambda x: x, tmp_path / "p", "f32[n]", name="id")
    assert list(tmp_path.iterdir()) == []


def test_without_flatbuffers_it_says_what_to_install(tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "flatbuffers" else found(name))
    with pytest.raises(InputError, match=r"exporting needs the package flatbuffers: pip install 'spago_jax\[export\]'"):
        export(lambda x: x, tmp_path / "p", "f32[n]", name="id")


def test_files_travel_along(tmp_path):
    files = {"assets/words.json": b'["a"]'}
    export(lambda x: x, tmp_path / "p", "f32[n]", name="id", files=files)
    program = load_program(tmp_path / "p")
    assert json.loads(program.file("assets/words.json").read_text()) == ["a"]
    with pytest.raises(ProgramError, match="assets/letters.json: no such file; the folder holds assets/words.json"):
        program.file("assets/letters.json")
    with pytest.raises(InputError, match="'../x' cannot be put into the exported folder"):
        export(lambda x: x, tmp_path / "q", "f32[n]", name="id", files={"../x": b""})


def test_a_crf_with_free_batch_and_time(tmp_path):
    model = CRF.init(jax.random.key(0), 4)

    def run(model, emissions, tags, lengths):
        best, score = model.decode(emissions, lengths)
        return {"likelihood": model.log_likelihood(emissions, tags, lengths), "best": best, "score": score}

    specs = ("f32[batch, time, 4]", "i32[batch, time]", "i32[batch]")
    program = load_program(export(run, tmp_path / "crf", model, *specs, differentiable=True))
    draw = np.random.default_rng(0)
    for batch, time in ((1, 1), (2, 5), (4, 9)):
        emissions = draw.normal(size=(batch, time, 4)).astype(np.float32)
        tags = draw.integers(0, 4, (batch, time)).astype(np.int32)
        lengths = draw.integers(0, time + 1, batch).astype(np.int32)
        want = run(model, jnp.asarray(emissions), jnp.asarray(tags), jnp.asarray(lengths))
        found = program(emissions, tags, lengths)
        np.testing.assert_array_equal(found["best"], want["best"])
        np.testing.assert_allclose(found["likelihood"], want["likelihood"], atol=1e-5)
        np.testing.assert_allclose(found["score"], want["score"], atol=1e-5)
    wanted = jax.grad(lambda m: run(m, emissions, tags, lengths)["likelihood"].sum())(model)
    _, gradients = program.gradient(lambda out: out["likelihood"].sum(), emissions, tags, lengths)
    np.testing.assert_allclose(gradients["transitions"], wanted.transitions, atol=1e-5)
