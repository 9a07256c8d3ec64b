"""Every rule on random scores. Oracle: transformers' processors of the same names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, normal
from hypothesis import given, settings
from hypothesis import strategies as st

from spago_jax.generation import Options
from spago_jax.generation.protocol import NOTHING, Written
from spago_jax.generation.rules.order import RULES, Setting, apply_rules, chosen_rules

VOCABULARY, ROOM, BATCH, BEAMS = 19, 12, 2, 3
EOS = (2, 5)


def texts(length: int, seed: int) -> np.ndarray:
    """Few different tokens, so that n-grams come again."""
    return np.random.default_rng(seed).integers(0, 6, (BATCH * BEAMS, length))


def ours(options: Options, scores: np.ndarray, ids: np.ndarray, source: np.ndarray | None = None) -> np.ndarray:
    """After the rules; the texts lie in a room larger than they are."""
    length = ids.shape[1]
    setting = Setting(VOCABULARY, 1, options.max_length or ROOM, source is not None)
    rules, numbers = chosen_rules(options, setting)
    room = np.full((BATCH, BEAMS, ROOM), NOTHING)
    room[..., :length] = ids.reshape(BATCH, BEAMS, length)
    written = Written(jnp.asarray(room), jnp.int32(length), 1, None if source is None else jnp.asarray(source))
    found = apply_rules(jnp.asarray(scores.reshape(BATCH, BEAMS, VOCABULARY)), written, rules, numbers)
    return np.asarray(found).reshape(-1, VOCABULARY)


def theirs(options: dict, scores: np.ndarray, ids: np.ndarray, source: np.ndarray | None = None) -> np.ndarray:
    """After the processors that transformers makes of the same options."""
    torch = pytest.importorskip("torch", reason="needs torch")
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    config = transformers.GenerationConfig(**{"max_length": ROOM, "eos_token_id": list(EOS), **options})
    for name, value in transformers.GenerationConfig._get_default_generation_params().items():
        if getattr(config, name, None) is None:
            setattr(config, name, value)
    config._eos_token_tensor = torch.tensor(EOS)

    class Model(transformers.GenerationMixin):
        config = transformers.BartConfig()

    processors = Model()._get_logits_processor(
        config, input_ids_seq_length=1, encoder_input_ids=None if source is None else torch.tensor(source)
    )
    return processors(torch.tensor(ids), torch.tensor(scores)).numpy()


CASES: dict[str, dict] = {
    "repetition": {"repetition_penalty": 1.7},
    "repetition-below-1": {"repetition_penalty": 0.6},
    "encoder-repetition": {"encoder_repetition_penalty": 1.4},
    **{f"no-repeat-{size}": {"no_repeat_ngram_size": size} for size in (1, 2, 3, 5)},
    **{f"encoder-no-repeat-{size}": {"encoder_no_repeat_ngram_size": size} for size in (1, 2, 3)},
    "bad-words": {"bad_words_ids": [[7], [1, 3], [0, 1, 4], [4, 4], [2]]},
    "bias": {"sequence_bias": [[[3], 2.5], [[1, 8], -3.0], [[0, 1, 8], 1.5], [[2, 3, 4, 5, 6], -1.0]]},
    "min-length": {"min_length": 6},
    "min-new": {"min_new_tokens": 4},
    "forced-bos": {"forced_bos_token_id": 9},
    "forced-eos": {"forced_eos_token_id": 2, "max_length": 5},
    "forced-eos-of-several": {"forced_eos_token_id": [2, 5], "max_length": 5},
    "decay": {"exponential_decay_length_penalty": (3, 1.3)},
    "suppress": {"suppress_tokens": [0, 4, 18]},
    "begin": {"begin_suppress_tokens": [1, 2]},
    "begin-after-forced": {"begin_suppress_tokens": [1, 2], "forced_bos_token_id": 9},
    "renormalize": {"renormalize_logits": True},
    "temperature": {"do_sample": True, "temperature": 0.7, "top_k": 0},
    "top-k": {"do_sample": True, "top_k": 5},
    "top-k-of-all": {"do_sample": True, "top_k": 50},
    "top-p": {"do_sample": True, "top_k": 0, "top_p": 0.6},
    "top-k-then-p": {"do_sample": True, "top_k": 7, "top_p": 0.8, "temperature": 1.5},
    "top-p-of-nothing": {"do_sample": True, "top_k": 0, "top_p": 1e-4},
    "min-p": {"do_sample": True, "top_k": 0, "min_p": 0.3},
    "typical": {"do_sample": True, "top_k": 0, "typical_p": 0.4},
    "typical-after-k": {"do_sample": True, "top_k": 6, "typical_p": 0.7},
    "epsilon": {"do_sample": True, "top_k": 0, "epsilon_cutoff": 0.04},
    "eta": {"do_sample": True, "top_k": 0, "eta_cutoff": 0.05},
    "sampled-beams": {"do_sample": True, "num_beams": 3, "top_k": 1, "top_p": 0.01, "min_p": 0.9},
    "sampled-beams-cut": {"do_sample": True, "num_beams": 3, "top_k": 0, "typical_p": 0.01, "epsilon_cutoff": 0.5},
    "all": {
        "repetition_penalty": 1.2, "no_repeat_ngram_size": 2, "bad_words_ids": [[7], [1, 3]], "min_length": 4,
        "suppress_tokens": [11], "do_sample": True, "temperature": 0.8, "top_k": 9, "top_p": 0.9,
        "renormalize_logits": True, "exponential_decay_length_penalty": (2, 1.1), "sequence_bias": [[[3], 2.5]],
    },
}  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("length", [1, 4, 9])
@pytest.mark.parametrize("case", list(CASES), ids=str)
def test_a_rule_does_what_transformers_does(case, length):
    options = CASES[case]
    scores, ids = 2 * normal(BATCH * BEAMS, VOCABULARY, seed=length), texts(length, length)
    source = np.random.default_rng(5).integers(0, 6, (BATCH, 8))
    found = ours(Options(**{"max_length": ROOM, "eos_token_id": EOS, **options}), scores, ids, source)
    expected = theirs(options, scores, ids, source)
    close(np.where(np.isinf(expected), -1e9, expected), np.where(np.isinf(found), -1e9, found), 1e-5)


@pytest.mark.oracle
@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.05, 0.99), st.integers(1, VOCABULARY), st.floats(0.3, 3.0))
def test_cutoffs_keep_what_transformers_keeps(seed, share, k, temperature):
    options = {"do_sample": True, "top_k": k, "top_p": share, "temperature": temperature, "typical_p": share}
    scores, ids = 2 * normal(BATCH * BEAMS, VOCABULARY, seed=seed), texts(3, 0)
    found = ours(Options(eos_token_id=EOS, **options), scores, ids)
    np.testing.assert_array_equal(np.isinf(found), np.isinf(theirs(options, scores, ids)))


def test_every_rule_of_the_order_is_compared():
    options = [Options(eos_token_id=EOS, **{"max_length": ROOM, **case}) for case in CASES.values()]
    run = {rule.name for each in options for rule in chosen_rules(each, Setting(VOCABULARY, 1, ROOM, True))[0]}
    assert set(RULES) - run == {"remove_invalid_values"}


def test_invalid_scores_become_numbers():
    """Oracle: NumPy."""
    scores = np.full((BATCH * BEAMS, VOCABULARY), 1.5, np.float32)
    scores[0, :3] = np.nan, np.inf, -np.inf
    limit = np.finfo(np.float32).max
    expected = np.nan_to_num(scores, nan=0.0, posinf=limit, neginf=-limit)
    np.testing.assert_array_equal(ours(Options(remove_invalid_values=True), scores, texts(2, 0)), expected)


def test_padding_of_the_source_is_no_source():
    """A token that pads a shorter input is not penalized, nor do n-grams reach into the padding."""
    options = Options(encoder_repetition_penalty=2.0, encoder_no_repeat_ngram_size=2)
    scores, ids = normal(BATCH * BEAMS, VOCABULARY), texts(3, 0)
    source = np.array([[1, 2, 3], [4, 1, 5]])
    padded = np.pad(source, ((0, 0), (0, 2)), constant_values=NOTHING)
    np.testing.assert_array_equal(ours(options, scores, ids, padded), ours(options, scores, ids, source))


def test_one_program_serves_all_numbers_of_a_kind():
    """Temperatures, penalties, lengths and bad words are arguments; which rules run is not."""
    setting = Setting(VOCABULARY, 1, ROOM, True)

    def of(**options):
        return chosen_rules(Options(do_sample=True, eos_token_id=EOS, **options), setting)

    one = of(temperature=0.5, top_k=5, top_p=0.5, bad_words_ids=[[1], [2, 3]], min_length=3, repetition_penalty=2.0)
    two = of(temperature=1.5, top_k=7, top_p=0.9, bad_words_ids=[[7], [4, 5]], min_length=9, repetition_penalty=1.1)
    assert one[0] == two[0]
    assert hash(one[0]) == hash(two[0])
    shapes = [jax.tree.map(lambda leaf: (np.shape(leaf), leaf.dtype), numbers) for _, numbers in (one, two)]
    assert shapes[0] == shapes[1]
    assert of(temperature=0.5)[0] != one[0]
