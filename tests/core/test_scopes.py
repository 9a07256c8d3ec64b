# SPDX-License-Identifier: BSD-2-Clause
"""Modules trace under their path in the model that calls them."""

import jax
import jax.numpy as jnp
import pytest

import spago_jax as sj
from spago_jax.compiler import jaxprs
from spago_jax.nn import BiRNN, Linear


class Net(sj.Module):
    rnn: BiRNN
    heads: tuple
    named: dict

    def __call__(self, x):
        return self.score(self.heads[1](self.rnn(x)[0]))

    def score(self, h):
        return jnp.tanh(self.named["out"](h))


def net():
    key = jax.random.key(0)
    one = Linear.init(key, 6, 6)
    return Net(BiRNN.init(key, 4, 3), (one, Linear.init(key, 6, 6)), {"out": Linear.init(key, 6, 2)})


def scopes(function, *args):
    closed = jaxprs.inline(jaxprs.trace(function, *args)[0], custom=True)
    return {"/".join(jaxprs.scope(eqn)) for eqn in closed.jaxpr.eqns}


def test_every_sub_module_has_its_path():
    found = scopes(lambda model, x: model(x), net(), jnp.ones((5, 4)))
    assert {"Net", "Net/heads.1", "Net/named.out", "Net/rnn", "Net/rnn/forward"} <= found
    assert not any("heads.0" in scope or "Linear" in scope for scope in found)


def test_a_method_of_its_own_adds_no_name():
    assert "Net/Net" not in scopes(lambda model, x: model(x), net(), jnp.ones((5, 4)))


def test_names_survive_differentiation():
    found = scopes(jax.grad(lambda model, x: model(x).sum()), net(), jnp.ones((5, 4)))
    assert {"Net/heads.1", "Net/rnn/forward"} <= found


def test_a_module_on_its_own_has_the_name_of_its_class():
    assert scopes(lambda layer, x: layer(x), net().heads[0], jnp.ones(6)) == {"Linear"}


def test_two_sub_modules_called_by_a_function_have_the_names_of_their_classes():
    def function(model, x):
        return model.heads[0](model.heads[1](x))

    assert scopes(function, net(), jnp.ones(6)) == {"Linear"}


def test_an_exception_leaves_no_name_behind():
    model = net()
    with pytest.raises(TypeError):
        model(jnp.ones((5, 99)))
    assert scopes(lambda layer, x: layer(x), model.heads[0], jnp.ones(6)) == {"Linear"}


def test_places_are_lines_of_the_source():
    closed, _ = jaxprs.trace(lambda x: jnp.sin(x) + 1, jnp.ones(2))
    place = jaxprs.place(closed.jaxpr.eqns[0])
    assert place is not None
    assert place.file.endswith("test_scopes.py")
    assert place.line > 60
