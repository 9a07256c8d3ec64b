"""Tiny random models with a real tokenizer, written by transformers: what its own pipelines answer is the oracle."""

import json
import shutil
from pathlib import Path

NUMBERS = "prices: 5.975,74 € or $1,000.50 (see p. 12-13)"
TEXTS = [
    "Ada Lovelace wrote the first program in London.",
    "the cat sat on the mat",
    "Where did you go yesterday, and why?",
    "I don't like it; she couldn't care less!",
    "😀 emoji first, then 👩‍👩‍👧 a family",
    "naïve café — déjà vu",
    "e\u0301tude with a combining mark",
    "你好，世界！我在北京大学读书。",
    "東京は日本の首都です",
    "مرحبا بالعالم",
    "שלום עולם and hello",
    "Привет, мир",
    "हिन्दी में एक वाक्य",
    NUMBERS,
    "http://www.example.com/path?x=1&y=2#frag",
    "UPPER CASE AND mixed CaSe",
    "  leading and trailing blanks  ",
    "tabs\tand\nline ends",
    "a",
    "...",
    "unbelievability antidisestablishmentarianism",
    "x" * 120,
    "word " * 20,
    "New York City and Los Angeles are far apart.",
    "The quick brown fox jumps over the lazy dog.",
    "def f(x): return x ** 2  # a comment",
    "“quoted” ‘text’ «here»",
    "𝕬𝖑𝖕𝖍𝖆 𝒷𝑒𝓉𝒶",
    "zero\u200bwidth and non\u00a0breaking",
    "the end",
]
LONG = " ".join(TEXTS[0].split()) + " " + " ".join(f"word{i} went to Paris." for i in range(60))
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
NLI = ["contradiction", "neutral", "entailment"]
SIZES = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "initializer_range": 0.5,
}  # fmt: skip
BART = {"layers": 2, "attention_heads": 2, "ffn_dim": 24}
CLASSES = ["negative", "neutral", "positive"]


def write_model(folder: Path, class_name: str, tokenizer: Path, labels: list[str] | None = None, **keys) -> Path:
    """Writes a tiny random model of transformers, with the files of a real tokenizer."""
    import transformers

    kind = transformers.ElectraConfig if class_name.startswith("Electra") else transformers.BertConfig
    config = kind(vocab_size=30522, max_position_embeddings=128, **SIZES, **keys)
    _write(folder, class_name, config, labels)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copyfile(tokenizer / name, folder / name)
    return folder


def write_roberta(folder: Path, class_name: str, tokenizer: Path, labels: list[str] | None = None) -> Path:
    """The same with RoBERTa's byte-level pieces."""
    import transformers

    sizes = {"vocab_size": 50265, "max_position_embeddings": 130, "type_vocab_size": 1}
    _write(folder, class_name, transformers.RobertaConfig(**sizes, **SIZES), labels)
    return _with_byte_level_pieces(folder, tokenizer, "RobertaTokenizer")


def write_bart(folder: Path, class_name: str, tokenizer: Path, labels: list[str] | None = None) -> Path:
    """The same of an encoder-decoder."""
    import transformers

    sizes = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in BART.items()}
    _write(folder, class_name, transformers.BartConfig(d_model=16, max_position_embeddings=130, **sizes), labels)
    return _with_byte_level_pieces(folder, tokenizer, "BartTokenizer")


def _with_byte_level_pieces(folder: Path, tokenizer: Path, class_name: str) -> Path:
    shutil.copyfile(tokenizer / "tokenizer.json", folder / "tokenizer.json")
    names = {"mask": "<mask>", "pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>"}
    tokens = {f"{role}_token": form for role, form in names.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": class_name, **tokens}))
    return folder


def _write(folder: Path, class_name: str, config, labels: list[str] | None) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    if labels is not None:
        config.id2label, config.label2id = dict(enumerate(labels)), {label: i for i, label in enumerate(labels)}
    model = getattr(transformers, class_name)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    model.save_pretrained(folder)
