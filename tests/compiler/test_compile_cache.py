"""The compile cache on disk: a second process compiles nothing. Each case is a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import json, jax
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
{before}
import spago_jax as sj
import numpy as np
{setup}
program = sj.compile(lambda x: (x @ x.T).sum() * 3, name="cached")
value = float(program(np.ones((4, 2), np.float32)))
print(json.dumps({{
    "value": value,
    "hits": events.count("/jax/compilation_cache/cache_hits"),
    "misses": events.count("/jax/compilation_cache/cache_misses"),
    "folder": jax.config.jax_compilation_cache_dir,
}}))
"""


def run(before="", setup="", **environment):
    """What a fresh process did; variables set to None are absent."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SPAGO_", "JAX_COMPILATION", "XDG_CACHE"))}
    env |= {"HOME": os.devnull, "JAX_PLATFORMS": "cpu"}
    env |= {key: str(value) for key, value in environment.items()}
    code = CODE.format(before=before, setup=setup)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT, env=env
    )
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr, result.stderr
    answer = json.loads(result.stdout)
    assert answer.pop("value") == 4 * 4 * 2 * 3
    return answer


def files(folder):
    return sorted(path.name for path in folder.rglob("*-cache"))


def test_a_second_process_compiles_nothing(tmp_path):
    first = run(SPAGO_CACHE=tmp_path)
    assert first == {"hits": 0, "misses": 1, "folder": str(tmp_path / "xla")}
    stored = files(tmp_path / "xla")
    assert [name.split("-")[0] for name in stored] == ["jit_cached"]
    assert run(SPAGO_CACHE=tmp_path) == {"hits": 1, "misses": 0, "folder": str(tmp_path / "xla")}
    assert files(tmp_path / "xla") == stored


@pytest.mark.parametrize("word", ["off", "OFF", "0", "false", " no "])
def test_off_by_one_setting(tmp_path, word):
    assert run(SPAGO_CACHE=tmp_path, SPAGO_COMPILE_CACHE=word) == {"hits": 0, "misses": 0, "folder": None}
    assert list(tmp_path.iterdir()) == []


def test_off_by_a_call(tmp_path):
    answer = run(setup="assert sj.cache(False) is None", SPAGO_CACHE=tmp_path)
    assert answer == {"hits": 0, "misses": 0, "folder": None}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_by_setting_and_by_call(tmp_path):
    named = tmp_path / "named"
    assert run(SPAGO_CACHE=tmp_path, SPAGO_COMPILE_CACHE=named)["folder"] == str(named)
    assert run(SPAGO_COMPILE_CACHE="~/sub", HOME=tmp_path)["folder"] == str(tmp_path / "sub")
    given = tmp_path / "given"
    answer = run(setup=f"assert str(sj.cache({str(given)!r})) == {str(given)!r}", SPAGO_COMPILE_CACHE="off")
    assert answer == {"hits": 0, "misses": 1, "folder": str(given)}
    assert len(files(named)) == len(files(given)) == 1


def test_the_users_cache_folder_is_the_default(tmp_path):
    assert run(HOME=tmp_path)["folder"] == str(tmp_path / ".cache" / "spago_jax" / "xla")
    assert run(XDG_CACHE_HOME=tmp_path / "xdg")["folder"] == str(tmp_path / "xdg" / "spago_jax" / "xla")


def test_a_folder_that_cannot_be_written_is_passed_over_silently(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert run(SPAGO_CACHE=tmp_path / "file") == {"hits": 0, "misses": 0, "folder": None}
    assert (
        run(setup=f"assert sj.cache({str(tmp_path / 'file' / 'sub')!r}) is None", SPAGO_CACHE=tmp_path)["folder"]
        is None
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_passed_over_silently(tmp_path):
    (tmp_path / "xla").mkdir(mode=0o500)
    assert run(SPAGO_CACHE=tmp_path)["folder"] is None


def test_jaxs_own_setting_wins(tmp_path):
    own = f"jax.config.update('jax_compilation_cache_dir', {str(tmp_path / 'own')!r})"
    assert run(before=own, SPAGO_CACHE=tmp_path / "ours")["folder"] == str(tmp_path / "own")
    assert not (tmp_path / "ours").exists()


def test_the_folder_can_be_changed_after_jax_has_compiled_something(tmp_path):
    """JAX opens its cache once; a later folder would be ignored."""
    setup = f"sj.cache({str(tmp_path / 'a')!r}); sj.compile(lambda x: x + 1)(2.0); sj.cache({str(tmp_path / 'b')!r})"
    run(setup=setup)
    assert (len(files(tmp_path / "a")), len(files(tmp_path / "b"))) == (1, 1)
    assert run(setup=f"sj.cache({str(tmp_path / 'c')!r}); sj.compile(lambda x: x + 1)(2.0); sj.cache(False)") == {
        "hits": 0,
        "misses": 1,
        "folder": None,
    }
