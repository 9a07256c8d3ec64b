"""Tiny tokenizers of pre-trained models, as folders."""

import json

WORDPIECES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "mat", "##s", "un", "##believ", "##able",
    ",", "!",
]  # fmt: skip
SPECIAL = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep", "mask")}


def wordpiece_folder(folder, **changes):
    """Writes ``tokenizer.json``, with a length and a padding baked in as some models have, and its config."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    engine = Tokenizer(models.WordPiece({token: i for i, token in enumerate(WORDPIECES)}, unk_token="[UNK]"))
    engine.normalizer = normalizers.BertNormalizer()
    engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    engine.decoder = decoders.WordPiece()
    engine.add_special_tokens(WORDPIECES[:5])
    engine.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    engine.enable_truncation(8)
    engine.enable_padding(length=8)
    engine.save(str(folder / "tokenizer.json"))
    config = {"model_max_length": 64, **SPECIAL, **changes}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder
