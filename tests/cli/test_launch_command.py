"""Processes that are started together: quick stand-ins for those that train."""

import signal
import sys
import time

import pytest

from spago_jax.cli.launch import Group
from spago_jax.cli.main import run

SAY = "import os, sys, time; number = int(os.environ['SPAGO_PROCESS']); "


def group(code: str, count: int = 2) -> Group:
    return Group([sys.executable, "-S", "-c", SAY + code], count)


def test_each_process_knows_the_others(tmp_path):
    code = f"open(f'{tmp_path}/{{number}}', 'w').write(os.environ['SPAGO_COORDINATOR'] + os.environ['SPAGO_PROCESSES'])"
    assert group(code, 3).run() == 0
    said = [(tmp_path / str(number)).read_text() for number in range(3)]
    assert len(set(said)) == 1
    assert said[0].startswith("127.0.0.1:")
    assert said[0].endswith("3")


def test_only_the_first_process_is_heard_where_all_goes_well(capfd):
    assert group("print('out', number); print('err', number, file=sys.stderr)").run() == 0
    assert capfd.readouterr() == ("out 0\n", "err 0\n")


def test_a_process_that_fails_ends_all_with_its_words_and_its_code(capfd, monkeypatch):
    monkeypatch.setattr("spago_jax.cli.launch.GRACE", 0.2)
    begun = time.monotonic()
    code = "number and (print('why', file=sys.stderr), sys.exit(7)); time.sleep(60)"
    assert group(code).run() == 7
    assert time.monotonic() - begun < 30
    err = capfd.readouterr().err
    assert "[process 1] why" in err
    assert "process 1 of 2 failed with exit code 7; all have ended" in err


def test_a_process_that_is_killed_is_the_cause_of_what_the_others_say(capfd):
    code = "os.kill(os.getpid(), 9) if number else (time.sleep(0.3), sys.exit(1))"
    assert group(code).run() == 128 + signal.SIGKILL
    assert "process 1 of 2 was killed by SIGKILL; all have ended" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "x"], "launch starts train, not 'serve'"),
        (["tran", "x"], "did you mean 'train'?"),
        ([], "as in launch --processes 2 train CONFIG"),
    ],
)
def test_launch_starts_training_alone(arguments, message, capsys):
    assert run(["launch", "--processes", "2", *arguments]) == 2
    assert message in capsys.readouterr().err
