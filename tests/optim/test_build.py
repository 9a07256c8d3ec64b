# SPDX-License-Identifier: BSD-2-Clause
"""Oracles: the equations by hand in NumPy, PyTorch's clipping, and single updates against accumulated ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import ValidationError

import spago_jax.core as core
from spago_jax.errors import InputError
from spago_jax.optim import OptimizerConfig, apply_updates, build_optimizer, plateau_update, trained_paths


class Affine(core.Module):
    weight: core.Array
    bias: core.Array = core.param(decay=False)

    def __call__(self, x):
        return x @ self.weight.T + self.bias


class Model(core.Module):
    words: core.Array
    layers: tuple
    seen: core.Array = core.buffer()
    ids: core.Array = core.buffer()


def model(dtype=jnp.float32):
    def affine(scale):
        return Affine(jnp.full((2, 3), scale, dtype), jnp.full((2,), scale, dtype))

    return Model(jnp.ones((4, 3), dtype), (affine(2.0), affine(3.0)), jnp.ones(2, dtype), jnp.arange(3))


def ones(tree):
    return jax.tree.map(jnp.ones_like, tree)


def one_update(config, tree=None, gradients=None):
    tree = model() if tree is None else tree
    optimizer = build_optimizer(OptimizerConfig.model_validate(config), tree, total_steps=10, steps_per_epoch=5)
    updates, state = jax.jit(optimizer.update)(
        ones(tree) if gradients is None else gradients, optimizer.init(tree), tree
    )
    return core.flat(updates), state


def test_decay_passes_over_biases_buffers_and_integers():
    for name in ("sgd", "adamw"):
        updates, _ = one_update({"name": name, "learning_rate": 0.1, "weight_decay": 0.5})
        bare, _ = one_update({"name": name, "learning_rate": 0.1})
        for path, weight in core.flat(model()).items():
            shrinks = path.endswith("weight") or path == "words"
            np.testing.assert_allclose(updates[path] - bare[path], -0.05 * weight if shrinks else 0, atol=1e-7)
        assert not updates["seen"].any()
        assert not updates["ids"].any()


def test_groups_scale_replace_freeze_and_the_first_that_fits_counts():
    updates, _ = one_update(
        {
            "name": "sgd",
            "learning_rate": 0.1,
            "weight_decay": 0.5,
            "groups": [
                {"match": "layers.0.bias", "scale": 3},
                {"match": ["layers.0", "nothing*", "words"][:1], "learning_rate": 0.01, "weight_decay": 0},
                {"match": ("words",), "freeze": True},
            ],
        }
    )
    np.testing.assert_allclose(updates["layers.0.bias"], -0.3, rtol=1e-6)
    np.testing.assert_allclose(updates["layers.0.weight"], -0.01, rtol=1e-6)
    np.testing.assert_allclose(updates["layers.1.weight"], -0.1 * (1 + 0.5 * 3), rtol=1e-6)
    assert not updates["words"].any()


def test_frozen_arrays_have_no_moments_and_no_part_in_the_norm():
    config = {"name": "adam", "clip_norm": 1.0, "groups": [{"match": "words", "freeze": True}]}
    _, state = one_update(config)
    sizes = [leaf.shape for leaf in jax.tree.leaves(state)]
    assert (4, 3) not in sizes
    assert sizes.count((2, 3)) == 4  # two moments of two weights
    gradients = ones(model()).replace(words=jnp.full((4, 3), 1e6))
    updates, _ = one_update(
        {"name": "sgd", "learning_rate": 1, "clip_norm": 1.0, "groups": config["groups"]}, gradients=gradients
    )
    norm = np.sqrt(sum((u**2).sum() for p, u in updates.items() if p != "ids"))
    np.testing.assert_allclose(norm, 1.0, rtol=1e-6)
    np.testing.assert_allclose(updates["layers.0.bias"], -1 / 4, rtol=1e-6)  # 16 trained elements


def test_works_on_the_trained_half_of_a_model_with_none_elsewhere():
    config = OptimizerConfig.model_validate(
        {"name": "adam", "learning_rate": 0.1, "groups": [{"match": "words", "freeze": True}]}
    )
    whole = model()
    assert trained_paths(config, whole) == {f"layers.{i}.{n}" for i in (0, 1) for n in ("weight", "bias")}
    grad = core.value_and_grad(
        lambda m: sum((x**2).sum() for k, x in core.flat(m).items() if k.startswith("l")),
        lambda m: trained_paths(config, m),
    )
    optimizer = build_optimizer(config, whole, total_steps=10, steps_per_epoch=5)

    @jax.jit
    def step(m, state):
        _, gradients = grad(m)
        updates, state = optimizer.update(gradients, state, m)
        return apply_updates(m, updates), state

    new, state = step(whole, optimizer.init(whole))
    new, state = step(new, state)
    before, after = core.flat(whole), core.flat(new)
    assert all((before[k] != after[k]).all() == k.startswith("layers") for k in before)
    assert {k: v.dtype for k, v in after.items()} == {k: v.dtype for k, v in before.items()}
    # The same from a state made with the trained half alone.
    half, _ = core.partition(whole, lambda m: trained_paths(config, m))
    assert jax.tree.structure(optimizer.init(half)) == jax.tree.structure(state)


def test_abstract_models_will_do():
    shapes = jax.eval_shape(model)
    optimizer = build_optimizer(OptimizerConfig(), shapes, total_steps=1, steps_per_epoch=1)
    assert len(jax.tree.leaves(jax.eval_shape(optimizer.init, shapes))) > 10


@pytest.mark.parametrize("name", ["sgd", "adam", "lamb"])
def test_accumulated_gradients_equal_one_update_with_their_mean(name):
    rng = np.random.default_rng(0)
    batches = [{"w": jnp.asarray(rng.normal(size=3), jnp.float32)} for _ in range(6)]
    params = {"w": jnp.arange(1.0, 4.0)}
    section = {"name": name, "clip_norm": 0.5, "schedule": {"name": "linear"}}
    several = build_optimizer(
        OptimizerConfig.model_validate(section | {"accumulate": 3}), params, total_steps=6, steps_per_epoch=6
    )
    once = build_optimizer(OptimizerConfig.model_validate(section), params, total_steps=2, steps_per_epoch=2)
    p, state = params, several.init(params)
    for i, g in enumerate(batches):
        updates, state = jax.jit(several.update)(g, state, p)
        assert bool(updates["w"].any()) == (i % 3 == 2)
        p = apply_updates(p, updates)
    q, other = params, once.init(params)
    for i in (0, 3):
        mean = jax.tree.map(lambda *g: sum(g) / 3, *batches[i : i + 3])
        updates, other = once.update(mean, other, q)
        q = apply_updates(q, updates)
    np.testing.assert_allclose(p["w"], q["w"], rtol=1e-6)


@pytest.mark.oracle
def test_clipping_is_pytorchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        gradients = {"a": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}
        for clip in (0.1, 1.0, 100.0):
            tensors = {k: torch.zeros(v.shape, dtype=torch.float64, requires_grad=True) for k, v in gradients.items()}
            for how, call in (
                ("clip_norm", torch.nn.utils.clip_grad_norm_),
                ("clip_value", torch.nn.utils.clip_grad_value_),
            ):
                for k, v in tensors.items():
                    v.grad = torch.tensor(gradients[k])
                call(tensors.values(), clip)
                ours, _ = one_update(
                    {"name": "sgd", "learning_rate": 1, how: clip},
                    jax.tree.map(jnp.asarray, gradients),
                    jax.tree.map(jnp.asarray, gradients),
                )
                for k, v in tensors.items():
                    # PyTorch divides by norm + 1e-6, and the norm here is above 2.
                    np.testing.assert_allclose(-ours[k], v.grad.numpy(), rtol=5e-7 if how == "clip_norm" else 1e-12)


def test_value_clipping_comes_before_norm_clipping():
    gradients = {"a": jnp.array([30.0, 0.4])}
    ours, _ = one_update({"name": "sgd", "learning_rate": 1, "clip_value": 0.3, "clip_norm": 0.1}, gradients, gradients)
    np.testing.assert_allclose(ours["a"], -0.1 / np.sqrt(2), rtol=1e-6)


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "radam", "rmsprop", "adagrad", "lamb"])
def test_the_state_keeps_its_types_so_that_steps_can_be_scanned(name, x64):
    with jax.enable_x64(x64):
        section = {"name": name, "schedule": {"name": "cosine", "warmup": 0.1}, "plateau": {}, "clip_norm": 1}
        for accumulate in (1, 2):
            config = OptimizerConfig.model_validate(section | {"accumulate": accumulate})
            for dtype in (jnp.bfloat16, jnp.float32):
                tree = jax.eval_shape(lambda dtype=dtype: model(dtype))
                optimizer = build_optimizer(config, tree, total_steps=10, steps_per_epoch=5)
                state = jax.eval_shape(optimizer.init, tree)
                updates, after = jax.eval_shape(optimizer.update, tree, state, tree)
                after = jax.eval_shape(lambda s, config=config: plateau_update(config, s, 0.5), after)
                kinds = [[(x.shape, x.dtype) for x in jax.tree.leaves(t)] for t in (state, after)]
                assert kinds[0] == kinds[1]
                new = jax.eval_shape(apply_updates, tree, updates)
                assert [x.dtype for x in jax.tree.leaves(new)] == [x.dtype for x in jax.tree.leaves(tree)]


def test_a_pattern_that_covers_nothing_is_an_error():
    for groups, message in (
        (
            [{"match": "word", "freeze": True}],
            "optimizer.groups[0].match 'word' matches no array of the model: did you mean 'words'?",
        ),
        (
            [{"match": "words", "scale": 2}, {"match": ["words", "layer"], "scale": 2}],
            "optimizer.groups[1].match 'layer' matches no array of the model: did you mean 'layers'?",
        ),
    ):
        with pytest.raises(InputError) as error:
            one_update({"groups": groups})
        assert str(error.value) == message


@pytest.mark.parametrize(
    ("section", "place", "message"),
    [
        ({"momentum": 0.9}, (), "momentum has no meaning for adam: only sgd, rmsprop read it"),
        (
            {"name": "sgd", "epsilon": 1e-3},
            (),
            "epsilon has no meaning for sgd: only adam, adamw, radam, rmsprop, adagrad, lamb read it",
        ),
        ({"name": "sgd", "nesterov": True}, (), "nesterov: true needs a momentum above 0 (0.9 is usual)"),
        ({"betas": (0.9, 1.0)}, (), "betas are (0.9, 1.0), expected two numbers of at least 0 and below 1"),
        (
            {"groups": [{"match": "a", "scale": 1, "learning_rate": 1}]},
            ("groups", 0),
            "learning_rate and scale are both given: keep one of them",
        ),
        (
            {"groups": [{"match": "a", "freeze": True, "scale": 1}]},
            ("groups", 0),
            "freeze: true leaves nothing to set: remove learning_rate, scale and weight_decay",
        ),
        ({"learningrate": 1}, ("learningrate",), "Extra inputs are not permitted"),
        ({"learning_rate": 0}, ("learning_rate",), "Input should be greater than 0"),
        (
            {"name": "adamx"},
            ("name",),
            "Input should be 'sgd', 'adam', 'adamw', 'radam', 'rmsprop', 'adagrad' or 'lamb'",
        ),
    ],
)
def test_bad_sections(section, place, message):
    with pytest.raises(ValidationError) as error:
        OptimizerConfig.model_validate(section)
    (problem,) = error.value.errors()
    assert (problem["loc"], problem["msg"].removeprefix("Value error, ")) == (place, message)


def test_every_key_says_what_it_means_and_configs_round_trip():
    def described(schema):
        for definition in (schema, *schema.get("$defs", {}).values()):
            for key, field in definition.get("properties", {}).items():
                assert key == "name" or field.get("description"), key

    described(OptimizerConfig.model_json_schema())
    config = OptimizerConfig.model_validate({"schedule": "cosine", "plateau": {}, "groups": [{"match": "a"}]})
    assert OptimizerConfig.model_validate(config.model_dump(mode="json")) == config
    assert OptimizerConfig.model_validate_json(config.model_dump_json()) == config


def test_the_batches_that_are_left_at_the_end_make_an_update_of_their_mean():
    """Seven batches, three by three: the last update is that of one. Oracle: the mean by hand."""
    model = {"w": jnp.array([1.0, -2.0])}
    gradients = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    config = OptimizerConfig.model_validate({"name": "sgd", "learning_rate": 0.1, "accumulate": 3})
    optimizer = build_optimizer(config, model, total_steps=7, steps_per_epoch=7)
    state = optimizer.init(model)
    for gradient in gradients:
        updates, state = optimizer.update({"w": jnp.asarray(gradient)}, state, model)
        model = apply_updates(model, updates)
    means = [gradients[0:3].mean(0), gradients[3:6].mean(0), gradients[6]]
    np.testing.assert_allclose(model["w"], np.array([1.0, -2.0]) - 0.1 * np.sum(means, 0), rtol=1e-6)


def test_more_batches_an_update_than_there_are():
    config = OptimizerConfig.model_validate({"accumulate": 8})
    with pytest.raises(InputError, match="optimizer.accumulate = 8, but there are only 7 steps in all"):
        build_optimizer(config, {"w": jnp.ones(2)}, total_steps=7, steps_per_epoch=7)
