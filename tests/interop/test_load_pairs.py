"""Pre-trained encoder-decoders: their folders there and back, tied tables, what files lack or have beside, refusals."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import same_arrays

from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.core import flat
from spago_jax.errors import InputError, InputWarning
from spago_jax.interop.checkpoints import open_checkpoint
from spago_jax.interop.huggingface import load_pretrained
from spago_jax.models.encoder_decoder.plans import PLANS
from spago_jax.models.encoder_decoder.positions import sinusoids

ROOT = Path(__file__).resolve().parents[2]
SIZES = {
    "vocab_size": 23, "d_model": 8, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 12, "decoder_ffn_dim": 12, "max_position_embeddings": 20,
}  # fmt: skip
T5 = {"vocab_size": 23, "d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 2, "num_heads": 2}
OWN = {
    "bart": {}, "mbart": {"scale_embedding": True}, "pegasus": {},
    "marian": {"pad_token_id": 22, "decoder_start_token_id": 22, "scale_embedding": True},
    "t5": {"decoder_start_token_id": 0}, "mt5": {},
}  # fmt: skip
IDS, TARGETS = np.array([[5, 9, 7, 2], [11, 2, 3, 3]]), np.array([[2, 8, 6], [2, 4, 19]])
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0]])


def keys(kind: str) -> dict:
    return {**(T5 if kind in ("t5", "mt5") else SIZES), **OWN[kind]}


def write_tiny(folder, kind: str = "bart", head: str = "words", **more) -> dict[str, np.ndarray]:
    """Writes a tiny random model without transformers, and returns its tensors."""
    import jax

    from spago_jax.models.encoder_decoder import (
        EncoderDecoder,
        config_from_huggingface,
        config_to_huggingface,
        weight_table,
    )
    from spago_jax.models.weight_table import write_weights

    folder.mkdir(parents=True, exist_ok=True)
    config = config_from_huggingface({"model_type": kind, **keys(kind), **more})
    model = EncoderDecoder.init(jax.random.key(0), config.network, head=head, labels=len(config.labels))
    tensors = dict(write_weights(weight_table(config.network, head), flat(model)))
    (folder / "config.json").write_text(json.dumps(config_to_huggingface(config, head)))
    write_safetensors(folder / "model.safetensors", tensors, {"format": "pt"})
    return tensors


def refused(words, *arguments, **options):
    with pytest.raises(InputError) as caught:
        load_pretrained(*arguments, **options)
    for word in words if isinstance(words, list) else [words]:
        assert word in str(caught.value)


# -- without transformers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bart", "t5"])
def test_file_to_model_to_file_changes_no_byte(tmp_path, kind):
    write_tiny(tmp_path / "model", kind)
    found = load_pretrained(tmp_path / "model")
    assert (found.head, found.report.surplus, found.report.untied) == ("words", (), ())
    found.save(tmp_path / "again")
    files = [tmp_path / name / "model.safetensors" for name in ("model", "again")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert load_pretrained(tmp_path / "again").config.network == found.config.network


@pytest.mark.parametrize("kind", ["bart", "marian", "t5"])
def test_each_member_of_a_tied_group_fills_it(tmp_path, kind):
    tensors = write_tiny(tmp_path, kind)
    expected = load_pretrained(tmp_path).model
    prefix = "" if kind == "t5" else "model."
    words = tensors.pop(f"{prefix}shared.weight")
    sides = [f"{prefix}{side}.embed_tokens.weight" for side in ("encoder", "decoder")]
    for members in ([sides[0]], [sides[1]], ["lm_head.weight"], [*sides, "lm_head.weight"]):
        write_safetensors(tmp_path / "model.safetensors", {**tensors, **dict.fromkeys(members, words)})
        same_arrays(load_pretrained(tmp_path).model, expected)
    write_safetensors(tmp_path / "model.safetensors", tensors)
    refused(f"{prefix}shared.weight", tmp_path)


def test_an_alias_in_the_metadata_fills_the_words(tmp_path):
    """bart-large-cnn stores the decoder's table alone, and says in the metadata that the others are the same."""
    tensors = write_tiny(tmp_path)
    expected = load_pretrained(tmp_path).model
    words, stored = tensors.pop("model.shared.weight"), "model.decoder.embed_tokens.weight"
    aliases = dict.fromkeys(("model.shared.weight", "model.encoder.embed_tokens.weight", "lm_head.weight"), stored)
    write_safetensors(tmp_path / "model.safetensors", {**tensors, stored: words}, {"format": "pt", **aliases})
    same_arrays(load_pretrained(tmp_path).model, expected)


@pytest.mark.parametrize("kind", ["bart", "t5"])
def test_a_head_of_the_files_own_is_kept_and_written_again(tmp_path, kind):
    """T5 1.1, Flan-T5 and mT5 have one."""
    tensors = write_tiny(tmp_path / "model", kind)
    other = np.ones((23, 8), np.float32)
    write_safetensors(tmp_path / "model/model.safetensors", {**tensors, "lm_head.weight": other})
    with pytest.warns(InputWarning, match="tied in this architecture and differ"):
        found = load_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(found.model.head.decoder, other)
    assert not found.model.config.tied
    found.save(tmp_path / "again")
    with open_checkpoint(tmp_path / "again") as file:
        np.testing.assert_array_equal(file.read("lm_head.weight"), other)


def test_a_file_without_the_bias_of_the_words_loads_with_none(tmp_path):
    tensors = write_tiny(tmp_path / "model", "marian")
    expected = load_pretrained(tmp_path / "model").model.logits(IDS, MASK, targets=TARGETS)  # whose bias is zero
    del tensors["final_logits_bias"]
    write_safetensors(tmp_path / "model/model.safetensors", tensors)
    found = load_pretrained(tmp_path / "model")
    assert found.model.head.bias is None
    np.testing.assert_array_equal(found.model.logits(IDS, MASK, targets=TARGETS), expected)
    found.save(tmp_path / "again")
    with open_checkpoint(tmp_path / "again") as file:
        assert set(file.names()) == set(tensors)


@pytest.mark.parametrize("kind", ["marian", "pegasus"])
def test_computed_positions_may_be_in_the_file_and_have_to_be_right(tmp_path, kind):
    tensors = write_tiny(tmp_path, kind)
    expected = load_pretrained(tmp_path).model
    name = "model.encoder.embed_positions.weight"
    write_safetensors(tmp_path / "model.safetensors", {**tensors, name: np.asarray(sinusoids(20, 8), np.float16)})
    found = load_pretrained(tmp_path)
    same_arrays(found.model, expected)
    assert found.report.surplus == ()
    write_safetensors(tmp_path / "model.safetensors", {**tensors, name: np.ones((20, 8), np.float32)})
    refused([name, "is not what the model computes"], tmp_path)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"normalize_before": True}, "normalize_before is True"),
        ({"add_bias_logits": True}, "add_bias_logits"),
        ({"is_encoder_decoder": False}, "is_encoder_decoder"),
        ({"static_position_embeddings": True}, "static_position_embeddings"),
        ({"num_hidden_layers": 3}, "num_hidden_layers is 3 and encoder_layers 2: they are one thing"),
        ({"encoder_layer": 3}, "did you mean 'encoder_layers'"),
        ({"eos_token_id": "2"}, "eos_token_id is '2'"),
        ({"d_model": 9}, "2 heads do not divide 9"),
        ({"activation_function": "gelo"}, "did you mean 'gelu'"),
        ({"architectures": ["BartForCausalLM"]}, "'BartForCausalLM', which is not supported"),
        ({"pad_token_id": 23}, "the pad id is 23"),
    ],
)
def test_a_config_that_cannot_be_honored_is_refused(tmp_path, more, words):
    write_tiny(tmp_path)
    facts = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**facts, **more}))
    refused([words, "config.json"], tmp_path)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"feed_forward_proj": "gated-gelo"}, "did you mean 'gelu'"),
        ({"feed_forward_proj": "geted-gelu"}, "'gated-' before one"),
        ({"is_gated_act": True}, "is_gated_act is True, and feed_forward_proj says False"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings is 1"),
    ],
)
def test_a_config_of_t5_that_cannot_be_honored_is_refused(tmp_path, more, words):
    write_tiny(tmp_path, "t5")
    facts = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**facts, **more}))
    refused([words, "config.json"], tmp_path)


def test_keys_of_published_files_are_honored_or_change_nothing(tmp_path):
    """Those of bart-large-cnn and of opus-mt, as they stand in their config.json."""
    old = {
        "add_bias_logits": False, "add_final_layer_norm": False, "classif_dropout": 0.0, "extra_pos_embeddings": 2,
        "force_bos_token_to_be_generated": True, "gradient_checkpointing": False, "length_penalty": 2.0,
        "max_length": 142, "min_length": 56, "no_repeat_ngram_size": 3, "normalize_before": False, "num_beams": 4,
        "num_hidden_layers": 2, "output_past": True, "prefix": " ", "total_flos": 1, "task_specific_params": {},
        "_num_labels": 3, "early_stopping": True, "forced_bos_token_id": 0, "use_cache": True,
    }  # fmt: skip
    more = {"bart": {"normalize_embedding": True, "static_position_embeddings": False},
            "marian": {"normalize_embedding": False, "static_position_embeddings": True}}  # fmt: skip
    for kind, own in more.items():
        write_tiny(tmp_path / kind, kind)
        facts = json.loads((tmp_path / kind / "config.json").read_text())
        (tmp_path / kind / "config.json").write_text(json.dumps({**facts, **old, **own}))
        assert load_pretrained(tmp_path / kind).config.extra["num_beams"] == 4


def test_an_encoder_is_asked_for_and_an_encoder_decoder_found(tmp_path):
    import spago_jax as sj
    from spago_jax.embeddings.transformer import Transformer

    write_tiny(tmp_path, head="states")
    with pytest.raises(InputError, match="model_type is 'bart', an encoder-decoder, and an encoder is needed here"):
        sj.load_task("text-encoding", tmp_path)
    with pytest.raises(InputError, match="an encoder-decoder, and an encoder is needed here"):
        Transformer(kind="transformer", **{"from": str(tmp_path)}).fit("x", None)
    with pytest.raises(InputError, match="bart has no head 'masked-words'"):
        sj.load_task("fill-mask", tmp_path)


# -- against transformers ----------------------------------------------------------------------------------------------


def transformers_model(kind: str, class_name: str, **more):
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, class_name)(transformers.AutoConfig.for_model(kind, **keys(kind), **more)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.3 * torch.randn(parameter.shape)
    return model


def their_output(model, class_name: str) -> np.ndarray:
    import torch

    more = {} if "Classification" in class_name or "Question" in class_name else {"decoder_input_ids": TARGETS}
    with torch.no_grad():
        inputs = {"input_ids": IDS, "attention_mask": MASK, **more}
        out = model(**{name: torch.from_numpy(array) for name, array in inputs.items()})
    if "Question" in class_name:
        return torch.stack([out.start_logits, out.end_logits], -1).numpy()
    return out[0].numpy()


CLASSES = sorted({(kind, plan.class_name) for kind, plans in PLANS.items() for plan in plans.values()})


@pytest.mark.oracle
@pytest.mark.parametrize(("kind", "class_name"), CLASSES)
def test_transformers_loads_what_we_save(tmp_path, kind, class_name):
    import transformers

    more = {"num_labels": 2} if "Question" in class_name else {}
    model = transformers_model(kind, class_name, **more)
    model.save_pretrained(tmp_path / "theirs")
    found = load_pretrained(tmp_path / "theirs")
    assert found.report.surplus == found.report.fresh == found.report.untied == ()
    found.save(tmp_path / "ours")
    files = [tmp_path / name / "model.safetensors" for name in ("theirs", "ours")]
    assert files[0].read_bytes() == files[1].read_bytes()
    again, info = getattr(transformers, class_name).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    expected = their_output(again.eval(), class_name)
    np.testing.assert_array_equal(expected, their_output(model, class_name))
    targets = None if "Classification" in class_name or "Question" in class_name else TARGETS
    np.testing.assert_allclose(found.model.logits(IDS, MASK, targets=targets), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("marian", {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 21, "pad_token_id": 20,
                    "decoder_start_token_id": 20}),
        ("bart", {"tie_word_embeddings": False}),
        ("t5", {"tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"}),
    ],
)  # fmt: skip
def test_tables_of_their_own_go_through_unchanged(tmp_path, kind, more):
    """The vocabularies of Marian's two sides, a head that is not tied, Flan-T5's states that are not scaled."""
    import transformers

    class_name = PLANS[kind]["words"].class_name
    monkeyed = {**OWN[kind], **more}
    model = getattr(transformers, class_name)(
        transformers.AutoConfig.for_model(kind, **{**keys(kind), **monkeyed})
    ).eval()
    model.save_pretrained(tmp_path / "theirs")
    found = load_pretrained(tmp_path / "theirs")
    found.save(tmp_path / "ours")
    again = getattr(transformers, class_name).from_pretrained(tmp_path / "ours").eval()
    expected = their_output(model, class_name)
    np.testing.assert_array_equal(their_output(again, class_name), expected)
    np.testing.assert_allclose(found.model.logits(IDS, MASK, targets=TARGETS), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("head", ["words", "states"])
@pytest.mark.parametrize("kind", ["bart", "mbart", "pegasus"])
def test_tables_that_are_not_tied_are_written_with_the_one_that_transformers_looks_for(tmp_path, kind, head):
    """transformers makes a third table, never reads it, and warns where a file lacks it."""
    tensors = write_tiny(tmp_path, kind, head, tie_word_embeddings=False)
    base = "" if head == "states" else "model."
    np.testing.assert_array_equal(tensors[f"{base}shared.weight"], tensors[f"{base}encoder.embed_tokens.weight"])
    assert load_pretrained(tmp_path).report.surplus == ()


@pytest.mark.oracle
@pytest.mark.parametrize("class_name", ["BartForConditionalGeneration", "BartForSequenceClassification", "BartModel"])
def test_transformers_misses_nothing_in_a_file_with_tables_that_are_not_tied(tmp_path, class_name):
    import transformers

    own = {**keys("bart"), **OWN.get("bart", {}), "tie_word_embeddings": False}
    cls = getattr(transformers, class_name)
    cls(transformers.AutoConfig.for_model("bart", **own)).save_pretrained(tmp_path / "theirs")
    load_pretrained(tmp_path / "theirs").save(tmp_path / "ours")
    _, info = cls.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info.values()), info


@pytest.mark.slow
def test_a_model_is_in_memory_once(tmp_path):
    """The peak of a process grows by at most 1.3 times the file while it loads: spaGO took three times of it."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc, where Linux tells the peak")
    sizes = {"vocab_size": 20_000, "d_model": 512, "encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048}
    write_tiny(tmp_path, "bart", **sizes, encoder_layers=6, decoder_layers=6)
    code = f"""
import jax
from spago_jax.interop.huggingface.load import load_pretrained
jax.block_until_ready(jax.jit(lambda key: jax.random.normal(key, (4, 4)))(jax.random.key(0)))

def memory(what):  # not that of getrusage, which begins with the peak of the process that started this one
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what)) * 1024

before = memory("VmRSS")
load_pretrained({str(tmp_path)!r})
print(memory("VmHWM") - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 1.3 * (tmp_path / "model.safetensors").stat().st_size
