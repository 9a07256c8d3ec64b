"""Every architecture and head beside transformers: outputs, gradients, weights there and back."""

import jax
import pytest
from encoder_oracle import PAIRS, compare, make

pytestmark = pytest.mark.oracle
every = pytest.mark.parametrize(("architecture", "head"), PAIRS)


@every
def test_float64_outputs_and_gradients_are_those_of_transformers(architecture, head):
    with jax.enable_x64(True):
        compare(make(architecture, head), 0, atol=1e-10, gradients=1e-8)
