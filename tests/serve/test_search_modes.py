"""Search by words, and by words and vectors together; passages that come and go while the server runs."""

import json

import numpy as np
import pytest
from test_collections import ABOUT, PASSAGES, Encoder, Reader, index, vector

from spago_jax.errors import InputError
from spago_jax.serve.collections import Collection
from spago_jax.serve.keys import Key, read_keys
from spago_jax.serve.words import WordIndex, joined
from spago_jax.tasks.passage_search.index import Passage, PassageIndex

WORDS = ["Sort a list", "a sorted list of lists", "shuffle", "the list, the LIST and the list", "Straße; strasse", ""]


def bm25(texts: list[str], question: str) -> np.ndarray:
    """The formula over scikit-learn's counts, in float64."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(token_pattern=r"\w+", preprocessor=str.casefold)
    counts = counter.fit_transform(texts).toarray().astype(np.float64)
    asked = counter.transform([question]).toarray()[0]
    held, lengths = (counts > 0).sum(0), counts.sum(1)
    rare = np.log(1 + (len(texts) - held + 0.5) / (held + 0.5))
    share = 1.2 * (1 - 0.75 + 0.75 * lengths / lengths.mean())
    return (asked * rare * counts * 2.2 / (counts + share[:, None])).sum(1)


@pytest.mark.parametrize("question", ["list", "the list list", "STRASSE sort", "nothing of it", ""])
def test_scores_of_words_are_those_of_bm25(question):
    made, wanted = WordIndex(WORDS), bm25(WORDS, question)
    np.testing.assert_allclose(made.scores(question), wanted, rtol=1e-5, atol=1e-7)
    numbers, scores = made.nearest(question, 3)
    assert numbers.tolist() == [n for n in np.argsort(-wanted, kind="stable")[:3].tolist() if wanted[n] > 0]
    np.testing.assert_allclose(scores, wanted[numbers], rtol=1e-5)
    assert WordIndex([]).nearest(question, 3)[0].tolist() == []


def test_joined_ranks_are_sums_of_reciprocals():
    draw = np.random.default_rng(0)
    for _ in range(20):
        one, other = (draw.permutation(12)[: draw.integers(1, 12)].tolist() for _ in range(2))
        wanted = {n: sum(1 / (61 + each.index(n)) for each in (one, other) if n in each) for n in {*one, *other}}
        found = joined([one, other], 12)
        assert dict(found) == pytest.approx(wanted)
        assert [score for _, score in found] == sorted(wanted.values(), reverse=True)


@pytest.fixture
def changing(door, tmp_path):
    """A door with a collection that lies in a folder, and keys that may do nothing, write, and all."""
    index().save(tmp_path / "letters")
    keys = tmp_path / "keys"
    keys.write_text(f"reader {'r' * 16}\nwriter {'w' * 16} write\nboss {'b' * 16} admin\n")
    from spago_jax.serve.keys import Keys

    made = PassageIndex.open(tmp_path / "letters")
    collection = Collection("letters", made, "e", "r", tmp_path / "letters")
    found = door(collections={"letters": collection}, keys=Keys(keys))
    found.engine.models = {}
    for name, predictor in {"e": Encoder(), "r": Reader()}.items():
        found.engine.load(name, predictor.name, lambda predictor=predictor: predictor, revision="1")
    found.folder = tmp_path / "letters"
    return found


def bearing(letter: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {letter * 16}"}


@pytest.mark.anyio
async def test_a_search_is_by_words_by_vectors_or_by_both(changing):
    async with changing.client(headers=bearing("r")) as client:

        async def ids(mode: str, query: str = "bac", **more) -> list[str]:
            reply = await client.post("/v1/collections/letters:search", json={"query": query, "mode": mode, **more})
            assert reply.status_code == 200, reply.text
            return [hit["id"] for hit in reply.json()["passages"]]

        dense = await ids("dense")
        assert await ids("words") == ["four"]  # the only one that has the word
        assert await ids("words", "zzz") == []
        assert await ids("hybrid") == ["four", *(name for name in dense if name != "four")]
        assert await ids("hybrid", filter={"lang": "en"}) == [name for name in dense if name in ("one", "three")]
        assert await ids("words", filter={"lang": "en"}) == []
        found = await client.post("/v1/collections/letters:answer", json={"question": "bac", "mode": "words"})
        assert found.json()["passages_read"] == 1
        for body in ({"query": "a", "mode": "word"}, {"query": "a", "mode": "hybrid", "min_score": 0.5}):
            assert (await client.post("/v1/collections/letters:search", json=body)).status_code == 422


@pytest.mark.anyio
async def test_passages_come_and_go_without_a_restart_and_stay_on_disk(changing):
    async with changing.client(headers=bearing("w")) as client:
        passage = {"id": "five", "text": "hhhh words", "title": "T", "metadata": {"lang": "fr"}}
        reply = await client.post("/v1/collections/letters/passages", json={"passages": [passage]})
        assert reply.json() == {"added": 1, "replaced": 0, "truncated": 0, "passages": 5}
        for mode in ("dense", "words", "hybrid"):
            body = {"query": "words", "mode": mode, "top_k": 1}
            (hit,) = (await client.post("/v1/collections/letters:search", json=body)).json()["passages"]
            assert ({**passage, "score": hit["score"]} if mode != "dense" else hit) == hit
        kept = PassageIndex.open(changing.folder)
        assert [each.id for each in kept.passages] == ["one", "two", "three", "four", "five"]
        np.testing.assert_allclose(kept.vectors[4], vector("hhhh words") / np.linalg.norm(vector("hhhh words")))
        assert (kept.about["revision"], json.loads((changing.folder / "index.json").read_text())["passages"]) == (
            "1",
            5,
        )
        reply = await client.post("/v1/collections/letters/passages", json={"passages": [{"id": "two", "text": "a"}]})
        assert (reply.status_code, reply.json()["error"]["type"]) == (409, "conflict")
        body = {"passages": [{"id": "two", "text": "hh"}], "replace": True}
        assert (await client.post("/v1/collections/letters/passages", json=body)).json()["replaced"] == 1
        reply = await client.delete("/v1/collections/letters/passages", params={"id": ["one", "two"]})
        assert reply.json() == {"removed": 2, "passages": 3}
        assert [each.id for each in PassageIndex.open(changing.folder).passages] == ["three", "four", "five"]
        reply = await client.delete("/v1/collections/letters/passages", params={"id": ["three", "fivee"]})
        assert (reply.status_code, reply.json()["error"]["hint"]) == (404, "did you mean 'five'?")
        left = await client.delete("/v1/collections/letters/passages", params={"id": ["three", "four", "five"]})
        assert left.json() == {"removed": 3, "passages": 0}
        found = await client.post("/v1/collections/letters:search", json={"query": "a", "mode": "hybrid"})
        assert found.json()["passages"] == []


@pytest.mark.anyio
async def test_all_passages_are_added_or_none(changing):
    async with changing.client(headers=bearing("b")) as client:
        for passages in (
            [{"id": "x", "text": "a"}, {"id": "x", "text": "b"}],
            [{"id": "x", "text": "a"}, {"id": "y", "text": "  "}],
            [{"id": "x", "text": "a"}, {"id": "y", "txt": "a"}],
            [],
        ):
            reply = await client.post("/v1/collections/letters/passages", json={"passages": passages})
            assert reply.status_code == 422, passages
        assert len(PassageIndex.open(changing.folder)) == len(changing.shared.collections["letters"].index) == 4
        assert (await client.delete("/v1/collections/letters/passages")).status_code == 422
        changing.engine.load("e", "text-encoding", Encoder, revision="2")  # another encoder by now
        reply = await client.post("/v1/collections/letters/passages", json={"passages": [{"id": "x", "text": "a"}]})
        assert (reply.status_code, "revision 2" in reply.text) == (409, True)
        changing.shared.collections["docs"] = Collection("docs", index(), "e")
        reply = await client.delete("/v1/collections/docs/passages", params={"id": "one"})
        assert (reply.status_code, "cannot be changed" in reply.text) == (409, True)


@pytest.mark.anyio
async def test_only_a_key_that_may_write_changes_a_collection(changing, door):
    async with changing.client() as client:
        for headers, status in (({}, 401), (bearing("r"), 403), (bearing("w"), 200), (bearing("b"), 200)):
            body = {"passages": [{"id": f"n{status}", "text": "a"}], "replace": True}
            reply = await client.post("/v1/collections/letters/passages", json=body, headers=headers)
            assert reply.status_code == status
            if status != 200:
                reply = await client.delete("/v1/collections/letters/passages", params={"id": "one"}, headers=headers)
                assert reply.status_code == status
    async with door(collections={"letters": changing.shared.collections["letters"]}).client() as client:
        reply = await client.delete("/v1/collections/letters/passages", params={"id": "one"})
        assert reply.status_code == 403  # a server without keys is changed by nobody


def test_a_key_that_may_write_is_not_an_administrators(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"{'k' * 16}\nann {'a' * 16}\nbob {'b' * 16} write # writes\ncy {'c' * 16} admin\n")
    assert [key for _, key in read_keys(path)] == [
        Key("line 1", False), Key("ann", False), Key("bob", False, True), Key("cy", True, True),
    ]  # fmt: skip
    path.write_text(f"ann {'a' * 16} writes\n")
    with pytest.raises(InputError, match=r"keys:1: expected .*NAME KEY write"):
        read_keys(path)


def test_a_change_that_cannot_be_written_changes_nothing(tmp_path, monkeypatch):
    index().save(tmp_path / "i")
    made = Collection("c", PassageIndex.open(tmp_path / "i"), "e", folder=tmp_path / "i")

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("spago_jax.tasks.passage_search.index.np.save", full)
    with pytest.raises(Exception, match="no space left"):
        made.add([Passage("x", "new")], np.ones((1, 8), np.float32))
    assert (len(made.index), len(PassageIndex.open(tmp_path / "i"))) == (4, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["i"]
    assert made.index.passages == PASSAGES
    assert ABOUT["revision"] == made.index.about["revision"]
