"""Nodes of a graph: what they are called, where they come from, what they cost."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.compiler.graph import graph
from spago_jax.compiler.graph.work import Work
from spago_jax.nn.linear import Linear


class Net(sj.Module):
    first: Linear
    second: Linear

    def __call__(self, x):
        return self.second(jnp.tanh(self.first(x)))


def net(inside=8, hidden=16, out=4):
    one, two = jax.random.split(jax.random.key(0))
    return jax.eval_shape(lambda: Net(Linear.init(one, inside, hidden), Linear.init(two, hidden, out)))


def by_operation(found, name):
    return [node for node in found.block.walk() if node.operation == name]


def only(found, name):
    (node,) = by_operation(found, name)
    return node


def test_inputs_carry_their_paths_and_parameters_are_told_apart():
    found = graph(lambda model, x: model(x), net(), "f32[5, 8]")
    sources = [(node.operation, node.name, node.types) for node in found.nodes if node.is_source]
    assert sources == [
        ("parameter", "model.first.weight", "f32[16,8]"),
        ("parameter", "model.first.bias", "f32[16]"),
        ("parameter", "model.second.weight", "f32[4,16]"),
        ("parameter", "model.second.bias", "f32[4]"),
        ("input", "x", "f32[5,8]"),
    ]


def test_everything_beside_a_model_in_one_argument_is_its_state():
    found = graph(lambda state, x: state["model"](x) * state["scale"], {"model": net(), "scale": 1.0}, "f32[5, 8]")
    kinds = {node.name: node.operation for node in found.nodes if node.is_source}
    assert kinds["state.scale"] == "parameter"
    assert kinds["x"] == "input"


def test_operations_carry_their_module_and_their_line():
    found = graph(lambda model, x: model(x), net(), "f32[5, 8]")
    first, second = by_operation(found, "dot_general")
    assert first.group == ("Net", "first")
    assert second.module == "Net.second"
    tanh = only(found, "tanh")
    assert tanh.group == ("Net",)
    assert tanh.place is not None
    assert tanh.place.file == __file__
    lines, start = inspect.getsourcelines(Net.__call__)
    line = start + next(i for i, text in enumerate(lines) if "jnp.tanh" in text)
    assert (tanh.place.line, tanh.place.function) == (line, "Net.__call__")


def test_what_is_in_a_call_has_the_place_and_the_module_of_the_call():
    class Soft(sj.Module):
        def __call__(self, x):
            return jax.nn.relu(jax.nn.softplus(x))

    found = graph(lambda model, x: model(x), Soft(), "f32[5]")
    assert {node.group for node in found.nodes if not node.is_source} == {("Soft",)}
    assert {node.place.file for node in found.nodes if not node.is_source} == {__file__}
    names = [node.operation for node in found.nodes]
    assert "jit" not in names
    assert "custom_jvp_call" not in names
    assert "max" in names


def test_edges_and_numbers():
    found = graph(lambda x, y: (x + y) * x, "f32[3]", "f32[3]")
    assert [(n.number, n.operation, n.name, n.inputs) for n in found.nodes] == [
        (0, "input", "x", ()),
        (1, "input", "y", ()),
        (2, "add", "a", (0, 1)),
        (3, "mul", "b", (2, 0)),
    ]


def test_numbers_are_unique_and_sources_come_first(tagger):
    seen = set()
    for node in tagger.block.walk():
        assert node.number not in seen
        seen.add(node.number)

    def check(block, known):
        known = known | {node.number for node in block.inputs}
        for node in block.nodes:
            assert set(node.inputs) <= known
            for inner in node.inner:
                check(inner, known)
            known.add(node.number)

    check(tagger.block, set())


# -- cost ----------------------------------------------------------------------------------------------------------


def xla_flops(function, *specs):
    analysis = jax.jit(function).lower(*specs).compile().cost_analysis()
    analysis = analysis[0] if isinstance(analysis, list) else analysis
    return analysis["flops"]


def f32(*shape):
    return jax.ShapeDtypeStruct(shape, "float32")


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda a, b: a @ b, [(64, 128), (128, 32)]),
        (lambda a, b: jnp.einsum("bij,bkj->bik", a, b), [(4, 16, 32), (4, 8, 32)]),
        (lambda a, b: jax.grad(lambda a: ((a @ b) ** 2).sum())(a), [(64, 128), (128, 32)]),
        (
            lambda x, k: jax.lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")),
            [(2, 12, 12, 3), (5, 5, 3, 8)],
        ),
        (
            lambda x, k: jax.lax.conv_general_dilated(
                x, k, (2, 1), "VALID", rhs_dilation=(1, 2), feature_group_count=2
            ),
            [(2, 4, 11, 12), (6, 2, 3, 3)],
        ),
        (
            lambda x, k: jax.lax.conv_general_dilated(x, k, (1,), [(2, 2)], lhs_dilation=(2,)),
            [(2, 4, 11), (6, 4, 3)],
        ),
    ],
    ids=["matmul", "batched", "gradient", "same", "grouped", "transposed"],
)
def test_products_cost_what_xla_says(function, shapes):
    specs = [f32(*shape) for shape in shapes]
    assert graph(function, *specs).block.work.flops == pytest.approx(xla_flops(function, *specs), rel=0.01)


def test_a_network_costs_what_xla_says():
    model = net(256, 512, 128)
    x = f32(64, 256)
    assert graph(lambda m, x: m(x), model, x).block.work.flops == pytest.approx(
        xla_flops(lambda m, x: m(x), model, x), rel=0.01
    )


@pytest.mark.parametrize(
    ("function", "flops", "transcendentals", "moved"),
    [
        (lambda x: x + 1.0, 12, 0, 96),
        (jnp.exp, 0, 12, 96),
        (lambda x: x.sum(0), 8, 0, 64),  # 3 rows: 2 additions each
        (lambda x: x**3, 24, 0, 96),
        (lambda x: jnp.cumsum(x, axis=0), 8, 0, 96),
        (lambda x: x.T, 0, 0, 96),
        (lambda x: x > 0, 12, 0, 60),
        (lambda x: x.astype("int32"), 0, 0, 96),
        (lambda x: x * x, 12, 0, 96),  # read once
    ],
    ids=["add", "exp", "sum", "power", "cumsum", "transpose", "compare", "cast", "square"],
)
def test_counts_by_hand(function, flops, transcendentals, moved):
    assert graph(function, f32(3, 4)).block.work == Work(flops, transcendentals, moved)


def test_a_scan_costs_its_body_times_its_length():
    def run(w, x):
        return jax.lax.scan(lambda h, x: (jnp.tanh(w @ h) + x, h), jnp.zeros(8), x)

    found = graph(run, f32(8, 8), f32(10, 8))
    loop = only(found, "scan")
    assert loop.repeats == 10
    assert (loop.flops, loop.work.transcendentals) == (10 * (2 * 64 + 8), 80)
    assert loop.work.exact
    (body,) = loop.inner
    assert body.name == "body"
    assert [(n.operation, n.types) for n in body.inputs] == [("carry", "f32[8]"), ("element", "f32[8]")]
    assert only(found, "dot_general").flops == 128
    # The weight is read in the body as it stands outside.
    assert found.nodes[0].number in only(found, "dot_general").inputs


def test_a_while_loop_says_that_it_is_a_lower_bound():
    found = graph(lambda x: jax.lax.while_loop(lambda x: x.sum() < 100.0, lambda x: x * 2.0, x), f32(8))
    loop = only(found, "while")
    assert [block.name for block in loop.inner] == ["condition", "body"]
    assert loop.flops == 7 + 1 + 8
    assert not loop.work.exact
    assert not found.block.work.exact
    assert str(found.block.work).startswith("at least 16 FLOP")


def test_a_branch_costs_its_dearest():
    found = graph(lambda p, x: jax.lax.cond(p, lambda x: x @ x, lambda x: x + x, x), "bool[]", "f32[8, 8]")
    branch = only(found, "cond")
    assert [block.name for block in branch.inner] == ["if false", "if true"]
    assert branch.flops == 2 * 8**3


def test_decompositions_count_their_leading_term():
    found = graph(jnp.linalg.cholesky, "f32[30, 30]")
    assert only(found, "cholesky").flops == pytest.approx(30**3 / 3)


# -- table ---------------------------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_every_node_and_output(tagger):
    lines = tagger.text().splitlines()
    nodes = list(tagger.block.walk())
    assert lines[0].startswith("tagger: ")
    numbers = [line.split()[0] for line in lines[2:] if line.split()[0].isdigit()]
    assert numbers == [str(node.number) for node in nodes]
    assert sum(line.strip().startswith("output") for line in lines) == 1
    body = next(line for line in lines if " carry " in line)
    assert "   carry" in body  # indented below its loop


def test_repr_says_what_there_is():
    found = graph(lambda w, x: jnp.tanh(w @ x), "f32[2, 3]", "f32[3]", name="layer")
    assert repr(found) == "Graph(layer, 2 inputs, 2 operations, 12 FLOP, 2 transcendental, 60 B)"


def test_random_keys_are_no_numbers():
    found = graph(lambda k, x: jax.random.normal(k, (3,)) + x, jax.random.key(0), "f32[3]")
    assert found.nodes[0].dtype == "key<fry>"
    assert np.isfinite(found.block.work.bytes)
    assert "random_bits" in found.text()
