"""Vocabularies without a tokenizer.json. Oracles: stored ids of the packages, transformers, sentencepiece itself."""

import json
import shutil
import unicodedata

import pytest
from helpers import refuses
from subwords import TEXTS, at_letters, lines, same, sentencepiece_model

from spago_jax.errors import InputError, InputWarning
from spago_jax.text.tokenizers.forms import FORMS
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.sentencepiece_file import read_sentencepieces

# The vocabularies of these families are in this order.
ORDER = {"t5": {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}}
ORDER["pegasus"] = ORDER["t5"]
ORDER["albert"] = {
    "pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3, "bos_piece": "[CLS]", "eos_piece": "[SEP]",
    "control_symbols": ["[MASK]"],
}  # fmt: skip
CLASSES = {
    "xlm-roberta": "XLMRobertaTokenizer", "camembert": "CamembertTokenizer", "albert": "AlbertTokenizer",
    "t5": "T5Tokenizer", "pegasus": "PegasusTokenizer", "mbart": "MBartTokenizer", "mbart50": "MBart50Tokenizer",
}  # fmt: skip
models = {}


def model_of(form):
    """Returns the content of a SentencePiece model whose pieces are in a family's order."""
    pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    options = ORDER.get(form, {})
    key = json.dumps(options)
    if key not in models:
        models[key] = sentencepiece_model(**options)
    return models[key]


def folder_of(path, form, **config):
    """Writes the files of a model with a SentencePiece vocabulary."""
    name = "sentencepiece.bpe.model" if "bart" in form or "bert" in form[3:] else "spiece.model"
    (path / name).write_bytes(model_of(form))
    (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": CLASSES[form], **config}))
    return path


def copied(source, path, names, **config):
    for name in names:
        shutil.copy(source / name, path / name)
    if config:
        (path / "tokenizer_config.json").write_text(json.dumps(config))
    return path


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "files", "config", "options", "reference", "encode"),
    [
        ("tok-bert-uncased", ["vocab.txt"], {}, {}, "reference.jsonl", {}),
        ("tok-bert-uncased", ["vocab.txt"], {}, {}, "reference_pairs.jsonl", {}),
        ("tok-bert-uncased", ["vocab.txt"], {"do_lower_case": False}, {}, "reference_no_lowercase.jsonl", {}),
        ("tok-bart-roberta", ["vocab.json", "merges.txt"], {}, {}, "reference_tokenizer_json.jsonl", {}),
        ("tok-bart-roberta", ["vocab.json", "merges.txt"], {}, {}, "reference_pairs.jsonl", {}),
        # Its reference is the bare vocabulary: the special tokens are not known in texts, and spaces stand in offsets.
        ("tok-bart-roberta", ["vocab.json", "merges.txt"], {}, {"form": "gpt2"}, "reference.jsonl", {}),
        ("tok-gpt2", ["vocab.json", "merges.txt"], {}, {}, "reference.jsonl", {}),
    ],
)  # fmt: skip
def test_bare_vocabularies_give_the_reference(shared_data, tmp_path, name, files, config, options, reference, encode):
    folder = copied(shared_data / name, tmp_path, files, **config)
    same(load_tokenizer(folder, **options), lines(shared_data / name / reference), **encode)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["tok-bart-roberta", "tok-gpt2"])
def test_a_space_before_the_first_word(shared_data, tmp_path, name):
    folder = copied(shared_data / name, tmp_path, ["vocab.json", "merges.txt"], add_prefix_space=True)
    tokenizer = load_tokenizer(folder, form="gpt2")
    for row in lines(shared_data / name / "reference.jsonl"):
        assert tokenizer.encode(row["text"]).ids == row["ids_prefix_space"]


@pytest.mark.shared_data
def test_a_sentencepiece_model_as_it_is(shared_data):
    pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    tokenizer = load_tokenizer(shared_data / "tok-spm-test-en" / "test_model.model")
    for row in lines(shared_data / "tok-spm-test-en" / "reference.jsonl"):
        found = tokenizer.encode(row["text"])
        assert (found.ids, found.tokens) == (row["ids"], row["pieces"])
        assert tokenizer.decode(found.ids) == row["decoded"]
        placed(found, row["text"])
    assert tokenizer.special_ids == {"unknown": 0, "begin": 1, "end": 2}
    assert tokenizer.size == 1000


@pytest.mark.shared_data
@pytest.mark.parametrize("target", [False, True])
def test_marian_gives_the_reference(shared_data, target):
    pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    folder = shared_data / "tok-marian-en-mg"
    tokenizer = load_tokenizer(folder, target=target)
    rows = lines(folder / f"reference_{'target' if target else 'source'}.spm.jsonl")
    for row, found in zip(rows, tokenizer.encode_batch([row["text"] for row in rows]), strict=True):
        assert (found.ids, found.tokens[:-1]) == (row["marian_ids"], row["pieces"])
        placed(found, row["text"])
        if tokenizer.special_ids["unknown"] not in found.ids:
            assert tokenizer.decode(found.ids) == row["decoded"]
    assert tokenizer.special_ids == {"end": 0, "unknown": 1, "pad": 54687}
    assert tokenizer.settings().get("target") == (target or None)


def placed(found, text):
    """Offsets are within the text, run forwards, and leave out nothing but what cannot be seen."""
    spans = [span for span, special in zip(found.offsets, found.special_mask, strict=True) if not special]
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    for end, start in zip(ends, starts, strict=True):
        assert end <= start
        # SentencePiece takes its own mark for a space.
        assert all(char == "▁" or unicodedata.category(char)[0] in "ZC" for char in text[end:start])


@pytest.mark.oracle
@pytest.mark.parametrize("form", [form for form in CLASSES if form != "mbart"])
def test_sentencepiece_forms_are_those_of_transformers(tmp_path, form):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    folder = folder_of(tmp_path, form)
    oracle, tokenizer = getattr(transformers, CLASSES[form]).from_pretrained(folder), load_tokenizer(folder)
    assert tokenizer.size == len(oracle)
    for text in TEXTS:
        if form == "albert" and "2020," in text:  # see the test of its commas
            continue
        text = (
            text.rstrip() if form in ("pegasus", "mbart50") else text
        )  # transformers 5 makes a piece of the last space
        expected, found = oracle(text, return_offsets_mapping=True), tokenizer.encode(text)
        assert found.ids == expected["input_ids"], text
        assert found.offsets == at_letters(text, expected["offset_mapping"]), text
        pair = oracle(text, "the cats")
        assert tokenizer.encode(text, "the cats").ids == pair["input_ids"]
    types = oracle("the", "cats", return_token_type_ids=True)["token_type_ids"]
    assert tokenizer.encode("the", "cats").type_ids == types
    for role in ("pad", "unk", "mask", "eos", "cls"):
        if (expected := getattr(oracle, f"{role}_token_id")) is not None:
            ours = {"unk": "unknown", "eos": "end"}.get(role, role)
            assert tokenizer.special_ids[ours] == expected
    space = "" if form in ("pegasus", "mbart50") else " "
    with_mask = f"the{space}{oracle.mask_token or '</s>'} sat"
    assert tokenizer.encode(with_mask).ids == oracle(with_mask)["input_ids"]


def test_albert_reads_a_number_and_a_comma_apart(tmp_path):
    tokens = load_tokenizer(folder_of(tmp_path, "albert")).encode("in 2019, 2020,").tokens
    assert not [token for token in tokens if token[-1:] == "," and token != ","]
    assert any(
        piece[-2:-1].isdigit() and piece[-1] == "," for piece, _ in read_sentencepieces(model_of("albert"), "m").pieces
    )


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "config"), [("BertTokenizer", {}), ("BertTokenizer", {"strip_accents": False}), ("MPNetTokenizer", {})]
)
def test_wordpiece_forms_are_those_of_transformers(shared_data, tmp_path, name, config):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    text = (shared_data / "tok-bert-uncased" / "vocab.txt").read_text("utf-8")
    if name == "MPNetTokenizer":
        text = "\n".join(["<s>", "<pad>", "</s>", *text.split("\n")[3:-1], "<mask>"])
    (tmp_path / "vocab.txt").write_text(text, "utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name, **config}))
    oracle, tokenizer = getattr(transformers, name).from_pretrained(tmp_path), load_tokenizer(tmp_path)
    for item in TEXTS:
        expected, found = oracle(item, "the", return_offsets_mapping=True), tokenizer.encode(item, "the")
        assert (found.ids, found.offsets) == (expected["input_ids"], expected["offset_mapping"])
    assert tokenizer.encode("the <mask> sat").ids == oracle("the <mask> sat")["input_ids"]


@pytest.mark.oracle
@pytest.mark.parametrize("form", ["bert", "xlm-roberta", "t5"])
def test_words_are_those_of_transformers(shared_data, tmp_path, form):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    if form == "bert":
        copied(shared_data / "tok-bert-uncased", tmp_path, ["vocab.txt"], tokenizer_class="BertTokenizer")
    else:
        folder_of(tmp_path, form)
    oracle = getattr(transformers, {**CLASSES, "bert": "BertTokenizer"}[form]).from_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    for text in TEXTS:
        words = text.split()
        expected = oracle(words, ["the", "cats"], is_split_into_words=True, return_offsets_mapping=True)
        found = tokenizer.encode_words(words, ["the", "cats"])
        assert (found.ids, found.word_ids) == (expected["input_ids"], expected.word_ids())
        assert (found.offsets, found.sequence_ids) == (expected["offset_mapping"], expected.sequence_ids())


@pytest.mark.parametrize("form", ["xlm-roberta", "mbart", "mbart50"])
def test_ids_are_sentencepieces_own_one_further_on(tmp_path, form):
    sentencepiece = pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    tokenizer = load_tokenizer(folder_of(tmp_path, form))
    engine = sentencepiece.SentencePieceProcessor(model_proto=model_of(form))
    for text in TEXTS:
        if "\u0301" not in text:  # the tokenizers package does not join marks as SentencePiece does
            expected = [id + 1 if id else 3 for id in engine.encode(text)]
            assert tokenizer.encode(text, special_tokens=False).ids == expected, text


def test_the_language_of_mbart(tmp_path):
    folder = folder_of(tmp_path, "mbart", src_lang="ro_RO")
    assert load_tokenizer(folder).encode("a").tokens[-2:] == ["</s>", "ro_RO"]
    german = load_tokenizer(folder, language="de_DE")
    assert german.encode("a", "b").tokens[-2:] == ["</s>", "de_DE"]
    assert german.settings()["language"] == "de_DE"
    folder_of(tmp_path, "mbart50")
    found = load_tokenizer(folder, language="de_DE").encode("a").tokens
    assert (found[0], found[-1]) == ("de_DE", "</s>")
    with refuses(f"{folder}: unknown language 'de': known: {', '.join(sorted(FORMS['mbart50'].languages))}"):
        load_tokenizer(folder, language="de")


def test_models_are_read_as_sentencepiece_reads_them():
    sentencepiece = pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    content = sentencepiece_model(user_defined_symbols=["<x>"], byte_fallback=True, size=420)
    engine, found = sentencepiece.SentencePieceProcessor(model_proto=content), read_sentencepieces(content, "m")
    ids = range(engine.get_piece_size())
    assert found.pieces == [(engine.id_to_piece(id), engine.get_score(id)) for id in ids]
    assert [kind == 3 for kind in found.types] == [engine.is_control(id) for id in ids]
    assert [kind == 6 for kind in found.types] == [engine.is_byte(id) for id in ids]
    assert found.kind == "unigram"
    assert read_sentencepieces(sentencepiece_model(model_type="bpe"), "m").kind == "bpe"
    for cut in (0, 3, 100, len(content) // 2, len(content) - 1):
        with refuses("m: not a SentencePiece model, or one that is cut off"):
            read_sentencepieces(content[:cut], "m")


def test_the_language_to_translate_into_is_one_token(shared_data, tmp_path):
    pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    folder = copied(
        shared_data / "tok-marian-en-mg", tmp_path, ["source.spm", "target.spm", "vocab.json", "config.json"]
    )
    text = ">>fra<< a test"
    assert ">>" in "".join(load_tokenizer(folder).encode(text).tokens)  # this model has no languages
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary[">>fra<<"] = 54688
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = load_tokenizer(folder)
    found = tokenizer.encode(text)
    assert (found.ids[0], found.tokens) == (54688, [">>fra<<", "▁a", "▁test", "</s>"])
    assert found.offsets == [(0, 7), (8, 9), (10, 14), (0, 0)]
    assert found.word_ids == [0, 1, 2, None]
    assert tokenizer.encode_words(text.split()).ids == found.ids
    with refuses("unknown language '>>fre<<': did you mean '>>fra<<'?"):
        tokenizer.encode(">>fre<< a test")


def write(folder, files):
    for name, content in files.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return folder


PIECES = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n"
ROBERTA = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "t": 4, "h": 5, "th": 6, "<mask>": 7}


@pytest.mark.parametrize(
    ("files", "cls"),
    [
        ({"vocab.txt": PIECES}, "[CLS]"),
        ({"vocab.txt": PIECES, "config.json": {"model_type": "electra"}}, "[CLS]"),
        ({"vocab.txt": PIECES, "config.json": {"model_type": "roberta"}}, "[CLS]"),  # the vocabulary says what it is
        ({"vocab.txt": "<s>\n<pad>\n</s>\n[UNK]\na\n<mask>", "config.json": {"model_type": "mpnet"}}, "<s>"),
        ({"vocab.txt": "<s>\n<pad>\n</s>\n[UNK]\na\n<mask>"}, "<s>"),
        ({"vocab.json": ROBERTA, "merges.txt": "t h\n"}, "<s>"),
        ({"vocab.json": {**ROBERTA, "<|endoftext|>": 8}, "merges.txt": "", "config.json": {"model_type": "gpt2"}}, ""),
        (
            {
                "vocab.txt": PIECES,
                "config.json": {"model_type": "roberta"},
                "tokenizer_config.json": {"tokenizer_class": "BertTokenizerFast"},
            },
            "[CLS]",
        ),
    ],
)
def test_files_say_which_form_a_vocabulary_has(tmp_path, files, cls):
    tokenizer = load_tokenizer(write(tmp_path, files))
    found = tokenizer.encode("t")
    assert (found.tokens[0] if found.special_mask[0] else "") == cls


def test_a_multilingual_model_of_another_family(tmp_path):
    """A BERT with the vocabulary of XLM-R: the name of its file says so."""
    folder = folder_of(tmp_path, "xlm-roberta")
    write(folder, {"tokenizer_config.json": {}, "config.json": {"model_type": "bert"}})
    assert load_tokenizer(folder).encode("a").tokens[0] == "<s>"
    (folder / "sentencepiece.bpe.model").rename(folder / "spiece.model")
    with refuses(
        f"{folder}: no file says how the vocabulary is used: model_type is 'bert', and there is no tokenizer_class;"
        " name the form (xlm-roberta, camembert, albert, t5, pegasus, mbart, mbart50, sentencepiece)"
    ):
        load_tokenizer(folder)
    assert load_tokenizer(folder, form="xlm-roberta").settings()["form"] == "xlm-roberta"


def test_added_tokens_have_their_ids(tmp_path):
    config = {"added_tokens_decoder": {"7": {"content": "<b>", "special": True}, "0": {"content": "[PAD]"}}}
    files = {"vocab.txt": PIECES, "added_tokens.json": {"<a>": 6}, "tokenizer_config.json": config}
    tokenizer = load_tokenizer(write(tmp_path, files))
    found = tokenizer.encode("the <a> <b>")
    assert (found.ids, found.tokens) == ([2, 5, 6, 7, 3], ["[CLS]", "the", "<a>", "<b>", "[SEP]"])
    assert tokenizer.size == 8
    assert tokenizer.decode(found.ids) == "the <a>"


def test_further_special_tokens_stay_whole(tmp_path):
    config = {"additional_special_tokens": ["[X]", {"content": "[Y]"}]}
    files = {"vocab.txt": PIECES + "[X]\n[Y]\n[Z]\n", "special_tokens_map.json": config}
    tokenizer = load_tokenizer(write(tmp_path, files))
    found = tokenizer.encode("the [X][Y] [Z]")
    assert found.tokens == ["[CLS]", "the", "[X]", "[Y]", *["[UNK]"] * 3, "[SEP]"]
    assert tokenizer.decode(found.ids) == "the"


def test_a_number_with_marks_is_one_word(tmp_path):
    """Words are those between white space, whatever marks are in them."""
    text = "It cost 5.975,74 euros."
    for form in ("xlm-roberta", "pegasus"):
        (tmp_path / form).mkdir()
        found = load_tokenizer(folder_of(tmp_path / form, form)).encode(text, special_tokens=False)
        spans = [
            [span for span, word in zip(found.offsets, found.word_ids, strict=True) if word == number]
            for number in range(4)
        ]
        assert [text[word[0][0] : word[-1][1]] for word in spans] == text.split()


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({}, {}, ": no tokenizer: expected tokenizer.json, vocab.txt, vocab.json with merges.txt, a SentencePiece"
         " .model, or source.spm with target.spm and vocab.json"),
        ({"vocab.txt": PIECES, "x.model": "?"}, {},
         ": several vocabularies (vocab.txt, x.model): name the file that is to be read"),
        ({"x.model": "?", "y.model": "?"}, {}, ": several SentencePiece models (x.model, y.model): name one of them"),
        ({"x.model": "?"}, {"form": "t5"}, "/x.model: not a SentencePiece model, or one that is cut off"),
        ({"x.model": "?"}, {}, "/x.model: not a SentencePiece model, or one that is cut off"),
        ({"vocab.txt": PIECES}, {"form": "brt"}, None),
        ({"vocab.txt": PIECES}, {"form": "roberta"},
         ": form 'roberta' has a vocabulary in merges.txt, and there is one in vocab.txt: the files are of two models"),
        ({"vocab.txt": PIECES, "tokenizer_config.json": {"tokenizer_class": "XLMRobertaTokenizer"}}, {},
         "/tokenizer_config.json: tokenizer_class 'XLMRobertaTokenizer' has a vocabulary in .model, and there is one in"
         " vocab.txt: the files are of two models"),
        ({"vocab.txt": PIECES}, {"language": "de_DE"},
         ": language 'de_DE': tokenizers of form 'bert' are not told the language"),
        ({"vocab.txt": PIECES}, {"target": True},
         ": target: tokenizers of form 'bert' have one vocabulary for both languages"),
        ({"vocab.txt": "the\n[CLS]\n[SEP]"}, {},
         "/vocab.txt: there is no '[UNK]' (unknown), expected one token per line"),
        ({"vocab.txt": "the\n[UNK]\n[SEP]"}, {"form": "bert"},
         ": the vocabulary has no '[CLS]', the cls token of such a model"),
        ({"vocab.txt": PIECES, "added_tokens.json": {"<a>": 7}}, {},
         ": the added token '<a>' is said to have the id 7, and would have 6: the vocabulary is another one"),
        ({"vocab.txt": PIECES, "added_tokens.json": {"<a>": "7"}}, {},
         "/added_tokens.json: token '<a>': id '7', expected a number from 0"),
        ({"vocab.txt": PIECES, "tokenizer_config.json": {"do_lower_case": "yes"}}, {},
         "/tokenizer_config.json: do_lower_case: 'yes', expected true or false"),
        ({"vocab.txt": PIECES, "tokenizer_config.json": {"do_basic_tokenize": False}}, {},
         "/tokenizer_config.json: do_basic_tokenize: false is not supported: words are always cut at spaces and marks"),
        ({"vocab.json": ROBERTA}, {}, ": no merges.txt beside it"),
        ({"merges.txt": "t h"}, {"form": "roberta"}, ": no vocab.json beside it"),
        ({"merges.txt": "t h", "vocab.json": {**ROBERTA, "x": 3}}, {},
         "/vocab.json: tokens '<unk>' and 'x' both have the id 3"),
        ({"merges.txt": "t h", "vocab.json": {**ROBERTA, "x": "9"}}, {},
         "/vocab.json: token 'x': id '9', expected a number from 0"),
        ({"merges.txt": "#version: 0.2\nt h\nth e", "vocab.json": ROBERTA}, {},
         "/merges.txt:3: token 'e' is not in vocab.json"),
        ({"merges.txt": "t h x", "vocab.json": ROBERTA}, {},
         "/merges.txt:1: 't h x': expected two tokens with a space between them"),
        ({"vocab.txt": PIECES, "special_tokens_map.json": {"pad_token": "<pad>"}}, {},
         "/special_tokens_map.json: names '<pad>' as the pad token, which the vocabulary does not have"),
        ({"vocab.txt": PIECES, "special_tokens_map.json": {"additional_special_tokens": ["<x>"]}}, {},
         ": the special token '<x>' (additional_special_tokens) is neither in the vocabulary nor in added_tokens.json"),
        ({"source.spm": "?", "target.spm": "?"}, {}, ": no vocab.json beside it"),
        ({"source.spm": "?", "vocab.json": ROBERTA}, {}, ": no target.spm beside it"),
    ],
)  # fmt: skip
def test_files_that_make_no_tokenizer_are_refused(tmp_path, files, options, message):
    if message is None:
        message = "unknown form of a tokenizer 'brt': did you mean 'bert'?"
    else:
        message = f"{tmp_path}{message}"
    with refuses(message):
        load_tokenizer(write(tmp_path, files), **options)


def test_other_ways_to_be_wrong(tmp_path):
    with refuses(f"{tmp_path / 'none'}: no such file or folder, expected a tokenizer's"):
        load_tokenizer(tmp_path / "none")
    write(tmp_path, {"vocab.txt": PIECES, "tokenizer_config.json": {"tokenizer_class": "BertJapaneseTokenizer"}})
    with pytest.raises(InputError, match="tokenizer_class 'BertJapaneseTokenizer' is not supported without a token"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "vocab.txt").write_bytes(b"[UNK]\n\xff")
    with refuses(f"{tmp_path / 'vocab.txt'}: not UTF-8: invalid start byte at byte 6"):
        load_tokenizer(tmp_path)
    write(tmp_path, {"vocab.txt": PIECES + "the\n"})
    with pytest.warns(InputWarning, match="vocab.txt:7: token 'the' is in line 6 as well"):
        assert load_tokenizer(tmp_path).encode("the").ids == [2, 6, 3]  # as transformers does, the last one counts


def test_a_bpe_model_of_sentencepiece_is_read_as_it_is_only(tmp_path):
    pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    (tmp_path / "x.model").write_bytes(sentencepiece_model(model_type="bpe"))
    with refuses(
        f"{tmp_path / 'x.model'}: a SentencePiece model of kind 'bpe', expected 'unigram'; form 'sentencepiece' reads"
        " it as it is"
    ):
        load_tokenizer(tmp_path, form="xlm-roberta")
    tokenizer = load_tokenizer(tmp_path, form="sentencepiece")
    for text in TEXTS:
        placed(tokenizer.encode(text), text)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "x.model").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "sentencepiece", None)
    with refuses(
        f"{tmp_path / 'x.model'}: this tokenizer needs the package sentencepiece: pip install 'spago_jax[text]'"
    ):
        load_tokenizer(tmp_path)


@pytest.mark.shared_data
def test_words_that_are_given_one_by_one_are_those_of_the_text(shared_data, tmp_path):
    """Of every engine: words with a space between them give the ids of the text."""
    pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    tokenizers = [load_tokenizer(shared_data / name) for name in ("tok-bert-uncased", "tok-bart-roberta", "tok-gpt2")]
    tokenizers += [load_tokenizer(shared_data / "tok-marian-en-mg"), load_tokenizer(folder_of(tmp_path, "xlm-roberta"))]
    for tokenizer in tokenizers:
        for text in TEXTS:
            words = text.split()
            if "\u200d" in text or "\u3000" in text or "½" in text or "▁" in text:  # these turn into words of their own
                continue
            found, whole = tokenizer.encode_words(words), tokenizer.encode(" ".join(words))
            assert found.ids == whole.ids, (text, found.tokens, whole.tokens)
            for (start, end), number, (begin, stop) in zip(found.offsets, found.word_ids, whole.offsets, strict=True):
                if number is not None:
                    before = len(" ".join([*words[:number], ""]))
                    assert max(begin, before) == start + before
                    assert stop == end + before
