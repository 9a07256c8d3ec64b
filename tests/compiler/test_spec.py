"""Specs: text that says what an argument looks like."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spago_jax as sj
from spago_jax.compiler import Spec
from spago_jax.errors import InputError


@pytest.mark.parametrize(
    ("text", "dtype", "dims"),
    [
        ("f32[batch, 8]", "float32", ("batch", 8)),
        ("f32[]", "float32", ()),
        ("  i32 [ batch ,time ] ", "int32", ("batch", "time")),
        ("bool[4]", "bool", (4,)),
        ("bfloat16[2,3,]", "bfloat16", (2, 3)),
        ("u8[h, w]", "uint8", ("h", "w")),
        ("float16[_x1]", "float16", ("_x1",)),
    ],
)
def test_spec_is_read(text, dtype, dims):
    assert sj.spec("x", text) == Spec("x", dtype, dims)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f32", r"^spec 'x': 'f32' is not of the form 'f32\[batch, 8\]'$"),
        ("[3]", r"is not of the form"),
        ("f32[3", r"is not of the form"),
        ("f32[3] y", r"is not of the form"),
        ("f23[3]", r"^spec 'x': unknown dtype 'f23' in 'f23\[3\]', did you mean 'f32'\?$"),
        ("f32[-1]", r"^spec 'x': dimension '-1' in 'f32\[-1\]' is neither a size nor a name$"),
        ("f32[a b]", r"dimension 'a b' in .* is neither a size nor a name$"),
        ("f32[2.5]", r"dimension '2\.5'"),
    ],
)
def test_spec_errors(text, message):
    with pytest.raises(InputError, match=message):
        sj.spec("x", text)


dims = st.lists(st.one_of(st.integers(0, 99), st.from_regex(r"[a-z]{1,5}", fullmatch=True)), max_size=4)


@given(st.sampled_from(["f32", "bf16", "i8", "u32", "bool", "f64", "i64"]), dims)
def test_text_round_trip(dtype, dims):
    text = f"{dtype}[{', '.join(map(str, dims))}]"
    made = sj.spec("x", text)
    assert str(made) == text
    assert sj.spec("x", str(made)) == made


def test_struct_and_shape():
    made = sj.spec("x", "f32[batch, 8]")
    assert made.struct({"batch": 3, "time": 9}).shape == (3, 8)
    assert made.struct({"batch": 3}).dtype == jnp.float32
    with pytest.raises(InputError, match=r"^x: dimension 'batch' has no size; give it one, or a bucket$"):
        made.struct()


def test_bind_reads_sizes_and_refuses_what_does_not_fit():
    sizes: dict[str, int] = {}
    sj.spec("x", "f32[b, t, 8]").bind((2, 5, 8), sizes)
    sj.spec("n", "i32[b]").bind((2,), sizes)
    assert sizes == {"b": 2, "t": 5}
    with pytest.raises(InputError, match=r"^n: shape \[3\] does not fit i32\[b\]: b is 2, not 3$"):
        sj.spec("n", "i32[b]").bind((3,), sizes)
    with pytest.raises(InputError, match=r"^x: shape \[2, 5, 7\] does not fit f32\[b, t, 8\]: 8 is 8, not 7$"):
        sj.spec("x", "f32[b, t, 8]").bind((2, 5, 7), sizes)
    with pytest.raises(InputError, match=r"^x: shape \[2, 5\] has rank 2, expected f32\[b, t, 8\]$"):
        sj.spec("x", "f32[b, t, 8]").bind((2, 5), sizes)


@pytest.mark.parametrize("name", ["max", "min", "mod", "floordiv"])
def test_a_dimension_named_as_a_function_of_sizes_is_refused(name):
    """JAX cannot read it as a symbolic size, which an export would find out too late."""
    with pytest.raises(InputError, match=rf"^spec 'x': dimension '{name}' in .* is a function of JAX's symbolic sizes"):
        sj.spec("x", f"f32[{name}, 3]")
    with pytest.raises(ValueError, match="syntax error"):  # the reason
        jax.export.symbolic_shape(name)


@pytest.mark.parametrize("name", ["class", "lambda", "True", "max_size", "d", "ceildiv", "dim"])
def test_other_words_are_names_of_dimensions(name):
    assert sj.spec("x", f"f32[{name}]").dims == (name,)
    assert str(jax.export.symbolic_shape(name)[0]) == name
