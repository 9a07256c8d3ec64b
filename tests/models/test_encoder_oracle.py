"""Every architecture and head beside transformers: outputs, gradients, weights there and back."""

import jax
import numpy as np
import pytest
from encoder_oracle import PAIRS, compare, exact_rotations, make

from spago_jax.models.encoder.plans import PLANS

pytestmark = pytest.mark.oracle
LIKE_ROBERTA = ("xlm-roberta", "camembert")  # in all but the defaults: with the many configs below


def _tier(architecture, head):
    """BERT's heads and two of every other architecture at each change; the rest in the slow tier."""
    kept = architecture == "bert" or head in ("masked-words", "sequence-classification", "replaced-tokens")
    return pytest.param(architecture, head, marks=() if kept else pytest.mark.slow)


@pytest.mark.parametrize(("architecture", "head"), [_tier(*pair) for pair in PAIRS if pair[0] not in LIKE_ROBERTA])
def test_float64_outputs_and_gradients_are_those_of_transformers(architecture, head):
    with jax.enable_x64(True):
        compare(make(architecture, head), 0, atol=1e-10, gradients=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 22))
@pytest.mark.parametrize("architecture", PLANS)
def test_twenty_configs_in_float64_and_in_float32(architecture, seed):
    """Varied sizes, activations, labels, groups, projections, windows, padding; over the heads in turn."""
    heads = [head for kind, head in PAIRS if kind == architecture]
    head = heads[seed % len(heads)]
    with jax.enable_x64(True):
        compare(make(architecture, head, seed), seed, atol=1e-10, gradients=1e-8)
    compare(make(architecture, head, seed, double=False), seed, atol=1e-5)


@pytest.mark.parametrize("architecture", ["bert", "albert", "mpnet", "modernbert"])
def test_the_states_of_all_layers_are_those_of_transformers(architecture):
    import torch

    with jax.enable_x64(True):
        pair = make(architecture, "states")
        given = {name: torch.tensor(value) for name, value in pair.batch.items()}
        inputs = {"input_ids": given["ids"], "attention_mask": given["mask"].long()}
        if "types" in given:
            inputs["token_type_ids"] = given["types"]
        with exact_rotations():
            wanted = pair.theirs(**inputs, output_hidden_states=True).hidden_states
        run = jax.jit(lambda model, ids, **how: model.encoder.all_states(ids, **how))
        got = run(pair.ours, **pair.batch)
        np.testing.assert_allclose(got, np.stack([state.detach().numpy() for state in wanted]), atol=1e-10)
