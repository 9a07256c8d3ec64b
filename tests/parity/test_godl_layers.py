"""goDl's tests of layers, losses, optimizers, schedules and data (rows G70 to G93 of the reference's section D.2).

Its own literals, with their tolerances; AdamW's second step is recomputed in NumPy beside it.
"""

import functools

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.dynamic_scale import DynamicScale

from spago_jax.data.batching import UniformBatches
from spago_jax.nn import BatchNorm, Convolution2d, Embedding
from spago_jax.ops.activations import activation
from spago_jax.ops.losses import cross_entropy, mse
from spago_jax.optim import OptimizerConfig, build_optimizer, build_schedule, current_learning_rate, plateau_update
from spago_jax.optim.config import ConstantSchedule, CosineSchedule, PlateauConfig, StepSchedule

close = functools.partial(helpers.close, relative=0)


def test_g70_g71_losses():
    close(mse(jnp.array([3.0, 2.0, 1.0]), jnp.array([1.0, 2.0, 3.0])).mean(), 8 / 3)
    close(cross_entropy(jnp.array([2.0, 1.0]), jnp.array(0)), 0.3133, 1e-4)


def test_g72_g73_activations():
    x = jnp.array([-1.0, 0.0, 1.0, 2.0])
    close(activation("gelu_tanh")(x), [-0.158808, 0, 0.841192, 1.954598])
    close(activation("silu")(x), [-0.268941, 0, 0.731059, 1.761594])


def updated(settings, params, gradients):
    """The parameters after each gradient."""
    model = {"w": jnp.array(params)}
    optimizer = build_optimizer(OptimizerConfig(**settings), model, total_steps=100, steps_per_epoch=10)
    state, found = optimizer.init(model), []
    for gradient in gradients:
        updates, state = optimizer.update({"w": jnp.array(gradient)}, state, model)
        model = optax.apply_updates(model, updates)
        found.append(model["w"])
    return found


def test_g74_to_g79_optimizers():
    sgd = {"name": "sgd", "learning_rate": 0.5}
    close(updated(sgd, [1.0, 2, 3], [[0.1, 0.2, 0.3]])[0], [0.95, 1.9, 2.85])
    momentum = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}
    first, second = updated(momentum, [1.0, 2], [[0.5, -0.5], [0.3, -0.3]])
    close(first, [0.95, 2.05])
    close(second, [0.875, 2.125])
    adam = {"name": "adam", "learning_rate": 0.001}
    close(updated(adam, [1.0, 2], [[0.5, -0.5]])[0], [0.999, 2.001], 1e-6)
    first, second = updated(adam, [1.0], [[0.4], [0.2]])
    close(first, [0.999], 1e-6)
    close(second, [0.9980678204], 1e-6)
    adamw = {"name": "adamw", "learning_rate": 0.001, "weight_decay": 0.01}
    close(updated(adamw, [1.0, 2], [[0.5, -0.5]])[0], [0.99899, 2.00098], 1e-6)
    first, second = updated(adamw, [5.0], [[0.5], [0.3]])
    close(first, [4.99895], 1e-6)
    m, v = 0.1 * 0.5 * 0.9 + 0.1 * 0.3, 0.001 * 0.25 * 0.999 + 0.001 * 0.09
    step = (m / (1 - 0.9**2)) / (np.sqrt(v / (1 - 0.999**2)) + 1e-8)
    close(second, [4.99895 - 0.001 * step - 0.001 * 0.01 * 4.99895], 1e-6)


def test_g80_sgd_end_to_end():
    # loss (2 w - 4)^2 at w = 1 has the gradient -8
    gradient = jax.grad(lambda w: ((2 * w - 4) ** 2).sum())(jnp.array([1.0]))
    close(gradient, [-8])
    close(updated({"name": "sgd", "learning_rate": 0.1}, [1.0], [gradient])[0], [1.8])


def rates(schedule, base, steps, total):
    factor = build_schedule(schedule, total_steps=total, steps_per_epoch=1)
    return [base * float(factor(step)) for step in steps]


def test_g81_to_g83_schedules():
    halved = StepSchedule(every=3, factor=0.5)
    close(rates(halved, 0.1, range(1, 7), 100), [0.1, 0.1, 0.05, 0.05, 0.05, 0.025], 1e-7)
    close(rates(CosineSchedule(), 0.1, (50, 100), 100), [0.05, 0.0], 1e-7)
    # After five of ten steps of the warm-up: goDl counts the steps that are done, we those that begin (t + 1).
    close(rates(ConstantSchedule(warmup=10), 0.1, (4,), 100), [0.05], 1e-7)


def plateau(patience, factor, floor, base, metrics):
    config = OptimizerConfig(
        name="sgd",
        learning_rate=base,
        plateau=PlateauConfig(
            patience=patience, factor=factor, final=floor / base, threshold=0.0, cooldown=0, mode="min"
        ),
    )
    model = {"w": jnp.zeros(1)}
    optimizer = build_optimizer(config, model, total_steps=100, steps_per_epoch=1)
    state, found = optimizer.init(model), []
    for metric in metrics:
        state = plateau_update(config, state, metric)
        _, state = optimizer.update(model, state, model)  # the rate is that of the last update
        found.append(float(current_learning_rate(state)))
    return found


def test_g84_plateau():
    # goDl reduces at the patience-th evaluation without a gain, PyTorch (and we) at the one after: patience - 1 here.
    close(plateau(2, 0.5, 1e-6, 0.1, [1, 0.9, 0.95, 0.95, 0.95]), [0.1, 0.1, 0.1, 0.1, 0.05], 1e-7)
    more = plateau(2, 0.5, 1e-6, 0.1, [1, 0.9, 0.95, 0.95, 0.95, 0.8, 0.9, 0.9, 0.9])
    close(more[-1], 0.025, 1e-7)
    close(plateau(0, 0.1, 0.0005, 0.001, [1, 1, 1]), [0.001, 0.0005, 0.0005], 1e-7)


def test_g85_to_g87_layers():
    _, after = BatchNorm.init(2).step(jnp.array([[10.0, 20.0], [30.0, 40.0]]))
    close(after.running_mean, [2, 3])
    close(after.running_var, [20.9, 20.9])
    convolution = Convolution2d(weight=jnp.ones((1, 1, 3, 3)), bias=jnp.zeros(1))
    close(convolution(jnp.ones((1, 1, 4, 4)))[0, 0], np.full((2, 2), 9.0))
    table = Embedding(weight=jnp.zeros((4, 2)))
    gradient = jax.grad(lambda table: table(jnp.array([1, 1, 3])).sum())(table).weight
    close(gradient, [[0, 0], [2, 2], [0, 0], [1, 1]])


def test_g88_the_loss_scale_of_flax_is_halved_by_an_infinite_gradient():
    # 16-bit floats of bfloat16 need no scale; for float16 Flax, which the project stands on, has one.
    scale = DynamicScale()
    assert scale.scale == 65536
    scale, finite, *_ = scale.value_and_grad(lambda w: w * jnp.float32(jnp.inf))(jnp.float32(1.0))
    assert not finite
    assert scale.scale == 32768


@pytest.mark.parametrize(("n", "size", "drop", "batches"), [(10, 3, False, 4), (10, 3, True, 3), (20, 4, False, 5)])
def test_g89_batches(n, size, drop, batches):
    assert len(UniformBatches(n, size, drop_last=drop).epoch(0)) == batches


def test_g90_to_g93_gradients():
    x, w = jnp.array([1.0, 2.0, 3.0]), jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    dx, dw = jax.grad(lambda x, w: (x @ w).sum(), (0, 1))(x, w)
    close(dx, [1, 1, 0])
    close(dw.ravel(), [1, 1, 2, 2, 3, 3])
    table = jnp.array([[1.0, 2, 3], [4, 5, 6]])
    close(table.mean(1), [2, 5])
    close(table.mean(0), [2.5, 3.5, 4.5])
    close(jax.grad(lambda t: t.mean(1).sum())(table), np.full((2, 3), 1 / 3))
    rows = jnp.array([[10, 11], [20, 21], [30, 31], [40, 41]])
    assert rows[jnp.array([2, 0, 3])].ravel().tolist() == [30, 31, 10, 11, 40, 41]
    wide = jnp.ones((2, 4))
    close(jax.grad(lambda x: x[:, 1:3].sum())(wide), [[0, 1, 1, 0]] * 2)
    dx, db = jax.grad(lambda x, b: (x + b).sum(), (0, 1))(jnp.ones((2, 3)), jnp.ones((1, 3)))
    close(db, [[2, 2, 2]])
    close(dx, np.ones((2, 3)))
