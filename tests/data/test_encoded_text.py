# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: the text itself, and the published size of tiny Shakespeare."""

import gzip

import numpy as np
import pytest
from helpers import refuses
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.data import encoded_text
from spago_jax.data.encoded_text import EncodedText, encode_text
from spago_jax.text.alphabet import Alphabet, ByteAlphabet

texts = st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"), min_size=1, max_size=40)


@given(texts, st.integers(1, 9), st.booleans())
def test_what_goes_in_comes_out(tmp_path_factory, text, chunk, packed):
    folder = tmp_path_factory.mktemp("text")
    path = folder / ("a.txt.gz" if packed else "a.txt")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded_text, "_CHUNK", chunk)
        encode_text(path, folder / "encoded")
    encoded = EncodedText.open(folder / "encoded")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    assert encoded.decode() == text
    assert encoded.decode(1, 3) == text[1:3]
    assert list(encoded.alphabet) == sorted(set(text))
    assert encoded.counts.tolist() == [text.count(character) for character in encoded.alphabet]
    assert encoded.ids.dtype == np.uint8
    assert isinstance(encoded.ids.base, np.memmap)


@pytest.mark.parametrize(("distinct", "dtype"), [(256, np.uint8), (257, np.uint16), (65537, np.uint32)])
def test_the_narrowest_type(tmp_path, distinct, dtype):
    path = tmp_path / "a.txt"
    text = "".join(map(chr, range(0x10000, 0x10000 + distinct)))
    path.write_text(text, encoding="utf-8")
    encoded = encode_text(path, tmp_path / "encoded")
    assert encoded.ids.dtype == dtype
    assert encoded.ids.tolist() == list(range(distinct))
    assert repr(encoded) == f"EncodedText({distinct} characters, {distinct} distinct, {np.dtype(dtype)})"


def test_another_alphabet(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("ab\nczd\nd")
    encoded = encode_text(path, tmp_path / "1", Alphabet(["<unk>", "b", "a", "\n", "never"]))
    assert encoded.ids.tolist() == [2, 1, 3, 0, 0, 0, 3, 0]
    assert encoded.counts.tolist() == [4, 1, 1, 2, 0]
    assert encoded.strange == {"c": 1, "d": 2, "z": 1}
    assert encoded.decode() == "ab\n\ufffd\ufffd\ufffd\n\ufffd"
    with refuses(f"{path}:2: 2 characters not in the alphabet of 4: 'd' (U+0064), 'z' (U+007A)"):
        encode_text(path, tmp_path / "2", Alphabet("abc\n"))
    with refuses(
        f"{path}:1: 6 characters not in the alphabet of 1: '\\n' (U+000A), 'a' (U+0061), 'b' (U+0062),"
        " 'c' (U+0063), 'd' (U+0064), ..."
    ):
        encode_text(path, tmp_path / "2", Alphabet("x"))
    with refuses("the alphabet contains 'a' twice"):
        encode_text(path, tmp_path / "2", Alphabet("aba"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["1", "a.txt"]


@given(texts)
def test_bytes_are_an_alphabet(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("text")
    (folder / "a.txt").write_bytes(text.encode())
    encoded = encode_text(folder / "a.txt", folder / "1", ByteAlphabet())
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    assert encoded.ids.tobytes() == text.encode()
    assert encoded.decode() == text
    assert encoded.counts.sum() == len(encoded)
    assert repr(EncodedText.open(folder / "1")) == f"EncodedText({len(text.encode())} bytes, 256 distinct, uint8)"


def test_bad_files(tmp_path):
    path = tmp_path / "a.txt"
    with refuses(f"{path}: no such file; its folder holds no files"):
        encode_text(path, tmp_path / "1")
    path.touch()
    with refuses(f"{path}: empty: there are no characters in it"):
        encode_text(path, tmp_path / "1")
    path.write_bytes(b"a\n\xff")
    with refuses(f"{path}:2: not UTF-8: byte 0xff at offset 2"):
        encode_text(path, tmp_path / "1")


def test_a_file_that_changes_meanwhile(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("ab")
    pieces = iter([["ab"], ["aba"]])
    monkeypatch.setattr(encoded_text, "read_text", lambda *_, **__: next(pieces))
    with refuses(f"{path}: changed while it was read: 3 characters, then 2"):
        encode_text(path, tmp_path / "1")


def test_damaged(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("ab")
    folder = tmp_path / "1"
    encode_text(path, folder)
    np.save(folder / "ids.npy", np.zeros(3, np.uint8))
    with refuses(f"{folder / 'ids.npy'}: 3 ids, expected 2"):
        EncodedText.open(folder)
    (folder / "about.json").write_text("{}")
    with refuses(f"{folder}: no encoded text: missing or incomplete"):
        EncodedText.open(folder)


@pytest.mark.shared_data
def test_tiny_shakespeare(shared_data, tmp_path):
    encoded = encode_text(shared_data / "lm-tinyshakespeare" / "input.txt", tmp_path)
    assert len(encoded) == 1115394
    assert len(encoded.alphabet) == 65
