"""Tiny models in Hugging Face's layout, written by our own code or by transformers, for tests of loading."""

import json
from pathlib import Path

import jax
import numpy as np

from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.core import flat
from spago_jax.models.encoder import EncoderModel, config_from_huggingface, config_to_huggingface, weight_table
from spago_jax.models.weight_table import write_weights

SIZES = {
    "vocab_size": 23, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12,
    "max_position_embeddings": 20,
}  # fmt: skip
OWN = {
    "roberta": {"pad_token_id": 1, "type_vocab_size": 1},
    "xlm-roberta": {"pad_token_id": 1, "type_vocab_size": 1},
    "camembert": {"pad_token_id": 1, "type_vocab_size": 1},
    "mpnet": {"pad_token_id": 1},
    "distilbert": {"dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 12},
    "electra": {"embedding_size": 6},
    "albert": {"embedding_size": 6, "num_hidden_groups": 2, "inner_group_num": 1},
    "modernbert": {"num_hidden_layers": 3, "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3,
                   "bos_token_id": 2, "eos_token_id": 3, "local_attention": 4},
}  # fmt: skip
IDS = np.array([[2, 5, 9, 7, 3], [2, 11, 3, 0, 0]])
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def sizes(kind: str) -> dict:
    """The keys of a tiny config of an architecture."""
    taken = SIZES
    if kind == "distilbert":
        taken = {name: SIZES[name] for name in ("vocab_size", "max_position_embeddings")}
    return {**taken, **OWN.get(kind, {})}


def ids_for(kind: str) -> np.ndarray:
    """Token ids whose padding is the architecture's."""
    return np.where(MASK == 1, IDS, sizes(kind).get("pad_token_id", 0))


def write_tiny(folder: Path, kind: str = "bert", head: str = "masked-words", **keys) -> dict[str, np.ndarray]:
    """Writes a tiny random model without transformers, and returns its tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config_from_huggingface({"model_type": kind, **sizes(kind), **keys})
    model = EncoderModel.init(jax.random.key(0), config.encoder, head=head, labels=len(config.labels))
    tensors = dict(write_weights(weight_table(config.encoder, head), flat(model)))
    (folder / "config.json").write_text(json.dumps(config_to_huggingface(config, head)))
    write_safetensors(folder / "model.safetensors", tensors, {"format": "pt"})
    return tensors


def write_vocabulary(folder: Path) -> None:
    """Puts a WordPiece vocabulary of the tiny size beside a model."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqr"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")


def transformers_config(kind: str, **keys):
    """A tiny config of transformers."""
    from transformers import AutoConfig

    return AutoConfig.for_model(kind, **sizes(kind), **keys)


def transformers_model(kind: str, class_name: str, **keys):
    """A tiny random model of transformers in evaluation mode, without zeros in its biases."""
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, class_name)(transformers_config(kind, **keys)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape)
    return model


def their_output(model, kind: str) -> np.ndarray:
    """The first output of a model of transformers."""
    import torch

    with torch.no_grad():
        return model(torch.from_numpy(ids_for(kind)), attention_mask=torch.from_numpy(MASK))[0].numpy()


def write_tiny_pair(folder: Path, kind: str = "marian", head: str = "words", **keys) -> Path:
    """Writes a tiny random encoder-decoder without transformers, with a tokenizer of letters."""
    from spago_jax.models.encoder_decoder import EncoderDecoder
    from spago_jax.models.pretrained import config_from_huggingface, config_to_huggingface, weight_table
    from spago_jax.text.tokenizers import train_tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    letters = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.,:;?!<>-'\"0123456789"
    tokenizer = train_tokenizer([letters], kind="characters", size=99, min_count=1, marks="end")
    ids = tokenizer.special_ids
    sizes = {
        "d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "max_position_embeddings": 200,
    }  # fmt: skip
    marks = {"pad_token_id": ids["pad"], "eos_token_id": ids["end"], "decoder_start_token_id": ids["pad"]}
    config = config_from_huggingface({"model_type": kind, "vocab_size": tokenizer.size, **sizes, **marks, **keys})
    model = EncoderDecoder.init(jax.random.key(0), config.network, head=head)
    tensors = dict(write_weights(weight_table(config.network, head), flat(model)))
    (folder / "config.json").write_text(json.dumps(config_to_huggingface(config, head)))
    write_safetensors(folder / "model.safetensors", tensors, {"format": "pt"})
    tokenizer.save(folder)
    return folder
