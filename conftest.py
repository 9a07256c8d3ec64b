"""What every test and doctest starts from: the compiler's options, and the names that doctests may use."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "tests"))  # the tests' own modules, for doctests of the package too
from quick_compiler import quick_compiler

quick_compiler()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import spago_jax as sj  # noqa: E402

sj.cache()


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace):
    doctest_namespace.update(jax=jax, jnp=jnp, np=np)
