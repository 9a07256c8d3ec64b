"""Options from a model's files. Oracle: transformers' GenerationConfig."""

import json

import pytest
from helpers import refuses

from spago_jax.generation import Options, options_from


def test_defaults_are_those_of_transformers():
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    empty = {None: (), 0: 0}
    for name, value in transformers.GenerationConfig._get_default_generation_params().items():
        if hasattr(Options(), name) and name not in ("max_length", "output_scores"):
            ours = getattr(Options(), name)
            assert ours == value or ours == empty.get(value), name


def test_a_file_of_transformers_is_read(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    config = transformers.GenerationConfig(
        num_beams=4, length_penalty=2.0, max_length=142, min_length=56, no_repeat_ngram_size=3, early_stopping=True,
        forced_bos_token_id=0, forced_eos_token_id=2, eos_token_id=2, pad_token_id=1, decoder_start_token_id=2,
        bad_words_ids=[[7]], sequence_bias=[[[3, 4], 1.5]],
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    found = options_from(json.loads((tmp_path / "generation_config.json").read_text()))
    assert found == Options(
        num_beams=4, length_penalty=2.0, max_length=142, min_length=56, no_repeat_ngram_size=3, early_stopping=True,
        forced_bos_token_id=0, forced_eos_token_id=(2,), eos_token_id=(2,), pad_token_id=1, decoder_start_token_id=2,
        bad_words_ids=((7,),), sequence_bias=(((3, 4), 1.5),),
    )  # fmt: skip


def test_an_older_config_holds_the_options_itself():
    config = {
        "num_beams": 6,
        "max_length": 512,
        "bad_words_ids": [[9]],
        "eos_token_id": 0,
        "pad_token_id": 9,
        "d_model": 4,
    }
    assert options_from(None, config) == Options(
        num_beams=6, max_length=512, bad_words_ids=((9,),), eos_token_id=(0,), pad_token_id=9
    )
    assert options_from({"num_beams": 2}, config) == Options(num_beams=2, eos_token_id=(0,), pad_token_id=9)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"num_beam_groups": 2}, "a.json: num_beam_groups = 2 is not supported: remove it to generate without"),
        ({"penalty_alpha": 0.6}, "a.json: penalty_alpha = 0.6 is not supported: remove it to generate without"),
        ({"num_beams": "four"}, "a.json: num_beams = 'four': expected a whole number of at least 1"),
        ({"top_p": 2}, "a.json: top_p = 2: expected a probability above 0, at most 1"),
        ({"eos_token_id": [-1]}, "a.json: eos_token_id: -1 is not the id of a token, a whole number of at least 0"),
        ({"bad_words_ids": 3}, "a.json: bad_words_ids = 3: expected a list of lists of ids"),
        ({"sequence_bias": [[1, 2, 3]]}, "a.json: sequence_bias = [[1, 2, 3]]: expected a list of [ids, bias]"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_file_that_asks_for_what_there_is_not(facts, message):
    with refuses(message):
        options_from(facts, path="a.json")


def test_keys_that_ask_for_nothing_are_passed_over():
    facts = {
        "num_beam_groups": 1,
        "diversity_penalty": 0.0,
        "transformers_version": "5.0",
        "use_cache": True,
        "top_p": None,
    }
    assert options_from(facts) == Options()
    assert options_from({"temperature": 0.6, "top_p": 0.9}).do_sample is False  # there for who samples


def test_a_call_goes_before_the_defaults():
    defaults = Options(max_new_tokens=50, num_beams=4, early_stopping=True)
    assert defaults.updated(max_length=9).max_new(1) == 8
    assert defaults.updated(max_new_tokens=7).max_new(1) == 7
    assert defaults.updated(num_beams=1).early_stopping is True  # of the file, and without effect
