"""Tagged corpora read as text: the sentences alone, whatever form they have."""

import pytest

from spago_jax.data.formats.tagged_text import TaggedText
from spago_jax.errors import InputError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPAGO_CACHE", str(tmp_path / "cache"))


def _text(tmp_path, name, content, **settings):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    reader = TaggedText(format="tagged-text", train=str(path), **settings)
    return "".join(piece.text for piece in reader.read("train"))


def test_conll_without_its_tags(tmp_path):
    content = "# id 1\nAda\tB-person\n.\tO\n\nde\u0301jà\tO\nvu\tO\n"
    assert _text(tmp_path, "a.conll", content, comment="# id") == "Ada .\nde\u0301jà vu\n"


def test_another_column_holds_the_token(tmp_path):
    assert _text(tmp_path, "a.tsv", "1\tAda\tO\n2\tcame\tO\n", token_column=1) == "Ada came\n"


def test_conllu_has_its_own_columns(tmp_path):
    rows = "\n".join(f"{at}\t{form}\t_\tX" + "\t_" * 6 for at, form in enumerate(("Go", "!"), 1))
    assert _text(tmp_path, "a.conllu", f"# text = Go!\n{rows}\n") == "Go !\n"


def test_a_changed_file_is_read_again(tmp_path):
    assert _text(tmp_path, "a.conll", "Ada\tO\n") == "Ada\n"
    assert _text(tmp_path, "a.conll", "Grace\tO\n") == "Grace\n"


def test_a_broken_line_is_named_and_leaves_no_text(tmp_path):
    with pytest.raises(InputError, match=r"a\.conll:2"):
        _text(tmp_path, "a.conll", "Ada\tO\nGrace\n")
    with pytest.raises(InputError, match=r"a\.conll:2"):
        _text(tmp_path, "a.conll", "Ada\tO\nGrace\n")
