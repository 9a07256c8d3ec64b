"""Collections: passages of a file, found and read through the engine."""

import json

import numpy as np
import pytest
from canned import Canned
from fakes import Letters, engine

from spago_jax.errors import InputError
from spago_jax.serve.collections import Collection
from spago_jax.serve.indexing import build_index, read_passages
from spago_jax.tasks.passage_search.index import Passage, PassageIndex
from spago_jax.tasks.question_answering.answer import Answers, AnswerSpan
from spago_jax.tasks.text_encoding.processor import TextVector

ABOUT = {"encoder": "e", "revision": "1"}


def vector(text: str) -> np.ndarray:
    """Counts of letters: texts of like letters are near."""
    return np.array([text.count(letter) for letter in "abcdefgh"], np.float32)


class Encoder(Canned):
    """Gives the counts of letters of a text."""

    def __init__(self):
        super().__init__("text-encoding", None)

    def answers(self, prepared, cancelled=None):
        return [TextVector(each.example, vector(each.example)) for each in prepared]


class Reader(Canned):
    """Finds the first letter of the question, more surely the further down its passage it is."""

    def __init__(self):
        super().__init__("question-answering", None)

    def answers(self, prepared, cancelled=None):
        found = []
        for each in prepared:
            question, passage = each.example["question"], each.example["passage"]
            at = passage.find(question[0])
            span = AnswerSpan(passage[at : at + 1], max(at, 0), at + 1, 0.9, margin=float(at))
            found.append(Answers(question, passage, (span,)))
        return found


PASSAGES = [
    Passage("aaab", "one", "First", {"lang": "en"}), Passage("bbba", "two", "", {"lang": "de"}),
    Passage("cccc", "three", "", {"lang": "en"}), Passage("bac", "four", "", {"lang": "de"}),
]  # fmt: skip


def index() -> PassageIndex:
    rows = np.stack([vector(passage.text) for passage in PASSAGES])
    return PassageIndex(PASSAGES, rows / np.linalg.norm(rows, axis=1, keepdims=True), dict(ABOUT), "exact")


@pytest.fixture
def searching(door):
    """A door with a collection that has a reader."""
    made = door(collections={"letters": Collection("letters", index(), "e", "r")})
    made.engine.models = {}
    for name, predictor in {"e": Encoder(), "r": Reader()}.items():
        made.engine.load(name, predictor.name, lambda predictor=predictor: predictor, revision="1")
    return made


@pytest.mark.anyio
async def test_passages_are_found_by_their_vectors(searching):
    async with searching.client() as client:
        found = (await client.post("/v1/collections/letters:search", json={"query": "aab", "top_k": 2})).json()
        cosines = {each.id: float(vector("aab") @ vector(each.text)) for each in PASSAGES}
        for each in PASSAGES:
            cosines[each.id] /= np.linalg.norm(vector("aab")) * np.linalg.norm(vector(each.text))
        best = sorted(cosines, key=lambda name: -cosines[name])[:2]
        assert [hit["id"] for hit in found["passages"]] == best
        np.testing.assert_allclose([hit["score"] for hit in found["passages"]], [cosines[n] for n in best], rtol=1e-6)
        assert found["passages"][0] == {
            "id": "one", "title": "First", "text": "aaab", "metadata": {"lang": "en"},
            "score": pytest.approx(cosines["one"]),
        }  # fmt: skip
        narrowed = {"query": "aab", "filter": {"lang": ["de", "fr"]}, "min_score": 0.1}
        found = (await client.post("/v1/collections/letters:search", json=narrowed)).json()["passages"]
        assert [hit["id"] for hit in found] == [name for name in sorted(cosines, key=lambda n: -cosines[n])
                                                if name in ("two", "four")]  # fmt: skip


@pytest.mark.anyio
async def test_a_question_alone_is_answered_from_passages_loaded_once(searching):
    """spago 56: passages from a CSV loaded once, question only."""
    async with searching.client() as client:
        body = {"question": "b?", "top_k_passages": 4, "max_answers": 2}
        found = (await client.post("/v1/collections/letters:answer", json=body)).json()
        # compared between passages by the margin over "no answer", and never one below it
        assert [(each["passage"]["id"], each["score"]) for each in found["answers"]] == [("one", 3.0), ("two", 0.0)]
        for each in found["answers"]:
            assert each["passage"]["text"][each["start"] : each["end"]] == each["text"] == "b"
        nothing = (await client.post("/v1/collections/letters:answer", json={"question": "z"})).json()
        assert nothing["answers"] == []
        listed = (await client.get("/v1/collections")).json()["data"]
        assert listed == [{"name": "letters", "passages": 4, "encoder": "e", "reader": "r"}]


@pytest.mark.anyio
async def test_what_a_collection_does_not_have_is_named(searching):
    searching.shared.collections["plain"] = Collection("plain", index(), "e")
    async with searching.client() as client:
        reply = await client.post("/v1/collections/leters:search", json={"query": "a"})
        assert (reply.status_code, reply.json()["error"]["hint"]) == (404, "did you mean 'letters'?")
        reply = await client.post("/v1/collections/plain:answer", json={"question": "a"})
        assert (reply.status_code, "has no reader" in reply.text) == (422, True)
        for body in ({"query": ""}, {"query": "a", "top_k": 0}, {"query": "a", "topk": 3}):
            assert (await client.post("/v1/collections/letters:search", json=body)).status_code == 422


def test_a_collection_of_another_encoder_is_refused():
    made = engine(Letters("text-encoding"), threads=False)
    with pytest.raises(InputError, match="encoded by revision 1 of 'e', and 'a' is revision r-a; index them again"):
        Collection("c", index(), "a").check(made)


def test_margins_are_logits_over_those_of_no_answer():
    """Against the sums of the logits themselves."""
    from spago_jax.tasks.question_answering.spans import Window, best_spans

    draw = np.random.default_rng(0)
    start, end = draw.normal(size=6).astype(np.float32), draw.normal(size=6).astype(np.float32)
    window = Window(start, end, np.array([-1, -1, 0, 1, 2, 3]), float(start[0] + end[0]))
    for found in best_spans([window], 4, longest=4, count=20, no_answer=True):
        logit = start[0] + end[0] if found.first < 0 else start[found.first + 2] + end[found.last + 2]
        assert found.margin == pytest.approx(float(logit) - window.none, abs=1e-6)


CSV = '\ufeffid,text,title,lang\n1,"a line\nand another",T,en\n2,"he said ""b""",,de\n'


def test_a_csv_is_read_strictly(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(CSV, encoding="utf-8")
    assert read_passages(path, metadata=("lang",)) == [
        Passage("a line\nand another", "1", "T", {"lang": "en"}), Passage('he said "b"', "2", "", {"lang": "de"}),
    ]  # fmt: skip
    path.write_text("id,text\n1,a\n2,\n3,c\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"p\.csv:3: the text is empty"):
        read_passages(path)
    path.write_text("id,text\n1,a\n1,b\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"p\.csv:3: id '1' is that of line 2 too"):
        read_passages(path)
    path.write_text("id,body\n1,a\n", encoding="utf-8")
    with pytest.raises(InputError, match="text"):
        read_passages(path)
    path.write_text("id,text,lang\n1,a,en\n", encoding="utf-8")
    with pytest.raises(InputError, match="language"):  # a column that is asked for must be there
        read_passages(path, metadata=("language",))
    path.write_text("id,text\n", encoding="utf-8")
    with pytest.raises(InputError, match="no records"):
        read_passages(path)


def test_no_passage_is_encoded_twice(tmp_path):
    asked: list[str] = []

    def encode(texts):
        for text in texts:
            asked.append(text)
            yield vector(text)

    first, count = build_index(PASSAGES[:2], encode, tmp_path / "i", ABOUT)
    assert (len(first), count) == (2, 2)
    changed = [PASSAGES[1], Passage("dd", "five"), PASSAGES[0], Passage("dd", "six")]
    found, count = build_index(changed, encode, tmp_path / "i", ABOUT, overwrite=True)
    assert (asked, count) == (["aaab", "bbba", "dd"], 1)
    np.testing.assert_allclose(found.vectors[2], vector("aaab") / np.linalg.norm(vector("aaab")))
    build_index(changed, encode, tmp_path / "i", {**ABOUT, "revision": "2"}, overwrite=True)
    assert asked[3:] == ["bbba", "dd", "aaab"]  # by another model all of them
    with pytest.raises(InputError):
        build_index(changed, encode, tmp_path / "i", ABOUT)


def test_an_interrupted_index_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("spago_jax.serve.indexing._FLUSH", 2)
    asked: list[str] = []

    def encode(texts, fail=True):
        for text in texts:
            asked.append(text)
            if fail and text == "cccc":
                raise KeyboardInterrupt
            yield vector(text)

    with pytest.raises(KeyboardInterrupt):
        build_index(PASSAGES, encode, tmp_path / "i", ABOUT)
    assert not (tmp_path / "i").exists()
    found, count = build_index(PASSAGES, lambda texts: encode(texts, fail=False), tmp_path / "i", ABOUT)
    assert asked == ["aaab", "bbba", "cccc", "cccc", "bac"]
    assert (count, sorted(path.name for path in tmp_path.iterdir())) == (2, ["i"])
    np.testing.assert_allclose(found.vectors, index().vectors)
    lines = (tmp_path / "i" / "passages.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["metadata"] == {"lang": "en"}
    np.testing.assert_array_equal(PassageIndex.open(tmp_path / "i").vectors, found.vectors)
