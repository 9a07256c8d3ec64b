"""Runs an ONNX file with onnxruntime on trees of arrays."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from spago_jax.compiler.ship.plain import leaves_of, plain
from spago_jax.interop.onnx import to_onnx

runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("onnx", reason="needs onnx")
runtime.set_default_logger_severity(3)


def run_onnx(path: Path, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
    """Feeds the inputs by path and gives the outputs by name."""
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    flat = {name: np.asarray(v) for key, tree in inputs.items() for name, v in leaves_of(plain(tree), key)}
    wanted = [value.name for value in session.get_inputs()]
    assert sorted(wanted) == sorted(flat)
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, flat), strict=True))


def check(path: Path, function: Any, arguments: tuple, specs: tuple, calls: list[dict], atol: float = 1e-5) -> None:
    """Exports ``function`` and compares what onnxruntime computes with what JAX does, for each of ``calls``."""
    to_onnx(function, path, *arguments, *specs)
    for inputs in calls:
        want = function(*arguments, *(jax.tree.map(jax.numpy.asarray, value) for value in inputs.values()))
        found = run_onnx(path, inputs)
        wanted = {name.removeprefix("output."): np.asarray(v) for name, v in leaves_of(plain(want), "output")}
        taken = {name for key, tree in inputs.items() for name, _ in leaves_of(plain(tree), key)}
        wanted = {f"{name}.out" if name in taken else name: value for name, value in wanted.items()}
        assert sorted(found) == sorted(wanted)
        for name, value in wanted.items():
            assert found[name].dtype == value.dtype, name
            assert found[name].shape == value.shape, name
            if value.dtype.kind == "f":
                np.testing.assert_allclose(found[name], value, atol=atol, rtol=max(1e-5, atol / 10), err_msg=name)
            else:
                np.testing.assert_array_equal(found[name], value, err_msg=name)
