"""Stores of vectors on disk. Oracle: a dict in memory, and what was written before a process was killed."""

import os
import random
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from spago_jax.embeddings.store.build import make_store, new_store
from spago_jax.embeddings.store.keys import hashes_of
from spago_jax.embeddings.store.log import RowLog
from spago_jax.embeddings.store.store import Store
from spago_jax.errors import InputError

WORDS = [f"w{n}" for n in range(40)] + ["żółw", " ", "a b", "Cat", "cat", "x\udcff"]


@pytest.fixture
def folder(tmp_path):
    """A store of a few words x 3, whose value is the number of the row."""
    path = tmp_path / "store"
    make_store(path, WORDS, np.repeat(np.arange(len(WORDS), dtype=np.float32)[:, None], 3, axis=1))
    return path


def whole(store):
    """Every value and slot."""
    rows = np.arange(len(store))
    return np.concatenate([store.read(rows)[:, None], store.read_slots(rows)], axis=1)


def refused(call, *words):
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_words_are_found_by_rules_and_others_are_zeros(folder):
    with Store.open(folder) as store:
        assert list(store.keys()) == WORDS
        assert store.find(["Żółw", "CAT", "Cat", "dog"], "lower").tolist() == [40, 44, 43, -1]
        assert store.find(["Żółw"]).tolist() == [-1]
        assert store[b"x\xff"].tolist() == [45.0] * 3
        found = store.read(np.array([[1, -1], [44, 0]]))
        assert found[..., 0].tolist() == [[1, 0], [44, 0]]
        assert "a b" in store
        assert "dog" not in store
        with pytest.raises(KeyError, match="no vector for 'dog'"):
            store["dog"]


@pytest.mark.parametrize(
    ("kind", "keys", "other"), [("integers", [7, 0, 2**63], 5), ("bytes", [b"\xff\0", b"", b"a"], b"b")]
)
def test_keys_may_be_integers_and_bytes(tmp_path, kind, keys, other):
    make_store(tmp_path / "s", keys, np.eye(3), kind=kind)
    with Store.open(tmp_path / "s") as store:
        assert list(store.keys()) == keys
        assert store.find([*reversed(keys), other]).tolist() == [2, 1, 0, -1]
        refused(lambda: store["word"], f"the key 'word' is not of the store's kind, {kind}")


def test_keys_of_equal_hashes_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr("spago_jax.embeddings.store.keys.hashes_of", lambda keys: np.zeros(len(keys), np.uint64))
    monkeypatch.setattr("spago_jax.embeddings.store.build.hashes_of", lambda keys: np.zeros(len(list(keys)), np.uint64))
    with new_store(tmp_path / "s", 1) as writer:
        for number, word in enumerate((b"a", b"b", b"c")):
            writer.add(word, np.array([number]))
    with Store.open(tmp_path / "s") as store:
        assert store.find(["c", "a", "d", "b"]).tolist() == [2, 0, -1, 1]
    assert len(set(hashes_of([b"a", b"b"]).tolist())) == 2


def test_new_keys_are_added_and_old_ones_replaced(folder):
    with Store.open(folder, write=True) as store:
        store.start_training(["m"])
        store.write(np.array([0]), np.ones((1, 3)), np.full((1, 1, 3), 9.0))
        store.put(["new", "w0", "new"], np.array([[5, 5, 5], [6, 6, 6], [7, 7, 7.0]]))
        assert len(store) == len(WORDS) + 1
    with Store.open(folder) as store:
        assert store["new"].tolist() == [7, 7, 7]
        assert store["w0"].tolist() == [6, 6, 6]
        assert store.read_slots(np.array([0])).tolist() == [[[0, 0, 0]]]  # a new value starts afresh
        assert store["cat"].tolist() == [44.0] * 3


def test_states_come_back_and_go_forth(folder):
    """Random changes, commits and moves, beside copies of the whole store in memory."""
    draw, states = np.random.default_rng(0), {}
    store = Store.open(folder, write=True)
    store.start_training(["m", "v"])
    for step in range(30):
        for _ in range(2):
            rows = draw.choice(len(WORDS), 5, replace=False)
            store.write(rows, draw.normal(size=(5, 3)), draw.normal(size=(5, 2, 3)))
        store.commit(str(step))
        states[str(step)] = whole(store)
        if step % 7 == 6:
            goal = str(draw.choice(store.tags))
            store.write(np.array([1, 2]), np.zeros((2, 3)))  # not committed
            store.move_to(goal)
            np.testing.assert_array_equal(whole(store), states[goal])
        if step % 10 == 9:
            store.forget(store.tags[2:])
            store.close()
            store = Store.open(folder, write=True)
    for goal in [*store.tags, *reversed(store.tags)]:
        store.move_to(goal)
        np.testing.assert_array_equal(whole(store), states[goal])
    refused(lambda: store.move_to("no"), "the store has no state 'no': another run has changed it since")
    store.close()


def test_what_was_not_committed_is_undone(folder):
    store = Store.open(folder, write=True)
    store.write(np.array([1, 2]), np.zeros((2, 3)))
    store.commit()
    before = whole(store)
    store.write(np.array([2, 3]), np.full((2, 3), 7.0))
    store._stack.close()  # the process ends: its lock goes, its log stays
    with Store.open(folder) as again:
        np.testing.assert_array_equal(whole(again), before)


def test_a_move_that_a_crash_cut_short_is_finished(folder, monkeypatch):
    with Store.open(folder, write=True) as store:
        store.commit("a")
        first = whole(store)
        store.write(np.arange(9), np.full((9, 3), 7.0))
        store.commit("b")
        second = whole(store)
        monkeypatch.setattr(Store, "_finish_move", lambda self: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            store.move_to("a")
        monkeypatch.undo()
        store._stack.close()
    with Store.open(folder, write=True) as store:
        np.testing.assert_array_equal(whole(store), first)
        store.move_to("b")
        np.testing.assert_array_equal(whole(store), second)


def test_a_record_that_was_cut_short_is_not_read(tmp_path):
    log = RowLog(tmp_path / "log", [2, 1])
    log.append(np.array([1, 5]), [np.array([[1, 2], [3, 4.0]]), np.array([[8.0], [9.0]])])
    size = (tmp_path / "log").stat().st_size
    log.append(np.array([6]), [np.array([[5, 6.0]]), np.array([[7.0]])])
    log.close()
    data = (tmp_path / "log").read_bytes()
    for cut in range(size, len(data)):
        for rest in (b"", bytes(len(data) - cut)):  # the file ends there, or the system has not written the rest
            if data[:cut] + rest == data:  # what is missing are zeros
                continue
            (tmp_path / "log").write_bytes(data[:cut] + rest)
            ((rows, (content, more)),) = RowLog(tmp_path / "log", [2, 1]).records()
            assert rows.tolist() == [1, 5]
            assert content.tolist() == [[1, 2], [3, 4]]
            assert more.tolist() == [[8], [9]]


def test_what_is_left_in_the_file_of_an_older_log_is_not_read(tmp_path):
    old = RowLog(tmp_path / "old", [2], 3)
    for row in range(3):
        old.append(np.array([row]), [np.full((1, 2), 7.0)])
    old.close()
    os.replace(tmp_path / "old", tmp_path / "spare")
    new = RowLog(tmp_path / "new", [2], 4, tmp_path / "spare")
    assert list(new.records()) == []
    new.append(np.array([9]), [np.full((1, 2), 1.0)])
    new.close()
    assert not (tmp_path / "spare").exists()
    assert [rows.tolist() for rows, _ in RowLog(tmp_path / "new", [2], 4).records()] == [[9]]


def test_logs_that_older_releases_wrote_are_read(folder):
    """A state that was tagged before the format changed; the bytes are written here as they were then."""
    with Store.open(folder, write=True) as store:
        store.start_training(["m"])
        store.commit("a")
        store.write(np.array([1, 4]), np.full((2, 3), 9.0), np.full((2, 1, 3), 5.0))
        store.commit("b")
        number = store._manifest.segments[1]
    body = np.array([1, 4], "<i8").tobytes() + np.array([[1] * 3 + [0] * 3, [4] * 3 + [0] * 3], "<f4").tobytes()
    record = struct.pack("<4sIQ", b"rows", zlib.crc32(body), 2) + body
    (folder / f"log-{number}.bin").write_bytes(record)
    with Store.open(folder, write=True) as store:
        store.move_to("a")
        assert whole(store)[[1, 4]].tolist() == [[[1] * 3, [0] * 3], [[4] * 3, [0] * 3]]
        store.move_to("b")
        assert whole(store)[[1, 4]].tolist() == [[[9] * 3, [5] * 3]] * 2


def test_what_was_read_before_is_what_a_change_is_undone_with(folder):
    store = Store.open(folder, write=True)
    store.start_training(["m"])
    before, rows = whole(store), np.array([7, 3, 4])
    store.write(rows, np.zeros((3, 3)), before=(store.read(rows), store.read_slots(rows)))
    store.write(rows, np.ones((3, 3)), before=(store.read(rows), store.read_slots(rows)))
    store.rollback()
    np.testing.assert_array_equal(whole(store), before)
    store.close()


def test_rows_are_read_and_written_in_any_order(folder):
    """Neighbors are one call of the system. Oracle: NumPy."""
    table = np.repeat(np.arange(len(WORDS), dtype=np.float32)[:, None], 3, axis=1)
    with Store.open(folder, write=True) as store:
        for rows in ([5, 6, 7, 2, 1, 0, 45, 44], [3], [], [0, 1, 2], [9, 9, 10]):
            np.testing.assert_array_equal(store.read(np.array(rows, int)), table[rows])
        rows = np.array([8, 9, 10, 2, 30, 31])
        table[rows] = np.arange(18).reshape(6, 3)
        store.write(rows, table[rows])
        np.testing.assert_array_equal(store.read(np.arange(len(WORDS))), table)


def test_a_training_leaves_no_log_behind_that_nothing_needs(folder):
    with Store.open(folder, write=True) as store:
        for step in range(4):
            store.write(np.array([step]), np.ones((1, 3)))
            store.commit(str(step))
            store.forget(store.tags[-1:])
        assert (folder / "spare.bin").exists()
    assert not (folder / "spare.bin").exists()
    assert list(folder.glob("log-*.bin")) == []


def test_room_is_made_where_the_system_cannot_reserve_it(folder, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)  # macOS
    with Store.open(folder, write=True) as store:
        store.start_training(["m", "v"])
        assert (folder / "slots.bin").stat().st_size == len(WORDS) * 3 * 2 * 4
        assert not store.read_slots(np.arange(len(WORDS))).any()


def test_one_process_writes(folder):
    with Store.open(folder, write=True) as store:
        refused(
            lambda: Store.open(folder, write=True),
            f"another process ({os.getpid()}) is at work on the store in {folder}; wait for it, or end it",
        )
        with Store.open(folder) as reader:
            store.write(np.array([1]), np.ones((1, 3)))
            assert len(reader) == len(WORDS)
            refused(lambda: reader.write(np.array([1]), np.ones((1, 3))), "open for reading only")


def test_a_store_that_may_not_be_changed_is_read(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    refused(lambda: Store.open(folder, write=True), "the store is read-only; open it for reading, or copy it")
    with Store.open(folder) as store:
        assert "cat" in store


def test_a_full_disk_changes_nothing(folder, monkeypatch):
    store = Store.open(folder, write=True)
    before = whole(store)
    full = OSError(28, "No space left on device")

    def fails(*_):
        raise full

    monkeypatch.setattr(os, "pwrite", fails)
    refused(lambda: store.write(np.array([1]), np.ones((1, 3))), "No space left on device; the change was not made")
    monkeypatch.setattr(os, "posix_fallocate", fails)
    refused(lambda: store.start_training(["m"]), "no room for the optimizer's memory: No space left")
    monkeypatch.undo()
    np.testing.assert_array_equal(whole(store), before)
    store.close()
    with Store.open(folder, write=True) as store:
        store.start_training(["m"], [0.5])
        assert store.read_slots(np.array([3])).tolist() == [[[0.5] * 3]]


@pytest.mark.parametrize("name", ["keys.bin", "offsets.bin", "hashes-0.bin", "order-0.bin", "rows.bin"])
def test_truncated_files_are_refused_in_one_line(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1])
    size = len(data)
    refused(lambda: Store.open(folder), f"{name}: has {size - 1:,} bytes, expected {size:,}: the store is not whole")
    (folder / name).unlink()
    refused(lambda: Store.open(folder), f"{name}: missing: the store is not whole")


def test_folders_that_are_no_stores_are_refused(folder, tmp_path):
    refused(lambda: Store.open(tmp_path / "none"), "no such store; make one with: spago-jax vectors convert")
    refused(lambda: Store.open(tmp_path), "the folder is not a store of vectors: it has no store.json")
    (folder / "store.json").write_text("{")
    refused(lambda: Store.open(folder), "cannot be read as a store of vectors")
    refused(lambda: make_store(tmp_path, ["a"], np.ones((1, 2))), "the folder holds other things than a store")
    refused(lambda: make_store(tmp_path / "x", ["a", "a"], np.ones((2, 2))), "the key 'a' comes twice")
    assert not (tmp_path / "x").exists()


KILLED = """
import sys
import numpy as np
from spago_jax.embeddings.store.store import Store
store = Store.open(sys.argv[1], write=True)
start = int(store.tags[-1]) if store.tags else 0
draw = np.random.default_rng(start)
for step in range(start + 1, start + 4000):
    rows = draw.choice(len(store), 300, replace=False)
    store.write(rows, np.full((300, 8), step), np.full((300, 1, 8), -step))
    if step % 3 == 0:
        store.commit(str(step))
        store.forget(store.tags[-2:])
        print(step, flush=True)
"""


def kill_at_random_moments(folder: Path, times: int, commits: int) -> None:
    """Every row is of one step, and none later than the last commit that was said."""
    make_store(folder, range(2000), np.zeros((2000, 8)), kind="integers")
    with Store.open(folder, write=True) as store:
        store.start_training(["m"])
    draw, last = random.Random(3), 0
    for _ in range(times):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(draw.randrange(1, commits))]
        time_to_live = draw.random() * 0.01
        try:
            process.wait(time_to_live)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        with Store.open(folder, write=True) as store:
            found = whole(store)
            tag = int(store.tags[store._manifest.at])
        last = max([last, *(int(line) for line in said if line.endswith("\n"))])
        assert last <= tag <= last + 3  # a commit may not have been said any more
        assert (found[:, 0] == found[:, :1, :1].reshape(-1, 1)).all()  # no row is half written
        assert (found[:, 1] == -found[:, 0]).all()
        assert found.max() <= tag


def test_a_killed_process_leaves_no_half_of_a_step(tmp_path):
    kill_at_random_moments(tmp_path / "store", 2, 9)


@pytest.mark.slow
def test_a_process_killed_at_fifty_moments_leaves_no_half_of_a_step(tmp_path):
    kill_at_random_moments(tmp_path / "store", 50, 40)
