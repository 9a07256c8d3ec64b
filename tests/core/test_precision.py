"""The precision policy: read from text, checked, and applied to float arrays alone."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("float32", ("float32", "float32", "float32")),
        ("f32", ("float32", "float32", "float32")),
        ("bfloat16", ("float32", "bfloat16", "float32")),
        ("bf16", ("float32", "bfloat16", "float32")),
        ("float16", ("float32", "float16", "float32")),
        ("params=bf16,compute=bf16,output=f32", ("bfloat16", "bfloat16", "float32")),
        (" compute = bf16 , output = f16 ", ("float32", "bfloat16", "float16")),
    ],
)
def test_parse(text, expected):
    policy = sj.Precision.parse(text)
    assert (policy.params, policy.compute, policy.output) == expected
    assert hash(policy) == hash(sj.Precision(*expected))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bfloat61", r"^unknown dtype 'bfloat61', did you mean 'bfloat16'\?$"),
        ("int8", r"^unknown dtype 'int8', known: bfloat16, float16, float32, float64$"),
        ("", r"^unknown dtype ''"),
        ("compute=", r"^unknown dtype ''"),
        ("computes=bf16", r"^precision 'computes=bf16': unknown part 'computes', did you mean 'compute'\?$"),
        ("bf16,output=f32", r"unknown part 'bf16', known: compute, output, params$"),
    ],
)
def test_parse_errors(text, message):
    with pytest.raises(InputError, match=message):
        sj.Precision.parse(text)


def test_the_constructor_checks_and_completes_too():
    assert sj.Precision(compute="bf16").compute == "bfloat16"
    with pytest.raises(InputError, match=r"^unknown dtype 'floot32', did you mean 'float32'\?$"):
        sj.Precision(params="floot32")


def test_float64_needs_the_64_bit_mode():
    with pytest.raises(InputError, match=r"^float64 needs JAX's 64-bit mode: set .* JAX_ENABLE_X64=1$"):
        sj.Precision.parse("float64")
    code = "import spago_jax as sj; print(sj.Precision.parse('float64'))"
    result = subprocess.run(
        [sys.executable, "-c", "import jax; jax.config.update('jax_enable_x64', True); " + code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "Precision(params='float64', compute='float64', output='float64')"


def test_casting_leaves_integers_booleans_keys_and_none_alone(net):
    policy = sj.Precision.parse("params=f16,compute=bf16")
    cast = sj.flat(policy.to_compute(net))
    assert {path for path, leaf in cast.items() if leaf.dtype == jnp.bfloat16} == sj.trainable(net) | {"norm.mean"}
    assert cast["ids"].dtype == jnp.int32
    assert cast["key"] is sj.flat(net)["key"]
    assert sj.flat(policy.to_params(net))["first.weight"].dtype == jnp.float16
    assert policy.to_output({"y": jnp.ones(2, jnp.bfloat16), "n": 3, "mask": np.array([True])}) == {
        "y": pytest.approx(np.ones(2)),
        "n": 3,
        "mask": np.array([True]),
    }


def test_casting_a_skeleton_and_under_jit(net):
    policy = sj.Precision.parse("bf16")
    shapes = policy.to_compute(jax.eval_shape(lambda: net))
    real = jax.eval_shape(policy.to_compute, net)
    assert sj.summary(shapes) == sj.summary(real)
    out = jax.jit(lambda net, x: policy.to_output(policy.to_compute(net)(policy.to_compute(x))))(net, jnp.ones(2))
    assert out.dtype == jnp.float32
    np.testing.assert_allclose(out, net(jnp.ones(2)), rtol=0.05, atol=0.05)


def test_casting_rounds_to_nearest():
    # 1 + 2^-8 lies half way between two bfloat16 numbers and goes to the even one; 1 + 3 * 2^-8 likewise, upwards
    values = jnp.array([1 + 2**-8, 1 + 3 * 2**-8], jnp.float32)
    np.testing.assert_array_equal(sj.Precision.parse("bf16").to_compute(values).astype(np.float32), [1.0, 1 + 2**-6])
