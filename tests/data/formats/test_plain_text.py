# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: the text itself."""

import gzip
import io
import os
import threading

import pytest
from helpers import refuses
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.data.files import _WithoutMarks
from spago_jax.data.formats.plain_text import read_lines, read_text
from spago_jax.errors import InputError

characters = st.text(st.characters(codec="utf-8") | st.sampled_from("\r\n\ufeff"), max_size=30)


@given(characters, st.integers(1, 7), st.booleans())
def test_pieces_join_to_the_text(tmp_path_factory, text, chunk, packed):
    path = tmp_path_factory.getbasetemp() / ("pieces.txt.gz" if packed else "pieces.txt")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    pieces = list(read_text(path, chunk=chunk))
    assert "".join(pieces) == text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")
    assert all(1 <= len(piece) <= chunk for piece in pieces)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_texts_of_all_systems_are_the_same(tmp_path, end):
    path = tmp_path / "a.txt"
    path.write_bytes(f"one{end}{end}two{end}".encode())
    assert "".join(read_text(path, chunk=4)) == "one\n\ntwo\n"
    assert list(read_lines(path)) == ["one", "", "two"]


@given(st.text(st.sampled_from("\ufeff\ufefe\ufec0\ufb00a")), st.integers(1, 5))
def test_marks_of_joined_files_are_left_out_wherever_reads_end(text, size):
    """Oracle: the whole at once. The letters begin with the bytes of a mark."""
    whole = text.encode()

    class Slow(io.BytesIO):
        def read(self, n=-1, /):
            return super().read(min(n, size))

    found = io.BufferedReader(_WithoutMarks(Slow(whole)), 64).read()
    assert found == whole.replace(b"\xef\xbb\xbf", b"")


def test_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\n\n\ufefftwo\u2028x\ry\n last".encode())
    assert list(read_lines(path)) == ["one", "", "two\u2028x", "y", " last"]


def test_a_pipe_is_read_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for content, line in ((b"one\rtwo\n", None), (b"one\rtwo\n\xff", 3)):
        writer = threading.Thread(target=path.write_bytes, args=(content,))
        writer.start()
        if line is None:
            assert list(read_lines(path)) == ["one", "two"]
        else:
            with refuses(f"{path}:3: not UTF-8: byte 0xff at offset 8"):
                list(read_lines(path))
        writer.join()


def test_errors(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(InputError, match="no such file"):
        read_text(path)
    with pytest.raises(InputError, match="no such file"):
        read_lines(path)
    path.write_bytes(b"one\ntwo\nthr\xc3(\n")
    with pytest.raises(InputError, match=":3: not UTF-8: byte 0xc3 at offset 11"):
        list(read_text(path))
    path.write_bytes(b"one\rtwo\r\nthr\xc3(\n")
    for read in (read_text, read_lines):
        with refuses(f"{path}:3: not UTF-8: byte 0xc3 at offset 12"):
            list(read(path))
