# SPDX-License-Identifier: BSD-2-Clause
"""Oracles: closed forms in plain Python, spaGO's golden decay functions, PyTorch's ReduceLROnPlateau."""

import json
import math

import jax
import numpy as np
import pytest
from pydantic import TypeAdapter

from spago_jax.errors import InputError
from spago_jax.optim import OptimizerConfig, PlateauConfig, build_optimizer, current_learning_rate, plateau_update
from spago_jax.optim.config import Schedule
from spago_jax.optim.schedules import build_schedule

N, EPOCH = 100, 20


def values(section, total=N, epoch=EPOCH, upto=None):
    config = TypeAdapter(Schedule).validate_python(section)
    with jax.enable_x64(True):
        schedule = jax.jit(build_schedule(config, total_steps=total, steps_per_epoch=epoch))
        return [float(schedule(t)) for t in range(upto or total + 5)]


CLOSED = [
    ({"name": "constant"}, lambda t: 1.0),
    ({"name": "linear"}, lambda t: max(0, 1 - t / 100)),
    ({"name": "linear", "final": 0.2, "steps": 50}, lambda t: 1 - 0.8 * min(t, 50) / 50),
    ({"name": "cosine", "final": 0.1}, lambda t: 0.1 + 0.45 * (1 + math.cos(math.pi * min(t, 100) / 100))),
    ({"name": "exponential", "final": 0.01}, lambda t: 0.01 ** (min(t, 100) / 100)),
    ({"name": "hyperbolic", "rate": 0.5}, lambda t: 1 / (1 + 0.5 * t / 20)),
    ({"name": "hyperbolic", "rate": 0.5, "unit": "step", "final": 0.1}, lambda t: max(0.1, 1 / (1 + 0.5 * t))),
    ({"name": "step", "every": 2, "factor": 0.3}, lambda t: 0.3 ** (t // 40)),
    ({"name": "step", "every": 7, "factor": 0.5, "unit": "step"}, lambda t: 0.5 ** (t // 7)),
]


@pytest.mark.parametrize(("section", "closed"), CLOSED)
def test_closed_forms(section, closed):
    np.testing.assert_allclose(values(section), [closed(t) for t in range(N + 5)], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("warmup", [10, 0.1])
def test_warmup_is_linear_and_the_schedule_follows_it(warmup):
    got = values({"name": "linear", "warmup": warmup})
    np.testing.assert_allclose(got[:10], [(t + 1) / 10 for t in range(10)], rtol=1e-12)
    np.testing.assert_allclose(got[10:100], [1 - (t - 10) / 90 for t in range(10, 100)], rtol=1e-12)


@pytest.mark.parametrize("name", ["exponential", "hyperbolic"])
def test_spago_decay_functions(golden, name):
    cases = json.loads((golden / "main" / "optim.decay.json").read_text())["cases"]
    for case in cases:
        c = case["config"]
        if c["kind"] != name:
            continue
        if name == "exponential":  # spaGO's t = 1 is our t = 0, and the recursion is a power
            section = {"name": name, "final": c["final"] / c["init"]}
            ours = [c["init"] * x for x in values(section, total=c["iter"] - 1, upto=c["iter"])]
            np.testing.assert_allclose(ours, case["extra"]["lr"], rtol=1e-12)
        else:  # the same t; spaGO leaves out t = 1, and may step once below its floor
            section = {"name": name, "rate": c["rate"], "unit": "step", "final": c["final"] / c["init"]}
            ours = [c["init"] * x for x in values(section, upto=c["iter"] + 1)][1:]
            np.testing.assert_allclose(ours[1:], case["extra"]["lr"][1:], rtol=1e-12)
            assert case["extra"]["lr"][0] == c["init"] > ours[0]


def messages():
    def build(section, **kwargs):
        config = TypeAdapter(Schedule).validate_python(section)
        return build_schedule(config, **({"total_steps": 10, "steps_per_epoch": 5} | kwargs))

    return [
        (
            lambda: build({"name": "constant", "warmup": 20}),
            "optimizer.schedule.warmup is 20 steps, but there are only 10 steps in all: shorten it, or give a part of "
            "all steps (0.1)",
        ),
        (
            lambda: build({"name": "cosine"}, total_steps=0),
            "total_steps=0 and steps_per_epoch=5: expected 1 or more of each",
        ),
    ]


@pytest.mark.parametrize(("call", "message"), messages())
def test_messages(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == message


# The plateau rule and the rate in the state


def optimizer(**config):
    config = OptimizerConfig.model_validate({"name": "sgd", "learning_rate": 0.5, **config})
    params = {"w": np.ones(2, np.float32)}
    return config, params, build_optimizer(config, params, total_steps=10, steps_per_epoch=5)


def test_current_learning_rate_follows_the_schedule():
    _, params, opt = optimizer(schedule={"name": "linear", "warmup": 2}, accumulate=1)
    state = opt.init(params)
    seen = [float(current_learning_rate(state))]
    for _ in range(4):
        _, state = opt.update(params, state, params)
        seen.append(float(current_learning_rate(state)))
    np.testing.assert_allclose(seen, [0.25, 0.25, 0.5, 0.5, 0.5 * 7 / 8], rtol=1e-6)


def test_plateau_lowers_the_rate_of_the_next_update_and_is_found_within_accumulation():
    for accumulate in (1, 2):
        config, params, opt = optimizer(plateau={"factor": 0.1, "patience": 0}, accumulate=accumulate)
        state = opt.init(params)
        state = plateau_update(config, state, 0.7)
        state = jax.jit(lambda s: plateau_update(config, s, 0.7))(state)  # noqa: B023
        for _ in range(accumulate):
            updates, state = opt.update(params, state, params)
        np.testing.assert_allclose(updates["w"], -0.05, rtol=1e-6)
        np.testing.assert_allclose(current_learning_rate(state), 0.05, rtol=1e-6)


def test_no_plateau_section_leaves_the_state_alone():
    config, params, opt = optimizer()
    state = opt.init(params)
    assert plateau_update(config, state, 1.0) is state


def test_a_state_of_another_optimizer_is_refused():
    import optax

    state = optax.adam(1e-3).init({"w": np.ones(2, np.float32)})
    message = "this optimizer state has no RateState: it was not made by spago_jax.optim.build_optimizer"
    with pytest.raises(InputError) as error:
        current_learning_rate(state)
    assert str(error.value) == message
    with pytest.raises(InputError) as error:
        plateau_update(PlateauConfig(), state, 1.0)
    assert str(error.value) == message


def our_scales(config, scores):
    _, params, opt = optimizer()
    with jax.enable_x64(True):
        state, seen = opt.init(params), []
        for score in scores:
            state = plateau_update(config, state, score)
            (scale,) = [
                float(x.scale)
                for x in jax.tree.leaves(state, is_leaf=lambda n: hasattr(n, "cooldown"))
                if hasattr(x, "cooldown")
            ]
            seen.append(scale)
    return seen


@pytest.mark.oracle
@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize(("patience", "cooldown", "final"), [(0, 0, 0.0), (2, 0, 0.0), (1, 2, 0.2)])
def test_plateau_is_pytorchs(mode, patience, cooldown, final):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    scores = [*(np.sort(rng.uniform(0.1, 1, 8))[:: 1 if mode == "max" else -1]), *rng.uniform(0.1, 1, 25), np.nan, 0.5]
    weight = torch.zeros(1, requires_grad=True)
    sgd = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        sgd, mode=mode, factor=0.5, patience=patience, threshold=0.01, cooldown=cooldown, min_lr=final
    )
    expected = []
    for score in scores:
        theirs.step(score)
        expected.append(sgd.param_groups[0]["lr"])
    config = PlateauConfig(mode=mode, factor=0.5, patience=patience, threshold=0.01, cooldown=cooldown, final=final)
    assert min(expected) < 0.3
    np.testing.assert_allclose(our_scales(config, scores), expected, rtol=1e-12)


def test_plateau_with_negative_scores():
    # A score that falls from -2 to -2.5 is worse; -1.9 is better: where PyTorch's relative threshold fails.
    config = PlateauConfig(patience=0, factor=0.5, threshold=0.1)
    assert our_scales(config, [-2.0, -2.5, -1.0, -1.0]) == [1.0, 0.5, 0.5, 0.25]
