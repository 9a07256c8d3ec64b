"""What `dir` offers: public names, those that are imported when asked for among them, and nothing else."""

import importlib
import types
import typing

import pytest


@pytest.mark.parametrize("name", ["spago_jax", "spago_jax.train", "spago_jax.sweep"])
def test_dir_offers_public_names_only(name):
    package = importlib.import_module(name)
    offered = [each for each in dir(package) if not each.startswith("_")]
    assert not {"Any", "TYPE_CHECKING", "import_module", "importlib", "lazy_names"} & set(offered)
    for each in offered:
        value = getattr(package, each)
        assert not isinstance(value, types.ModuleType) or value.__name__.startswith("spago_jax")
        assert getattr(value, "__module__", "spago_jax") != typing.__name__
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        _ = package.nothing


def test_dir_offers_lazy_names():
    assert {"Graph", "load_program", "load_task", "compile", "Module"} <= set(dir(importlib.import_module("spago_jax")))
