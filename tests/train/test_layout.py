"""Where arrays lie on a mesh: by hand, on meshes that are described; no device takes part."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AbstractMesh, PartitionSpec

from spago_jax.core.devices import AXIS, MODEL, Devices, devices_per_process, mesh_sizes
from spago_jax.errors import InputError
from spago_jax.models.tensor_parallel import RULES
from spago_jax.tasks.experiment import load_experiment
from spago_jax.train.layout import Layout


def says(message: str):
    return pytest.raises(InputError, match=re.escape(message))


def mesh(data: int, model: int) -> Devices:
    return Devices(AbstractMesh((data, model), (AXIS, MODEL)))  # pyright: ignore[reportArgumentType]


def model(**arrays: tuple[int, ...]) -> dict:
    found: dict = {}
    for path, shape in arrays.items():
        node = found
        *above, last = path.split("__")
        for name in above:
            node = node.setdefault(name, {})
        node[last] = jax.ShapeDtypeStruct(shape, jnp.float32)
    return found


ENCODER = model(
    layers__attention__query__weight=(2, 8, 8),
    layers__attention__query__bias=(2, 8),
    layers__attention__output__weight=(2, 8, 8),
    layers__attention__output__bias=(2, 8),
    layers__up__weight=(2, 16, 8),
    layers__down__weight=(2, 8, 16),
    embeddings__words=(31, 8),
)


def test_fsdp_splits_the_largest_axis_that_divides():
    layout = Layout(mesh(4, 1), model(a=(6, 8), b=(12, 8), c=(3, 5), d=(), e=(8, 8)), "fsdp")
    specs = layout.specs(model(a=(6, 8), b=(12, 8), c=(3, 5), d=(), e=(8, 8)))
    whole, first, second = PartitionSpec(), PartitionSpec("data"), PartitionSpec(None, "data")
    assert specs == {"a": second, "b": first, "c": whole, "d": whole, "e": first}


def test_tensor_rules_split_pairs_of_matrices_by_outputs_and_inputs():
    """Megatron's column, then row; the vocabulary of 31 does not divide, so that its features do."""
    specs = Layout(mesh(1, 2), ENCODER, "tensor").specs(ENCODER)
    rows, columns = PartitionSpec(None, "model"), PartitionSpec(None, None, "model")
    attention = specs["layers"]["attention"]
    assert attention["query"] == {"weight": rows, "bias": PartitionSpec(None, "model")}
    assert attention["output"] == {"weight": columns, "bias": PartitionSpec()}
    assert specs["layers"]["up"]["weight"] == rows
    assert specs["layers"]["down"]["weight"] == columns
    assert specs["embeddings"]["words"] == rows


def test_fsdp_takes_an_axis_that_tensor_leaves():
    specs = Layout(mesh(4, 2), ENCODER, "fsdp+tensor").specs(ENCODER)
    assert specs["layers"]["up"]["weight"] == PartitionSpec(None, "model", "data")
    assert specs["layers"]["attention"]["output"]["weight"] == PartitionSpec(None, "data", "model")
    assert specs["layers"]["attention"]["output"]["bias"] == PartitionSpec(None, "data")


@pytest.mark.parametrize("name", ["adam", "sgd", "lion", "adafactor"])
def test_the_state_of_an_optimizer_follows_its_parameters(name):
    state = jax.eval_shape(getattr(optax, name)(0.1).init, ENCODER)
    layout = Layout(mesh(4, 2), ENCODER, "fsdp+tensor")
    parameters = {path: (spec, shape) for path, spec, shape in _listed(layout, ENCODER)}
    followed = 0
    for path, spec, shape in _listed(layout, {"optimizer": state}):
        owner = next((own for own in parameters if path.endswith(f".{own}")), None)
        if owner is not None and parameters[owner][1] == shape:
            assert spec == parameters[owner][0], path
            followed += 1
    assert followed >= {"adam": 2, "sgd": 0, "lion": 1, "adafactor": 0}[name] * len(parameters)


def _listed(layout: Layout, tree):
    from spago_jax.core import flat

    for path, leaf in flat(tree).items():
        yield path, layout.spec(path, leaf.shape), leaf.shape


def test_patterns_of_a_config_decide_by_the_first_that_fits():
    given = {"layers.up": ("model",), "*.weight": (None, "data"), "embeddings": ("data", "model")}
    specs = Layout(mesh(2, 2), model(layers__up__weight=(8, 6), layers__down__weight=(6, 8), x__bias=(8,),
                                     embeddings__words=(4, 2)), given)  # fmt: skip
    assert specs.spec("layers.up.weight", (8, 6)) == PartitionSpec("model")
    assert specs.spec("layers.down.weight", (6, 8)) == PartitionSpec(None, "data")
    assert specs.spec("embeddings.words", (4, 2)) == PartitionSpec("data", "model")
    assert specs.spec("x.bias", (8,)) == PartitionSpec()


@pytest.mark.parametrize(
    ("sharding", "message"),
    [
        ({"layers.uq": ("model",)}, "'layers.uq' matches no array of the model: did you mean 'layers.up'"),
        ({"layers.up": ("data",)}, "axis 0 of layers.up.weight, of size 2, does not split over the 4 devices"),
        ({"embeddings": (None, "model", "data")}, "'embeddings' names 3 axes, and embeddings.words has 2: [31, 8]"),
        ({"layers.up": (None, "data", "data")}, "which splits another axis already"),
    ],
)  # fmt: skip
def test_a_pattern_that_does_not_fit_is_refused(sharding, message):
    with says(message):
        Layout(mesh(4, 2), ENCODER, sharding)


def test_tensor_is_refused_for_a_model_without_rules():
    with says("train.sharding = 'tensor': no rule splits an array of this model over 2 devices"):
        Layout(mesh(1, 2), model(hidden__weight=(4, 4)), "tensor")


def test_the_ends_of_rules_do_not_meet():
    endings = [ending for ending, _ in RULES]
    for one in endings:
        for other in endings:
            assert one == other or not one.endswith(f".{other}") or dict(RULES)[one] == dict(RULES)[other], (one, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("train.mesh={date: 2}", "did you mean 'data'?"),
        ("train.mesh={data: 0}", "expected 1 or more, or -1"),
        ("train.mesh={data: -1, model: -1}", "only one of data and model may be -1"),
        ("train.sharding=fdsp", "did you mean 'fsdp'?"),
        ("train.sharding={output: [modle]}", "'output' names the axis 'modle' of the mesh: did you mean 'model'?"),
        ("train.distributed={coordinator: here, processes: 2, process: 0}", "train.distributed"),
        ("train.distributed={coordinator: 'a:1', processes: 2, process: 2}", "process 2 of 2: they count from 0"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_config_is_named(corpus, settings, message):
    with says(message):
        load_experiment(corpus / "images.yaml", [settings])


def test_a_mesh_that_the_devices_do_not_have_is_refused():
    with says("train.mesh = {data: 3, model: 2} does not fit 8 devices; as data x model there are 8 x 1, 4 x 2"):
        mesh_sizes(8, {"data": 3, "model": 2})
    with says("train.mesh has 3 devices, which do not split over 2 processes"):
        devices_per_process(1, {"data": 3}, 2)
    with says("train.devices = 3, and train.mesh has 4 devices per process"):
        devices_per_process(3, {"data": 4, "model": 2}, 2)


def test_a_loop_by_batch_is_the_loop_on_a_mesh_of_one_device():
    """With its gradient, and where the examples do not divide, or there is no mesh."""
    from spago_jax.ops.by_batch import batch_mesh, by_batch

    def loss(weight, xs):
        def body(weight, split):
            return jnp.tanh(split[0] @ weight) + split[1][:, None]

        return by_batch(body, weight, (xs, jnp.ones(4)), axes=(0, 0), size=4, out=0).sum()

    draw = np.random.default_rng(0)
    weight, xs = draw.normal(size=(3, 2)).astype(np.float32), draw.normal(size=(4, 3)).astype(np.float32)
    plain = jax.value_and_grad(loss)(jnp.asarray(weight), jnp.asarray(xs))
    with batch_mesh((Devices.of(1).mesh, "data")):
        split = jax.jit(jax.value_and_grad(loss))(jnp.asarray(weight), jnp.asarray(xs))
    np.testing.assert_allclose(plain[0], np.tanh(xs @ weight).sum() + 8, rtol=1e-5)
    np.testing.assert_allclose(split[0], plain[0], rtol=1e-6)
    np.testing.assert_allclose(split[1], plain[1], rtol=1e-6)
