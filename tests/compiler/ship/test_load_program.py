"""The loader: in processes that have JAX and NumPy only, and on folders that are damaged."""

import ast
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.compiler.ship import ProgramError, export, load_program
from spago_jax.compiler.ship.load import manifest_hash, read_safetensors
from spago_jax.nn import Linear
from spago_jax.tasks.export import export_run
from spago_jax.tasks.load import open_run

SIZES = ((1, 3), (4, 9), (11, 17))

# Runs an exported tagger on the batches of a folder and writes what it gives; fails where this project is about.
RECEIVER = """
import sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("spago_jax", "flax", "optax", "orbax", "pydantic", "safetensors", "flatbuffers"):
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Forbidden())
folder = sys.argv[1]
sys.path.insert(0, folder)
import numpy as np
from load_program import load_program

program = load_program(folder)
for number in range(3):
    with np.load(f"{sys.argv[2]}/batch{number}.npz") as arrays:
        found = program({name: arrays[name] for name in program.specs["batch"]["dict"]})
    np.savez(f"{sys.argv[2]}/found{number}.npz", **{name: np.asarray(value) for name, value in found.items()})
try:
    import flatbuffers
except ImportError:
    pass  # as before: the stand-in is gone again
else:
    raise SystemExit("the loader left its stand-in of flatbuffers behind")
print(sorted({name.split(".")[0] for name in sys.modules} & {"spago_jax", "flax", "optax"}))
"""


def batch_of(model, batch, time, seed=0):
    """Ids of every kind, in the model's ranges, with real lengths and padding."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(1, time + 1, batch)
    lengths[0] = time
    held = np.arange(time) < lengths[:, None]
    words = draw.integers(1, model.embeddings.parts[0].table.weight.shape[0], (batch, time)) * held
    sizes = draw.integers(1, 9, (batch, time)) * held
    characters = draw.integers(1, model.embeddings.parts[1].encoder.embedding.weight.shape[0], (batch, time, 8))
    characters *= np.arange(8) < sizes[..., None]
    values = {"words": words, "characters": characters, "characters_lengths": sizes, "lengths": lengths}
    return {name: value.astype(np.int32) for name, value in values.items()}


@pytest.fixture(scope="module")
def tagger(trained, tmp_path_factory):
    """The exported tagger of a tiny trained run, its model, and three batches of sizes it was not compiled for."""
    opened = open_run(trained[1])
    folder = export_run(opened, tmp_path_factory.mktemp("shipped") / "tagger", differentiable=True)
    return folder, opened.model, [batch_of(opened.model, *size, seed=size[0]) for size in SIZES]


def check_receiver(python, environment, tagger, work):
    """Runs the receiver in another process and compares its outputs with the model's own."""
    folder, model, batches = tagger
    for number, batch in enumerate(batches):
        np.savez(work / f"batch{number}.npz", **batch)
    (work / "receive.py").write_text(RECEIVER)
    done = subprocess.run(
        [*python, str(work / "receive.py"), str(folder), str(work)],
        capture_output=True,
        text=True,
        cwd=work,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    for number, batch in enumerate(batches):
        scores = model(jax.tree.map(jnp.asarray, batch))
        with np.load(work / f"found{number}.npz") as found:
            np.testing.assert_array_equal(found["tags"], model.decode(scores, batch["lengths"]))
            np.testing.assert_allclose(found["scores"], scores, atol=1e-6)


def test_a_trained_tagger_runs_without_this_package(tagger, tmp_path):
    check_receiver([sys.executable, "-P"], {**os.environ, "PYTHONPATH": ""}, tagger, tmp_path)


@pytest.mark.slow
def test_a_trained_tagger_runs_in_a_clean_venv_with_jax_and_numpy(tagger, tmp_path):
    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / "bin" / "python"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    wanted = [f"jax=={jax.__version__}", "numpy"]
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", *wanted], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        pytest.skip(f"needs a package index to install {' and '.join(wanted)}: {done.stderr.strip()[-200:]}")
    (tmp_path / "work").mkdir()
    check_receiver([str(python), "-I"], environment, tagger, tmp_path / "work")


def test_the_tagger_can_be_fine_tuned(tagger):
    folder, model, batches = tagger
    program = load_program(folder)
    batch = batches[1]

    def total(scores):
        return jax.nn.logsumexp(scores, axis=-1).sum()

    value, gradients = program.gradient(lambda out: total(out["scores"]), batch)
    inputs = jax.tree.map(jnp.asarray, batch)
    want, wanted = jax.value_and_grad(lambda w: total(model.replace(scorer=w)(inputs)))(model.scorer)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    np.testing.assert_allclose(gradients["scorer.weight"], wanted.weight, rtol=1e-4, atol=1e-5)
    assert (
        float(jnp.abs(gradients["encoder.rnn.layers.0.forward.recurrent_weight"]).max()) > 0
    )  # through the loop of the kernel
    assert float(jnp.abs(gradients["embeddings.parts.0.table.weight"]).max()) > 0
    assert "crf.allowed" not in gradients


# -- damage --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    model = Linear.init(jax.random.key(0), 3, 2)
    return export(lambda m, x, k: {"y": m(x) * k}, tmp_path / "p", model, "f32[batch, 3]", "i32[]", name="line")


def refused(folder, pattern):
    with pytest.raises(ProgramError, match=pattern):
        load_program(folder)


def test_damaged_files_are_named(folder, tmp_path):
    for name in ("program.jax_export", "weights.safetensors"):
        copy = shutil.copytree(folder, tmp_path / f"flipped-{name}")
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)
        refused(copy, f"{name}: damaged, or changed after the export")
        copy = shutil.copytree(folder, tmp_path / f"cut-{name}")
        (copy / name).write_bytes(bytes(data[:100]))
        refused(copy, rf"{name}: truncated: 100 bytes of {len(data)}; copy the folder again")
        copy = shutil.copytree(folder, tmp_path / f"gone-{name}")
        (copy / name).unlink()
        refused(copy, f"{name}: no such file; the folder is not complete")


def test_damaged_manifests_are_named(folder, tmp_path):
    manifest = folder / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text[: len(text) // 2])
    refused(folder, "manifest.json: damaged, or no manifest of an exported program")
    manifest.write_text("[]")
    refused(folder, "manifest.json: damaged, or no manifest of an exported program")
    manifest.write_text(text.replace('"line"', '"lime"'))
    refused(folder, "manifest.json: was changed after the export, or is damaged")
    manifest.unlink()
    refused(folder, "manifest.json: no such file")
    refused(tmp_path / "nowhere", "nowhere: no such folder")


def changed(folder, **updates):
    """A manifest with other facts and a checksum that fits."""
    manifest = json.loads((folder / "manifest.json").read_text()) | updates
    manifest["sha256"] = manifest_hash(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_this_process_cannot_run_is_refused(folder):
    changed(folder, format_version=2)
    refused(folder, "format version 2, this loader reads up to 1; use the load_program.py that lies in the folder")
    changed(folder, format_version=1, platforms=["tpu"])
    refused(folder, "exported for tpu, and this process runs on cpu; export it again with --platforms tpu,cpu")
    changed(folder, platforms=["cpu"], calling_convention_version=999)
    refused(folder, f"with calling convention 999; JAX {jax.__version__} reads .*: update JAX")
    changed(folder, calling_convention_version=1)
    refused(folder, "export the program again with a newer JAX")
    changed(folder, format="onnx")
    refused(folder, "holds a program in the format 'onnx', not 'stablehlo'")


def test_64_bits_need_their_switch(tmp_path):
    with jax.enable_x64(True):
        export(lambda x: x / 3, tmp_path / "p", "f64[n]", name="third")
        assert float(load_program(tmp_path / "p")(np.ones(1))[0]) == 1 / 3
    refused(tmp_path / "p", "holds 64-bit numbers, which JAX has switched off; set JAX_ENABLE_X64=1")


def test_damage_is_found_without_checksums_too(folder):
    path = folder / "weights.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-4])
    with pytest.raises(
        ProgramError, match=r"truncated: weight 'weight' ends at \d+ of \d+ bytes|truncated: weight 'bias'"
    ):
        load_program(folder, check=False)
    path.write_bytes(data[:4])
    with pytest.raises(ProgramError, match="truncated: the header says"):
        read_safetensors(path)
    path.write_bytes(b"\x08" + bytes(7) + b"no json!")
    with pytest.raises(ProgramError, match="damaged, or no safetensors file"):
        read_safetensors(path)
    path.write_bytes(data)
    program = folder / "program.jax_export"
    program.write_bytes(program.read_bytes()[:40])
    with pytest.raises(ProgramError, match=r"program.jax_export: no exported program of JAX"):
        load_program(folder, check=False)


# -- arguments ------------------------------------------------------------------------------------------------------


def test_arguments_that_do_not_fit_are_named(folder):
    program = load_program(folder)
    x = np.ones((2, 3), np.float32)

    def refused(pattern, *args, **kwargs):
        with pytest.raises(ProgramError, match=pattern):
            program(*args, **kwargs)

    assert program(x, 2)["y"].shape == (2, 2)
    np.testing.assert_array_equal(program(x.tolist(), k=2)["y"], program(x.astype(np.float64), np.int64(2))["y"])
    np.testing.assert_array_equal(program([[0.1, 0.2, 0.3]], 1)["y"], program(np.float32([[0.1, 0.2, 0.3]]), 1)["y"])
    refused(r"argument 'x' is not an array of numbers|argument 'x' is object", [[1.0], [1.0, 2.0]], 1)
    refused(r"argument 'x' is <U1\[1\] and does not fit float32\[batch, 3\]", ["a"], 1)
    refused(r"line: argument 'x' has shape \[2, 4\], expected float32\[batch, 3\]: 3 is 3", np.ones((2, 4)), 1)
    refused(r"argument 'x' has shape \[3\], expected float32\[batch, 3\]", x[0], 1)
    refused(r"argument 'x' has shape \[0, 3\]: batch must be at least 1", x[:0], 1)
    refused(r"argument 'x' has dtype int32, expected float32\[batch, 3\]", x.astype(np.int32), 1)
    refused(r"argument 'k' has dtype float32, expected int32\[\]", x, np.float32(1))
    refused(r"argument 'k' is float64\[\] and does not fit int32\[\]", x, 1.5)
    refused(r"argument 'k' has dtype int64, expected int32\[\]", x, np.int64(2**40))
    refused(r"argument 'k' is missing: int32\[\]", x)
    refused("no argument 'z'; it takes x, k", x, z=1)
    refused("argument 'x' was given twice", x, x=x)
    refused("3 arguments, it takes 2: x, k", x, 1, 2)


def test_trees_that_do_not_fit_are_named(tmp_path):
    specs = {"a": "f32[n]", "b": ("i32[n]", "f32[n, n]")}
    program = load_program(export(lambda t: t["a"].sum() + t["b"][1].sum(), tmp_path / "p", specs, name="tree"))
    a, b, c = np.ones(2, np.float32), np.ones(2, np.int32), np.ones((2, 2), np.float32)

    def refused(pattern, tree):
        with pytest.raises(ProgramError, match=pattern):
            program(tree)

    assert float(program({"a": a, "b": [b, c]})) == 6.0
    refused(r"argument 't' has no 'b': expected \(int32\[n\], float32\[n, n\]\)", {"a": a})
    refused("argument 't' has 'c', which the program does not take", {"a": a, "b": (b, c), "c": c})
    refused("argument 't.b' is a list of 1, expected 2 values", {"a": a, "b": [b]})
    refused("argument 't' is a list of 2, expected a dict", [a, b])
    refused(
        r"argument 't.b.1' has shape \[3, 3\], expected float32\[n, n\]: n is 2", {"a": a, "b": (b, np.ones((3, 3)))}
    )
    zeros = program.zeros("t", n=3)
    assert zeros["b"][1].shape == (3, 3)
    assert zeros["b"][0].dtype == np.int32
    with pytest.raises(ProgramError, match=r"tree: zeros\('t'\) needs a size for n"):
        program.zeros("t")
    with pytest.raises(ProgramError, match="tree: no argument 'u'; it takes t"):
        program.zeros("u")


def test_weights_that_do_not_fit_are_named(folder):
    program = load_program(folder)
    weights = dict(program.weights)
    with pytest.raises(ProgramError, match=r"line: weight 'bias' is missing: expected float32\[2\]"):
        program.with_weights({"weight": weights["weight"]})
    with pytest.raises(ProgramError, match=r"line: weight 'bias' is float32\[3\], expected float32\[2\]"):
        program.with_weights({**weights, "bias": jnp.zeros(3)})
    with pytest.raises(ProgramError, match="line: weight 'gain' is not one of the program's 2"):
        program.with_weights({**weights, "gain": jnp.zeros(3)})


def test_the_loader_imports_nothing_of_this_package():
    from spago_jax.compiler.ship import load

    imported = set()
    for node in ast.walk(ast.parse(Path(load.__file__).read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or ".").split(".")[0])
    others = {"flatbuffers", "jax", "ml_dtypes", "numpy"}  # flatbuffers only where it is; ml_dtypes comes with JAX
    assert imported <= set(sys.stdlib_module_names) | others


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("f32", np.float64(1e300)), ("f32", 1e300), ("f32", -1e39), ("f16", np.float64(1e5)), ("f16", 70000)],
)
def test_a_number_that_would_become_infinite_is_refused(tmp_path, dtype, value):
    """Narrowed is NumPy's 64-bit default, by rounding; no finite number becomes infinite."""
    program = load_program(export(lambda x: x * 1, tmp_path / "p", f"{dtype}[n]"))
    with pytest.raises(ProgramError, match=r"argument 'x' holds .*, beyond the largest float(32|16): scale it first"):
        program(np.array([1.0, value]) if isinstance(value, np.generic) else [1.0, value])
    np.testing.assert_array_equal(program([1.0, np.inf, 0.5]), [1.0, np.inf, 0.5])
    np.testing.assert_array_equal(program(np.array([0.1, np.nan])), np.array([0.1, np.nan]).astype(program([1]).dtype))
