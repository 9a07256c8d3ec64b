"""Pictures of flows: every step is there, nothing overlaps, kinds of arrows and times are seen."""

import itertools
import re
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import pytest

from spago_jax import flow
from spago_jax.drawing.layout import layout
from spago_jax.drawing.svg import _item
from spago_jax.errors import InputError
from spago_jax.flow.picture import picture

linear = flow.linear


@pytest.fixture(scope="module")
def net():
    return (
        flow.start(linear(4))
        .tag("encoded")
        .input("aux")
        .split(linear(4), flow.start(linear(4)).through(jax.nn.gelu).also(linear(4)))
        .merge("mean")
        .loop(flow.start().input("context").through(flow.add).using("context").through(linear(4)))
        .times(3)
        .using("encoded")
        .tag("refined")
        .gate(flow.softmax_router(2), flow.copies(linear(4), 2))
        .using("encoded")
        .switch(flow.argmax_selector(2), [jnp.tanh, flow.start(linear(4)).through(jax.nn.relu)])
        .using("refined")
        .map(linear(2))
        .slices(2)
        .through(flow.state_add)
        .using("memory", "aux")
        .tag("memory")
        .loop(linear(4))
        .while_(flow.threshold(9.0), 10)
        .build(jax.random.key(0), "f32[batch, 4]", aux="f32[batch, 4]")
    )


@pytest.mark.parametrize("level", [0, 1, None])
def test_it_is_drawn_at_every_level(net, level):
    drawn = picture(net, level=level)
    text = flow.svg(net, level=level)
    ElementTree.fromstring(text)  # well formed
    for word in (
        "Linear #encoded",
        "merge mean",
        "loop #refined, 3 times",
        "gate",
        "switch",
        "map, slices 2",
        "weighted sum",
    ):
        assert word.split(",")[0] in text, word
    assert ("relu" in text) == (level != 0)  # inside a branch
    assert "using encoded" in text
    assert "of the last call" in text
    assert "for the next call" in text
    assert 'class="arrow using-arrow"' in text
    assert 'class="arrow state-arrow"' in text
    keys = [box.key for box in drawn.root.leaves()]
    assert len(keys) == len(set(keys))
    assert {end for a in drawn.arrows for end in (a.source, a.target)} <= set(keys)
    found = layout([_item(box) for box in drawn.root.children], [(a.source, a.target) for a in drawn.arrows])
    leaves = [found.boxes[key] for key in keys]
    for a, b in itertools.combinations(leaves, 2):
        assert a.right <= b.x or b.right <= a.x or a.bottom <= b.y or b.bottom <= a.y


def test_every_leaf_but_inputs_is_reached(net):
    drawn = picture(net)
    reached = {arrow.target for arrow in drawn.arrows}
    roots = [box.title for box in drawn.root.leaves() if box.key not in reached]
    assert sorted(roots) == ["aux", "input", "memory"]


def test_times_are_green_to_red(net):
    x = jnp.ones((2, 4))
    times = {name: 1e-3 for name in flow.step_times(net, x, rounds=1, aux=x)}
    slowest = next(name for name in times if "loop" in name)
    text = flow.svg(net, level=0, times=times | {slowest: 10e-3, "encoded": 0.0})
    assert "#fca5a5" in text  # red
    assert "#bbf7d0" in text  # green
    assert "10 ms" in text
    with pytest.raises(InputError, match="no step 'encodde' in this flow: did you mean 'encoded'"):
        flow.svg(net, times={"encodde": 1.0})
    with pytest.raises(InputError, match="level is -1"):
        flow.svg(net, level=-1)


def test_graphviz_and_mermaid(net):
    text = flow.dot(net, times={"encoded": 1.0})
    assert "style=dashed" in text
    assert "style=dotted" in text
    assert "#fca5a5" in text
    assert text.count("{") == text.count("}")
    text = flow.mermaid(net, times={"encoded": 1.0})
    assert "-.->" in text
    assert re.search(r"style s0\S* fill:#fca5a5", text)


def test_a_network_shows_itself_in_notebooks(net):
    assert net._repr_svg_().startswith("<svg")
