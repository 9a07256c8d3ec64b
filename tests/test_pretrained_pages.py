# SPDX-License-Identifier: BSD-2-Clause
"""The pages about pre-trained models: files, commands and Python of every section, on tiny models."""

import io
import re
import shlex
import sys
from pathlib import Path

import pytest
from subwords import wordpiece_folder
from tiny_pretrained import write_tiny, write_tiny_pair

from spago_jax.cli.main import run
from spago_jax.cli.task_options import ALIASES
from spago_jax.models.encoder.plans import PLANS
from spago_jax.tasks.pretrained.registry import OTHER_NAMES, PRETRAINED

DOCS = Path(__file__).resolve().parent.parent / "docs"
_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NLI = {"0": "contradiction", "1": "neutral", "2": "entailment"}
MODELS = {
    "masked-words": ("bert", "masked-words", {}),
    "replaced-tokens": ("electra", "replaced-tokens", {}),
    "classes": ("bert", "sequence-classification", {"id2label": {"0": "bad", "1": "good"}}),
    "entailment": ("bert", "sequence-classification", {"id2label": NLI}),
    "tags": ("bert", "token-classification", {"id2label": {"0": "O", "1": "B-X", "2": "I-X"}}),
    "spans": ("bert", "question-answering", {}),
    "states": ("bert", "states", {}),
    "next-sentence": ("bert", "next-sentence", {}),
}


# Files of Flair's that sections name.
FLAIR = {"ner.pt": "flair-0.10/tagger.pt", "tagger.pt": "flair-0.15.1/tagger.pt", "lm.pt": "flair-0.12.2/lm-forward.pt"}


def sections(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    return dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))


PAGES = [
    (page, name)
    for page in ("tasks.md", "generation.md", "pretrained.md", "from-spago.md", "embeddings.md")
    for name, text in sections(page).items()
    if re.search(r"^```(bash|python)", text, re.MULTILINE)
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("page") / "models"
    for name, (kind, head, keys) in MODELS.items():
        write_tiny(root / name, kind, head, max_position_embeddings=64, **keys)
        wordpiece_folder(root / name)
    write_tiny_pair(root / "writes")
    return root


@pytest.mark.extended
@pytest.mark.parametrize(("page", "name"), PAGES, ids=lambda value: value.replace(" ", "-"))
def test_a_section_runs_as_it_stands(page, name, models, tmp_path, monkeypatch, capsys, request):
    monkeypatch.chdir(tmp_path)
    for file, source in FLAIR.items():
        if file in sections(page)[name]:
            Path(file).write_bytes((request.getfixturevalue("shared_data") / "flair-fixtures" / source).read_bytes())
    Path("models").symlink_to(models)
    questions = iter(["Who programmed first?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(questions))
    for kind, path, text in _BLOCK.findall(sections(page)[name]):
        if path:
            Path(path).write_text(text, encoding="utf-8")
        elif kind == "python":
            exec(compile(text, f"{name} of {page}", "exec"), {"__name__": "page"})
        elif kind == "bash":
            for line in text.splitlines():
                before, _, command = line.rpartition(" | ")
                words = shlex.split(before)
                monkeypatch.setattr(sys, "stdin", io.StringIO(" ".join(words[1:]) + "\n"))
                assert run(shlex.split(command)[1:]) == 0, (line, capsys.readouterr().err)
    if name == "What is the same for all":
        assert len(Path("answers.jsonl").read_text().splitlines()) == 2


def test_every_task_has_a_section():
    text = (DOCS / "tasks.md").read_text(encoding="utf-8")
    for task in PRETRAINED.names():
        assert f"spago-jax run {task} " in text
        assert f'sj.load_task("{task}"' in text


def supported() -> str:
    """The table of architectures and heads, as the code has them."""
    heads = list(dict.fromkeys(head for plans in PLANS.values() for head in plans))
    rows = [["head", *PLANS], ["---"] * (len(PLANS) + 1)]
    rows += [[f"`{head}`", *("yes" if head in plans else "" for plans in PLANS.values())] for head in heads]
    return "".join(f"| {' | '.join(row)} |\n".replace("  ", " ") for row in rows)


def test_the_table_of_what_is_supported_is_that_of_the_code():
    assert supported() in (DOCS / "pretrained.md").read_text(encoding="utf-8")


def test_the_page_for_users_of_spago_names_every_alias():
    text = (DOCS / "from-spago.md").read_text(encoding="utf-8")
    for alias, own in ALIASES.items():
        assert f"| `--{alias.replace('_', '-')}` | `--{own.replace('_', '-')}` |" in text
    for other, task in OTHER_NAMES.items():
        assert re.search(rf"`{other}`.*`{task}`", text), other
