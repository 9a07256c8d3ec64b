# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: the text itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.data.formats.plain_text import read_lines, read_text
from spago_jax.errors import InputError


@given(
    st.text(st.characters(codec="utf-8"), max_size=30).filter(lambda t: not t.startswith("\ufeff")), st.integers(1, 7)
)
def test_pieces_join_to_the_text(tmp_path_factory, text, chunk):
    path = tmp_path_factory.getbasetemp() / "pieces.txt"
    path.write_bytes(text.encode())
    pieces = list(read_text(path, chunk=chunk))
    assert "".join(pieces) == text
    assert all(1 <= len(piece) <= chunk for piece in pieces)


def test_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("one\r\n\ntwo\u2028x\ry\n last".encode())
    assert list(read_lines(path)) == ["one", "", "two\u2028x\ry", " last"]


def test_errors(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(InputError, match="no such file"):
        read_text(path)
    with pytest.raises(InputError, match="no such file"):
        read_lines(path)
    path.write_bytes(b"one\ntwo\nthr\xc3(\n")
    with pytest.raises(InputError, match=":3: not UTF-8: byte 0xc3 at offset 11"):
        list(read_text(path))
