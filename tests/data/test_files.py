# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: the file system itself, and gzip of the standard library."""

import errno
import gzip
import os

import pytest

from spago_jax.data.cache import fingerprint
from spago_jax.data.files import find_file, new_file, new_folder, open_binary, open_text
from spago_jax.errors import InputError


def refused(match_of, *arguments):
    with pytest.raises(InputError) as caught:
        match_of(*arguments)
    return str(caught.value)


def test_a_missing_file_names_the_nearest_beside_it(tmp_path):
    (tmp_path / "train.conll").write_text("x")
    path = tmp_path / "trian.conll"
    assert refused(find_file, path) == f"{path}: no such file; did you mean 'train.conll'?"
    path = tmp_path / "zzz"
    assert refused(find_file, path) == f"{path}: no such file; beside it: train.conll"


def test_a_missing_folder_and_an_empty_one(tmp_path):
    path = tmp_path / "no" / "a.txt"
    assert refused(find_file, path) == f"{path}: no such file: the folder {str(path.parent)!r} does not exist"
    path = tmp_path / "a.txt"
    assert refused(find_file, path) == f"{path}: no such file; its folder holds no files"


def test_a_folder_is_no_file(tmp_path):
    assert refused(find_file, tmp_path) == f"{tmp_path}: is a folder, expected a file; it holds no files"
    for number in range(10):
        (tmp_path / f"f{number}").touch()
    assert refused(find_file, tmp_path).endswith("it holds: f0, f1, f2, f3, f4, f5, f6, f7, ...")


def test_a_pipe_is_a_file_and_is_no_corpus(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert find_file(path) == path
    message = f"{path}: is a pipe or a device: data that are read more than once need a file"
    assert refused(fingerprint, "text", [path], {}) == message


def test_unreadable(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.touch()
    monkeypatch.setattr("os.access", lambda *_: False)
    assert refused(find_file, path) == f"{path}: cannot be read: permission denied"


def read_all(path):
    with open_text(path) as file:
        return file.read()


def test_text_is_utf8_without_its_mark_compressed_or_not(tmp_path):
    plain, packed = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    data = b"\xef\xbb\xbf" + "é\u2028\r\n\ufeffx".encode()
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    assert read_all(plain) == read_all(packed) == "é\u2028\r\nx"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_is_not_utf8_is_placed(tmp_path, suffix):
    path = tmp_path / f"a.txt{suffix}"
    data = b"one\n" * 5000 + b"caf\xe9\n"
    path.write_bytes(gzip.compress(data) if suffix else data)
    assert refused(read_all, path) == f"{path}:5001: not UTF-8: byte 0xe9 at offset 20003"


def test_utf16_is_named(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("one\n".encode("utf-16"))
    assert refused(read_all, path) == f"{path}:1: not UTF-8 but, by its first bytes, UTF-16: convert it"


def test_broken_compression(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(b"plain text")
    assert refused(read_all, path) == f"{path}: not valid gzip data (Not a gzipped file (b'pl'))"
    path.write_bytes(gzip.compress(b"abc" * 1000)[:-12])
    assert refused(read_all, path) == f"{path}: the compressed data end too early: the file is cut off"


def test_a_new_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail():
        with new_file(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    with new_file(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_new_folder_is_whole_or_not_there(tmp_path):
    path = tmp_path / "deep" / "folder"

    def fail():
        with new_folder(path) as part:
            (part / "half").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(path.parent.iterdir()) == []
    with new_folder(path) as part:
        (part / "whole").touch()
        assert not path.exists()
    assert [entry.name for entry in path.iterdir()] == ["whole"]

    def again():
        with new_folder(path):
            pass

    assert refused(again) == f"{path}: already exists and is not an empty folder: choose another name"


def test_a_full_disk_is_one_message_and_leaves_nothing(tmp_path):
    for new in (new_file, new_folder):
        path = tmp_path / "a"

        def write(new=new, path=path):
            with new(path):
                raise OSError(errno.ENOSPC, "No space left on device")

        assert refused(write) == f"{path}: cannot be written: no space left on the disk"
        assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a"
    for new in (new_file, new_folder):

        def write(new=new):
            with new(path):
                pass

        message = refused(write)
        assert message.startswith(f"{path}: cannot be written: ")
    missing = tmp_path / "no" / "a"

    def write_missing():
        with new_file(missing):
            pass

    assert refused(write_missing) == f"{missing}: cannot be written: No such file or directory"


def test_bytes(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"\0\1"))
    with open_binary(path) as file:
        assert file.read() == b"\0\1"


@pytest.mark.parametrize("name", ["x" * 300, f"{'x' * 300}/a", "a\0b"])
def test_a_name_that_no_file_can_have_is_a_missing_file(name):
    assert "no such file" in refused(find_file, name)
