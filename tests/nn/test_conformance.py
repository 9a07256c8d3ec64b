"""Every layer of the catalogue keeps the promises that all layers make. One entry there is all that it takes.

Oracles: the layer itself run another way (eagerly, by loops, step by step, alone instead of in a batch), and central
differences in float64.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.core import Rng
from spago_jax.nn.catalogue import CATALOGUE, Entry
from spago_jax.nn.catalogue.entry import SIZES

BATCH, TIME = SIZES["batch"], SIZES["time"]
LENGTHS = np.array([TIME, 2, 0], np.int32)


# One layer of each kind: `scripts/test` runs these, `scripts/test --all` every layer.
KINDS = {"batch_norm", "crf", "embedding", "linear", "lstm", "mixture_of_experts", "self_attention"}
assert set(CATALOGUE) >= KINDS


def entries(*conditions):
    found = [
        pytest.param(entry, marks=() if entry.name in KINDS else pytest.mark.extended)
        for entry in CATALOGUE.values()
        if all(condition(entry) for condition in conditions)
    ]
    return pytest.mark.parametrize("entry", found, ids=lambda entry: entry.name)


def takes(name):
    """Whether an entry's inputs have the named dimension first."""
    return lambda entry: any(one.dims[:1] == (name,) for one, _ in entry.specs())


def trains(entry):
    return entry.trains


def batched(entry):
    return entry.batched and takes("batch")(entry)


def padded(entry):
    return entry.lengths and batched(entry)


def stepwise(entry):
    return all(hasattr(entry.layer_class, name) for name in ("project", "step", "initial_state"))


@functools.lru_cache(maxsize=1)
def case(entry: Entry):
    """A layer, its inputs, and what it gives for them, eagerly: the same for all checks of an entry."""
    model, inputs = jax.jit(entry.make)(jax.random.key(0)), entry.example()
    return model, inputs, entry.run(model, *inputs)


@functools.lru_cache(maxsize=1)
def compiled(run):
    """One program for each shape of its arguments: run eagerly, an operation at a new shape is a program of its own."""
    return jax.jit(run)


def compare(found, expected, tolerance=1e-5):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for mine, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert mine.shape == other.shape
        np.testing.assert_allclose(
            np.asarray(mine, np.float64), np.asarray(other, np.float64), rtol=tolerance, atol=tolerance
        )


def total(run, reduce=jnp.mean):
    """A scalar of the float outputs, for gradients."""

    def loss(model, *inputs):
        leaves = [leaf for leaf in jax.tree.leaves(run(model, *inputs)) if jnp.issubdtype(leaf.dtype, jnp.floating)]
        return sum(reduce(jnp.square(leaf - 0.3)) for leaf in leaves)

    return loss


def floats(entry, inputs):
    return [place for place, (one, below) in enumerate(entry.specs()) if one.dtype == "float32" and below is None]


@entries()
def test_jit_gives_what_eager_gives_without_leaks_and_promotions(entry):
    """Compiled once, with tracer leaks looked for, and dtypes and ranks promoted on purpose only."""
    model, inputs, expected = case(entry)
    with jax.checking_leaks(), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        found = jax.jit(lambda model, *xs: entry.run(model, *xs))(model, *map(jnp.asarray, inputs))
    compare(found, expected)


@entries()
def test_numpy_and_jax_inputs_are_the_same(entry):
    model, inputs, expected = case(entry)
    compare(entry.run(model, *map(jnp.asarray, inputs)), expected, 0.0)


@entries(batched)
def test_a_batch_is_its_examples_and_vmap_a_loop(entry):
    model, inputs, expected = case(entry)
    shared = [one.dims[:1] != ("batch",) for one, _ in entry.specs()]
    axes = [None if same else 0 for same in shared]
    compare(jax.jit(jax.vmap(functools.partial(entry.run, model), in_axes=axes))(*inputs), expected)
    run = compiled(entry.run)
    singles = [run(model, *[x if same else x[i] for x, same in zip(inputs, shared, strict=True)]) for i in range(BATCH)]
    compare(jax.tree.map(lambda *leaves: jnp.stack(leaves), *singles), expected)


@entries(batched)
def test_leading_axes_are_free(entry):
    model, inputs, expected = case(entry)
    more = [x if one.dims[:1] != ("batch",) else x[None] for x, (one, _) in zip(inputs, entry.specs(), strict=True)]
    compare(compiled(entry.run)(model, *more), jax.tree.map(lambda leaf: leaf[None], expected))


@entries(padded)
def test_what_lies_beyond_a_length_changes_nothing(entry):
    model, inputs, _ = case(entry)
    garbage = []
    for x, (one, below) in zip(inputs, entry.specs(), strict=True):
        x = np.array(x)
        if one.dims[:2] == ("batch", "time"):
            beyond = np.arange(TIME) >= LENGTHS[:, None]
            x[beyond] = (below or 2) - 1 if below is not None else 1e4
        garbage.append(x)

    program = with_lengths(entry)
    compare(program(model, *garbage), program(model, *inputs))


@entries(padded)
def test_a_padded_example_gives_what_it_gives_alone(entry):
    model, inputs, _ = case(entry)
    together = with_lengths(entry)(model, *inputs)[0]
    for i, length in enumerate(LENGTHS):
        if length == 0:
            continue
        alone = compiled(entry.run)(
            model,
            *[
                x[i, :length] if one.dims[:2] == ("batch", "time") else x[i] if one.dims[:1] == ("batch",) else x
                for x, (one, _) in zip(inputs, entry.specs(), strict=True)
            ],
        )
        for mine, other in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            window = mine[i][: other.shape[0]] if other.ndim and other.shape[0] == length else mine[i]
            if window.shape == other.shape:
                np.testing.assert_allclose(window, other, rtol=1e-5, atol=1e-5)
            else:  # an axis of time inside a state or an attention map
                np.testing.assert_allclose(window[tuple(slice(n) for n in other.shape)], other, rtol=1e-5, atol=1e-5)


@entries(stepwise)
def test_the_scan_is_its_steps(entry):
    model, inputs, expected = case(entry)

    @jax.jit
    def steps(model, xs):
        state, zs, outputs = model.initial_state((BATCH,), jnp.float32), model.project(xs), []
        for t in range(TIME):
            state, y = model.step(state, jax.tree.map(lambda z, t=t: z[:, t], zs))
            outputs.append(y)
        return jnp.stack(outputs, axis=1)

    found = expected[0] if isinstance(expected, tuple) else expected
    compare(steps(model, inputs[0]), found)


@entries(trains)
def test_gradients_against_central_differences(entry):
    with jax.enable_x64(True):
        model = jax.tree.map(_wide, case(entry)[0])
        inputs = [np.asarray(x, np.float64) if x.dtype == np.float32 else x for x in entry.example()]
        places = floats(entry, inputs)

        @jax.jit
        def value_and_slopes(arrays, xs):
            def loss(arrays, xs):
                return total(entry.run)(sj.unflat(model, arrays, partial=True), *_put(inputs, places, xs))

            return jax.value_and_grad(loss, (0, 1))(arrays, xs)

        arrays = {name: np.asarray(sj.flat(model)[name]) for name in sorted(sj.trainable(model))}
        xs = [inputs[place] for place in places]
        slopes = jax.tree.leaves(value_and_slopes(arrays, xs)[1])
        rng = np.random.default_rng(0)
        # One random direction through all numbers at once, twice: a wrong derivative does not survive it.
        for _ in range(2):
            along = jax.tree.map(lambda a: rng.normal(size=a.shape), (arrays, xs))
            ends = []
            for step in (1e-5, -1e-5):
                moved = jax.tree.map(lambda a, d, step=step: a + step * d, (arrays, xs), along)
                ends.append(float(value_and_slopes(*moved)[0]))
            slope = (ends[0] - ends[1]) / 2e-5
            pairs = zip(slopes, jax.tree.leaves(along), strict=True)
            assert sum(float(np.vdot(g, d)) for g, d in pairs) == pytest.approx(slope, rel=1e-5, abs=1e-7)


@pytest.mark.slow
@entries()
def test_float64_is_near_float32(entry):
    model, inputs, expected = case(entry)
    with jax.enable_x64(True):
        wide = compiled(entry.run)(
            jax.tree.map(_wide, model), *[np.asarray(x, np.float64) if x.dtype == np.float32 else x for x in inputs]
        )
        for leaf in jax.tree.leaves(wide):
            assert leaf.dtype in (jnp.float64, jnp.int32, jnp.int64, jnp.bool_)
        compare(wide, expected, 2e-4)


@entries(lambda entry: bool(floats(entry, None)))
def test_bfloat16_is_finite_near_and_kept(entry):
    model, inputs, expected = case(entry)
    narrow = jax.tree.map(lambda a: a.astype(jnp.bfloat16) if a.dtype == jnp.float32 else a, model)
    found = compiled(entry.run)(narrow, *[jnp.asarray(x, jnp.bfloat16) if x.dtype == np.float32 else x for x in inputs])
    first = jax.tree.leaves(found)[0]
    assert first.dtype in (jnp.bfloat16, jnp.float32, jnp.int32)
    for mine, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert mine.shape == other.shape
        if jnp.issubdtype(mine.dtype, jnp.floating):
            mine, other = np.asarray(mine, np.float32), np.asarray(other)
            assert np.isfinite(mine).all() == np.isfinite(other).all()
            scale = 1.0 + float(np.abs(np.where(np.isfinite(other), other, 0.0)).max())
            np.testing.assert_allclose(mine, other, atol=0.08 * scale, rtol=0.08)


def empties(entry):
    return [size for size in ("batch", "time", "other") if any(size in one.dims for one, _ in entry.specs())]


@pytest.mark.slow
@entries(empties)
def test_nothing_in_gives_nothing_out(entry):
    """A batch of 0, or 0 steps of time: no error of an operation, no NaN in what is left, and none in the gradients."""
    model, inputs, expected = case(entry)
    for size in empties(entry):
        if (entry.name, size) == ("cached_attention", "time"):
            continue  # a cache for no steps is refused by name
        given = entry.example(**{size: 0})
        outputs = jax.jit(entry.run)(model, *given)
        assert jax.tree.structure(outputs) == jax.tree.structure(expected)
        for leaf in jax.tree.leaves(outputs):
            assert np.isfinite(np.asarray(leaf, np.float64)).all()
        for leaf, wanted in zip(jax.tree.leaves(outputs), jax.tree.leaves(expected), strict=True):
            assert (leaf.ndim, leaf.dtype) == (wanted.ndim, wanted.dtype)
            if size == "batch" and batched(entry):
                assert leaf.shape == (0, *wanted.shape[1:])
        if entry.trains:
            gradients = sj.partition(jax.jit(jax.grad(total(entry.run, jnp.sum), allow_int=True))(model, *given))[0]
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


MOVE_ONLY = {"flatten", "max_pooling2d", "word_dropout"}  # no number becomes another: integers may stay integers


@entries(lambda entry: floats(entry, None))
@pytest.mark.parametrize("dtype", [np.int32, pytest.param(np.bool_, marks=pytest.mark.slow)], ids=["int32", "bool"])
def test_integers_are_taken_as_the_floats_that_they_are(entry, dtype):
    """Values, dtypes and gradients: results in the dtype of integers would be rounded, and trained by nothing."""
    model, inputs, _ = case(entry)
    places = floats(entry, inputs)
    whole = _put(inputs, places, [np.round(2 * inputs[place]).astype(dtype) for place in places])
    same = _put(whole, places, [whole[place].astype(np.float32) for place in places])
    outputs, expected = compiled(entry.run)(model, *whole), compiled(entry.run)(model, *same)
    compare(outputs, expected)
    if entry.name not in MOVE_ONLY:
        assert jax.tree.map(lambda leaf: leaf.dtype, outputs) == jax.tree.map(lambda leaf: leaf.dtype, expected)
    if entry.trains and dtype is np.int32:
        gradients = jax.jit(jax.grad(total(entry.run), allow_int=True))
        compare(sj.partition(gradients(model, *whole))[0], sj.partition(gradients(model, *same))[0])


@entries(padded)
def test_buckets_take_it(entry):
    """Nothing in a layer with lengths moves the padding from the end of an axis, as buckets see it."""
    model, inputs, expected = case(entry)
    names = [f"x{place}" for place in range(len(inputs))]
    arrays = ", ".join(names)
    call = f"lambda model, {arrays}, lengths: entry.run(model, {arrays}, lengths=lengths)"
    specs = [sj.spec(name, str(one)) for name, (one, _) in zip(names, entry.specs(), strict=True)]
    longer = entry.name != "gated_mlp"  # made for so many steps
    buckets = sj.Buckets(batch=(BATCH + 1,), **({"time": (TIME + 3,)} if longer else {}))
    program = sj.compile(
        eval(call, {"entry": entry}),  # buckets bind by name
        *specs,
        sj.spec("lengths", "i32[batch]"),
        buckets=buckets,
    )
    found = program(model, *inputs, LENGTHS)
    compare(_within(entry, found), _within(entry, entry.run(model, *inputs, lengths=LENGTHS)), 1e-4)


@entries(stepwise)
def test_the_state_before_the_first_step_holds_floats_for_integers_too(entry):
    model, _, _ = case(entry)
    states = [jax.eval_shape(lambda d=dtype: model.initial_state((2,), d)) for dtype in (np.int32, np.float32)]
    assert jax.tree.map(lambda leaf: leaf.dtype, states[0]) == jax.tree.map(lambda leaf: leaf.dtype, states[1])


@entries(lambda entry: entry.random)
def test_randomness_is_an_argument(entry):
    model, inputs, expected = case(entry)
    draw = jax.jit(lambda rng: entry.call(model, *inputs, rng=rng))
    drawn = [draw(Rng.seed(seed)) for seed in (0, 0, 1)]
    compare(drawn[0], drawn[1], 0.0)
    assert any(
        not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(drawn[0]), jax.tree.leaves(drawn[2]), strict=True)
    )
    compare(entry.run(model, *inputs), expected, 0.0)


@entries()
def test_it_is_saved_and_loaded(entry, tmp_path):
    model, inputs, expected = case(entry)
    np.savez(tmp_path / "layer.npz", **{path: np.asarray(leaf) for path, leaf in sj.flat(model).items()})
    with np.load(tmp_path / "layer.npz") as stored:
        again = sj.unflat(jax.eval_shape(entry.make, jax.random.key(1)), dict(stored))
    compare(entry.run(again, *inputs), expected, 0.0)


@entries()
def test_its_graph_computes_it_and_knows_its_parameters(entry):
    model, inputs, expected = case(entry)
    graph = sj.graph(entry.run, model, *inputs, name=entry.name)
    compare(jax.jit(graph)(model, *inputs), expected)
    assert {path for path in graph.inputs if path.startswith("model.")} == {f"model.{path}" for path in sj.flat(model)}
    assert entry.name in graph.svg(level=1)


@entries()
def test_its_repr_and_docstring_describe_it(entry):
    model, _, _ = case(entry)
    assert repr(model).startswith(f"{entry.title}(")
    assert entry.summary().endswith((".", ":", "].")) or "`" in entry.summary()
    assert entry.equation


@entries(trains)
def test_twenty_steps_fit_a_random_target(entry):
    import optax

    model, inputs, expected = case(entry)
    rng = np.random.default_rng(1)
    target = jax.tree.map(lambda leaf: (rng.normal(size=leaf.shape) * 0.3).astype(leaf.dtype), expected)
    params, rest = sj.partition(model)
    adam = optax.adam(0.03)

    def loss(params):
        outputs = entry.run(sj.combine(params, rest), *inputs)
        pairs = zip(jax.tree.leaves(outputs), jax.tree.leaves(target), strict=True)
        return sum(jnp.mean(jnp.square(y - t)) for y, t in pairs if jnp.issubdtype(y.dtype, jnp.floating))

    @jax.jit
    def train(params):
        def step(carry, _):
            params, state = carry
            value, grads = jax.value_and_grad(loss)(params)
            updates, state = adam.update(grads, state)
            return (optax.apply_updates(params, updates), state), value

        return jax.lax.scan(step, (params, adam.init(params)), None, length=20)[1]

    losses = np.asarray(train(params))
    assert np.isfinite(losses).all()
    assert float(losses[-1]) < float(losses[0])


@pytest.mark.slow
@entries()
def test_it_is_exported_and_loaded(entry, tmp_path):
    model, inputs, expected = case(entry)
    names = ", ".join(f"x{place}" for place in range(len(inputs)))
    function = eval(f"lambda model, {names}: entry.run(model, {names})", {"entry": entry})  # export binds by name
    structs = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in inputs]
    folder = sj.export(function, tmp_path / "program", model, *structs)
    compare(sj.flat(sj.load_program(folder)(*inputs)), sj.flat(expected))  # it knows no classes of ours


@functools.lru_cache(maxsize=1)
def with_lengths(entry):
    """A program of what an entry gives within the lengths, and of its gradients there, where it trains."""

    def run(model, *inputs):
        return _within(entry, entry.run(model, *inputs, lengths=LENGTHS))

    return jax.jit(
        lambda model, *inputs: (
            run(model, *inputs), jax.grad(total(run))(model, *inputs) if entry.trains else None
        )
    )  # fmt: skip


def _within(entry, outputs):
    """Zeroes what a per-step output holds beyond the lengths: only the rest is promised."""
    held = np.arange(TIME) < LENGTHS[:, None]

    def one(leaf):
        if leaf.shape[:2] != (BATCH, TIME):
            return leaf
        mask = held.reshape(BATCH, TIME, *[1] * (leaf.ndim - 2))
        if leaf.ndim > 2 and leaf.shape[2] == TIME:  # [batch, time, time]: attention
            mask = mask & held.reshape(BATCH, 1, TIME, *[1] * (leaf.ndim - 3))
        return jnp.where(mask, leaf, jnp.zeros((), leaf.dtype))

    return jax.tree.map(one, outputs)


def _wide(leaf):
    return leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf


def _put(inputs, places, values):
    new = list(inputs)
    for place, value in zip(places, values, strict=True):
        new[place] = value
    return new
