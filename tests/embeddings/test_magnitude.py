"""Magnitude's files, as its converter writes them. Oracle: the vectors, made of length 1 and rounded by NumPy."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from spago_jax.embeddings.convert_vectors import convert_vectors
from spago_jax.embeddings.read_vectors import read_word_vectors
from spago_jax.errors import InputError

WORDS = ["the", "The", "żółw", "New York", "cat"]
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), 4))
UNIT = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)


def written(path: Path, *, precision: object = 7, dim: object = 4, elmo: int = 0, setup: str = "") -> Path:
    columns = [f"dim_{number}" for number in range(4)]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            f"CREATE TABLE `magnitude` (key TEXT COLLATE NOCASE, {', '.join(f'{c} INTEGER' for c in columns)})"
        )
        database.execute("CREATE TABLE `magnitude_format` (key TEXT COLLATE NOCASE, value INTEGER)")
        for word, vector in zip(WORDS, UNIT, strict=True):
            numbers = [round(value * 10**7) for value in vector.tolist()]
            database.execute("INSERT INTO magnitude VALUES (?, ?, ?, ?, ?)", (word, *numbers))
        facts = {"version": 1, "elmo": elmo, "size": len(WORDS), "dim": dim, "precision": precision, "subword": 1}
        database.executemany(
            "INSERT INTO magnitude_format VALUES (?, ?)", [*facts.items(), ("entropy", 2), ("entropy", 0)]
        )
        database.execute("CREATE INDEX `magnitude_key_idx` ON `magnitude` (key)")
        database.executescript(setup)
    return path


def test_files_of_magnitude_are_read(tmp_path):
    path = written(tmp_path / "v.magnitude")
    before = path.read_bytes()
    vectors = read_word_vectors(path)
    assert vectors.words == WORDS
    np.testing.assert_allclose(vectors.matrix, UNIT, atol=1e-7)
    assert read_word_vectors(path, ["cat", "żółw", "no"]).words == ["żółw", "cat"]
    assert convert_vectors(path, tmp_path / "v.vec").format == "magnitude"
    np.testing.assert_array_equal(read_word_vectors(tmp_path / "v.vec").matrix, vectors.matrix)
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["v.magnitude", "v.vec"]


def test_vectors_of_newer_files_have_their_length_back(tmp_path):
    lengths = np.linalg.norm(VECTORS, axis=1).tolist()
    setup = "ALTER TABLE magnitude ADD COLUMN magnitude REAL;" + "".join(
        f"UPDATE magnitude SET magnitude = {length!r} WHERE rowid = {row};" for row, length in enumerate(lengths, 1)
    )
    found = read_word_vectors(written(tmp_path / "v.magnitude", setup=setup))
    np.testing.assert_allclose(found.matrix, VECTORS, atol=1e-6)


def test_what_is_no_file_of_magnitude_is_refused_by_name(tmp_path):
    view = "DROP TABLE magnitude; CREATE VIEW magnitude AS SELECT 1 AS key;"
    cases = {
        "elmo": ({"elmo": 1}, "vectors of ELMo, which depend on the sentence"),
        "dim": ({"dim": 5}, "dim is 5, and the table has 4 numbers per word"),
        "precision": ({"precision": "x"}, "precision b'x', expected numbers"),
        "view": ({"setup": view}, "a database without a table 'magnitude'"),
        "text": (
            {"setup": "UPDATE magnitude SET dim_1 = 'x' WHERE key = 'cat'"},
            "damaged, or not a file of Magnitude",
        ),
        "null": ({"setup": "UPDATE magnitude SET dim_1 = NULL WHERE key = 'cat'"}, "row 5: value 2 of 'cat' is nan"),
    }
    for name, (settings, message) in cases.items():
        with pytest.raises(InputError, match=message) as caught:
            read_word_vectors(written(tmp_path / f"{name}.magnitude", **settings))
        assert str(caught.value).startswith(str(tmp_path / name))
    content = (tmp_path / "elmo.magnitude").read_bytes()
    (tmp_path / "cut.magnitude").write_bytes(content[:5000])
    with pytest.raises(InputError, match="damaged, or not a file of Magnitude"):
        read_word_vectors(tmp_path / "cut.magnitude")
    (tmp_path / "packed.magnitude").write_text("3 2\n")
    with pytest.raises(InputError, match="not a file of Magnitude: a plain database of SQLite, not compressed"):
        read_word_vectors(tmp_path / "packed.magnitude", format="magnitude")
