"""Every mistake of goDl's table of build errors (reference, A.3), and ours: the message, and the line it names."""

import inspect
import re

import jax
import jax.numpy as jnp
import pytest

from spago_jax import flow
from spago_jax.errors import DefinitionError, InputError
from spago_jax.nn import LSTM, Linear

KEY = jax.random.key(0)
SPEC = "f32[batch, 2]"


def same(x, *refs):
    return x


def start():
    return flow.start(same)


def split():
    return start().split(same, lambda x: x)


MISTAKES = {
    "1 through": (lambda: split().through(same), "through requires a single stream (got 2); use merge first"),
    "1 also": (lambda: split().also(same), "also requires a single stream (got 2); use merge first"),
    "1 split": (lambda: split().split(same, same), "split requires a single stream (got 2); use merge first"),
    "1 tag": (lambda: split().tag("a"), "tag requires a single stream (got 2); use merge first, or tag_group for all"),
    "1 gate": (lambda: split().gate(same, [same, same]), "gate requires a single stream (got 2)"),
    "1 switch": (lambda: split().switch(same, [same, same]), "switch requires a single stream (got 2)"),
    "1 loop": (lambda: split().loop(same), "loop requires a single stream (got 2)"),
    "1 map": (lambda: split().map(same), "map requires a single stream (got 2)"),
    "2": (lambda: start().split(same), "split requires at least 2 branches (got 1); use through for one"),
    "3": (lambda: start().merge("add"), "merge requires multiple streams (got 1); use through for one"),
    "3 name": (lambda: split().merge("maen"), "merge 'maen': did you mean 'mean'?"),
    "4": (lambda: start().tag("a").through(same).tag("a"), "duplicate tag name 'a'"),
    "5": (lambda: start().tag("a").input("a"), "input 'a' conflicts with an existing tag"),
    "6": (lambda: start().tag_group("a"), "tag_group requires multiple streams; use tag for one"),
    "7": (
        lambda: split().tag_group("a").merge().split(same, same).tag_group("a"),
        "duplicate tag group name 'a'",
    ),
    "8": (
        lambda: start().tag("a").split(same, same).tag_group("a"),
        "tag group 'a' conflicts with the existing tag of that name; use a different group name",
    ),
    "8 reversed": (
        lambda: split().tag_group("a").merge().tag("a"),
        "tag 'a' conflicts with the tag group of that name",
    ),
    "9": (
        lambda: start().tag("a_1").split(same, same).tag_group("a"),
        "suffixed name 'a_1' conflicts with an existing tag",
    ),
    "10": (lambda: flow.Flow().using("a"), "using requires a preceding through, also, gate, switch, split, merge"),
    "11 gate": (lambda: start().gate(same, [same]), "gate requires at least 2 experts (got 1)"),
    "11 switch": (lambda: start().switch(same, [same]), "switch requires at least 2 branches (got 1)"),
    "12 times": (lambda: start().loop(same).times(0), "loop.times requires at least 1 iteration (got 0)"),
    "12 while": (lambda: start().loop(same).while_(same, 0), "loop.while_ requires most >= 1 (got 0)"),
    "12 until": (lambda: start().loop(same).until(same, 0), "loop.until requires most >= 1 (got 0)"),
    "12 adaptive": (lambda: start().loop(same).adaptive(same, 0), "loop.adaptive requires most >= 1 (got 0)"),
    "13": (lambda: start().map(same).slices(0), "map.slices requires n >= 1 (got 0)"),
    "14": (
        lambda: start().tag("items").map(same).over("itmes"),
        "map.over('itmes') references an unknown tag; map requires a backward reference: did you mean 'items'?",
    ),
    "15 loop": (
        lambda: start().loop(same).build(KEY, SPEC),
        "incomplete builder: loop(...) must be followed by .times(n), .while_(cond, most), .until(cond, most)",
    ),
    "15 map": (
        lambda: start().map(same).through(same),
        "incomplete builder: map(...) must be followed by .each(), .over(tag) or .slices(n) before .through",
    ),
    "16": (lambda: split().build(KEY, SPEC), "cannot build with 2 open streams; use merge to combine them"),
    "17": (
        lambda: start().tag("encoded").through(same).using("encodde").build(KEY, SPEC),
        "unresolved forward reference 'encodde' (using without a matching tag): did you mean 'encoded'?",
    ),
    "18 none": (
        lambda: start().through(lambda x, context: x).build(KEY, SPEC),
        "lambda(x, context) does not take 1 input(s) and the tags []: missing a required argument: 'context'; "
        "hand it what it expects with .using(...)",
    ),
    "18 one missing": (
        lambda: start().tag("a").through(lambda x, *, a, b: x).using("a").build(KEY, SPEC),
        "does not take 1 input(s) and the tags ['a']: missing a required argument: 'b'",
    ),
    "18 extra": (
        lambda: start().tag("a").through(lambda x: x).using("a").build(KEY, SPEC),
        "lambda(x) does not take 1 input(s) and the tags ['a']: too many positional arguments",
    ),
    "20": (lambda: start().through(same).tag("a").using("a"), "cycle detected: through 'a' would read its own output"),
    "name": (lambda: start().tag("a.b"), "tag: 'a.b' is not a name; expected text without '.', ':' and '/'"),
    "a class": (lambda: flow.start(Linear), "start: Linear is a class; give flow.layer(Linear, ...)"),
    "no part": (
        lambda: start().through(3),
        "through: 3 cannot be called; expected a Module, flow.layer(...), a function",
    ),
    "a method": (
        lambda: start().through(LSTM.init(KEY, 2, 2).project),
        "through: a method of LSTM hides its arrays from training; give the module itself",
    ),
    "per": (
        lambda: start().switch(same, [same, same], per="row"),
        "switch: per is 'row', expected 'batch' or 'example'",
    ),
    "per loop": (lambda: start().loop(same).until(same, 2, per="row"), "loop: per is 'row', expected 'batch' or"),
    "unroll": (lambda: start().loop(same, unroll=0), "loop: unroll is 0, expected at least 1"),
    "truncate": (lambda: start().loop(same, truncate=0), "loop: truncate is 0, expected at least 1"),
    "epsilon": (
        lambda: start().loop(same).adaptive(same, 2, epsilon=1.0),
        "loop.adaptive: epsilon 1.0 must be in (0, 1)",
    ),
    "copies": (lambda: flow.copies(same, 2), "copies: function has no copies with weights of their own"),
    "inputs": (
        lambda: start().input("a").build(KEY, SPEC),
        "expected specs of the inputs ['a'], got []: .build(key, spec, a=...)",
    ),
    "spec": (lambda: start().build(KEY, "f32(batch)"), "spec 'x': 'f32(batch)' is not of the form 'f32[batch, 8]'"),
    "inside": (
        lambda: start().tag("a").through(flow.start(same).input("b")).build(KEY, SPEC),
        "the flow inside has the inputs ['b'], but .using(...) hands it []",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_where_it_is_written(name):
    make, message = MISTAKES[name]
    with pytest.raises(flow.FlowError) as found:
        make()
    assert message in str(found.value)
    # The line is that of the mistake, in this file: somewhere within the lambda.
    assert found.value.path == __file__
    lines, first = inspect.getsourcelines(make)
    assert first <= found.value.line < first + len(lines)


SHAPES = {
    "a step": (
        lambda: start().through(flow.linear(3)).tag("hidden").through(lambda x: x @ jnp.ones((4, 2))),
        r"through 'lambda' \(lambda\) given f32\[11, 3\] \(batch = 11\): dot_general requires .*\(3,\) and \(4,\)",
    ),
    "a layer": (
        lambda: start().through(Linear.init(KEY, 5, 2)).tag("encoded"),
        r"through 'encoded' \(Linear\) given f32\[11, 2\] \(batch = 11\): .*",
    ),
    "refs": (
        lambda: start().tag("a").through(flow.linear(3)).through(flow.add).using("a"),
        r"through 'add' \(add\) given f32\[11, 3\], a f32\[11, 2\] \(batch = 11\): .*\(11, 3\).*\(11, 2\)",
    ),
    "the body of a loop": (
        lambda: start().loop(flow.linear(3)).times(2).tag("refined"),
        r"loop 'refined' \(Linear\) given f32\[11, 2\] \(batch = 11\): the body of a loop must give back what it "
        r"takes, but it turns f32\[11, 2\] into f32\[11, 3\]; "
        r"put a layer that changes the shape before or after the loop",
    ),
    "experts": (
        lambda: start().gate(flow.softmax_router(2), [flow.linear(3), flow.linear(4)]),
        r"the experts must give one shape, but number 0 gives f32\[11, 3\] and number 1 f32\[11, 4\]",
    ),
    "router": (
        lambda: start().gate(flow.softmax_router(3), [flow.linear(3), flow.linear(3)]),
        r"the router gives f32\[11, 3\], expected 2 weights along the last axis, one per expert",
    ),
    "branches": (
        lambda: start().switch(flow.fixed_selector(0), [flow.linear(3), flow.linear(4)]),
        r"the branches must give one shape, but number 0 gives f32\[11, 3\] and number 1 f32\[11, 4\]",
    ),
    "selector": (
        lambda: start().switch(lambda x: x[:0], [flow.linear(3), flow.linear(3)]),
        r"the selector gives f32\[0, 2\], which has no element to choose by",
    ),
    "row selector": (
        lambda: start().switch(lambda x: jnp.zeros(3), [same, lambda x: x], per="example"),
        r'per="example" needs one index per row: the selector gave f32\[3\] for f32\[11, 2\]',
    ),
    "condition": (
        lambda: start().loop(same).while_(lambda x: x[:0], 3),
        r"the condition of a loop gave f32\[0, 2\], which has no element to compare with 0",
    ),
    "row condition": (
        lambda: start().loop(same).while_(lambda x: x.max(), 3, per="example"),
        r'per="example" needs one number per row: cond\(state\) gave f32\[\] for a state f32\[11, 2\]; expected a '
        r"shape like \[11\] or \[11, 1\]",
    ),
    "a trace that is not there": (
        lambda: start().loop(flow.start().through(flow.add).using("m").tag("m"), trace="n").times(2),
        r"loop: trace is 'n', which the body does not remember; its memory: m",
    ),
    "a condition with memory": (
        lambda: start().loop(same).until(flow.start().through(flow.add).using("m").tag("m"), 3),
        r"the condition of a loop is a flow with a forward reference, whose memory would start anew at each look",
    ),
    "slices": (
        lambda: start().map(same).slices(3),
        r"map.slices\(3\) cuts the last axis into 3 parts of one size, but it is given f32\[11, 2\]",
    ),
    "memory": (
        lambda: start().through(flow.cat).using("m").tag("m"),
        r"forward reference 'm': its shape changes from call to call; the step that writes it makes f32\[11, 10\] "
        r"where f32\[11, 8\] was read",
    ),
    "layer settings": (
        lambda: start().through(flow.layer("linear", 3, biass=True)),
        r"Linear\(3, biass=True\): .*biass",
    ),
    "a size": (
        lambda: start().through(flow.linear(0)),
        r"through 'linear' \(Linear\) given f32\[11, 2\] \(batch = 11\): Linear: out_features is 0.*",
    ),
    "a flow inside": (
        lambda: start().through(flow.start(flow.linear(3)).also(flow.linear(4))),
        r"through 'flow' \(Flow\) given f32\[11, 2\] \(batch = 11\): .*also 'linear_2' \(Linear\) given f32\[11, 3\]: ",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_checked_when_it_is_built(name):
    make, message = SHAPES[name]
    with pytest.raises(flow.FlowError) as found:
        make().build(KEY, SPEC)
    assert re.search(message, str(found.value)), str(found.value)
    lines, first = inspect.getsourcelines(make)
    assert first <= found.value.line < first + len(lines)


def test_map_over_nothing():
    with pytest.raises(flow.FlowError, match=r"map needs elements along axis 0, but it is given f32\[0, 2\]"):
        start().map(same).each().build(KEY, "f32[0, 2]")


def test_calls():
    net = start().input("aux").through(flow.add).using("aux").build(KEY, SPEC, aux=SPEC)
    x = jnp.ones((3, 2))
    with pytest.raises(InputError, match=r"this flow needs 1 more input\(s\); 'aux' is missing"):
        net(x)
    with pytest.raises(InputError, match="this flow has no input 'axu': did you mean 'aux'"):
        net(x, axu=x)
    with pytest.raises(InputError, match=r"no forward reference, so it takes no state.*by name: aux=\.\.\."):
        net(x, x)
    with pytest.raises(InputError, match="no tag 'axu' in this flow: did you mean 'aux'"):
        net.freeze("axu")


def test_an_index_that_no_branch_has():
    net = start().switch(lambda x: x[0, 0], [same, lambda x: 2 * x]).build(KEY, SPEC)
    x = jnp.array([[2.0, 1.0]])
    with pytest.raises(InputError, match=r"the selector chose branch 2, valid range \[0, 2\)"):
        net(x)
    assert jnp.isnan(jax.jit(net)(x)).all()  # and not silently the last branch
    assert (jax.jit(net)(x / 2) == x).all()
    assert (net(jnp.array([[1.9, 1.0]])) == jnp.array([[3.8, 2.0]])).all()  # cut, not rounded


def test_one_array_in_two_places():
    shared = Linear.init(KEY, 2, 2)
    with pytest.raises(DefinitionError, match="one array in two places"):
        flow.start(shared).through(flow.start(shared)).build(KEY, SPEC)


def test_unknown_layers():
    with pytest.raises(InputError, match=r"no layer 'liner' in spago_jax.nn: did you mean 'Linear'"):
        flow.layer("liner", 3)
    with pytest.raises(InputError, match="is not a class with an `init`; for a function give the function itself"):
        flow.layer(jax.nn.gelu)


@pytest.mark.parametrize("shape", [(), (0,), (-1, -1), (-2,)])
def test_reshape(shape):
    with pytest.raises(InputError, match="expected sizes of at least 1, of which one may be -1"):
        flow.reshape(*shape)


def test_pieces():
    with pytest.raises(InputError, match="threshold: per is 'row', expected 'batch' or 'example'"):
        flow.threshold(1.0, per="row")
    with pytest.raises(InputError, match="TopKRouter: k is 3, expected 1 to 2, the number of experts"):
        flow.TopKRouter.init(KEY, 4, 2, 3)
    with pytest.raises(InputError, match="SoftmaxRouter: experts is 1, expected at least 2"):
        flow.SoftmaxRouter.init(KEY, 4, 1)
