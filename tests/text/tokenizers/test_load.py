"""Tokenizers from the files of models. Oracle: ids that the packages tokenizers and sentencepiece gave."""

import json
import subprocess
import sys

import pytest
from helpers import refuses
from subwords import lines, same, wordpiece_folder

from spago_jax.errors import InputError
from spago_jax.tasks.carried_source import carried_source
from spago_jax.text.tokenizers.load import load_tokenizer


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("tok-bert-uncased", "reference.jsonl"), ("tok-bert-uncased", "reference_pairs.jsonl"),
        ("tok-bart-roberta", "reference_tokenizer_json.jsonl"), ("tok-bart-roberta", "reference_pairs.jsonl"),
    ],
)  # fmt: skip
def test_tokenizer_json_gives_the_reference(shared_data, name, reference):
    same(load_tokenizer(shared_data / name), lines(shared_data / name / reference))


@pytest.mark.shared_data
def test_a_length_and_a_padding_in_the_file_are_switched_off(shared_data):
    tokenizer = load_tokenizer(shared_data / "tok-bert-uncased" / "tokenizer.json")  # Fixed(128), max_length 128
    assert len(tokenizer.encode("a").ids) == 3
    assert len(tokenizer.encode("a " * 200).ids) == 202
    assert tokenizer.max_length == 512  # from the config beside it


def test_the_file_is_the_truth_whatever_the_config_says(tmp_path):
    """transformers 5 lower-cases here: it builds the tokenizer anew, as the class in the config has it."""
    folder = wordpiece_folder(tmp_path, tokenizer_class="BertTokenizer", do_lower_case=True)
    content = json.loads((folder / "tokenizer.json").read_text())
    content["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert load_tokenizer(folder).encode("The the").tokens == ["[CLS]", "[UNK]", "the", "[SEP]"]


def test_special_tokens_are_strings_or_objects(tmp_path):
    folder = wordpiece_folder(tmp_path, mask_token={"content": "the", "lstrip": True})
    assert load_tokenizer(folder).special_ids["mask"] == 5


def test_special_tokens_have_their_usual_roles_where_no_file_names_them(tmp_path):
    folder = wordpiece_folder(tmp_path)
    (folder / "tokenizer_config.json").unlink()
    tokenizer = load_tokenizer(folder)
    assert tokenizer.special_ids == {"unknown": 1, "pad": 0, "cls": 2, "sep": 3, "mask": 4, "begin": 2, "end": 3}
    assert tokenizer.max_length is None


def test_roles_that_the_files_do_not_name_are_the_usual_ones(tmp_path):
    folder = wordpiece_folder(tmp_path)
    (folder / "tokenizer_config.json").write_text('{"mask_token": "the"}')
    found = load_tokenizer(folder).special_ids
    assert found == {"unknown": 1, "pad": 0, "cls": 2, "sep": 3, "mask": 5, "begin": 2, "end": 3}


def test_an_exported_folder_can_read_its_tokenizer_again(tmp_path):
    tokenizer = load_tokenizer(wordpiece_folder(tmp_path))
    tokenizer.save(tmp_path / "assets" / "tokenizer")
    for name, content in carried_source([type(tokenizer).__module__]).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    code = f"""
import sys
from pathlib import Path
from processor.text.tokenizers.tokenizer import tokenizer_from
print(tokenizer_from({tokenizer.saved()!r}, Path("assets")).encode("the mats").ids)
print({{name.partition(".")[0] for name in sys.modules}} & {{"spago_jax", "jax", "numpy"}})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [str(tokenizer.encode("the mats").ids), "set()"], done.stderr


@pytest.mark.parametrize(("length", "expected"), [(512, 512), (1e30, None), (10**30, None), (None, None), (128.0, 128)])
def test_the_length_that_files_name(tmp_path, length, expected):
    assert load_tokenizer(wordpiece_folder(tmp_path, model_max_length=length)).max_length == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_max_length": "512"}, "model_max_length: '512', expected a number of tokens"),
        ({"model_max_length": 0}, "model_max_length: 0, expected a number of tokens"),
        ({"pad_token": 0}, "pad_token: 0, expected a string, or an object with a string as its content"),
        ({"pad_token": "<pad>"}, "names '<pad>' as the pad token, which the vocabulary does not have"),
    ],
)
def test_a_config_that_cannot_be_right_is_refused(tmp_path, changes, message):
    with refuses(f"{tmp_path / 'tokenizer_config.json'}: {message}"):
        load_tokenizer(wordpiece_folder(tmp_path, **changes))


def test_files_that_contradict_each_other_are_refused(tmp_path):
    folder = wordpiece_folder(tmp_path)
    (folder / "special_tokens_map.json").write_text('{"mask_token": "cat"}')
    with refuses(
        f"{folder / 'tokenizer_config.json'}: mask_token: '[MASK]', and special_tokens_map.json says 'cat': correct one"
        " of them"
    ):
        load_tokenizer(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"{}", b'{"model_type": "bert"}', b"[1]"])
def test_a_damaged_tokenizer_json_is_refused(tmp_path, content):
    folder = wordpiece_folder(tmp_path)
    (folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(InputError, match="tokenizer.json: not a tokenizer.json of the tokenizers package"):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["model"].update(unk_token="[NONE]"),
         "a tokenizer.json that cannot be used: WordPiece error: Missing"),
        (lambda d: d["post_processor"].update(special_tokens={}),
         "a tokenizer.json that cannot be used: no entry found"),
        (lambda d: d["added_tokens"][2].update(content="the"),
         "the added token 'the' is said to have the id 2, and has 5"),
        (lambda d: d["model"].update(vocab={"[UNK]": 1}, unk_token="[UNK]"),
         "the added token '[PAD]' is said to have the id 0, and has 1"),
    ],
)  # fmt: skip
def test_a_tokenizer_json_that_contradicts_itself_is_refused(tmp_path, change, message):
    folder = wordpiece_folder(tmp_path)
    content = json.loads((folder / "tokenizer.json").read_text())
    change(content)
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        load_tokenizer(folder).encode("unbelievable dogs")
    assert message in str(caught.value)


@pytest.mark.parametrize(("content", "why"), [(b"{", "not JSON"), (b"\xff", "not UTF-8"), (b"[]", "a JSON list")])
def test_a_damaged_config_is_refused(tmp_path, content, why):
    folder = wordpiece_folder(tmp_path)
    (folder / "tokenizer_config.json").write_bytes(content)
    with pytest.raises(InputError, match=f"tokenizer_config.json: {why}"):
        load_tokenizer(folder)
