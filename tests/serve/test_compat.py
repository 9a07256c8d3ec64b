"""The routes of spaGO 0.7, cybertron, OpenAI and the Open Inference Protocol: bodies and answers field by field."""

import base64
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import pytest
from canned import PASSAGE, all_tasks
from fakes import Letters, Writer, expected
from local_door import Door

pytestmark = pytest.mark.anyio
EXCHANGES = json.loads((Path(__file__).parent / "exchanges.json").read_text(encoding="utf-8"))
BOTH = {"compat": ("spago", "cybertron")}


@pytest.fixture
def other(door):
    """A door with one model of every task; names are a, b, ..."""
    from fakes import engine

    from spago_jax.serve.config import ServeConfig
    from spago_jax.serve.http import Shared
    from spago_jax.serve.metrics import Metrics

    made = engine()
    predictors = all_tasks()
    made.models = {}
    for predictor in predictors:
        made.load(predictor.name, predictor.name, lambda predictor=predictor: predictor, revision="1")
    found = Door(Shared(made, ServeConfig(**BOTH), Metrics()))
    found.asked = {predictor.name: predictor.asked for predictor in predictors}
    yield found
    made.close(1)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda e: f"{e['path']} {json.dumps(e['body'])[:40]}")
async def test_an_exchange_of_another_system_is_replayed(other, exchange):
    async with other.client() as client:
        reply = await client.post(exchange["path"], json=exchange["body"])
    found = reply.json()
    if "took" in exchange["answer"]:
        assert isinstance(found["took"], int)
        found["took"] = 0
    assert (reply.status_code, found) == (exchange["status"], exchange["answer"])
    assert list(found) == list(exchange["answer"])  # in the order of the message
    assert PASSAGE[23:32] == "on a hill"


async def test_options_of_other_systems_reach_the_task(other):
    async with other.client() as client:
        await client.post("/encode", json={"text": "x"})
        await client.post("/classify-nli", json={"text": "x", "possible_labels": ["a"], "multi_class": True})
        await client.post("/predict", json={"text": "a [MASK]"})
        await client.post("/v1/answer", json={"question": "q", "passage": "p"})
        await client.post("/v1/generate", json={"input": "x", "parameters": {"topK": 3, "doSample": True}})
    asked = other.asked
    assert asked["text-encoding"] == [("x", {"pooling": ("pooler",), "normalize": False})]
    options = {"labels": ("a",), "template": "This text is about {}.", "multi_label": True}
    assert asked["zero-shot-classification"] == [("x", options)]
    assert asked["fill-mask"][0][0] == "a <mask>"  # the mask of this model
    options = {"top_k": 3, "max_answer_length": 20, "min_score": 0.1}
    assert asked["question-answering"] == [({"question": "q", "passage": "p"}, options)]
    assert asked["text2text-generation"] == [("x", {"top_k": 3, "do_sample": True})]


async def test_a_zero_shot_model_need_not_be_a_bart(other):
    """spago 99: a BERT could not be served for zero-shot classification."""
    async with other.client() as client:
        reply = await client.post("/v1/models/zero-shot-classification/zero-shot-classification",
                                  json={"input": "x", "options": {"labels": ["a", "b"]}})  # fmt: skip
    assert reply.status_code == 200


async def test_integers_are_numbers_except_where_cybertron_writes_texts(other):
    async with other.client() as client:
        native = await client.post("/v1/models/question-answering/question-answering",
                                   json={"input": {"question": "q", "passage": "p"}})  # fmt: skip
        theirs = await client.post("/v1/answer", json={"question": "q", "passage": "p"})
    assert native.json()["answer"]["answers"][0]["start"] == 23
    assert theirs.json()["answers"][0]["start"] == "23"


async def test_spago_takes_any_method_and_writes_as_go_does(other):
    async with other.client() as client:
        for method in ("GET", "PUT", "POST"):
            assert (await client.request(method, "/generate", json={"text": "x"})).status_code == 200
        pretty = await client.post("/generate?pretty", json={"text": "x"})
        assert pretty.text.startswith('{\n    "text": "ein Haus",\n    "took": ')
        none = await client.post("/answer", json={"question": "", "passage": ""})
        assert (none.status_code, none.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        broken = await client.post("/answer", content=b"{")
        assert (broken.status_code, broken.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        wrong = await client.post("/encode", json={"text": 7})
        assert wrong.text == "json: cannot unmarshal this value into field text of type string\n"


async def test_spago_says_null_where_nothing_is_found_and_escapes_for_pages(other):
    (predictor,) = [model.predictor for model in other.engine.models.values() if model.task == "question-answering"]
    predictor.answer = dataclasses.replace(predictor.answer, answers=())
    (writer,) = [model.predictor for model in other.engine.models.values() if model.task == "text2text-generation"]
    writer.answer = dataclasses.replace(
        writer.answer, texts=(dataclasses.replace(writer.answer.texts[0], text="<b>&"),)
    )
    async with other.client() as client:
        assert (await client.post("/answer", json={"question": "q", "passage": "p"})).json()["answers"] is None
        text = (await client.post("/generate", json={"text": "x"})).text
    assert "\\u003cb\\u003e\\u0026" in text


async def test_spago_answers_a_timeout_as_its_server_does(door):
    fake = Letters("text-classification")
    made = door(fake, config=BOTH)
    async with made.client() as client:
        fake.gate.clear()
        reply = await client.post("/classify", json={"text": "x"}, headers={"X-Request-Timeout": "10"})
        fake.gate.set()
    assert (reply.status_code, reply.text) == (503, "Timeout")


async def test_pages_of_spago_lead_to_ours(other):
    async with other.client() as client:
        for path in ("/bert-qa-ui", "/bert-classify-ui", "/classify-nli-ui", "/ner-ui"):
            reply = await client.get(path, follow_redirects=True)
            assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")


async def test_routes_of_other_systems_are_there_only_when_they_are_wanted(door):
    async with door().client() as client:
        assert (await client.post("/answer", json={})).status_code == 404
        assert (await client.post("/v1/encode", json={})).status_code == 404


async def test_several_models_of_one_route_are_told_apart(other):
    async with other.client() as client:
        reply = await client.post("/v1/classify?model=nobody", json={"input": "x"})
        assert (reply.status_code, reply.json()["code"]) == (404, 5)
        body = {"input": "x", "aggregation_strategy": "SIMPLE"}
        reply = await client.post("/v1/classify?model=text-classification", json=body)
        assert reply.json()["labels"] == ["sport", "politics"]
        reply = await client.post("/v1/encode?model=text-classification", json={"input": "x"})
        assert (reply.status_code, "not text-encoding" in reply.json()["message"]) == (400, True)


async def test_embeddings_as_openai_has_them(other):
    async with other.client() as client:
        body = {"model": "text-encoding", "input": ["a", "b"]}
        reply = await client.post("/v1/embeddings", json=body)
        assert reply.json() == {
            "object": "list", "model": "text-encoding", "usage": {"prompt_tokens": 16, "total_tokens": 16},
            "data": [{"object": "embedding", "index": n, "embedding": [0.5, -0.25]} for n in (0, 1)],
        }  # fmt: skip
        reply = await client.post("/v1/embeddings", json={**body, "input": "a", "encoding_format": "base64"})
        data = base64.b64decode(reply.json()["data"][0]["embedding"])
        assert np.frombuffer(data, "<f4").tolist() == [0.5, -0.25]
        bad = [{"input": []}, {"input": ""}, {"dimensions": 5}, {"model": "fill-mask"}, {"inputs": "x"}]
        for wrong in [*bad, {"model": "m"}]:
            reply = await client.post("/v1/embeddings", json={**body, **wrong})
            assert reply.status_code == (404 if wrong == {"model": "m"} else 400), wrong
            assert sorted(reply.json()["error"]) == ["code", "message", "param", "type"]


def tensor(*data, **more) -> dict:
    return {"inputs": [{"name": "text", "shape": [len(data)], "datatype": "BYTES", "data": list(data), **more}]}


async def test_the_open_inference_protocol(other):
    async with other.client() as client:
        assert (await client.get("/v2")).json()["name"] == "spago_jax"
        assert (await client.get("/v2/health/ready")).json() == {"ready": True}
        about = (await client.get("/v2/models/text-encoding")).json()
        assert about["outputs"] == [{"name": "vector", "datatype": "FP32", "shape": [-1, -1]}]
        assert (await client.get("/v2/models/text-encoding/versions/1/ready")).json()["ready"] is True
        assert (await client.get("/v2/models/text-encoding/versions/2/ready")).status_code == 404
        found = (await client.post("/v2/models/text-encoding/infer", json={**tensor("a", "b"), "id": "7"})).json()
        assert (found["id"], found["model_name"], found["model_version"]) == ("7", "text-encoding", "1")
        assert found["outputs"] == [{"name": "vector", "datatype": "FP32", "shape": [2, 2], "data": [0.5, -0.25] * 2}]
        body = tensor('{"question": "q", "passage": "p"}', parameters={"content_type": "json"})
        found = (await client.post("/v2/models/question-answering/infer", json=body)).json()
        answer = json.loads(found["outputs"][0]["data"][0])
        assert answer["answers"][0]["text"] == "on a hill"
        for wrong in (tensor("a", shape=[2]), tensor("a", datatype="FP32"), tensor(7), {"inputs": []}):
            reply = await client.post("/v2/models/text-encoding/infer", json=wrong)
            assert (reply.status_code, list(reply.json())) == (422, ["error"])


async def test_a_model_of_letters_answers_by_the_open_inference_protocol_too(door):
    async with door(Letters(), Writer()).client() as client:
        found = (await client.post("/v2/models/a/infer", json={**tensor("x"), "parameters": {"times": 2}})).json()
    assert json.loads(found["outputs"][0]["data"][0])["total"] == 2 * expected("x")


async def test_took_is_whole_milliseconds(door):
    class Slow(Letters):
        def _sum(self, batch):
            time.sleep(0.02)
            return super()._sum(batch)

    fake = Slow("text-classification")
    async with door(fake, config=BOTH).client() as client:
        reply = await client.post("/classify", json={"text": "x"})
        assert reply.json()["took"] >= 20
