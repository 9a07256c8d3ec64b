"""What tests of several folders use: arrays to start from, comparisons, errors that are expected."""

import json
import subprocess
import sys
from contextlib import contextmanager

import jax
import numpy as np
import pytest

from spago_jax.core import flat
from spago_jax.errors import InputError


def normal(*shape, seed=0, dtype=np.float32):
    """Numbers of the standard normal distribution, the same at every call."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def close(found, expected, tolerance=1e-5, *, relative=None):
    """Asserts that two trees of arrays are equal within a tolerance, absolute and (unless stated) relative."""
    rtol = tolerance if relative is None else relative
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=tolerance), found, expected)


def same_arrays(found, expected):
    """Asserts that two models have the same arrays, by path, in the same order."""
    found, expected = flat(found), flat(expected)
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def exported_answers(folder, texts):
    """What an exported folder answers, in a process of its own that has its files alone; each answer as a dict."""
    code = f"import json; from predict import load; print(json.dumps([a.to_dict() for a in load()({texts})]))"
    environment = {"PATH": "", "JAX_PLATFORMS": "cpu", "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def refuses(message, error=InputError):
    """The block raises an error of exactly this message."""
    with pytest.raises(error) as caught:
        yield
    assert str(caught.value) == message


def options_of(verb):
    """The options that a verb of the command line knows."""
    import typer

    from spago_jax.cli import main, serve, train  # noqa: F401
    from spago_jax.cli.app import app

    command = typer.main.get_command(app).commands[verb]
    return {option for each in command.params for option in (*each.opts, *each.secondary_opts) if option[0] == "-"}
