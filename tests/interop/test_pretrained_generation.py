"""Texts of encoder-decoders. Oracle: transformers' ``generate`` of the same folder."""

import functools
import json
from typing import Any

import numpy as np
import pytest
from generation.table_model import rows
from helpers import close, refuses
from hypothesis import given, settings
from hypothesis import strategies as st

import spago_jax as sj
from spago_jax.interop.huggingface.generation import generation_options
from spago_jax.models.encoder_decoder import config_from_huggingface

torch = pytest.importorskip("torch", reason="needs torch")
transformers = pytest.importorskip("transformers", reason="needs transformers")
pytestmark = pytest.mark.oracle

KINDS = ("bart", "mbart", "marian", "pegasus", "t5", "mt5")
VOCABULARY, PAD, END = 40, 1, 2


def tiny(kind: str) -> Any:
    """A random model whose texts vary."""
    ids = {"pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": 3, "vocab_size": VOCABULARY}
    if kind in ("t5", "mt5"):
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2}
    else:
        sizes = {
            "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
            "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 48,
            "scale_embedding": True, "forced_eos_token_id": None, "bos_token_id": 0,
        }  # fmt: skip
    config = transformers.AutoConfig.for_model(kind, **ids, **sizes)
    torch.manual_seed(0)
    model = transformers.AutoModelForSeq2SeqLM.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.35)
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """By kind: the model of transformers, and ours of the folder that it wrote."""
    transformers.logging.set_verbosity_error()

    @functools.cache
    def of(kind: str):
        folder = tmp_path_factory.mktemp("models") / kind
        theirs = tiny(kind)
        theirs.save_pretrained(folder)
        return theirs, sj.load_pretrained(folder)

    return of


def inputs(batch: int, time: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    mask = (np.arange(time) < random.integers(1, time + 1, batch)[:, None]).astype(int)
    mask[0] = 1
    return np.where(mask, random.integers(4, VOCABULARY, (batch, time)), PAD), mask


def same(theirs: Any, ours: Any, ids: np.ndarray, mask: np.ndarray, options: dict) -> None:
    found = ours.generate(ids, mask, **options)
    expected = theirs.generate(
        torch.tensor(ids),
        attention_mask=torch.tensor(mask),
        return_dict_in_generate=True,
        output_scores=True,
        **options,
    )
    assert rows(found.ids, 1, [END], PAD) == rows(expected.sequences, 1, [END], PAD)
    if options.get("num_beams", 1) > 1:
        close(found.scores, expected.sequences_scores.numpy(), 1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_architecture_writes_what_it_writes_in_transformers(models, kind):
    theirs, ours = models(kind)
    options = {"num_beams": 3, "max_new_tokens": 12, "no_repeat_ngram_size": 2, "num_return_sequences": 2}
    same(theirs, ours, *inputs(3, 9, 0), options)
    if kind == "bart":
        same(theirs, ours, *inputs(2, 5, 1), {"max_length": 9, "repetition_penalty": 1.2})


@pytest.mark.slow
@settings(max_examples=60)
@given(data=st.data())
def test_random_settings_give_what_transformers_gives(models, data):
    theirs, ours = models(data.draw(st.sampled_from(KINDS)))
    beams = data.draw(st.integers(1, 5))
    options: dict[str, Any] = {"num_beams": beams, "max_new_tokens": data.draw(st.integers(1, 30))}
    if beams > 1:
        options["length_penalty"] = data.draw(st.sampled_from([0.0, 0.6, 1.0, 2.0]))
        options["early_stopping"] = data.draw(st.sampled_from([False, True, "never"]))
    rules: dict[str, Any] = {
        "repetition_penalty": 1.4, "no_repeat_ngram_size": 3, "min_new_tokens": 4, "bad_words_ids": [[PAD], [9, 10]],
        "forced_bos_token_id": 7, "forced_eos_token_id": END, "suppress_tokens": [11],
    }  # fmt: skip
    for name in data.draw(st.lists(st.sampled_from(sorted(rules)), max_size=3, unique=True)):
        options[name] = rules[name]
    options["max_new_tokens"] = max(options["max_new_tokens"], options.get("min_new_tokens", 1))
    same(theirs, ours, *inputs(data.draw(st.integers(1, 4)), data.draw(st.integers(1, 20)), 3), options)


def test_a_folder_says_how_its_model_writes(models, tmp_path):
    """The options of generation_config.json hold, and a call goes before them."""
    theirs = tiny("bart")
    theirs.generation_config.update(num_beams=3, max_length=11, no_repeat_ngram_size=2, length_penalty=2.0)
    theirs.save_pretrained(tmp_path)
    ours = sj.load_pretrained(tmp_path)
    assert (tmp_path / "generation_config.json").is_file()
    again = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    for options in ({}, {"num_beams": 2, "max_length": 7}):
        same(again, ours, *inputs(2, 6, 3), options)
    assert ours.generate(*inputs(2, 6, 3)).scores is not None  # of beams


@pytest.mark.parametrize("kind", ["bart", "mbart", "marian", "pegasus"])
def test_an_older_folder_says_it_in_config_json(kind):
    """transformers has the end of a text that reaches the longest length in its classes."""
    config = transformers.AutoConfig.for_model(kind)
    ours = generation_options(config_from_huggingface({"model_type": kind, "num_beams": 4, "max_length": 33}), None)
    expected = transformers.GenerationConfig.from_model_config(config)
    assert ours.forced_eos_token_id == (expected.forced_eos_token_id,)
    assert ours.eos_token_id == (expected.eos_token_id,)
    assert ours.pad_token_id == expected.pad_token_id
    assert ours.decoder_start_token_id == expected.decoder_start_token_id
    assert (ours.num_beams, ours.max_length) == (4, 33)


def test_what_writes_no_texts_is_refused(models, tmp_path):
    theirs, ours = models("bart")
    theirs.save_pretrained(tmp_path)
    with refuses("a model with the head 'states' writes no texts: open it with head='words', if its folder has it"):
        sj.load_pretrained(tmp_path, head="states").generate([[4]])
    with refuses("ids: 40 is not the id of a token; there are 40"):
        ours.generate([[40]])
    with refuses("ids: 49 tokens, and the model reads at most 48"):
        ours.generate([[4] * 49])
    with refuses("texts of 49 tokens: the model writes at most 48; set max_length"):
        ours.generate([[4]], max_length=49)
    facts = json.loads((tmp_path / "generation_config.json").read_text())
    (tmp_path / "generation_config.json").write_text(json.dumps({**facts, "num_beam_groups": 3}))
    path = tmp_path / "generation_config.json"
    with refuses(f"{path}: num_beam_groups = 3 is not supported: remove it to generate without"):
        sj.load_pretrained(tmp_path).generate([[4]])


def test_an_encoder_writes_no_texts(tmp_path):
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    with refuses(f"{tmp_path}: bert is an encoder, which writes no texts"):
        sj.load_pretrained(tmp_path).generate([[4]])
