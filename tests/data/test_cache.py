# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: what the builder was called for, and the file system."""

import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers import refuses

from spago_jax.core.machine import cache_root
from spago_jax.data import cache
from spago_jax.data.cache import cached, fingerprint
from spago_jax.data.load import load_text
from spago_jax.text.alphabet import Alphabet
from spago_jax.train import load_experiment


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SPAGO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.txt"
    path.write_text("one")
    return path


class Builder:
    def __init__(self):
        self.calls = 0

    def __call__(self, folder: Path):
        self.calls += 1
        assert list(folder.iterdir()) == []
        (folder / "made").write_text(str(self.calls))


def test_where_it_is(monkeypatch, tmp_path):
    assert cache_root() == tmp_path / "cache"
    monkeypatch.delenv("SPAGO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_root() == Path("/x/spago_jax")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_root() == Path("/home/someone/.cache/spago_jax")


def test_built_once_for_the_same_sources_and_settings(source, root):
    build = Builder()
    folder = cached("k", [source], {"a": 1, "b": [None]}, build)
    assert cached("k", [source], {"b": [None], "a": 1}, build) == folder
    assert build.calls == 1
    assert folder.parent == root
    assert (folder / "made").read_text() == "1"
    cached("k", [source], {"a": 2, "b": [None]}, build)
    cached("other", [source], {"a": 1, "b": [None]}, build)
    assert build.calls == 3


def test_a_changed_source_is_built_again(source):
    build = Builder()
    cached("k", [source], {}, build)
    state = source.stat()
    os.utime(source, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    cached("k", [source], {}, build)
    source.write_text("longer")
    os.utime(source, ns=(state.st_atime_ns, state.st_mtime_ns))
    cached("k", [source], {}, build)
    assert build.calls == 3


def test_a_new_format_is_built_again(source, monkeypatch):
    build = Builder()
    cached("k", [source], {}, build)
    monkeypatch.setattr(cache, "FORMAT_VERSION", -1)
    cached("k", [source], {}, build)
    assert build.calls == 2


def test_the_same_file_under_another_name_is_the_same(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fingerprint("k", ["source.txt"], {}) == fingerprint("k", [source], {})


def test_a_failed_build_leaves_nothing(source, root):
    def fail(folder):
        (folder / "half").touch()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cached("k", [source], {}, fail)
    assert list(root.iterdir()) == []
    build = Builder()
    cached("k", [source], {}, build)
    assert build.calls == 1


def test_a_killed_build_is_not_used_and_tidied_later(source, root):
    (root / f"{cache._PART}old").mkdir(parents=True)
    (root / f"{cache._PART}new").mkdir()
    os.utime(root / f"{cache._PART}old", (1, 1))
    build = Builder()
    folder = cached("k", [source], {}, build)
    assert build.calls == 1
    assert sorted(entry.name for entry in root.iterdir()) == [f"{cache._PART}new", folder.name]


def test_builders_at_the_same_time(source, root):
    together = threading.Barrier(4, timeout=10)
    folders, numbers = [], iter(range(4))

    def build(folder):
        together.wait()  # all are at it before the first ends
        (folder / "made").write_text(str(next(numbers)))

    def work():
        folders.append(cached("k", [source], {}, build))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(folders) == 4
    assert len(set(folders)) == 1
    assert [entry.name for entry in root.iterdir()] == [folders[0].name]
    assert (folders[0] / "made").read_text() in "0123"


def test_where_the_cache_cannot_be_written(source, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_fallback", None)
    monkeypatch.setenv("SPAGO_CACHE", str(source / "below a file"))
    build = Builder()
    with pytest.warns(UserWarning, match=r"the cache .*below a file/data cannot be written \(Not a directory\)"):
        folder = cached("k", [source], {}, build)
    assert (folder / "made").exists()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough
        assert cached("k", [source], {}, build) == folder
    assert build.calls == 1


def test_bad_arguments(tmp_path, source):
    path = tmp_path / "sourc.txt"
    with refuses(f"{path}: no such file; did you mean 'source.txt'?"):
        cached("k", [path], {}, Builder())
    with refuses("the settings of a cached k must be plain values: Object of type set is not JSON serializable"):
        cached("k", [source], {"a": set()}, Builder())


def test_loading_is_from_the_cache_the_second_time(tmp_path, root):
    (tmp_path / "a.txt").write_text("abc")

    def load():
        return load_text(tmp_path / "a.txt", alphabet=Alphabet("cba")).ids.tolist()

    assert load() == [2, 1, 0]
    made = {entry.name: entry.stat().st_ctime_ns for entry in root.glob("*/about.json")}
    assert load() == [2, 1, 0]
    assert {entry.name: entry.stat().st_ctime_ns for entry in root.glob("*/about.json")} == made
    assert len(list(root.iterdir())) == 1


@pytest.mark.parametrize(("config", "files"), [("tiny.yaml", 3), ("moods-cnn.yaml", 2)])
def test_corpora_of_tasks_are_from_the_cache_the_second_time(config, files, corpus, root):
    experiment = load_experiment(corpus / config)
    first = experiment.task_class.prepare(experiment)
    made = {entry: entry.stat().st_ctime_ns for entry in root.glob("*/about.json")}
    again = experiment.task_class.prepare(experiment)
    assert len(made) == files
    assert {entry: entry.stat().st_ctime_ns for entry in root.glob("*/about.json")} == made
    np.testing.assert_array_equal(first.parts["train"].lengths, again.parts["train"].lengths)


def test_use_is_marked(source):
    folder = cached("k", [source], {}, Builder())
    os.utime(folder, (1, 1))
    cached("k", [source], {}, Builder())
    assert folder.stat().st_mtime > 1
