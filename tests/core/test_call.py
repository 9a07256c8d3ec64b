"""Calls by signature: options go only to what names them, and a class is read once."""

import inspect

import pytest

import spago_jax as sj
from spago_jax.core.call import accepted, signature_of


class Noisy(sj.Module):
    def __call__(self, x, *, rng=None):
        return x


@pytest.mark.parametrize(
    ("function", "taken"),
    [
        (lambda x: x, {}),
        (lambda x, rng: x, {"rng": 1}),
        (lambda x, *, rng=None, lengths=None: x, {"rng": 1, "lengths": 2}),
        (lambda x, **options: x, {}),
        (Noisy(), {"rng": 1}),
        (max, {}),
    ],
)
def test_options_go_to_what_names_them(function, taken):
    assert accepted(function, rng=1, lengths=2) == taken


def test_the_signature_of_a_module_is_read_once_per_class_and_has_no_self(monkeypatch):
    assert list(signature_of(Noisy()).parameters) == ["x", "rng"]
    monkeypatch.setattr(inspect, "signature", None)
    assert list(signature_of(Noisy()).parameters) == ["x", "rng"]
