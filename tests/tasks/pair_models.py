"""Tiny random encoder-decoders of transformers with tokenizers of their own, as folders."""

import json
from pathlib import Path
from typing import Any

from spago_jax.text.tokenizers import train_tokenizer

WORDS = tuple("the a cat dog sat ran on mat road old red house and . , in no two one we you see say".split())  # noqa: SIM905
SENTENCES = [
    "the cat sat on the mat .", "a dog ran .", "we see the old red house .", "two dogs and one cat ran on the road .",
    "you say no .", "the road in the old house .",
]  # fmt: skip
CLASSES = {
    "bart": "BartForConditionalGeneration", "marian": "MarianMTModel", "mbart": "MBartForConditionalGeneration",
    "pegasus": "PegasusForConditionalGeneration", "t5": "T5ForConditionalGeneration",
}  # fmt: skip


def tokenizer_of(kind: str = "words", marks: str = "end") -> Any:
    """A tokenizer of a few words, or of their letters."""
    return train_tokenizer([" ".join(WORDS)], kind=kind, size=60, min_count=1, marks=marks)


def write_pair(folder: Path, kind: str = "marian", *, seed: int = 0, tokenizer: Any = None, **keys: Any) -> Path:
    """Writes a tiny random model of transformers, with the files of a tokenizer and ``generation_config.json``."""
    import torch
    import transformers

    tokenizer = tokenizer or tokenizer_of(marks="both" if kind == "bart" else "end")
    ids = tokenizer.special_ids
    start = ids["end"] if kind in ("bart", "mbart") else ids["pad"]
    sizes: dict[str, Any] = {
        "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 48,
        "init_std": 0.4,
    }  # fmt: skip
    if kind == "t5":
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "initializer_factor": 1.0}
    config = transformers.AutoConfig.for_model(
        kind, vocab_size=tokenizer.size, pad_token_id=ids["pad"], bos_token_id=ids["begin"], eos_token_id=ids["end"],
        decoder_start_token_id=start, forced_eos_token_id=None, **{**sizes, **keys},
    )  # fmt: skip
    torch.manual_seed(seed)
    model = getattr(transformers, CLASSES[kind])(config)
    for name, parameter in model.named_parameters():
        if "norm" not in name and kind != "t5" and parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.4)
    model.generation_config.max_length = 12
    model.generation_config.num_beams = 1
    model.generation_config.forced_eos_token_id = None
    model.save_pretrained(folder)
    tokenizer.save(folder)
    about = json.loads((Path(folder) / "tokenizer_config.json").read_text())
    (Path(folder) / "tokenizer_config.json").write_text(json.dumps({**about, "model_max_length": 40}))
    return Path(folder)
