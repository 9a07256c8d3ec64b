import jax.numpy as jnp
import pytest

import spago_jax as sj


class Line(sj.Module):
    weight: sj.Array
    bias: sj.Array | None = sj.param(decay=False, default=None)
    activation: str = sj.static(default="tanh")

    def __call__(self, x):
        y = x @ self.weight.T
        y = y if self.bias is None else y + self.bias
        return {"tanh": jnp.tanh, "identity": lambda y: y}[self.activation](y)


class Norm(sj.Module):
    gain: sj.Array = sj.param(decay=False)
    mean: sj.Array = sj.buffer()
    seen: sj.Array = sj.buffer()


class Net(sj.Module):
    """Nested modules, a tuple of them, a dict, integers, a buffer and a key."""

    first: Line
    layers: tuple[Line, ...]
    norm: Norm
    table: dict[str, sj.Array]
    ids: sj.Array
    key: sj.Array = sj.buffer()

    def __call__(self, x):
        h = self.first(x)
        for layer in self.layers:
            h = layer(h)
        return (h - self.norm.mean) * self.norm.gain + self.table["shift"][self.ids]


@pytest.fixture
def kinds():
    return Line, Norm, Net


@pytest.fixture
def net():
    import jax

    keys = jax.random.split(jax.random.key(0), 4)
    return Net(
        first=Line(jax.random.normal(keys[0], (3, 2)), jnp.zeros(3)),
        layers=(Line(jax.random.normal(keys[1], (3, 3)), jnp.ones(3)), Line(jax.random.normal(keys[2], (3, 3)))),
        norm=Norm(jnp.full(3, 2.0), jnp.full(3, 0.5), jnp.array(4)),
        table={"shift": jnp.arange(5.0)},
        ids=jnp.array([0, 1, 4]),
        key=keys[3],
    )


PATHS = [
    "first.weight",
    "first.bias",
    "layers.0.weight",
    "layers.0.bias",
    "layers.1.weight",
    "norm.gain",
    "norm.mean",
    "norm.seen",
    "table.shift",
    "ids",
    "key",
]


@pytest.fixture
def paths():
    return PATHS
