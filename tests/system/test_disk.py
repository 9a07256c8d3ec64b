"""A disk that is full and folders that cannot be written: one message, and the last good checkpoint is kept."""

import os
import re
import subprocess

import pytest
from tiny_runs import same_bits

from spago_jax.cli.main import run

CHANGES = ["train.epochs=4", "train.buckets=1", "model.dropout=0"]
FAILED = re.compile(
    r"spago-jax: cannot write .*: (.*); the last good checkpoint is step (\d+); --resume continues from it"
)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, whose size a test changes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a file system of its own cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def kilobytes(path):
    return int(subprocess.run(["du", "-sk", path], capture_output=True, text=True, check=True).stdout.split()[0])


def test_a_full_disk(small_disk, config, tmp_path, spago_system):
    # Room for the run with one checkpoint and a half, measured: what a checkpoint takes on disk is Orbax's affair.
    folder, whole = small_disk / "run", tmp_path / "whole"
    assert run(["train", str(config), *CHANGES, "--out", str(whole), "-q"]) == 0
    one = kilobytes(whole / "checkpoints" / str(spago_system.checkpoints(whole)[-1]))
    rest = kilobytes(whole) - kilobytes(whole / "checkpoints") - kilobytes(whole / "report.html")
    subprocess.run(["mount", "-o", f"remount,size={rest + one + one // 2}k", small_disk], check=True)
    ended = spago_system.spago("train", config, *CHANGES, "--out", folder, "-q")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    found = FAILED.fullmatch(ended.stderr.strip())
    assert found, ended.stderr
    assert found[1] == "the disk is full"
    kept = spago_system.checkpoints(folder)
    assert kept[-1] == int(found[2])
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {str(step) for step in kept}
    assert not list(folder.glob(".*"))

    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)  # room is made
    assert run(["predict", str(folder), "--input", str(config.with_name("test.conll"))]) == 0
    assert run(["train", str(config), *CHANGES, "--out", str(folder), "--resume", "-q"]) == 0
    same_bits(folder, whole)


@pytest.mark.slow
def test_a_limit_on_the_size_of_files(config, tmp_path, spago_system):
    # Where nothing can be mounted: the system refuses files beyond half the size of a checkpoint's largest.
    folder = tmp_path / "run"
    assert run(["train", str(config), "train.epochs=1", *CHANGES[1:], "--out", str(folder), "-q"]) == 0
    limit = max(p.stat().st_size for p in (folder / "checkpoints").rglob("*") if p.is_file()) // 2
    before = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    ended = spago_system.spago("train", config, *CHANGES, "--out", folder, "--resume", "-q", before=before)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    found = FAILED.fullmatch(ended.stderr.strip().splitlines()[-1])
    assert found, ended.stderr
    assert found[1] == "the file is larger than the system's limit"
    assert spago_system.checkpoints(folder) == [8]
    assert run(["evaluate", str(folder)]) == 0


def test_orbax_refuses_to_write(config, tmp_path, monkeypatch, capsys):
    from spago_jax.train.checkpoint import Checkpoints

    real = Checkpoints.save

    def save(self, step, *arguments):
        real(self, step, *arguments)
        if step == 16:

            class Failed:
                def result(self):
                    raise OSError(28, "No space left on device")

            self._pending.result()
            self._pending = Failed()

    monkeypatch.setattr(Checkpoints, "save", save)
    folder = tmp_path / "run"
    assert run(["train", str(config), *CHANGES, "--out", str(folder), "-q"]) == 1
    assert "the disk is full; the last good checkpoint is step 16" in capsys.readouterr().err


@pytest.mark.parametrize("below", ["file", "file/run"])
def test_a_path_under_a_file(config, tmp_path, capsys, below):
    (tmp_path / "file").write_text("mine")
    assert run(["train", str(config), "--out", str(tmp_path / below), "-q"]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"spago-jax: cannot write the run folder {tmp_path / below}: ")
    assert message.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_without_permission(config, tmp_path, capsys):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    try:
        assert run(["train", str(config), "--out", str(tmp_path / "run"), "-q"]) == 2
    finally:
        tmp_path.chmod(0o700)
    assert "cannot write the run folder" in capsys.readouterr().err


def test_overwrite_deletes_what_a_run_wrote_and_nothing_else(trained, config, tmp_path, capsys):
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(trained[1], folder)
    (folder / "notes.txt").write_text("mine")
    (folder / "assets" / "old.json").write_text("{}")
    assert run(["train", str(config), "train.epochs=1", "--out", str(folder), "--overwrite", "-q"]) == 0
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "assets" / "old.json").exists()

    project = tmp_path / "project"
    project.mkdir()
    (project / "config.yaml").write_text(config.read_text())
    assert run(["train", str(project / "config.yaml"), "--out", str(project), "--overwrite", "-q"]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err
    assert [path.name for path in project.iterdir()] == ["config.yaml"]
