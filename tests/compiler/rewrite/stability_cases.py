"""One formula for every rule of ``stabilize``: as people write it, and the float64 truth of it and its derivatives."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

Formula = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Case:
    """A formula with its truth.

    Attributes:
        rule: the rule that it must meet.
        naive: the formula in ``jax.numpy``, of one row ``x`` (its entries are the variables).
        value: the same in float64 by another way, that neither overflows nor cancels there.
        gradient: its derivatives by each entry of x.
        size: how many entries x has.
        domain: maps any float32 numbers to where the formula is defined.
        conditioned: whether the error is measured against what rounding x alone would do, ``sum |x_i df/dx_i|``,
            where that is larger than the truth: the formula has a zero, near which no float32 program is better.
    """

    rule: str
    naive: Formula
    value: Formula
    gradient: Formula
    size: int = 1
    domain: Formula = lambda x: x
    conditioned: bool = False


def _sigmoid(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _logsumexp(x):
    peak = x.max()
    rest = np.exp(np.delete(x, x.argmax()) - peak).sum()
    return peak + np.log1p(rest)


def _rows(function: Formula) -> Formula:
    return lambda x: np.stack([np.asarray(function(row)) for row in x])


def _one(function: Formula) -> Formula:
    """A function of a number as one of rows with one entry."""
    return lambda x: function(x[..., 0])


def _d(*derivatives: Formula) -> Formula:
    """Derivatives as functions of the columns of x."""
    return lambda x: np.stack([derivative(*np.moveaxis(x, -1, 0)) for derivative in derivatives], -1)


def _log_softmax0(x):
    """The logarithm of the first probability: ``-log1p(sum of exp(x_j - x_0))``, scaled against overflow."""
    others = x[1:] - x[0]
    return -_log1psum(others)


def _log1psum(others):
    peak = max(float(others.max()), 0.0)
    if peak == 0.0:
        return np.log1p(np.exp(others).sum())
    return peak + np.log(np.exp(-peak) + np.exp(others - peak).sum())


def _log_softmax0_gradient(x):
    """``e_0 - softmax(x)``, the first entry as the sum of the others."""
    y = _softmax(x)
    return np.concatenate([[y[1:].sum()], -y[1:]])


def _softmax0_gradient(x):
    y = _softmax(x)
    return y[0] * _log_softmax0_gradient(x)


def _direction(x):
    scale = np.abs(x).max(-1, keepdims=True)
    unit = x / np.where(scale == 0, 1, scale)
    length = np.sqrt((unit * unit).sum(-1, keepdims=True))
    return np.where(scale == 0, 0, unit / np.where(length == 0, 1, length))


def _norm(x):
    return np.sqrt((x * x).sum(-1))


def _direction0_gradient(x):
    """``(e_0 - u u_0) / |x|``; the first entry as the sum of the squares of the others."""
    length, u = _norm(x), _direction(x)
    if length == 0:
        return np.zeros_like(x)
    first = (u[1:] ** 2).sum()
    return np.concatenate([[first], -u[1:] * u[0]]) / length


def _positive(x):
    return np.abs(x)


def _below(x):
    return -np.abs(x)


def _second_below(x):
    """The first entry above the second."""
    return -np.sort(-x, axis=-1)


def _log1mexp(x):
    return np.where(x > -0.693, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def _sech2(x):
    power = np.exp(-2 * np.abs(x))
    return 4 * power / (1 + power) ** 2


def _exp1(x):
    return jnp.exp(x[0])


CASES: tuple[Case, ...] = (
    Case("log(1 + x)", lambda x: jnp.log(1 + x[0]), _one(np.log1p), _d(lambda x: 1 / (1 + x)),
         domain=lambda x: np.where(x <= -1, -x, x)),
    Case("log(1 - x)", lambda x: jnp.log(1 - x[0]), _one(lambda x: np.log1p(-x)), _d(lambda x: -1 / (1 - x)),
         domain=lambda x: np.where(x >= 1, -x, x)),
    Case("log(1 + exp(x))", lambda x: jnp.log(1 + _exp1(x)), _one(_softplus), _d(_sigmoid)),
    Case("log1p(exp(x))", lambda x: jnp.log1p(_exp1(x)), _one(_softplus), _d(_sigmoid)),
    Case("log(1 - exp(x))", lambda x: jnp.log(1 - _exp1(x)), _one(_log1mexp), _d(lambda x: -1 / np.expm1(-x)),
         domain=_below),
    Case("log1p(-exp(x))", lambda x: jnp.log1p(-_exp1(x)), _one(_log1mexp), _d(lambda x: -1 / np.expm1(-x)),
         domain=_below),
    Case("log(exp(x) - 1)", lambda x: jnp.log(_exp1(x) - 1), _one(lambda x: x + _log1mexp(-x)),
         _d(lambda x: -1 / np.expm1(-x)), domain=_positive, conditioned=True),
    Case("log(exp(x))", lambda x: jnp.log(_exp1(x)), _one(lambda x: x), _d(np.ones_like)),
    Case("log(sigmoid(x))", lambda x: jnp.log(1 / (1 + jnp.exp(-x[0]))), _one(lambda x: -_softplus(-x)),
         _d(lambda x: _sigmoid(-x))),
    Case("log(1 - sigmoid(x))", lambda x: jnp.log(1 - 1 / (1 + jnp.exp(-x[0]))), _one(lambda x: -_softplus(x)),
         _d(lambda x: -_sigmoid(x))),
    Case("log1p(-sigmoid(x))", lambda x: jnp.log1p(-(1 / (1 + jnp.exp(-x[0])))), _one(lambda x: -_softplus(x)),
         _d(lambda x: -_sigmoid(x))),
    Case("1 - sigmoid(x)", lambda x: 1 - 1 / (1 + jnp.exp(-x[0])), _one(lambda x: _sigmoid(-x)),
         _d(lambda x: -_sigmoid(x) * _sigmoid(-x))),
    Case("1 / (1 + exp(-x))", lambda x: 1 / (1 + jnp.exp(-x[0])), _one(_sigmoid),
         _d(lambda x: _sigmoid(x) * _sigmoid(-x))),
    Case("exp(x) - 1", lambda x: _exp1(x) - 1, _one(np.expm1), _d(np.exp)),
    Case("1 - exp(x)", lambda x: 1 - _exp1(x), _one(lambda x: -np.expm1(x)), _d(lambda x: -np.exp(x))),
    Case("sinh(x) / cosh(x)", lambda x: (_exp1(x) - jnp.exp(-x[0])) / (_exp1(x) + jnp.exp(-x[0])), _one(np.tanh),
         _d(_sech2)),
    Case("2 sigmoid(2x) - 1", lambda x: 2 / (1 + jnp.exp(-2 * x[0])) - 1, _one(np.tanh), _d(_sech2)),
    Case("1 - tanh(x)^2", lambda x: 1 - jnp.tanh(x[0]) ** 2, _one(_sech2), _d(lambda x: -2 * np.tanh(x) * _sech2(x))),
    Case("(exp(x) - exp(-x)) / 2", lambda x: (_exp1(x) - jnp.exp(-x[0])) / 2, _one(np.sinh), _d(np.cosh)),
    Case("1 - cos(x)", lambda x: 1 - jnp.cos(x[0]), _one(lambda x: 2 * np.sin(x / 2) ** 2), _d(np.sin)),
    Case("1 - x^2", lambda x: 1 - x[0] ** 2, _one(lambda x: (1 - x) * (1 + x)), _d(lambda x: -2 * x)),
    Case("x^2 - y^2", lambda x: x[0] ** 2 - x[1] ** 2, lambda x: (x[..., 0] - x[..., 1]) * (x[..., 0] + x[..., 1]),
         _d(lambda x, y: 2 * x, lambda x, y: -2 * y), size=2),
    Case("exp(x) * exp(y)", lambda x: _exp1(x) * jnp.exp(x[1]), lambda x: np.exp(x.sum(-1)),
         _d(lambda x, y: np.exp(x + y), lambda x, y: np.exp(x + y)), size=2, conditioned=True),
    Case("exp(x) / exp(y)", lambda x: _exp1(x) / jnp.exp(x[1]), lambda x: np.exp(x[..., 0] - x[..., 1]),
         _d(lambda x, y: np.exp(x - y), lambda x, y: -np.exp(x - y)), size=2, conditioned=True),
    Case("x * log(x)", lambda x: x[0] * jnp.log(x[0]), _one(lambda x: np.where(x == 0, 0, x * np.log(x + (x == 0)))),
         _d(lambda x: np.log(x) + 1), domain=_positive, conditioned=True),
    Case("x / sqrt(x)", lambda x: x[0] / jnp.sqrt(x[0]), _one(np.sqrt), _d(lambda x: 0.5 / np.sqrt(x)),
         domain=_positive),
    Case("log(x^n)", lambda x: jnp.log(x[0] ** 4), _one(lambda x: 4 * np.log(np.abs(x))), _d(lambda x: 4 / x),
         conditioned=True),
    Case("log(x + sqrt(x^2 + 1))", lambda x: jnp.log(x[0] + jnp.sqrt(x[0] ** 2 + 1)), _one(np.arcsinh),
         _d(lambda x: 1 / np.sqrt(x * x + 1))),
    Case("sqrt(x^2)", lambda x: jnp.sqrt(x[0] ** 2), _one(np.abs), _d(np.sign)),
    Case("sqrt(1 + x^2)", lambda x: jnp.sqrt(1 + x[0] ** 2), _one(lambda x: np.sqrt(1 + x * x)),
         _d(lambda x: x / np.sqrt(1 + x * x))),
    Case("sqrt(x^2 + y^2)", lambda x: jnp.sqrt(x[0] ** 2 + x[1] ** 2), _norm, _direction, size=2),
    Case("sqrt(sum(x^2))", lambda x: jnp.sqrt(jnp.sum(x**2)), _norm, _direction, size=5),
    Case("x / sqrt(sum(x^2))", lambda x: (x / jnp.sqrt(jnp.sum(x**2)))[0], lambda x: _direction(x)[..., 0],
         _rows(_direction0_gradient), size=3, conditioned=True),
    Case("log(exp(x) + exp(y))", lambda x: jnp.log(_exp1(x) + jnp.exp(x[1])), _rows(_logsumexp), _softmax, size=2,
         conditioned=True),
    Case("log(exp(x) - exp(y))", lambda x: jnp.log(_exp1(x) - jnp.exp(x[1])),
         lambda x: x[..., 0] + _log1mexp(x[..., 1] - x[..., 0]),
         _d(lambda x, y: -1 / np.expm1(y - x), lambda x, y: -1 / np.expm1(x - y)), size=2, domain=_second_below,
         conditioned=True),
    Case("log(sum(exp(x)))", lambda x: jnp.log(jnp.sum(jnp.exp(x))), _rows(_logsumexp), _softmax, size=5,
         conditioned=True),
    Case("log(mean(exp(x)))", lambda x: jnp.log(jnp.mean(jnp.exp(x))),
         lambda x: x.max(-1) + np.log1p(np.expm1(x - x.max(-1, keepdims=True)).mean(-1)), _softmax, size=5,
         conditioned=True),
    Case("exp(x) / sum(exp(x))", lambda x: (jnp.exp(x) / jnp.sum(jnp.exp(x)))[0], lambda x: _softmax(x)[..., 0],
         _rows(_softmax0_gradient), size=5),
    Case("log(softmax(x))", lambda x: jnp.log(jnp.exp(x) / jnp.sum(jnp.exp(x)))[0], _rows(_log_softmax0),
         _rows(_log_softmax0_gradient), size=5),
    Case("log(a * softmax(x))", lambda x: jnp.log(0.3 * (jnp.exp(x) / jnp.sum(jnp.exp(x))))[0],
         lambda x: np.log(0.3) + _rows(_log_softmax0)(x), _rows(_log_softmax0_gradient), size=5, conditioned=True),
)  # fmt: skip
