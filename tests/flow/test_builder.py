"""Built flows as the rest of JAX and of this library sees them: values, names, weights, shapes, dtypes, programs."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import spago_jax as sj
from spago_jax import flow
from spago_jax.core import Rng, count_parameters, flat, unflat
from spago_jax.errors import InputError
from spago_jax.ops.activations import gelu

KEY = jax.random.key(0)
SPEC = "f32[batch, 3]"
X = jax.random.normal(jax.random.key(1), (4, 3))
linear = flow.linear


def block():
    return flow.start(linear(3)).through(jnp.tanh)


def two():
    return flow.copies(linear(3), 2)


def lift():
    return flow.start(linear(3))


KINDS = {
    "through": lambda: lift().through(jnp.tanh),
    "also": lambda: lift().also(linear(3)),
    "split": lambda: lift().split(linear(3), block()).tag_group("heads").merge("mean"),
    "times": lambda: lift().loop(block()).times(2),
    "while": lambda: lift().loop(block()).while_(lambda s: 0.5 - jnp.abs(s).max(-1), 3, per="example"),
    "until": lambda: lift().loop(block()).until(flow.threshold(0.9), 3),
    "adaptive": lambda: lift().loop(block()).adaptive(flow.learned_halt(), 3),
    "gate": lambda: lift().tag("x").gate(flow.softmax_router(2), two()).using("x"),
    "top k": lambda: lift().gate(flow.top_k_router(3, 2), flow.copies(linear(3), 3)),
    "switch": lambda: lift().switch(flow.argmax_selector(2), two()),
    "rows": lambda: lift().switch(flow.argmax_selector(2), two(), per="example"),
    "each": lambda: lift().map(block()).each(),
    "slices": lambda: lift().map(linear(2)).slices(3).through(linear(3)),
    "batched": lambda: lift().map(block()).batched().each(),
    "mixture": lambda: lift().through(flow.mixture_of_experts(4, experts=2)),
}


@pytest.fixture(scope="module")
def nets():
    return {kind: make().build(KEY, SPEC) for kind, make in KINDS.items()}


def outputs(nets, x):
    return {kind: net(x) for kind, net in nets.items()}


run = jax.jit(outputs)


def close(found, expected, rtol=1e-5, atol=1e-6):
    for name, value in flat(expected).items():
        np.testing.assert_allclose(flat(found)[name], value, rtol=rtol, atol=atol, err_msg=name)


def by_hand(layer, x):
    """Linear in NumPy, float64."""
    return np.asarray(x, np.float64) @ np.asarray(layer.weight, np.float64).T + np.asarray(layer.bias, np.float64)


# -- values and weights ------------------------------------------------------------------------------------------------


def test_a_flow_is_a_value():
    prefix = flow.start(linear(3)).tag("h")
    before = repr(prefix)
    first, second = prefix.through(jnp.tanh), prefix.also(linear(3)).using("m").tag("m")
    assert repr(prefix) == before
    assert [len(f.steps) for f in (prefix, first, second)] == [1, 2, 3]
    with pytest.raises(AttributeError):
        cast(Any, prefix).steps = ()
    first, plain = first.build(KEY, SPEC), prefix.build(KEY, SPEC)
    np.testing.assert_allclose(plain(X), by_hand(plain.layers["h"], X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(first(X), np.tanh(by_hand(plain.layers["h"], X)), rtol=1e-5, atol=1e-6)


def test_using_does_not_change_the_flow_that_it_is_written_on():
    gated = flow.start().tag("x").through(flow.add)
    assert gated.using("x").build(KEY, SPEC)(X).tolist() == (2 * X).tolist()
    assert gated.build(KEY, SPEC)(X).tolist() == X.tolist()


def test_one_object_is_one_part_and_copies_are_not():
    shared = linear(3)
    once = flow.start(shared).through(jnp.tanh).through(shared).build(KEY, SPEC)
    assert list(flat(once)) == ["layers.linear.weight", "layers.linear.bias"]
    first, second = flow.copies(shared, 2)
    twice = flow.start(first).through(jnp.tanh).through(second).build(KEY, SPEC)
    assert count_parameters(twice) == 2 * count_parameters(once)
    assert not np.array_equal(twice.layers["linear"].weight, twice.layers["linear_2"].weight)
    # The gradient of what is shared is the sum of the gradients at both places.
    layer = once.layers["linear"]
    at = jax.grad(lambda a, b: (b(jnp.tanh(a(X))) ** 2).sum(), (0, 1))(layer, layer)
    found = jax.grad(lambda net: (net(X) ** 2).sum())(once).layers["linear"]
    close(found, jax.tree.map(jnp.add, *at))


def test_flows_within_flows_are_shared_and_copied_as_parts_are():
    shared = linear(3)
    inner = flow.start(shared).through(flow.start(linear(3)).through(jnp.tanh)).through(shared)
    once = flow.start(inner).loop(inner).times(2).through(inner).build(KEY, SPEC)
    size = count_parameters(inner.build(KEY, SPEC))
    assert size == 2 * 12
    assert count_parameters(once) == size
    twice = flow.start().split(*flow.copies(inner, 3)).merge().build(KEY, SPEC)
    assert count_parameters(twice) == 3 * size
    assert len({float(array.sum()) for name, array in flat(twice).items() if name.endswith("weight")}) == 6


@pytest.mark.parametrize("shared", [linear(3), flow.start(linear(3))], ids=["a layer", "a flow"])
def test_weights_are_not_shared_between_two_flows(shared):
    outer = flow.start(shared).loop(flow.start(shared).through(jnp.tanh)).times(2)
    message = (
        r"(Linear|Flow) is a part of two flows, and weights can be shared only within one; .*flow.copies\(part, 2\)"
    )
    with pytest.raises(flow.FlowError, match=message):
        outer.build(KEY, SPEC)
    prefix = flow.start(linear(3))
    with pytest.raises(flow.FlowError, match=message):
        flow.start().split(prefix.through(jnp.tanh), prefix.also(linear(3))).merge().build(KEY, SPEC)
    first, second = flow.copies(prefix, 2)
    net = flow.start().split(first.through(jnp.tanh), second.also(linear(3))).merge().build(KEY, SPEC)
    assert count_parameters(net) == 3 * 12


def test_a_part_without_weights_may_be_in_two_flows():
    dropout = flow.layer("Dropout", 0.5)
    flow.start(dropout).through(flow.start(dropout).through(jnp.tanh)).build(KEY, SPEC)


# -- names -------------------------------------------------------------------------------------------------------------


def test_names_of_steps_and_paths_of_parameters():
    net = (
        lift()
        .through(linear(3))
        .through(lambda x: x)
        .tag("h")
        .tag("also_h")
        .split(linear(3), block())
        .tag_group("heads")
        .merge("mean")
        .loop(block())
        .until(flow.learned_halt(), 2)
        .tag("loop")
        .loop(linear(3))
        .times(2)
        .gate(flow.softmax_router(2), [linear(3), jnp.tanh])
        .switch(flow.argmax_selector(2), [jnp.tanh, linear(3)])
        .tag("linear")
        .map(linear(3))
        .each()
        .through(flow.add)
        .using("m")
        .tag("m")
        .build(KEY, SPEC)
    )
    names = ["linear_2", "linear_3", "h", "also_h", "heads_0", "heads_1", "mean", "loop", "loop_2", "gate", "linear"]
    assert [step.name for step in net.plan.steps] == [*names, "map", "m", "state_m"]
    assert {path.rpartition(".")[0] for path in flat(net)} == {
        "layers.linear_2",
        "layers.linear_3",
        "layers.heads_0",
        "layers.heads_1.layers.linear",
        "layers.loop.body.layers.linear",
        "layers.loop.condition",
        "layers.loop_2.body",
        "layers.gate.router.linear",
        "layers.gate.expert_0",
        "layers.linear.selector.linear",
        "layers.linear.branch_1",
        "layers.map.body",
    }
    assert net.paths("heads", "loop") == (
        "layers.heads_0",
        "layers.heads_1",
        "layers.loop.body",
        "layers.loop.condition",
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lift().loop(block()).times(cast(Any, 2.5)), "loop.times: 2.5 is not a whole number"),
        (lambda: lift().loop(block()).until(gelu, cast(Any, None)), "loop.until: None is not a whole number"),
        (lambda: lift().map(block()).slices(cast(Any, "3")), "map.slices: '3' is not a whole number"),
        (
            lambda: lift().input("context", "state"),
            "input: 'state' is reserved; choose a name other than",
        ),
    ],
)
def test_numbers_that_are_not_whole_and_names_of_arguments_are_refused(make, message):
    with pytest.raises(flow.FlowError, match=message):
        make()


def test_an_unknown_name_in_the_state_is_refused():
    net = lift().through(flow.state_add).using("memory").tag("memory").build(KEY, SPEC)
    with pytest.raises(InputError, match="this flow keeps no 'memroy' from call to call: did you mean 'memory'"):
        net(X, {"memroy": X})


def test_freezing_what_has_no_parameters_is_refused():
    net = lift().tag("h").through(jnp.tanh).tag("encoded").build(KEY, SPEC)
    assert net.freeze("h")(net) == set()
    assert net.freeze()(net) == {"layers.h.weight", "layers.h.bias"}
    with pytest.raises(InputError, match="freeze: what is tagged 'encoded' has no parameters; tag the step that has"):
        net.freeze("h", "encoded")


def test_repr():
    written = lift().tag("h").also(block()).using("h").loop(jnp.tanh).times(2)
    assert repr(written) == ("Flow, 3 steps\n  through (Linear) #h\n  also (Flow) using h\n  loop (tanh)")
    assert (
        repr(lift().build(KEY, SPEC)).splitlines()[2].strip()
        == "'linear': Linear(weight=float32[3, 3], bias=float32[3]),"
    )


def test_a_part_without_a_hash_is_refused_where_it_is_written():
    class Bag(dict):
        def __call__(self, x):
            return x

    with pytest.raises(
        flow.FlowError, match=r"through: Bag is part of a compiled program's key, so it must be hashable"
    ):
        lift().through(Bag())


# -- what a call hands on ----------------------------------------------------------------------------------------------

DROPOUT = flow.layer("Dropout", 0.5)


def noisy(x, *, rng=None):
    return x if rng is None else x + jax.random.normal(rng.key(), x.shape)


WITH_RANDOMNESS = {
    "through": lambda: flow.start(DROPOUT),
    "a flow inside": lambda: flow.start(flow.start(flow.start(DROPOUT))),
    "also": lambda: flow.start().also(DROPOUT),
    "split": lambda: flow.start().split(DROPOUT, flow.start(DROPOUT)).merge(lambda a, b: a - b),
    "loop": lambda: flow.start().loop(flow.start(DROPOUT)).until(lambda s: -1.0, 2),
    "gate": lambda: flow.start().gate(lambda x: jnp.ones((1, 2)), [DROPOUT, jnp.tanh]),
    "switch": lambda: flow.start().switch(flow.fixed_selector(0), [flow.start(DROPOUT), jnp.tanh]),
    "rows": lambda: flow.start().switch(flow.fixed_selector(0), [DROPOUT, jnp.tanh], per="example"),
    "map": lambda: flow.start().map(flow.start(DROPOUT)).each(),
    "function": lambda: flow.start(
        lambda x, *, rng=None: x if rng is None else x + jax.random.normal(rng.key(), x.shape)
    ),
}


def test_randomness_reaches_every_kind_of_step():
    nets = {kind: make().build(KEY, SPEC) for kind, make in WITH_RANDOMNESS.items()}
    draw = jax.jit(lambda x, rng: {kind: net(x, rng=rng) for kind, net in nets.items()})
    x = jnp.ones((4, 3))
    drawn, again, other = (draw(x, Rng.seed(seed)) for seed in (0, 0, 1))
    still = jax.jit(lambda x: {kind: net(x) for kind, net in nets.items()})(x)
    for kind, first in drawn.items():
        np.testing.assert_array_equal(first, again[kind], err_msg=kind)
        assert not np.array_equal(first, other[kind]), kind
        assert not np.array_equal(first, still[kind]), kind
    rows = np.asarray(drawn["map"])
    assert len({tuple(row) for row in rows}) > 1  # each element of a map has its own


def last(x, *, lengths=None):
    """The last real step of each sequence, everywhere."""
    if lengths is None:
        return x
    rows = jnp.take_along_axis(x, (lengths - 1)[:, None, None], axis=1)
    return jnp.broadcast_to(rows, x.shape)


@pytest.mark.parametrize(
    "make",
    [
        lambda: flow.start(last),
        lambda: flow.start(flow.start(last)),
        lambda: flow.start().loop(flow.start(last)).times(2),
        lambda: flow.start().loop(last).until(lambda s: -1.0, 2),
        lambda: flow.start().gate(lambda x: jnp.ones((1, 1, 2)) / 2, [last, flow.start(last)]),
        lambda: flow.start().switch(flow.fixed_selector(1), [jnp.tanh, flow.start(last)]),
        lambda: flow.start().map(flow.start(last)).each(),  # each sequence with its own length
        lambda: flow.start().map(last).batched().each(),
    ],
)
def test_lengths_reach_every_kind_of_step(make):
    net = make().build(KEY, "f32[batch, time, 1]")
    x = jnp.arange(8.0).reshape(2, 4, 1)
    assert net(x, lengths=jnp.array([4, 2]))[..., 0].tolist() == [[3.0] * 4, [5.0] * 4]


# -- as data -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (lambda: flow.start(linear(3)).through(gelu), [{"linear": 3}, "gelu"]),
        (lambda: flow.start().through(linear(3)).through(gelu), ["identity", {"linear": 3}, "gelu"]),
        (lambda: flow.start().tag("x").through(linear(3)), [{"tag": "x"}, {"linear": 3}]),
        (lambda: flow.start(), ["identity"]),
    ],
)
def test_a_flow_and_what_it_is_written_as_have_the_same_weights(make, steps):
    assert flow.to_config(make()) == steps
    close(flow.from_config(steps).build(KEY, SPEC), make().build(KEY, SPEC), rtol=0, atol=0)


def test_a_trace_by_a_function_has_no_name():
    assert flow.to_config(flow.start().loop(gelu, trace=True).times(2)) == [
        {"loop": {"body": "gelu", "times": 2, "trace": True}}
    ]
    with pytest.raises(InputError, match="loop: trace is max, a function; YAML can say true or the name of a tag"):
        flow.to_config(flow.start().loop(gelu, trace=jnp.max).times(2))


# -- trees, dtypes, NumPy ----------------------------------------------------------------------------------------------

TREE = {"a": "f32[batch, 3]", "b": "f32[batch, 3]"}


def turned(tree):
    return {"a": tree["b"], "b": tree["a"]}


def same(tree):
    return tree


def test_the_stream_may_be_a_tree():
    net = (
        flow.start(turned)
        .tag("turned")
        .also(same)
        .split(same, turned)
        .merge("add")
        .gate(lambda tree: jnp.array([[0.25, 0.75]]), [same, turned])
        .switch(lambda tree: 0, [same, turned])
        .switch(lambda tree: (tree["a"][:, :1] > 1e6) * 1, [turned, same], per="example")
        .map(lambda tree: jax.tree.map(jnp.negative, tree))
        .each()
        .loop(lambda tree: {"a": tree["a"] + tree["b"], "b": tree["b"]})
        .until(lambda tree: tree["a"].max() - 1e6, 2)
        .through(lambda tree, turned: tree["a"] - turned["a"])
        .using("turned")
        .build(KEY, TREE)
    )
    a, b = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    # also: 2 (b, a); split: 2 (a + b) in both; the loop: 3 of it, negative; and less the first b
    expected = -3 * 2 * (a + b) - b
    np.testing.assert_allclose(net({"a": a.astype(np.float32), "b": b.astype(np.float32)}), expected, rtol=1e-6)


def test_a_tree_has_no_last_axis_to_slice_and_needs_one_number_of_elements():
    with pytest.raises(
        flow.FlowError, match=r"map.slices\(3\) cuts the last axis .* given \(f32\[11, 3\], f32\[11, 3\]\)"
    ):
        flow.start().map(same).slices(3).build(KEY, TREE)
    with pytest.raises(flow.FlowError, match=r"map needs elements along axis 0, but it is given"):
        flow.start().map(same).each().build(KEY, TREE | {"b": "f32[other, 3]"})


def test_specs_may_have_many_names():
    net = flow.start().build(KEY, "f32[a, b, c, d, e, f, g, h, i, j, k, l]")
    assert net(jnp.ones((1,) * 12)).shape == (1,) * 12


@pytest.mark.parametrize(("dtype", "rtol", "atol"), [("bfloat16", 0.1, 0.1), ("float64", 1e-5, 1e-5)])
def test_streams_of_other_dtypes(nets, dtype, rtol, atol):
    # The oracle is the same network in float32, whose steps have oracles of their own.
    expected = run(nets, X)
    with jax.enable_x64(dtype == "float64"):
        short = {"bfloat16": "bf16", "float64": "f64"}[dtype]
        smooth = [kind for kind in KINDS if kind not in ("switch", "rows", "top k", "mixture", "while", "until")]
        for kind in KINDS:
            y = jax.eval_shape(lambda kind=kind: KINDS[kind]().build(KEY, f"{short}[batch, 3]")(X.astype(dtype)))
            assert y.dtype == dtype, kind
        cast = jax.tree.map(lambda leaf: leaf.astype(dtype), {kind: nets[kind] for kind in smooth})
        for kind, y in jax.jit(outputs)(cast, X.astype(dtype)).items():
            assert y.dtype == dtype, kind
            np.testing.assert_allclose(y.astype(np.float32), expected[kind], rtol=rtol, atol=atol, err_msg=kind)


def test_numpy_goes_in_and_jax_comes_out(nets):
    close(run(nets, np.asarray(X)), run(nets, X), rtol=0, atol=0)
    plain = flow.start().input("aux").also(lambda x: x).through(flow.add).using("aux").build(KEY, SPEC, aux=SPEC)
    y = plain(np.ones((2, 3)), aux=np.ones((2, 3)))  # float64, as NumPy makes them
    assert isinstance(y, jax.Array)
    assert y.dtype == jnp.float32
    assert (y == 3).all()


def test_a_loop_that_halts_may_carry_integers_and_keys():
    def body(state):
        key, mine = jax.random.split(state["key"])
        return {"x": state["x"] + jax.random.normal(mine, state["x"].shape), "n": state["n"] + 1, "key": key}

    spec = {"x": SPEC, "n": "i32[]", "key": KEY}
    net = flow.start().loop(body).until(lambda state: state["n"] - 2, 9).build(KEY, spec)

    def call(x):
        out = net({"x": x, "n": jnp.int32(0), "key": KEY})
        return out["x"].sum(), out

    (_, out), slope = jax.jit(jax.value_and_grad(call, has_aux=True))(X)
    expected: dict[str, Any] = {"x": X, "n": 0, "key": KEY}
    for _ in range(3):
        expected = body(expected)
    np.testing.assert_allclose(out["x"], expected["x"], rtol=1e-6)
    assert out["n"] == 3
    assert (jax.random.key_data(out["key"]) == jax.random.key_data(expected["key"])).all()
    assert (slope == 1).all()


def test_a_selector_that_is_nan_is_no_branch():
    for per in ("batch", "example"):
        net = flow.start().switch(lambda x: x[:, 0] * jnp.nan, [jnp.tanh, jnp.sin], per=per).build(KEY, SPEC)
        assert jnp.isnan(jax.jit(net)(X)).all()
        with pytest.raises(flow.FlowError, match=r"the selector chose branch -1, valid range \[0, 2\)"):
            net(X)


# -- programs ----------------------------------------------------------------------------------------------------------


def test_eager_is_jitted(nets):
    some = ("also", "times", "until", "gate", "rows", "each")
    close({kind: nets[kind](X) for kind in some}, {kind: run(nets, X)[kind] for kind in some})


def test_vmap_over_the_batch_is_the_batch(nets):
    # A switch for the whole batch goes by its first row, and a mixture's buffers are those of its batch.
    by_row = {kind: net for kind, net in nets.items() if kind not in ("switch", "mixture", "until")}
    alone = jax.jit(lambda nets, xs: jax.vmap(lambda x: jax.tree.map(lambda y: y[0], outputs(nets, x[None])))(xs))
    close(alone(by_row, X), {kind: run(nets, X)[kind] for kind in by_row})


def test_another_batch_size_compiles_once_more_and_no_more(nets):
    program = sj.compile(outputs)
    some = {kind: nets[kind] for kind in ("while", "rows", "each")}
    for rows in (4, 2, 4, 2):
        program(some, X[:rows] * rows)
    assert program.traces == 2
    built_again = {kind: jax.tree.map(lambda leaf: leaf + 0, net) for kind, net in some.items()}
    program(built_again, X)
    assert program.traces == 2  # weights are arguments
    twice = [lift().through(jnp.tanh).build(jax.random.key(seed), SPEC) for seed in (0, 1)]
    plain = sj.compile(lambda net, x: net(x))
    assert not np.allclose(plain(twice[0], X), plain(twice[1], X))
    assert plain.traces == 1  # two flows of the same steps are one program


def test_strict_promotion_and_no_leaks():
    def trace(make):
        net = make().build(KEY, SPEC)
        jax.make_jaxpr(lambda net, x: jax.value_and_grad(lambda n: n.observe(x)[0].sum())(net))(net, X)

    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"), jax.checking_leaks():
        for make in KINDS.values():
            trace(make)


def test_a_network_is_exported_and_loaded(tmp_path):
    net = (
        lift()
        .loop(block())
        .until(flow.threshold(0.9), 3)
        .switch(flow.argmax_selector(2), two(), per="example")
        .map(linear(3))
        .each()
        .through(flow.state_add)
        .using("memory")
        .tag("memory")
        .build(KEY, SPEC)
    )
    folder = sj.export(net, tmp_path / "net", SPEC, {"memory": SPEC})
    program = sj.load_program(folder)
    for rows in (2, 4):
        state = {"memory": jnp.full((rows, 3), 0.5)}
        y, after = program(np.asarray(X[:rows]), state)
        expected, expected_after = net(X[:rows], state)
        np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(after["memory"], expected_after["memory"], rtol=1e-6, atol=1e-6)


def test_weights_are_saved_and_loaded_by_their_names(nets, tmp_path):
    arrays: dict[str, Any] = {name: np.asarray(array) for name, array in flat(nets["adaptive"]).items()}
    np.savez(tmp_path / "weights.npz", **arrays)
    other = KINDS["adaptive"]().build(jax.random.key(9), SPEC)
    with np.load(tmp_path / "weights.npz") as arrays:
        loaded = unflat(other, dict(arrays))
    close(loaded, nets["adaptive"], rtol=0, atol=0)


def test_a_network_as_a_graph(nets):
    graph = sj.graph(nets["gate"], "f32[4, 3]")
    np.testing.assert_allclose(graph(X), nets["gate"](X), rtol=1e-6)
    assert "router" in str(graph.text())
    assert "<svg" in graph.svg()


# -- training ----------------------------------------------------------------------------------------------------------


def test_every_kind_of_step_learns(nets):
    target = jax.random.normal(jax.random.key(2), (4, 3)) / 2
    adam = optax.adam(0.02)

    def losses(nets):
        each = {kind: jnp.mean((y - target) ** 2) for kind, y in outputs(nets, X).items()}
        return sum(each.values()), each

    @jax.jit
    def train(nets):
        def step(carry, _):
            nets, state = carry
            grads, each = jax.grad(losses, has_aux=True)(nets)
            updates, state = adam.update(grads, state, nets)
            return (optax.apply_updates(nets, updates), state), each

        return jax.lax.scan(step, (nets, adam.init(nets)), length=20)[1]

    for kind, loss in train(nets).items():
        assert np.isfinite(loss).all(), kind
        assert loss[-1] < 0.8 * loss[0], kind


def test_unused_branches_are_told_from_those_of_the_same_path_in_a_flow_inside():
    def chooses(branch):
        return flow.start().switch(flow.fixed_selector(branch), two())

    net = chooses(0).through(chooses(1)).tag("inner").build(KEY, SPEC)
    assert {"layers.switch.branch_1.weight", "layers.inner.layers.switch.branch_1.weight"} <= set(flat(net))
    optimizer = flow.skip_unused(optax.adamw(0.1, weight_decay=0.1), net)
    state = optimizer.init(cast(Any, net))
    grads = jax.jit(jax.grad(lambda net: (net(X) ** 2).sum()))(net)
    updates, after = jax.jit(optimizer.update)(grads, state, net)
    used = {"layers.switch.branch_0", "layers.inner.layers.switch.branch_1"}
    for path, update in flat(updates).items():
        assert bool((update != 0).any()) == (path.rpartition(".")[0] in used), path
    for path, leaf in flat(after).items():
        _, is_mean, name = path.partition("mu.")
        if is_mean:
            assert bool((leaf != 0).any()) == (name.rpartition(".")[0] in used), path
