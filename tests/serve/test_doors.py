"""Both doors of a server that listens: the same numbers, clients, keys, streams, health, and the nine commands."""

import asyncio
import json
import threading

import grpc
import numpy as np
import pytest
import yaml
from canned import PASSAGE
from fakes import Letters, expected, until
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from running import Running
from test_collections import vector

from spago_jax.cli.main import run
from spago_jax.serve.client import AsyncClient, AsyncGrpcClient, Client, GrpcClient, Retries, ServerError
from spago_jax.serve.grpc.compat import SERVICES
from spago_jax.serve.grpc.messages import fields_of, message

KEY = "k" * 24
LETTERS = ("letters", "text-classification")
NEVER = Retries(most=0)


@pytest.fixture(scope="module")
def server():
    with Running(compat=("spago", "cybertron")) as running:
        yield running


@pytest.fixture(scope="module", params=["http", "grpc"])
def client(request, server):
    kind, address = {"http": (Client, server.http), "grpc": (GrpcClient, server.grpc)}[request.param]
    with kind(address, timeout=10, retries=NEVER) as made:
        yield made


def test_both_doors_give_the_same_numbers(server):
    with Client(server.http) as http, GrpcClient(server.grpc) as other:
        for model, task, value, options in (
            (*LETTERS, "abc", {"times": 3}),
            ("question-answering", "question-answering", {"question": "q", "passage": "p"}, {"top_k": 2}),
            ("tags", "token-classification", "Ann", {}),
            ("encoder", "text-encoding", "abca", {}),
        ):
            assert http.answer(model, task, value, **options) == other.answer(model, task, value, **options)
        bodies = ["x", "bad", {"text": "yy"}, 7]
        for one, two in zip(http.answers(*LETTERS, bodies), other.answers(*LETTERS, bodies), strict=True):
            if isinstance(one, ServerError):
                assert isinstance(two, ServerError)
                assert (one.status, one.field, one.message) == (two.status, two.field, two.message)
            else:
                assert one == two
        for mode in ("dense", "words", "hybrid"):
            asked = ("letters", "aab aaab")
            assert http.search(*asked, top_k=2, mode=mode) == other.search(*asked, top_k=2, mode=mode)
        for each in (http, other):
            with pytest.raises(ServerError, match="mode"):
                each.search("letters", "a", mode="wrods")
        assert [each["name"] for each in http.models()] == [each["name"] for each in other.models()]


def test_a_client_is_told_what_is_wrong(client):
    with pytest.raises(ServerError) as caught:
        client.answer(*LETTERS, "bad")
    assert (caught.value.status, caught.value.message) == (422, "this text is bad")
    with pytest.raises(ServerError) as caught:
        client.answer(*LETTERS, "x", tims=2)
    assert (caught.value.status, caught.value.field, caught.value.hint) == (
        422,
        "options.tims",
        "did you mean 'times'?",
    )
    with pytest.raises(ServerError) as caught:
        client.answer("leters", "text-classification", "x")
    assert (caught.value.status, caught.value.hint) == (404, "did you mean 'letters'?")


def test_a_client_reads_a_text_as_it_is_written(client):
    text = "aé漢\U0001f600"
    assert list(client.stream("writer", "text-generation", text)) == list(text)
    with pytest.raises(ServerError, match="this text is bad"):
        list(client.stream("writer", "text-generation", "bad"))
    stream = client.stream("writer", "text-generation", "abcdef")
    assert next(stream) == "a"
    stream.close()  # a reader who leaves


def test_clients_in_an_event_loop(server):
    async def ask(kind, address: str) -> list:
        async with kind(address, retries=NEVER) as client:
            pieces = [piece async for piece in client.stream("writer", "text-generation", "ab")]
            several = await client.answers(*LETTERS, ["x", "bad"])
            models = [each["name"] for each in await client.models()]
            with pytest.raises(ServerError):
                await client.answer(*LETTERS, "bad")
            found = await client.search("letters", "aab", top_k=1)
            return [pieces, several[0], several[1].status, models, found[0]["id"]]

    one = asyncio.run(ask(AsyncClient, server.http))
    other = asyncio.run(ask(AsyncGrpcClient, server.grpc))
    assert one == other


def test_vectors_come_packed_over_grpc(server):
    with GrpcClient(server.grpc) as client:
        request = message("spago.v1.EncodeRequest")(model="encoder", texts=["abca", "b"])
        reply = client.call("spago.v1.Spago", "Encode", request)
    for found, text in zip(reply.vectors, ["abca", "b"], strict=True):
        np.testing.assert_array_equal(np.array(found.values, np.float32), vector(text))


def test_many_requests_go_through_one_call_in_order(server):
    made = message("spago.v1.AnswerRequest")
    codec = GrpcClient._codec("spago.v1.Spago", "AnswerStream")
    with GrpcClient(server.grpc) as client:
        call = client._channel.stream_stream("/spago.v1.Spago/AnswerStream", **codec)
        requests = [client._answer_request("letters", ["x" * n], False, {}) for n in range(1, 41)]
        assert isinstance(requests[0], made)
        totals = [client._results(reply)[0]["total"] for reply in call(iter(requests))]
    assert totals == [expected("x" * n) for n in range(1, 41)]


def test_a_deadline_travels_over_grpc(server):
    fake = server.server.shared.engine.models["letters"].predictor
    fake.gate.clear()
    threading.Timer(0.2, fake.gate.set).start()
    with GrpcClient(server.grpc, timeout=0.05, retries=NEVER) as client, pytest.raises(ServerError) as caught:
        client.answer(*LETTERS, "slow")
    assert caught.value.status == 504
    fake.gate.wait(5)


def test_cancelling_a_call_drops_its_entry(server):
    engine = server.server.shared.engine
    until(lambda: not engine.waiting[0])  # what the test before has left
    fake, before = engine.models["letters"].predictor, server.server.shared.metrics.value("spago_cancelled_total")
    fake.gate.clear()
    fake.entered.clear()
    codec = GrpcClient._codec("spago.v1.Spago", "Answer")
    with GrpcClient(server.grpc) as client:
        call = client._channel.unary_unary("/spago.v1.Spago/Answer", **codec)
        first = call.future(client._answer_request("letters", ["first"], False, {}))
        until(fake.entered.is_set)
        second = call.future(client._answer_request("letters", ["gone"], False, {}))
        # It is read and waits to be computed: one that is cancelled before that never comes into the room.
        until(engine._room.first)
        waits = engine._room.first().request
        second.cancel()
        until(lambda: waits.cancelled)  # told in the server's own time
        fake.gate.set()
        assert first.result(5).results[0].status == 200
    until(lambda: not engine.waiting[0])
    assert server.server.shared.metrics.value("spago_cancelled_total") == before + 1


def test_health_and_reflection_over_grpc(server):
    with grpc.insecure_channel(server.grpc) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "spago.v1.Spago", "bert.grpcapi.BERT"):
            assert stub.Check(health_pb2.HealthCheckRequest(service=name)).status == 1
        names = set(ProtoReflectionDescriptorDatabase(channel).get_services())
        ours = {name for services in SERVICES.values() for name in services}
        assert names >= ours | {"spago.v1.Spago", "grpc.health.v1.Health"}


def ask_service(client, name: str, method: str, kind: str, **fields) -> dict:
    return fields_of(client.call(name, method, message(f"{name.rpartition('.')[0]}.{kind}")(**fields)))


def test_the_services_of_spago_answer_by_their_own_messages(server):
    start = PASSAGE.index("on a hill")
    with GrpcClient(server.grpc) as client:
        bert, bart = "bert.grpcapi.BERT", "bart.grpcapi.BART"
        found = ask_service(client, bert, "Answer", "AnswerRequest", passage="P", question="Q")
        assert found["answers"][0] == {"text": "on a hill", "start": start, "end": start + 9, "confidence": 0.5}
        found = ask_service(client, bert, "Discriminate", "DiscriminateRequest", text="a fish")
        assert [token["label"] for token in found["tokens"]] == ["REAL", "FAKE"]
        found = ask_service(client, bert, "Predict", "PredictRequest", text="the [MASK]")
        assert found["tokens"] == [{"text": "capital", "start": 4, "end": 10, "label": "PREDICTED"}]
        found = ask_service(client, bert, "Encode", "EncodeRequest", text="abca", pooling_strategy=1)
        assert found["vector"] == vector("abca").tolist()
        nli = {"text": "x", "possible_labels": ["sport", "politics"]}
        found = ask_service(client, bart, "ClassifyNLI", "ClassifyNLIRequest", **nli)
        assert found["distribution"][1] == {"class": "politics", "confidence": 0.25}
        assert ask_service(client, bart, "Generate", "GenerateRequest", text="x")["text"] == "ein Haus"
        flags = {"text": "x", "mergeEntities": True, "filterNotEntities": True}
        found = ask_service(client, "sequencelabeler.grpcapi.SequenceLabeler", "Analyze", "AnalyzeRequest", **flags)
        assert found["tokens"] == [{"text": "Ann \U0001f600 Lee", "end": 9, "label": "PER"}]  # 0 is not sent


def test_the_services_of_cybertron_answer_by_their_own_messages(server):
    with GrpcClient(server.grpc) as client:
        found = ask_service(client, "textgeneration.v1.TextGenerationService", "Generate", "GenerateRequest", input="x")
        assert found == {"texts": ["ein Haus"], "scores": [-0.5]}
        parameters = {"candidate_labels": ["sport", "politics"]}
        found = ask_service(client, "zeroshot.v1.ZeroShotService", "Classify", "ClassifyRequest", input="x",
                            parameters=parameters)  # fmt: skip
        assert found == {"labels": ["sport", "politics"], "scores": [0.75, 0.25]}
        found = ask_service(client, "tokenclassification.v1.TokenClassificationService", "Classify", "ClassifyRequest",
                            input="x", aggregation_strategy=1)  # fmt: skip
        assert found["tokens"] == [{"text": "Ann \U0001f600 Lee", "end": 9, "label": "PER", "score": 0.5}]
        found = ask_service(client, "questionanswering.v1.QuestionAnsweringService", "ExtractAnswer",
                            "ExtractAnswerRequest", question="q", passage="p")  # fmt: skip
        assert found["answers"][0]["text"] == "on a hill"
        found = ask_service(client, "textencoding.v1.TextEncodingService", "Encode", "EncodingRequest", input="abca",
                            pooling_strategy=1)  # fmt: skip
        assert found["vector"] == vector("abca").tolist()
        found = ask_service(client, "languagemodeling.v1.LanguageModelingService", "Predict", "LanguageModelingRequest",
                            input="[MASK]", parameters={"k": 2})  # fmt: skip
        assert found["tokens"][0]["words"] == ["capital", "city"]


NUMBERS = {
    "bert.grpcapi.AnswerRequest": {"passage": 1, "question": 2},
    "bert.grpcapi.AnswerReply": {"answers": 1, "took": 2},
    "bert.grpcapi.Answer": {"text": 1, "start": 2, "end": 3, "confidence": 4},
    "bert.grpcapi.Token": {"text": 1, "start": 2, "end": 3, "label": 4},
    "bert.grpcapi.EncodeRequest": {"text": 1, "pooling_strategy": 2},
    "bert.grpcapi.EncodeReply": {"vector": 1, "took": 2},
    "bert.grpcapi.ClassifyRequest": {"has_text2": 1, "text": 2, "text2": 3},
    "bert.grpcapi.ClassifyReply": {"class": 1, "confidence": 2, "distribution": 3, "took": 4},
    "bart.grpcapi.ClassifyNLIRequest": {"text": 1, "hypothesis_template": 2, "possible_labels": 3, "multi_class": 4},
    "bart.grpcapi.GenerateRequest": {"text": 2},
    "bart.grpcapi.GenerateReply": {"text": 1, "took": 4},
    "sequencelabeler.grpcapi.AnalyzeRequest": {"text": 1, "mergeEntities": 2, "filterNotEntities": 3},
    "textgeneration.v1.TextGenerationParameters": {"top_k": 1, "top_p": 2, "temperature": 3, "do_sample": 4},
    "textgeneration.v1.GenerateRequest": {"input": 1, "parameters": 2},
    "zeroshot.v1.ZeroShotParameters": {"hypothesis_template": 1, "candidate_labels": 2, "multi_label": 3},
    "tokenclassification.v1.Token": {"text": 1, "start": 2, "end": 3, "label": 4, "score": 5},
    "questionanswering.v1.QuestionAnsweringOptions": {
        "max_answers": 1, "max_answers_len": 2, "max_candidates": 3, "min_score": 4,
    },
    "questionanswering.v1.Answer": {"text": 1, "start": 2, "end": 3, "score": 4},
    "textencoding.v1.EncodingRequest": {"input": 1, "pooling_strategy": 2},
    "languagemodeling.v1.Token": {"start": 1, "end": 2, "words": 3, "scores": 4},
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_fields_have_the_numbers_of_the_other_systems(name):
    assert {field.name: field.number for field in message(name).DESCRIPTOR.fields} == NUMBERS[name]


def test_keys_are_asked_for_at_both_doors(tmp_path):
    (tmp_path / "keys").write_text(KEY)
    with Running({"letters": Letters("text-classification")}, keys=str(tmp_path / "keys")) as running:
        for kind, address in ((Client, running.http), (GrpcClient, running.grpc)):
            for key in (None, "x" * 24):
                with kind(address, key=key, retries=NEVER) as client, pytest.raises(ServerError) as caught:
                    client.answer(*LETTERS, "x")
                assert caught.value.status == 401
                with kind(address, key=key, retries=NEVER) as client, pytest.raises(ServerError) as caught:
                    list(client.stream("letters", "text-classification", "x"))
                assert caught.value.status == 401
            with kind(address, key=KEY) as client:
                assert client.answer(*LETTERS, "x")["total"] == 120.0
        with grpc.insecure_channel(running.grpc) as channel:
            assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status == 1
            with pytest.raises(grpc.RpcError) as caught:
                ProtoReflectionDescriptorDatabase(channel).get_services()
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_busy_server_is_asked_again_and_a_wrong_request_is_not(server, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    engine = server.server.shared.engine
    for kind, address in ((Client, server.http), (GrpcClient, server.grpc)):
        waits.clear()
        engine._room.items += 10**6
        with kind(address, retries=Retries(most=2, jitter=0)) as client, pytest.raises(ServerError) as caught:
            client.answer(*LETTERS, "x")
        engine._room.items -= 10**6
        assert (caught.value.status, waits) == (429, [1.0, 1.0])  # as the server says, and no sooner
        waits.clear()
        with kind(address) as client, pytest.raises(ServerError):
            client.answer(*LETTERS, "bad")
        assert waits == []


ENTITY = {"text": "Ann \U0001f600 Lee", "start": 0, "end": 9, "label": "PER"}
COMMANDS = {
    "answer": (["--question", "q", "--passage", "p"], lambda found: found["answers"][0]["text"] == "on a hill"),
    "analyze": (["--text", "x", "--merge-entities", "--filter-non-entities"],
                lambda found: found["tokens"] == [ENTITY]),
    "tag": (["--text", "x"], lambda found: [token["label"] for token in found["tokens"]][2:4] == ["I-PER", "O"]),
    "classify": (["--text", "x"], lambda found: found["total"] == 120.0),
    "classify-nli": (["--text", "x", "--labels", "sport, politics", "--multi-class"],
                     lambda found: found["label"] == "sport"),
    "discriminate": (["--text", "x"], lambda found: found["words"][1]["label"] == "FAKE"),
    "encode": (["--text", "abca"], lambda found: found["vector"] == vector("abca").tolist()),
    "predict": (["--text", "[MASK]"], lambda found: found["masks"][0][0]["token"] == "capital"),
    "similarity": (["--text1", "ab", "--text2", "a"], lambda found: found["similarity"] == round(2**-0.5, 6)),
    "generate": (["--text", "x"], lambda found: found["text"] == "ein Haus"),
    "search": (["--text", "aab", "--collection", "letters"], lambda found: found["passages"][0]["id"] == "one"),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_client_answers_over_both_doors(server, capsys, command):
    arguments, right = COMMANDS[command]
    for address, form in ((server.http, "yaml"), (server.grpc, "json")):
        assert run(["client", command, *arguments, "--address", address, "-o", form]) == 0
        text = capsys.readouterr().out
        found = yaml.safe_load(text) if form == "yaml" else json.loads(text)
        assert right(found), found


def test_the_client_says_what_is_missing(server, capsys):
    for arguments, said in (
        (["anser"], "did you mean 'answer'?"),
        (["answer", "--question", "q"], "client answer needs --passage"),
        (["encode", "--text", "x", "--address", "http://127.0.0.1:9"], "http://127.0.0.1:9:"),
        (["encode", "--text", "x", "--model", "leters", "--address", server.http], "did you mean 'letters'?"),
    ):
        assert run(["client", *arguments]) == 2
        assert said in capsys.readouterr().err
