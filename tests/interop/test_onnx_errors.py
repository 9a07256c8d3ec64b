"""What ``to_onnx`` refuses, in one message and before a file is there; and the page that lists what it covers."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from spago_jax.compiler.ship import ExportError
from spago_jax.errors import InputError
from spago_jax.interop.onnx import convert, supported_operations, to_onnx

onnx = pytest.importorskip("onnx", reason="needs onnx")
ROOT = Path(__file__).resolve().parents[2]


def uncovered(x, key):
    noise = jax.random.uniform(jax.random.wrap_key_data(key), x.shape)
    square = x @ x.T
    ordered = lax.sort((x, noise), num_keys=2)[1]
    inner = lax.scan(lambda c, row: (c, jnp.linalg.cholesky(square)[0] * row), 0.0, x[:, :4])[1]
    return jnp.fft.fft(x).real + ordered + inner.sum()


def test_everything_that_is_not_covered_is_listed_with_its_place(tmp_path):
    with pytest.raises(ExportError) as caught:
        to_onnx(uncovered, tmp_path / "m.onnx", "f32[4, 4]", "u32[2]")
    lines = str(caught.value).splitlines()
    assert lines[0] == "uncovered has operations without an ONNX form here; docs/onnx.md lists what is covered:"
    found = {line.split(":")[0].strip() for line in lines[1:]}
    assert {"cholesky", "fft", "sort (by several keys)", "random_wrap", "random_bits"} <= found
    source = Path(__file__).read_text().splitlines()
    for name, text in (
        ("cholesky", "cholesky"),
        ("fft", "jnp.fft"),
        ("sort (", "lax.sort"),
        ("random_bits", "uniform"),
    ):
        line = next(line for line in lines if line.strip().startswith(name))
        number = int(line.split("test_onnx_errors.py:")[1].split()[0])
        assert text in source[number - 1]
    assert list(tmp_path.iterdir()) == []


def test_what_stumbles_over_something_missing_is_not_blamed(tmp_path):
    def run(x):
        key = jax.random.key(0)
        return lax.scan(lambda k, row: (jax.random.split(k)[0], row + jax.random.uniform(k)), key, x)[1]

    with pytest.raises(ExportError, match="run has operations without an ONNX form here") as caught:
        to_onnx(run, tmp_path / "m.onnx", "f32[n]")
    assert "random_" in str(caught.value)


@pytest.mark.parametrize(
    ("function", "specs", "message"),
    [
        (lambda x: lax.pad(x, 0.0, ((0, 0, 1),)), ("f32[n]",), "pad (between the elements)"),
        (lambda x: x * 2, ("bf16[n]",), "mul (bfloat16: cast the model to float32 before)"),
        (lambda x, i: x.at[i].set(0, mode="drop"), ("f32[n]", "i32[k]"), "scatter (at places that may lie outside"),
        (
            lambda x: lax.conv_general_dilated(x, jnp.ones((1, 1, 3)), (1,), [(0, 0)], lhs_dilation=(2,)),
            ("f32[n, 1, 8]",),
            "conv_general_dilated (transposed, with dilated inputs)",
        ),
        (lambda x: lax.reduce_precision(x, 5, 10), ("f32[n]",), "reduce_precision (to fewer bits)"),
    ],
)
def test_uses_that_are_not_covered_say_why(function, specs, message, tmp_path):
    with pytest.raises(ExportError) as caught:
        to_onnx(function, tmp_path / "m.onnx", *specs)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_dimension_that_cannot_be_free_is_named(tmp_path):
    def branching(x):
        return x[:3] if x.shape[0] > 3 else x

    with pytest.raises(
        ExportError, match="branching cannot be exported with 'n' left free: .*\n.*constraints="
    ) as caught:
        to_onnx(branching, tmp_path / "m.onnx", "f32[n]")
    assert "sizes=" not in str(caught.value)  # that is for folders
    to_onnx(branching, tmp_path / "m.onnx", "f32[n]", constraints=["n >= 4"])


def test_without_onnx_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"ONNX export needs the package onnx: pip install 'spago_jax\[export\]'"):
        to_onnx(lambda x: x, tmp_path / "m.onnx", "f32[n]")


def test_names_of_inputs_outputs_and_weights(tmp_path):
    weights = {"gain": jnp.ones(2), "unused": jnp.ones(3)}

    def run(weights, batch, state):
        return {"y": batch["x"] * weights["gain"], "state": state + 1, "same": batch["x"]}

    to_onnx(run, tmp_path / "m.onnx", weights, {"x": "f32[n, 2]"}, "f32[n]")
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["batch.x", "state"]
    assert [value.name for value in model.graph.output] == ["same", "state.out", "y"]
    assert "gain" in {value.name for value in model.graph.initializer}
    assert "unused" not in {value.name for value in model.graph.initializer}
    dims = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["n", 2]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = to_onnx(lambda x: x + 1, tmp_path / "m.onnx", "f32[n]")
    old = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="No space"):
        to_onnx(lambda x: x + 2, path, "f32[n]")
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_constants_are_stored_once(tmp_path):
    table = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    to_onnx(lambda x: {"a": x @ table, "b": x @ table}, tmp_path / "m.onnx", "f32[n, 3]")
    stored = [value for value in onnx.load(tmp_path / "m.onnx").graph.initializer if list(value.dims) == [3, 4]]
    assert len(stored) == 1


def test_the_page_lists_the_table(tmp_path):
    target = tmp_path / "onnx.md"
    subprocess.run([sys.executable, "-m", "spago_jax.interop.onnx.page", str(target)], check=True, cwd=ROOT)
    assert (ROOT / "docs" / "onnx.md").read_text() == target.read_text(), "make it again: see its first lines"
    assert all(f"`{name}`" in target.read_text() for names in supported_operations().values() for name in names)


def test_a_type_that_an_operator_does_not_take_is_refused_with_its_line(tmp_path, monkeypatch):
    """By the operators' own schemas, whatever a rule has written, and before anything is on the disk."""
    monkeypatch.setitem(convert.rules(), "sin", lambda g, eqn, x: g.cast(g.node("Sin", g.cast(x, bool)), "float32"))
    with pytest.raises(ExportError, match=r"cannot be written .*\n  Sin takes no bool: .*test_onnx_errors\.py:\d+"):
        to_onnx(lambda x: jnp.sin(x), tmp_path / "m.onnx", "f32[n]")
    monkeypatch.setitem(convert.rules(), "sin", lambda g, eqn, x: g.node("Sin", x, x))
    with pytest.raises(ExportError, match="cannot be written as an ONNX model that runtimes load"):
        to_onnx(lambda x: jnp.sin(x), tmp_path / "m.onnx", "f32[n]")
    assert not list(tmp_path.iterdir())
