"""Flows as plain data: what is read is what is written back, and the same weights come of both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from spago_jax import flow
from spago_jax.core import flat
from spago_jax.errors import InputError

KEY = jax.random.key(0)

WRITTEN = """
- linear: 4
- gelu
- {layer_norm: {eps: 1.0e-06}}
- {tag: h}
- split:
  - {linear: 4}
  - - {linear: 8}
    - relu
    - {linear: 4}
- {tag_group: heads}
- {merge: mean}
- {also: {linear: {out_features: 4, bias: false}}}
- loop:
    body:
    - {linear: 4}
    - tanh
    times: 2
    remat: true
- loop:
    body: {linear: 4}
    until: {threshold: {limit: 2.0, per: example}}
    most: 3
    per: example
- {using: [h]}
- loop:
    body: {linear: 4}
    adaptive: learned_halt
    most: 3
    epsilon: 0.05
    cost: 0.1
- gate:
    router: {top_k_router: {experts: 3, k: 1, balance: 0.5}}
    experts:
    - {linear: 4}
    - {linear: 4}
    - {linear: 4}
- switch:
    selector: {argmax_selector: 2}
    branches:
    - {linear: 4}
    - tanh
    per: example
- map:
    body: {linear: 4}
    each: true
- map:
    body: {linear: 3}
    slices: 2
    batched: true
- {reshape: [-1, 6]}
- {input: aux}
- add
- {using: [aux]}
- {tag: y}
"""


def test_what_is_written_is_read_again():
    steps = yaml.safe_load(WRITTEN)
    # refs of the second loop do not fit its linear body: that step of the text is for reading and writing alone
    first = flow.from_config(steps)
    again = flow.to_config(first)
    assert flow.to_config(flow.from_config(yaml.safe_load(yaml.safe_dump(again)))) == again
    steps[11]["loop"]["adaptive"] = {"linear": 1}  # what learned_halt stands for
    assert again == steps


def test_both_forms_have_the_same_weights():
    steps = [step for step in yaml.safe_load(WRITTEN) if step != {"using": ["h"]}]
    a, b = (
        f.build(KEY, "f32[batch, 3]", aux="f32[batch, 6]")
        for f in (flow.from_config(steps), flow.from_config(flow.to_config(flow.from_config(steps))))
    )
    assert a.plan == b.plan
    assert hash(a.plan) == hash(b.plan)
    for name, value in flat(a).items():
        np.testing.assert_array_equal(value, flat(b)[name])
    x = jnp.ones((2, 3))
    np.testing.assert_array_equal(a(x, aux=jnp.ones((2, 6))), b(x, aux=jnp.ones((2, 6))))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "flow: expected a list of at least one step, got []"),
        ("gelu", "flow: expected a list of at least one step, got 'gelu'"),
        (["gelo"], "flow[0]: no part 'gelo': did you mean 'gelu'?"),
        ([{"lienar": 3}], "flow[0]: no step 'lienar': did you mean 'linear'?"),
        ([{"linear": 3, "tag": "x"}], "flow[0]: {'linear': 3, 'tag': 'x'} is not a part; expected a name"),
        (["gelu", {"gelu": 3}], "flow[1]: gelu is a function without settings; write it as 'gelu'"),
        ([{"threshold": {"limt": 3}}], "flow[0]: threshold: "),
        ([{"split": "gelu"}], "flow[0].split: expected a list of parts, got 'gelu'"),
        ([{"split": ["gelu", ["relo"]]}], "flow[0].split[1][0]: no part 'relo': did you mean 'relu'?"),
        ([{"split": ["gelu"]}], "flow[0]: split requires at least 2 branches (got 1)"),
        ([{"gate": {"router": "relu"}}], "flow[0].gate: key 'experts' is missing"),
        ([{"gate": ["relu"]}], "flow[0].gate: expected router, experts, got ['relu']"),
        (
            [{"switch": {"selector": "relu", "branchs": []}}],
            "flow[0].switch: unknown key 'branchs': did you mean 'branches'?",
        ),
        ([{"loop": {"body": "tanh"}}], "flow[0].loop: give one of times, while, until, adaptive, got none"),
        ([{"loop": {"body": "tanh", "until": "relu"}}], "flow[0].loop: key 'most' is missing"),
        ([{"loop": {"body": "tanh", "times": 2, "per": "example"}}], "flow[0].loop: unknown key 'per'"),
        ([{"loop": {"body": "tanh", "times": 0}}], "flow[0]: loop.times requires at least 1 iteration (got 0)"),
        ([{"map": {"body": "tanh"}}], "flow[0].map: give one of each, over, slices, got none"),
        ([{"tag": "a"}, "relu", {"tag": "a"}], "flow[2]: duplicate tag name 'a'"),
    ],
)
def test_mistakes_are_named_by_their_place_in_the_list(steps, message):
    with pytest.raises(InputError) as found:
        flow.from_config(steps)
    assert str(found.value).startswith(message)


def test_shapes_are_reported_by_the_same_places():
    written = flow.from_config(
        [{"linear": 3}, {"tag": "h"}, {"loop": {"body": {"linear": 4}, "times": 2}}], "model.flow"
    )
    with pytest.raises(
        InputError, match=r"^model.flow\[2\]: loop 'loop' \(Linear\) given f32\[11, 3\] .*into f32\[11, 4\]"
    ):
        written.build(KEY, "f32[batch, 2]")


def test_what_has_no_name():
    with pytest.raises(InputError, match="has no name in YAML; give a layer, an activation, or one of the ready parts"):
        flow.to_config(flow.start(lambda x: x))
    shared = flow.linear(2)
    with pytest.raises(InputError, match=r"Linear\(2\) is shared by two steps, which YAML cannot say"):
        flow.to_config(flow.start(shared).through(shared))
