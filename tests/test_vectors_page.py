"""Every section of docs/vectors.md that has commands, its files, configs, commands and Python, in an empty folder."""

import io
import re
import shlex
import sys
from pathlib import Path

import pytest

from spago_jax.cli.main import run

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "vectors.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.extended
def test_the_page_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for kind, path, text in _BLOCK.findall(PAGE):
        if path:
            Path(path).write_text(text, encoding="utf-8")
        elif kind == "python":
            exec(compile(text, "docs/vectors.md", "exec"), {"__name__": "page"})
        else:
            for line in text.splitlines():
                before, _, command = line.rpartition(" | ")
                monkeypatch.setattr(sys, "stdin", io.StringIO(" ".join(shlex.split(before)[1:]) + "\n"))
                assert run(shlex.split(command)[1:]) == 0, (line, capsys.readouterr().err)
    assert Path("capitals/store.json").is_file()
    assert not list(Path("stored").rglob("rows.bin"))  # the store is not copied
