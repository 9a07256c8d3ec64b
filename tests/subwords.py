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


TEXTS = [
    "Hello, my dog is cute and the cats sat on the mats.",
    "It cost 1,000.50 dollars, or 5.975,74 euros, in 2019, 2020,",
    "  two  spaces\tand a tab\nand a line ",
    "Caffè à la carte, naïve façade, Straße",
    "e\u0301 combining cafe\u0301s",
    "😀 emoji 👩\u200d👩\u200d👧 in the middle",
    "你好，世界! 日本語のテスト",
    "don't can't won't it's \"quoted\" ''twice''",
    "ﬁne ligature № 5 ½ ™",
    "",
    " ",
    "UPPER lower MiXeD",
    "http://www.example.com/path?x=1&y=2#frag",
    "a_b ▁under",
    "x\u00a0y\u3000z",
]


def sentencepiece_model(size=140, **options):
    """Trains a tiny SentencePiece model on these texts, and returns the content of its file."""
    import io

    import sentencepiece

    model = io.BytesIO()
    given = {"character_coverage": 0.98, "hard_vocab_limit": False, "minloglevel": 2, **options}
    # Most of it English, so that other letters are unknown to the model.
    lines = [text for text in TEXTS if text.strip()] + TEXTS[:2] * 30
    trainer = sentencepiece.SentencePieceTrainer
    trainer.train(sentence_iterator=iter(lines), model_writer=model, vocab_size=size, **given)
    return model.getvalue()


def at_letters(text, spans):
    """Places without a space at their beginning, which transformers has in those of some families."""
    return [(start + text[start:end][:1].isspace(), end) for start, end in spans]


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def same(tokenizer, rows, **options):
    """Asserts that texts, or pairs of them, give the ids, tokens, offsets and types of these rows."""
    assert rows
    pairs = [(row["text"], row["pair"]) if "pair" in row else row["text"] for row in rows]
    for row, found in zip(rows, tokenizer.encode_batch(pairs, **options), strict=True):
        assert found.ids == row["ids"], row["text"]
        assert found.tokens == row.get("tokens", found.tokens)
        assert [list(span) for span in found.offsets] == row.get("offsets", [list(span) for span in found.offsets])
        assert found.type_ids == row.get("type_ids", found.type_ids)
        if "decoded" in row:
            assert tokenizer.decode(found.ids) == row["decoded"]
