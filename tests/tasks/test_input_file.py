"""What a user hands over: files, pipes and standard input give the same lines."""

import io
import json
import os
import sys
import threading

import pytest
from helpers import refuses

from spago_jax.errors import InputError
from spago_jax.tasks.input_file import InputFile

TEXT = "\ufeffAnn visits Rome.\r\n\rZo\u00eb\u2028x\n\ufeffBob".encode()
LINES = ["Ann visits Rome.", "", "Zo\u00eb\u2028x", "Bob"]


@pytest.fixture
def stdin(monkeypatch):
    """Puts bytes on standard input, whatever encoding the locale says."""
    return lambda data: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))


def test_files_pipes_and_standard_input_give_the_same_lines(tmp_path, stdin):
    (tmp_path / "a.txt").write_bytes(TEXT)
    assert list(InputFile(str(tmp_path / "a.txt")).lines()) == LINES
    stdin(TEXT)
    assert list(InputFile("-").lines()) == LINES
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(TEXT,))
    writer.start()
    assert list(InputFile(str(tmp_path / "pipe")).lines()) == LINES
    writer.join()


def test_a_file_descriptor_is_a_file():
    """As the shell's ``<(command)`` and ``/dev/stdin`` give one."""
    reading, writing = os.pipe()
    os.write(writing, TEXT)
    os.close(writing)
    assert list(InputFile(f"/dev/fd/{reading}").lines()) == LINES
    os.close(reading)


def test_standard_input_that_is_not_utf8_names_the_line(stdin):
    stdin(b"Ann\rBob\r\nZo\xeb\n")
    with refuses("-:3: not UTF-8: byte 0xeb at offset 11"):
        list(InputFile("-").lines())


def test_standard_input_that_breaks_names_the_line(monkeypatch):
    class Broken(io.BytesIO):
        def __next__(self):
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().__next__()

    broken = io.TextIOWrapper(Broken(b"Ann\nBob\n"))
    monkeypatch.setattr(sys, "stdin", broken)
    with refuses("-:2: cannot be read: Input/output error"):
        list(InputFile("-").lines())


def test_source_from_a_file_and_from_standard_input(tmp_path, stdin):
    source = "# coding: latin-1\r\nname = 'Zo\u00eb'\r\n"
    (tmp_path / "a.py").write_bytes(source.encode("latin-1"))
    stdin(source.encode("latin-1"))
    for name in ("-", str(tmp_path / "a.py")):
        assert InputFile(name).source_text() == source.replace("\r\n", "\n")
    stdin(b"a = 1\nb = 2\nc = '\xff'\n")
    with pytest.raises(ValueError, match=r"^-:3: cannot decode the source: 'utf-8' codec can't decode byte 0xff"):
        InputFile("-").source_text()


def test_the_end_of_a_name_may_have_capital_letters(tmp_path):
    for name in ("A.CSV", "A.Csv.gz"):
        (tmp_path / name).write_bytes(b"")
        assert InputFile(str(tmp_path / name)).suffix == ".csv"


def test_a_line_of_which_no_record_can_be_made_is_named(tmp_path):
    """Broken JSON, a list, what an example refuses, and JSON nested too deeply to be read."""

    def make(line, number):
        return {"id": number, **json.loads(line)}

    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x"}\n{"id": 7}\n')
    assert list(InputFile(str(path)).made_of_lines(make, "a text")) == [{"id": 1, "text": "x"}, {"id": 7}]
    for bad in ("{", "[1]", "[" * 200_000):
        path.write_text(f'{{"text": "x"}}\n{bad}\n')
        with pytest.raises(InputError, match="a.jsonl:2: not a record of a text: "):
            list(InputFile(str(path)).made_of_lines(make, "a text"))
