# SPDX-License-Identifier: BSD-2-Clause
"""A new user's path: every section of docs/data.md, its files, configs, commands and Python, in an empty folder."""

import io
import re
import shlex
import sys
from pathlib import Path

import pytest

from spago_jax.cli.main import run

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "data.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUNNING = [name for name, text in SECTIONS.items() if "```bash" in text]


LONGEST = ("Language models", "Sentiment", "Several labels, numbers, pairs")


@pytest.mark.extended
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONGEST else name for name in RUNNING]
)
def test_a_section_runs_as_it_stands(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for kind, path, text in _BLOCK.findall(SECTIONS[name]):
        if path:
            Path(path).write_text(text, encoding="utf-8")
        elif kind == "python":
            exec(compile(text, f"{name} of docs/data.md", "exec"), {"__name__": "page"})
        else:
            for line in text.splitlines():
                before, _, command = line.rpartition(" | ")
                words = shlex.split(before)
                monkeypatch.setattr(sys, "stdin", io.StringIO(" ".join(words[1:]) + "\n"))
                assert run(shlex.split(command)[1:]) == 0, (line, capsys.readouterr().err)
    # What the page says of the files that are written.
    if Path("tagged.conllu").exists():
        given, tagged = (Path(path).read_text().split("\n") for path in ("words.conllu", "tagged.conllu"))
        assert [line.split("\t")[:3] for line in given if line] == [line.split("\t")[:3] for line in tagged if line]
    if Path("dates").exists():
        assert "B-date" in Path("dates/assets/tags.json").read_text()
    if Path("exported").exists():
        assert Path("exported/predict.py").is_file()


def test_the_page_has_every_kind_of_data():
    assert RUNNING == [
        "Entities", "Parts of speech", "Topics", "Sentiment", "Language models", "Several labels, numbers, pairs",
        "Texts for texts",
    ]  # fmt: skip
