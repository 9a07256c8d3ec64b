"""Program: one trace a signature, compiling ahead of time, freezing, donation, static arguments."""

import functools
import re
import threading
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.compiler import CompileCounter, compile_all
from spago_jax.compiler.signature import Signature
from spago_jax.errors import InputError


class Scale(sj.Module):
    gain: sj.Array
    power: int = sj.static(default=1)
    name: str = sj.static(default="scale")

    def __call__(self, x):
        return self.gain * x**self.power


def f32(*shape):
    return np.ones(shape, np.float32)


def struct(*shape, dtype=np.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


# -- traces --------------------------------------------------------------------------------------------------------


def test_one_trace_a_signature_and_why():
    program = sj.compile(lambda x, y: x + y, name="add")
    for _ in range(3):
        program(f32(2), f32(2))
    assert (program.traces, program.reasons) == (1, ["first call"])
    program(f32(3), f32(3))
    program(f32(3), np.ones(3, np.int32))
    program(f32(3), 1.0)
    assert program.traces == 4
    assert program.reasons[1:] == [
        "x: float32[2] -> float32[3]; y: float32[2] -> float32[3]",
        "y: float32[3] -> int32[3]",
        "y: float32[3] -> weak float32[]",
    ]
    assert repr(program) == "Program(add, 4 signature(s), 4 trace(s), open)"


def test_a_long_reason_is_cut():
    program = sj.compile(lambda **arrays: sum(a.sum() for a in arrays.values()), name="total")
    program(a=f32(1), b=f32(1), c=f32(1))
    program(a=f32(2), b=f32(2), c=f32(2))
    assert program.reasons[1].endswith("; and 1 more")


def test_keywords_defaults_and_positions_are_one_signature():
    program = sj.compile(lambda x, y=2.0, *, z=3.0: x * y + z, name="f")
    x = f32(2)
    with CompileCounter() as counter:
        results = [program(x, x, z=x), program(x, y=x, z=x), program(x=x, y=x, z=x), program(z=x, y=x, x=x)]
    assert (program.traces, counter.compilations) == (1, 1)
    for result in results:
        np.testing.assert_array_equal(result, x * x + x)
    np.testing.assert_array_equal(program(x), x * 2 + 3)
    np.testing.assert_array_equal(program(x, z=x), x * 2 + x)
    assert program.traces == 3


def test_defaults_that_are_no_arrays():
    def apply(x, mode="double", scale=2.0):
        return x * scale if mode == "double" else x

    program = sj.compile(apply)
    np.testing.assert_array_equal(program(f32(2)), 2 * f32(2))
    assert len(program.report().costs) == 1
    assert program.traces == 1


def test_variadic_functions():
    program = sj.compile(lambda *arrays, **more: sum(a.sum() for a in (*arrays, *more.values())), name="total")
    assert float(program(f32(2), f32(3))) == 5
    assert float(program(f32(2), f32(3), k=f32(4))) == 9
    assert float(program()) == 0
    assert program.traces == 3
    assert len(program.report().costs) == 3
    assert program.traces == 3
    assert program.reasons[1] == "more.k: absent -> float32[4]"


def test_positional_only_arguments():
    def apply(x, /, y):
        return x - y

    program = sj.compile(apply)
    assert float(program(3.0, y=1.0)) == 2
    assert len(program.report().costs) == 1
    with pytest.raises(TypeError, match="positional.only"):
        program(x=3.0, y=1.0)


def test_lambdas_partials_methods_modules_and_functions_without_signature():
    assert sj.compile(lambda x: x).name == "<lambda>"
    assert float(sj.compile(lambda x: x + 1)(1.0)) == 2
    power = sj.compile(functools.partial(functools.partial(jnp.power), 3))
    assert power.name == "power"
    assert float(power(2.0)) == 9
    scale = Scale(jnp.array(3.0))
    assert float(sj.compile(scale.__call__)(2.0)) == 6
    assert sj.compile(scale).name == "Scale"
    assert float(sj.compile(scale)(2.0)) == 6
    wrapped = sj.compile(dict)  # inspect.signature(dict) raises ValueError
    assert wrapped(a=f32(1))["a"].shape == (1,)
    assert wrapped.traces == 1


def test_a_jitted_function_and_value_and_grad():
    step = sj.compile(sj.value_and_grad(lambda model, x: model(x).sum()), donate="model", name="step")
    value, grads = step(Scale(jnp.array(3.0)), f32(2))
    assert float(value) == 6
    assert float(grads.gain) == 2
    assert float(sj.compile(jax.jit(lambda x: 2 * x))(4.0)) == 8


def test_missing_and_surplus_arguments_are_pythons_own_errors():
    program = sj.compile(lambda x, y: x + y, name="f")
    with pytest.raises(TypeError, match="missing a required argument: 'y'"):
        program(x=f32(1))
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'z'"):
        program(f32(1), f32(1), z=f32(1))


def test_a_program_inside_jit_vmap_grad_and_another_program():
    inner = sj.compile(lambda x: (x**3).sum(), name="inner")
    outer = sj.compile(lambda x: inner(x) + 1)
    assert float(outer(jnp.array([2.0]))) == 9
    assert float(jax.grad(inner)(jnp.array([2.0]))[0]) == 12
    np.testing.assert_array_equal(jax.vmap(inner)(jnp.array([[1.0], [2.0]])), [1, 8])
    assert inner.traces == 1


# -- exceptions ----------------------------------------------------------------------------------------------------


def test_a_failed_trace_leaves_nothing_behind():
    def picky(x):
        if x.shape[0] == 3:
            raise ValueError("three is not allowed")
        return x + 1

    program = sj.compile(picky)
    for _ in range(2):
        with pytest.raises(ValueError, match="three"):
            program(f32(3))
    with pytest.raises(ValueError, match="three"):
        program.add(f32(3))
    assert (program.traces, program.reasons, program.report().costs) == (0, [], ())
    program(f32(2))
    program.freeze()
    with pytest.raises(sj.RetraceError, match="1 compiled signature"):
        program(f32(3))


def test_an_output_that_jax_refuses_leaves_nothing_behind():
    program = sj.compile(lambda x: "text")
    with pytest.raises(TypeError, match="not a valid JAX type"):
        program(f32(3))
    assert (program.traces, program.reasons) == (0, [])


# -- freezing ------------------------------------------------------------------------------------------------------


def test_a_frozen_program_names_what_differs_from_the_nearest_signature():
    program = sj.compile(lambda model, x, mask: model(x) * mask, name="forward")
    scale = Scale(f32(8))
    program(scale, f32(2, 8), f32(8))
    program(scale, f32(16, 8), np.ones(8, bool))
    program.freeze()
    np.testing.assert_array_equal(program(scale, f32(2, 8), f32(8)), f32(2, 8))
    with pytest.raises(sj.RetraceError) as caught:
        program(scale, f32(17, 8), np.ones(8, bool))
    assert str(caught.value) == (
        "forward is frozen with 2 compiled signature(s), and this call fits none of them.\n"
        "The nearest one differs in (compiled -> called):\n"
        "  x: float32[16, 8] -> float32[17, 8]\n"
        "Pad the inputs to a compiled shape, give the Program buckets, or add(...) this shape before freeze()."
    )
    assert program.traces == 2
    assert repr(program).endswith("frozen)")
    program.unfreeze()(scale, f32(17, 8), np.ones(8, bool))
    assert program.traces == 3


def test_a_frozen_program_names_the_static_field():
    program = sj.compile(lambda model, x: model(x), name="forward")
    program(Scale(f32()), 2.0)
    program.freeze()
    with pytest.raises(sj.RetraceError, match=r"\n  model\.power: 1 -> 2\n"):
        program(Scale(f32(), power=2), 2.0)
    with pytest.raises(sj.RetraceError, match=r"\n  model\.name: 'scale' -> 'other'\n"):
        program(Scale(f32(), name="other"), 2.0)


def test_a_frozen_program_names_weak_types_and_other_containers():
    program = sj.compile(lambda x, y: x + jax.tree.leaves(y)[0], name="f")
    program(f32(), [f32()])
    program.freeze()
    with pytest.raises(sj.RetraceError, match=r"x: float32\[\] -> weak float32\[\]"):
        program(1.0, [f32()])
    with pytest.raises(sj.RetraceError, match=r"the tree of the arguments: other containers"):
        program(f32(), (f32(),))


def test_a_long_difference_is_cut():
    program = sj.compile(lambda arrays: arrays[0], name="f").add([struct(1)] * 12).freeze()
    with pytest.raises(sj.RetraceError, match=r"\n  arrays\.7: .*\n  \.\.\. and 4 more\n"):
        program([f32(2)] * 12)


def test_frozen_before_anything_was_compiled():
    program = sj.compile(lambda x: x, name="f").freeze()
    with pytest.raises(sj.RetraceError, match=r"^f is frozen and was never compiled; call add\(\.\.\.\) or warmup\(\)"):
        program(1.0)


def test_frozen_programs_still_report_and_differentiate():
    program = sj.compile(lambda x: (x**2).sum(), name="f")
    program(f32(3))
    program.freeze()
    assert len(program.report().costs) == 1
    assert program.traces == 1
    np.testing.assert_array_equal(jax.grad(program)(f32(3)), 2 * f32(3))


def test_static_values_that_only_look_alike_are_two_signatures():
    """The signature compares what JAX compares, not a text."""

    class Config:
        def __init__(self, size):
            self.size = size

        def __repr__(self):
            return "Config"

        def __eq__(self, other):
            return self.size == other.size

        def __hash__(self):
            return hash(self.size)

    program = sj.compile(lambda x, config: x * config.size, static="config", name="f")
    assert float(program(1.0, Config(2))) == 2
    assert float(program(1.0, Config(2))) == 2
    assert program.traces == 1
    program.freeze()
    with pytest.raises(sj.RetraceError, match="static values that only look alike"):
        program(1.0, Config(3))


# -- ahead of time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_keyword", [False, True])
def test_add_compiles_so_that_the_call_does_not(by_keyword):
    program = sj.compile(lambda model, x: model(x), name="f")
    model, x = Scale(jnp.ones(4)), jnp.ones((2, 4))
    shapes = jax.eval_shape(lambda: (model, x))
    program.add(*shapes) if by_keyword else program.add(model=shapes[0], x=shapes[1])
    assert program.traces == 1
    program.freeze()
    with CompileCounter() as counter:
        program(model, x)
        program(model=model, x=x)
    assert (counter.compilations, program.traces) == (0, 1)


def test_add_twice_traces_once():
    program = sj.compile(lambda x: x + 1).add(struct(3)).add(struct(3))
    assert program.traces == 1
    assert len(program.report().costs) == 1


def test_specs_without_open_dimensions_compile_at_once():
    program = sj.compile(lambda x, y=1.0: x * y, sj.spec("x", "f32[2, 3]"), name="f")
    assert program.traces == 1
    with CompileCounter() as counter:
        program(f32(2, 3))
    assert counter.compilations == 0
    waiting = sj.compile(lambda x, model: x, sj.spec("x", "f32[2, 3]"))
    assert waiting.traces == 0
    assert sj.compile(lambda x: x, sj.spec("x", "f32[b]")).traces == 0
    assert sj.compile(lambda x, *rest: x, sj.spec("x", "f32[2]")).traces == 1


def test_warmup_takes_sizes_and_the_arguments_without_a_spec():
    program = sj.compile(lambda model, x: model(x), sj.spec("x", "f32[batch, 4]"), name="f")
    program.warmup({"batch": 2}, model=jax.eval_shape(lambda: Scale(jnp.ones(4)))).freeze()
    with CompileCounter() as counter:
        program(Scale(f32(4)), f32(2, 4))
    assert counter.compilations == 0


def test_warmup_errors():
    with pytest.raises(InputError, match=r"^f: warmup\(\) needs specs, as in compile\(f, spec\('x', 'f32\["):
        sj.compile(lambda x: x, name="f").warmup()
    program = sj.compile(lambda model, x: model(x), sj.spec("x", "f32[batch, 4]"), name="f")
    with pytest.raises(InputError, match=r"^f: warmup\(\) needs model by name, as arrays or ShapeDtypeStruct"):
        program.warmup({"batch": 2})
    with pytest.raises(InputError, match=r"^x: dimension 'batch' has no size"):
        program.warmup(model=Scale(f32(4)))
    with pytest.raises(InputError, match=r"^f: 'bach' is not a dimension of a spec: did you mean 'batch'\?$"):
        program.warmup({"bach": 2}, model=Scale(f32(4)))
    with pytest.raises(InputError, match=r"^f: argument 'modle' is not an argument of it: did you mean 'model'\?$"):
        program.warmup({"batch": 2}, modle=Scale(f32(4)))
    assert program.traces == 0


def test_compile_all_in_threads():
    program = sj.compile(lambda x: jnp.tanh(x) @ x.T, name="f")
    pending = [program.prepare(struct(n, n)) for n in (2, 3, 4, 5)]
    assert program.traces == 4
    compile_all(pending)
    compile_all([])
    with CompileCounter() as counter:
        for n in (2, 3, 4, 5):
            program(f32(n, n))
    assert counter.compilations == 0
    assert [cost.inputs for cost in program.report().costs] == [f"x: float32[{n}, {n}]" for n in (2, 3, 4, 5)]


def test_compile_all_raises_what_a_thread_raised():
    def bad():
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        compile_all([lambda: None, bad, lambda: None])


def test_calls_from_many_threads():
    program = sj.compile(lambda x: x * 2, name="f")
    errors, barrier = [], threading.Barrier(8)

    def work(i):
        barrier.wait()
        for n in range(1, 6):
            try:
                np.testing.assert_array_equal(program(np.full(n, i, np.float32)), np.full(n, 2.0 * i))
                program.prepare(struct(n))()
            except Exception as error:  # pragma: no cover
                errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert errors == []
    assert len(program.reasons) == 5
    assert sorted(cost.inputs for cost in program.report().costs) == [f"x: float32[{n}]" for n in range(1, 6)]


# -- donation and static arguments ---------------------------------------------------------------------------------


class State(NamedTuple):
    weight: jax.Array
    count: jax.Array


@pytest.mark.parametrize("by_keyword", [False, True])
def test_donated_buffers_are_gone_and_others_stay(by_keyword):
    step = sj.compile(lambda state, x: State(state.weight + x, state.count + 1), donate="state", name="step")
    state, x = State(jnp.ones(100), jnp.array(0)), jnp.ones(100)
    out = step(x=x, state=state) if by_keyword else step(state, x)
    assert state.weight.is_deleted()
    assert not x.is_deleted()
    np.testing.assert_array_equal(out.weight, 2 * f32(100))
    (cost,) = step.report().costs
    assert cost.donated_bytes >= 400


def test_donate_several_and_unknown():
    swap = sj.compile(lambda a, b: (b + 1, a + 1), donate=("a", "b"))
    a, b = jnp.ones(10), jnp.zeros(10)
    swap(a, b)
    assert a.is_deleted()
    assert b.is_deleted()
    for role in ("donate", "static"):
        with pytest.raises(
            InputError, match=rf"^step: {role} 'sate' is not an argument of it: did you mean 'state'\?$"
        ):
            sj.compile(lambda state, x: x, name="step", **{role: "sate"})
    with pytest.raises(InputError, match=r"^step: spec 'y' is not an argument of it: known: state, x$"):
        sj.compile(lambda state, x: x, sj.spec("y", "f32[2]"), name="step")


def test_static_arguments_by_position_keyword_and_default():
    def repeat(x, count=2, *, mode="sum"):
        out = [x for _ in range(count)]
        return sum(out) if mode == "sum" else jnp.stack(out)

    program = sj.compile(repeat, static=("count", "mode"))
    x = f32(2)
    np.testing.assert_array_equal(program(x, 3), 3 * x)
    np.testing.assert_array_equal(program(x, count=3), 3 * x)
    np.testing.assert_array_equal(program(count=3, x=x), 3 * x)
    assert program.traces == 1
    np.testing.assert_array_equal(program(x), 2 * x)
    assert program(x, 3, mode="stack").shape == (3, 2)
    assert program.traces == 3
    assert program.reasons[2] == "mode: absent -> 'stack'"
    program.freeze()
    with pytest.raises(sj.RetraceError, match=r"count: 3 -> 4"):
        program(x, 4)
    assert len(program.report().costs) == 3


def test_static_and_donated_together():
    step = sj.compile(lambda state, n, x: state * n + x, static="n", donate="state", name="step")
    state = jnp.ones(50)
    np.testing.assert_array_equal(step(state, x=jnp.ones(50), n=3), 4 * f32(50))
    assert state.is_deleted()
    step.add(struct(60), 3, struct(60)).freeze()
    state = jnp.ones(60)
    with CompileCounter() as counter:
        step(state, 3, f32(60))
    assert (counter.compilations, state.is_deleted()) == (0, True)


def test_an_unhashable_static_argument_is_refused_by_name():
    with pytest.raises(ValueError, match=re.escape("Non-hashable static arguments")):
        sj.compile(lambda x, n: x, static="n")(f32(1), [1])


# -- odd arrays ----------------------------------------------------------------------------------------------------


def test_random_keys_are_arguments():
    program = sj.compile(lambda rng, n: rng["a"].uniform((2,)) * n, name="draw")
    rng = sj.Rng.seed(0)
    np.testing.assert_array_equal(program(rng, 1.0), rng["a"].uniform((2,)))
    program(sj.Rng.seed(1), 1.0)
    assert program.traces == 1
    assert program.report().costs[0].inputs == "rng.base: key<fry>[], n: weak float32[]"
    program.freeze()
    with pytest.raises(sj.RetraceError, match=r"rng\.path: '' -> '/b'"):
        program(rng["b"], 1.0)
    raw = sj.compile(lambda key: jax.random.bits(key)).add(jax.eval_shape(lambda: jax.random.key(0)))
    with CompileCounter() as counter:
        raw(rng.base)
    assert counter.compilations == 0


def test_no_arrays_none_and_empty_trees():
    program = sj.compile(lambda x=None, y=(): jnp.ones(2), name="f")
    program()
    program(None)
    program(None, ())
    assert program.traces == 3
    assert program.report().costs[0].inputs == "no arrays"


def test_signature_difference_lists_every_path():
    one = Signature.of({"x": f32(2), "m": Scale(f32(1))}, {"n": 1})
    two = Signature.of({"x": f32(3), "m": Scale(f32(1), power=4), "z": f32()}, {"n": 2})
    assert one.difference(two) == [
        "x: float32[2] -> float32[3]",
        "z: absent -> float32[]",
        "m.power: 1 -> 4",
        "n: 1 -> 2",
    ]
    assert one.difference(one) == []
    assert one == Signature.of({"x": struct(2), "m": Scale(struct(1))}, {"n": 1})
    assert one != Signature.of({"x": struct(2), "m": Scale(struct(1))}, {"n": 2})


def test_dispatch_is_left_to_jit():
    """A positional call runs jax.jit's own fast path: no Python of ours looks at the arguments."""
    program = sj.compile(lambda model, x: model(x))
    model, x = Scale(f32(4)), f32(4)
    program(model, x)
    seen = []
    original = Signature.of
    Signature.of = classmethod(lambda cls, *a, **k: seen.append(1) or original(*a, **k))  # type: ignore[method-assign]
    try:
        for _ in range(10):
            program(model, x)
    finally:
        Signature.of = original
    assert seen == []
    assert program._jit._cache_size() == 1
