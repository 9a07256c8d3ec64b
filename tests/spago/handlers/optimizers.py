"""optim.*: ten steps on ``f(w) = sum(a (w - t)^2) / 2``, step by step."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from spago.efficient import clip_by_norm, efficient_adam, efficient_lamb, efficient_radam
from spago.golden import Case
from spago.registry import Comparison, golden
from spago_jax.optim import build_schedule
from spago_jax.optim.config import ExponentialSchedule, HyperbolicSchedule
from spago_jax.optim.methods import scale_by_adagrad


@golden(
    "optim.sgd", "optim.adagrad", "optim.rmsprop", "optim.radam", "optim.adamw", "optim.lamb", "optim.adam",
    "optim.clip_norm", "optim.clip_value",
)  # fmt: skip
def trajectory(case: Case) -> Iterator[Comparison]:
    """Gradients and weights of every step."""
    params: Any = {name: jnp.asarray(value) for name, value in case.params.items()}
    scale = {f"w{name[1:]}": jnp.asarray(value) for name, value in case.inputs if name.startswith("a")}
    target = {f"w{name[1:]}": jnp.asarray(value) for name, value in case.inputs if name.startswith("t")}
    transform = _transform(case)
    state = transform.init(params)
    step = jax.jit(transform.update)
    for number, expected in enumerate(case.extra["trajectory"]):
        gradients = {name: scale[name] * (w - target[name]) for name, w in params.items()}
        updates, state = step(gradients, _clock(case, state, number), params)
        params = optax.apply_updates(params, updates)
        for name in sorted(params):
            place = name[1:]
            yield f"gradient {place}, step {number + 1}", np.ravel(gradients[name]), np.array(expected[f"g{place}"])
            yield f"weights {place}, step {number + 1}", np.ravel(params[name]), np.array(expected[f"w{place}"])


def _transform(case: Case) -> optax.GradientTransformation:
    config = case.config
    name = case.file.removeprefix("optim.")
    betas = config.get("beta1", 0.0), config.get("beta2", 0.0)
    match name:
        case "sgd":
            return _sgd(config)
        case "adagrad":
            return optax.chain(scale_by_adagrad(config["epsilon"]), optax.scale(-config["lr"]))
        case "rmsprop":
            rms = optax.scale_by_rms(config["decay"], config["epsilon"], eps_in_sqrt=False)
            return optax.chain(rms, optax.scale(-config["lr"]))
        case "adam":
            return efficient_adam(config["step_size"], *betas, config["epsilon"])
        case "adamw":
            return efficient_adam(config["step_size"], *betas, config["epsilon"], config["lambda"])
        case "lamb":
            return efficient_lamb(config["step_size"], *betas, config["epsilon"], config["lambda"])
        case "radam":
            return efficient_radam(config["step_size"], *betas, config["epsilon"])
        case "clip_value":
            return optax.chain(optax.clip(config["value"]), optax.sgd(config["lr"]))
    return optax.chain(clip_by_norm(config["max_norm"], float(config["norm_type"])), optax.sgd(config["lr"]))


def _sgd(config: dict[str, Any]) -> optax.GradientTransformation:
    """With a falling rate spaGO puts the rate inside the momentum: v = mu v + rate g."""
    momentum, nesterov = config.get("mu") or 0.0, bool(config.get("nesterov"))
    if not config.get("decay"):
        return optax.sgd(config["lr"], momentum or None, nesterov)
    schedule = _decay(config["decay"], config["lr"], config["final"], config.get("rate"), config.get("iter"))
    inside = optax.scale_by_schedule(lambda count: schedule(count + 1))
    trace = [optax.trace(momentum, nesterov)] if momentum else []
    return optax.chain(inside, *trace, optax.scale(-1.0))


def _clock(case: Case, state: Any, number: int) -> Any:
    """Two of Adam's cases move spaGO's clock otherwise than by one an update; the state is set to where it stands."""
    if case.file != "optim.adam":
        return state
    variant = case.id.split("/")[0]
    if variant == "never_inc":
        return state._replace(step=jnp.zeros((), jnp.int32))
    if variant == "inc_before":
        return state._replace(step=jnp.asarray(number + 1, jnp.int32))
    return state


def _decay(kind: str, initial: float, final: float, rate: float | None, steps: int | None, free: bool = False) -> Any:
    """spaGO's rate at step t = 1, 2, ..., by the schedules of this library.

    Its exponential recursion from the rate before is our closed form, started at step 1. Its hyperbolic leaves the
    first step out, and stays where it first came to the final rate or below it. Neither moves a rate that starts there.
    """
    if initial <= final or (kind == "hyperbolic" and not rate):
        return lambda t: jnp.asarray(initial)
    if kind == "exponential":
        assert steps is not None
        config = ExponentialSchedule(warmup=0, final=final / initial, steps=steps - 1)
        factor = build_schedule(config, total_steps=steps, steps_per_epoch=steps)
        return lambda t: initial * factor(t - 1)
    assert rate is not None
    hyperbolic = HyperbolicSchedule(warmup=0, rate=rate, final=0.0, unit="step")
    factor = build_schedule(hyperbolic, total_steps=1, steps_per_epoch=1)
    last = max(2, math.ceil((initial / final - 1) / rate - 1e-9)) if final > 0 and not free else math.inf
    return lambda t: initial * factor(jnp.where(jnp.asarray(t) > 1, jnp.minimum(t, last), 0))


@golden("optim.decay")
def decay(case: Case) -> Iterator[Comparison]:
    """The rates step by step, and from the initial rate at every step."""
    c = case.config
    expected = np.array(case.extra["lr"])
    schedule = _decay(c["kind"], c["init"], c["final"], c["rate"], c["iter"])
    yield "rates", np.array([schedule(t) for t in range(1, len(expected) + 1)]), expected
    fixed = np.array(case.extra["fixed"])
    if c["kind"] == "exponential" and c["init"] > c["final"]:
        # One step of the recursion: the rest of the way from t, all at once.
        ours = [c["init"]]
        for t in range(2, len(fixed) + 1):
            left = c["iter"] - t
            config = ExponentialSchedule(warmup=0, final=c["final"] / c["init"], steps=left + 1)
            ours.append(c["init"] * build_schedule(config, total_steps=left + 1, steps_per_epoch=1)(1))
        yield "rates from the initial one", np.array(ours), fixed
    else:
        # Asked from the initial rate each time, it does not know that it came to the final rate before.
        free = _decay(c["kind"], c["init"], c["final"], c["rate"], c["iter"], free=True)
        yield "rates from the initial one", np.array([free(t) for t in range(1, len(fixed) + 1)]), fixed
