"""A sweep that was killed or stopped at any moment, and resumed, ends with the same table as one that was not."""

import json
import signal

import pytest

from spago_jax.cli.main import run

# Twelve tiny runs whose programs are the same: only the first of them is compiled.
SWEEP = """\
name: twelve
base: {base}
settings: {{train.epochs: 4}}
method: grid
parameters:
  seed: [1, 2, 3, 4, 5, 6]
  train.log_every: [3, 6]
"""


@pytest.fixture(scope="module")
def file(corpus, tmp_path_factory):
    """The sweep's file."""
    path = tmp_path_factory.mktemp("sweep") / "s.yaml"
    path.write_text(SWEEP.format(base=corpus / "images.yaml"))
    return path


@pytest.fixture(scope="module")
def whole(file):
    """The folder of a sweep that nothing stopped."""
    assert run(["sweep", str(file), "--out", str(file.parent / "whole"), "-q"]) == 0
    return file.parent / "whole"


def lines(folder):
    path = folder / "trials.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def same(folder, whole):
    """Asserts that every trial ended with the same scores, bit for bit, and the same log, as those of `whole`."""
    found = [sorted((json.loads(line) for line in lines(f)), key=lambda r: r["trial"]) for f in (folder, whole)]
    for one, other in zip(found[0], found[1][: len(found[0])], strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}
        for name in ("metrics.jsonl", "scores.json"):
            paths = (f / one["folder"] / name for f in (folder, whole))
            assert len({path.read_bytes() for path in paths}) == 1


def table(folder, capsys, *more):
    """What a resumed sweep prints, without the folder's name."""
    arguments = ["sweep", str(folder / "sweep.yaml"), "--out", str(folder), "--resume", "-q", *more]
    assert run(arguments) == 0
    return capsys.readouterr().out.replace(str(folder), "")


@pytest.mark.slow
def test_killed_half_way(whole, file, tmp_path, capsys, spago_system):
    folder = tmp_path / "killed"

    def ready():  # the seventh trial is under way
        if len(lines(folder)) != 6:
            return False
        seventh = list(folder.glob("007-*"))
        return bool(seventh) and bool(spago_system.checkpoints(seventh[0]))

    spago_system.kill_when(ready, "sweep", file, "--out", folder)
    assert 6 <= len(lines(folder)) < 12
    assert not (folder / "report.html").exists()
    printed = table(folder, capsys)
    assert printed == table(whole, capsys)
    assert printed.count("\n") == 12 + 3
    same(folder, whole)
    assert (folder / "report.html").exists()


@pytest.mark.slow
def test_stopped_and_then_killed_with_two_processes(whole, file, tmp_path, capsys, spago_system):
    folder, few = tmp_path / "stopped", "parameters.seed=[1, 2, 3, 4]"  # the first eight trials of the twelve
    ended = spago_system.stop_when(
        lambda: len(lines(folder)) >= 2, signal.SIGINT, "sweep", file, few, "jobs=2", "--out", folder
    )
    assert ended.returncode == 130, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1] == (
        f"spago-jax: interrupted in the trials under way; what was trained is kept. Go on with: "
        f"spago-jax sweep {folder}/sweep.yaml --out {folder} --resume"
    )
    before = len(lines(folder))
    assert 2 <= before < 8
    again = ("sweep", folder / "sweep.yaml", "--out", folder, "--resume")
    spago_system.kill_when(lambda: len(lines(folder)) > before, *again)
    assert len(lines(folder)) < 8
    printed = table(folder, capsys, "jobs=1")  # at once: the processes of the killed one may be there for a moment
    assert printed.count("\n") == 8 + 3
    same(folder, whole)
