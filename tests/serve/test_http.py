"""The HTTP door over fakes: routes, errors, limits, keys, streams."""

import asyncio
import json
import logging
import time

import pytest
from fakes import Letters, Writer, eventually, expected
from fastapi import FastAPI

from spago_jax.serve.http import mount
from spago_jax.serve.http.gate import JsonLines
from spago_jax.serve.keys import Keys

pytestmark = pytest.mark.anyio
TAG = "/v1/models/a/token-classification"
WRITE = "/v1/models/b/text-generation"
KEY, ADMIN = "k" * 20, "s" * 20


def problem(reply) -> dict:
    """The one shape of errors."""
    found = reply.json()["error"]
    assert sorted(found) == ["field", "hint", "message", "request_id", "type"]
    assert found["request_id"] == reply.headers["x-request-id"]
    return found


async def test_one_input_and_several_are_answered(door):
    async with door().client() as client:
        one = await client.post(TAG, json={"input": "abc", "options": {"times": 2}})
        assert one.status_code == 200
        assert one.json() == {
            "model": "a", "revision": "r-a", "task": "token-classification",
            "answer": {"text": "abc", "total": 2 * expected("abc")}, "usage": {"items": 1, "tokens": 16},
        }  # fmt: skip
        several = await client.post(TAG, json={"inputs": ["x", "bad", "undecodable", {"text": "yy"}]})
        results = several.json()["results"]
        assert [each["status"] for each in results] == [200, 422, 422, 200]
        assert results[1]["error"]["field"] == "inputs[1]"
        assert results[3]["answer"]["total"] == expected("yy")
        assert (await client.post(TAG, json={"inputs": []})).json()["results"] == []


async def test_headers_say_who_answered_and_where_the_time_went(door):
    async with door().client() as client:
        found = await client.post(TAG, json={"input": "x"}, headers={"x-request-id": "mine-1"})
        assert found.headers["x-request-id"] == "mine-1"
        assert (found.headers["x-model"], found.headers["x-model-revision"]) == ("a", "r-a")
        stages = [part.split(";")[0] for part in found.headers["server-timing"].split(", ")]
        assert stages == ["tokenize", "queue", "compute", "total"]
        assert found.headers["cache-control"] == "no-store"
        other = await client.post(TAG, json={"input": "x"}, headers={"x-request-id": "two words\x01"})
        assert other.headers["x-request-id"] != "two words\x01"


@pytest.mark.parametrize(
    ("path", "body", "status", "field", "said"),
    [
        (TAG, b"{", 400, None, "not JSON"),
        (TAG, b"\xff", 400, None, "not UTF-8"),
        (TAG, b'{"input": NaN}', 400, None, "NaN is not a number of JSON"),
        (TAG, b"[]", 422, None, "the body is a list, expected an object"),
        (TAG, b"{}", 422, None, "give input, or inputs"),
        (TAG, b'{"input": 1, "inputs": []}', 422, None, "give input, or inputs"),
        (TAG, b'{"imput": "x"}', 422, "imput", "unknown field 'imput'"),
        (TAG, b'{"input": "x", "options": {"tims": 1}}', 422, "options.tims", "no option 'tims'"),
        (TAG, b'{"input": "x", "options": {"times": 0}}', 422, "options.times", "greater than or equal"),
        (TAG, b'{"input": "\\ud800"}', 422, None, "surrogate"),
        (TAG, b'{"input": 7}', 422, "input", "expected a text"),
        (TAG, b'{"input": "bad"}', 422, "input", "this text is bad"),
        (TAG, b'{"input": ' + b"[" * 40 + b"]" * 40 + b"}", 422, None, "more than 32 deep"),
        (TAG, b'{"input": "x", "stream": true}', 422, "stream", "step by step"),
        (WRITE, b'{"inputs": ["x"], "stream": true}', 422, None, "only one input is streamed"),
        ("/v1/models/aa/token-classification", b"{}", 404, "model", "no model 'aa'"),
        ("/v1/models/a/fill-mask", b"{}", 404, "task", "not 'fill-mask'"),
        ("/v1/modles", b"{}", 404, None, "no such route"),
        ("/health/live", b"{}", 405, None, "POST is not a method"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_in_one_shape(door, path, body, status, field, said):
    async with door().client() as client:
        reply = await client.post(path, content=body)
        assert reply.status_code == status
        found = problem(reply)
        assert (found["field"], said in found["message"]) == (field, True), found


async def test_a_misspelt_field_is_named(door):
    async with door().client() as client:
        assert problem(await client.post(TAG, json={"imput": "x"}))["hint"] == "did you mean 'input'?"
        body = {"input": "x", "options": {"tims": 1}}
        assert problem(await client.post(TAG, json=body))["hint"] == "did you mean 'times'?"


async def test_limits_hold_at_the_number_and_one_beyond(door):
    made = door(body_bytes=1000, request_items=3, queue_items=10, item_characters=50, item_tokens=100, json_depth=3)
    async with made.client() as client:

        async def status(**body) -> list[int]:
            reply = await client.post(TAG, json=body)
            return [each["status"] for each in reply.json()["results"]] if "inputs" in body else [reply.status_code]

        full = b'{"input": "x"}'
        assert (await client.post(TAG, content=full + b" " * (1000 - len(full)))).status_code == 200
        assert (await client.post(TAG, content=full + b" " * (1001 - len(full)))).status_code == 413

        async def chunks():
            for _ in range(11):
                yield b" " * 100

        assert (await client.post(TAG, content=chunks())).status_code == 413  # without a Content-Length
        assert await status(inputs=["x"] * 3) == [200] * 3
        assert (await client.post(TAG, json={"inputs": ["x"] * 4})).status_code == 413
        assert await status(input="x" * 50) == [200]
        assert await status(input="x" * 51) == [422]
        assert await status(inputs=["x" * 50, "x" * 51]) == [200, 422]
        assert (await client.post(TAG, content=b'{"inputs": [{"text": "x"}]}')).status_code == 200
        assert (await client.post(TAG, content=b'{"inputs": [{"text": ["x"]}]}')).status_code == 422


async def test_a_full_queue_says_when_to_come_again(door):
    fake = Letters()
    made = door(fake, queue_items=3, request_items=3)
    async with made.client() as client:
        fake.gate.clear()
        waiting = [asyncio.ensure_future(client.post(TAG, json={"input": "x"})) for _ in range(3)]
        await eventually(lambda: made.engine.waiting[0] == 3)
        for body in ({"input": "x"}, {"inputs": ["x"]}):
            reply = await client.post(TAG, json=body)
            assert reply.status_code == 429
            assert int(reply.headers["retry-after"]) >= 1
            assert problem(reply)["type"] == "overloaded"
        assert (await client.get("/health/ready")).status_code == 200  # a full queue is not a sick server
        fake.gate.set()
        assert [reply.status_code for reply in await asyncio.gather(*waiting)] == [200] * 3
    assert made.metrics.value("spago_rejected_total", reason="full") == 2


async def test_a_request_that_takes_too_long_is_504_with_the_limit_named(door):
    """ray 37942: a timeout was answered as 500."""
    fake = Letters()
    made = door(fake)
    async with made.client() as client:
        fake.gate.clear()
        first = asyncio.ensure_future(client.post(TAG, json={"input": "x"}))
        reply = await client.post(TAG, json={"input": "y"}, headers={"X-Request-Timeout": "20"})
        assert reply.status_code == 504
        assert problem(reply)["message"] == "not answered within 0.02 s"
        fake.gate.set()
        assert (await first).status_code == 200
        bad = await client.post(TAG, json={"input": "y"}, headers={"X-Request-Timeout": "soon"})
        assert (bad.status_code, problem(bad)["field"]) == (400, "X-Request-Timeout")


async def disconnecting(app, path: str, body: bytes, *, after: int = 0):
    """Asks an app and leaves, after so many messages of its answer."""
    sent, got = asyncio.Event(), []
    if not after:
        sent.set()
    first = True

    async def receive():
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        await sent.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        got.append(message)
        if len(got) >= after:
            sent.set()

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [], "scheme": "http",
        "server": ("server", 80), "client": ("me", 1),
    }  # fmt: skip
    await app(scope, receive, send)
    return got


async def test_a_caller_who_leaves_is_dropped_and_counted(door, caplog):
    """Triton 8030 and 4818: nobody could tell from outside whether a request is cancelled when its client leaves."""
    fake = Letters()
    made = door(fake)
    async with made.client() as client:
        fake.gate.clear()
        fake.entered.clear()
        first = asyncio.ensure_future(client.post(TAG, json={"input": "first"}))
        await eventually(fake.entered.is_set)
        with caplog.at_level(logging.INFO, "spago_jax.access"):
            await disconnecting(made.app, TAG, b'{"input": "gone"}')
        assert caplog.records[-1].fields["status"] == 499
        fake.gate.set()
        assert (await first).status_code == 200
        await eventually(lambda: not made.engine.waiting[0])
    assert made.metrics.value("spago_cancelled_total") == 1
    assert made.metrics.value("spago_requests_total", route="/v1/models/{model}/{task}", model="a", code="499") == 1
    assert len(fake.calls) == 1


async def test_a_stream_stops_when_its_reader_leaves(door):
    writer = Writer()
    made = door(Letters(), writer)
    writer.gate.clear()
    asking = asyncio.ensure_future(disconnecting(made.app, WRITE, b'{"input": "abcdefgh", "stream": true}', after=2))
    await asyncio.sleep(0.01)
    writer.gate.set()
    await asyncio.wait_for(asking, 5)
    await eventually(lambda: not made.engine.waiting[0])
    assert writer.closed


def events(text: str) -> list[tuple[str, dict]]:
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            name, data = (line.partition(": ")[2] for line in lines)
            found.append((name, json.loads(data)))
    return found


async def test_a_text_is_streamed_by_events_of_whole_characters(door):
    text = "aé漢😀\n\n\r data: x"
    async with door().client() as client:
        reply = await client.post(WRITE, json={"input": text, "stream": True})
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["x-accel-buffering"] == "no"
        found = events(reply.text)
        assert "".join(data["text"] for name, data in found if name == "token") == text
        assert [data["index"] for name, data in found if name == "token"] == list(range(len(text)))
        assert found[-1] == ("done", {"model": "b", "usage": {"items": 1, "pieces": len(text)}})
        early = await client.post(WRITE, json={"input": "bad", "stream": True})
        assert (early.status_code, problem(early)["message"]) == (422, "this text is bad")
        late = await client.post(WRITE, json={"input": "late", "stream": True})
        assert (late.status_code, problem(late)["message"]) == (422, "found out late")


async def test_events_cut_at_every_byte_are_whole_characters(door):
    from spago_jax.serve.client.events import Events

    text = "aé漢😀"
    async with door().client() as client:
        data = (await client.post(WRITE, json={"input": text, "stream": True})).content
    for cut in range(len(data) + 1):
        reader = Events()
        found = [*reader.feed(data[:cut]), *reader.feed(data[cut:])]
        assert "".join(json.loads(value)["text"] for name, value in found if name == "token") == text


async def test_a_stream_without_news_shows_that_it_lives(door):
    class Slow(Writer):
        def streamed(self, prepared):
            for piece in super().streamed(prepared):
                yield piece
                time.sleep(0.05)

    async with door(Letters(), Slow(), ping=0.01).client() as client:
        text = (await client.post(WRITE, json={"input": "ab", "stream": True})).text
    assert ": still here\n\n" in text
    assert [data["text"] for name, data in events(text) if name == "token"] == ["a", "b"]


async def test_health_says_the_truth(door):
    made = door()
    async with made.client() as client:
        assert (await client.get("/health/live")).json() == {"status": "live"}
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["models"]) == (200, ["a", "b"])
        assert (await client.get("/health/models/a")).status_code == 200
        assert (await client.get("/health/models/c")).status_code == 404
        made.engine.drain()
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["reason"]) == (503, "the server is stopping")
        assert ready.headers["connection"] == "close"
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.post(TAG, json={"input": "x"})).status_code == 200  # accepted for as long as it drains
        made.engine.close(1)
        reply = await client.post(TAG, json={"input": "x"})
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")


async def test_metrics_hold_nothing_that_a_user_wrote(door):
    made = door()
    async with made.client() as client:
        await client.post(TAG, json={"input": "verysecret"})
        await client.get("/v1/models/verysecret")
        await client.get("/verysecret")
        text = (await client.get("/metrics")).text
    assert 'spago_requests_total{code="200",model="a",route="/v1/models/{model}/{task}"} 1.0' in text
    names = "stage_duration_seconds_bucket queue_tokens batch_rows build_info model_ready retraces_total inflight"
    for name in [*names.split(), "device_memory_bytes"]:
        assert f"spago_{name}" in text
    assert "verysecret" not in text


async def test_a_log_line_is_json_and_holds_no_text(door, caplog):
    with caplog.at_level(logging.INFO, "spago_jax"):
        async with door().client() as client:
            await client.post(TAG, json={"inputs": ["verysecret", "bad"]})
            await client.post(TAG, json={"input": "poison"})
    lines = [JsonLines().format(record) for record in caplog.records if record.name == "spago_jax.access"]
    assert json.loads(lines[0]).items() >= {
        "level": "info", "route": "/v1/models/{model}/{task}", "model": "a", "items": 2, "tokens": 16, "status": 200,
    }.items()  # fmt: skip
    assert all("verysecret" not in line for line in lines)


async def test_a_fault_of_the_server_says_little_outside(door):
    async with door().client() as client:
        reply = await client.post(TAG, json={"input": "poison"})
    assert reply.status_code == 500
    assert problem(reply)["message"] == "the server failed to answer; its log says more"
    assert "secret" not in reply.text


def keys_of(folder, *lines: str) -> Keys:
    (folder / "keys").write_text("\n".join(lines) + "\n")
    return Keys(folder / "keys")


async def test_health_is_open_and_every_other_route_is_closed(door, tmp_path):
    """text-embeddings-inference 427: probes needed the key; vLLM: only /v1 was closed."""
    made = door(keys=keys_of(tmp_path, f"me {KEY}"), config={"compat": ("spago", "cybertron")})
    public = {"/", "/docs", "/ui/", "/ui/{name}", "/health/live", "/health/ready", "/health/models/{model}"}
    public |= {"/v2/health/live", "/v2/health/ready"}
    routes = routes_of(made.app)
    assert len(routes) > 30
    async with made.client() as client:
        for path, method in routes:
            url = path.replace("{model}", "a").replace("{task}", "token-classification")
            url = url.replace("{collection}", "c").replace("{name}", "home").replace("{version}", "1")
            for header in ({}, {"authorization": f"Bearer {'x' * 20}"}, {"authorization": f"Basic {KEY}"}):
                reply = await client.request(method, url, headers=header)
                assert (reply.status_code == 401) != (path in public), (path, method)
                if path not in public:
                    assert reply.headers["www-authenticate"] == "Bearer"
            reply = await client.request(method, url, headers={"authorization": f"Bearer {KEY}"})
            assert reply.status_code != 401


def routes_of(app) -> list[tuple[str, str]]:
    """Every route of an app, with its method."""
    found, left = [], list(app.router.routes)
    while left:
        route = left.pop()
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if inner is not None and not hasattr(route, "methods"):
            left += inner.routes
        elif hasattr(route, "methods"):
            found += [(route.path, method) for method in route.methods]
    return sorted(found)


async def test_keys_are_rotated_without_a_restart(door, tmp_path):
    made = door(keys=keys_of(tmp_path, "# old", KEY))
    new = "n" * 24
    async with made.client() as client:

        async def status(key: str) -> int:
            return (await client.get("/v1/models", headers={"authorization": f"Bearer {key}"})).status_code

        assert [await status(KEY), await status(new)] == [200, 401]
        (tmp_path / "keys").write_text(f"{KEY}\nnew {new}\n")
        assert [await status(KEY), await status(new)] == [200, 200]
        (tmp_path / "keys").write_text("short\n")  # a mistake does not lock everybody out
        assert await status(new) == 200
        (tmp_path / "keys").write_text(f"only {new}  # since today\n")
        assert [await status(KEY), await status(new)] == [401, 200]


async def test_a_model_is_loaded_again_by_an_administrator_alone(door, tmp_path):
    made = None

    def reload(name: str):
        return made.engine.load(name, "token-classification", lambda: Letters(add=5.0), revision="2")

    made = door(keys=keys_of(tmp_path, f"me {KEY}", f"boss {ADMIN} admin"), reload=reload)
    async with made.client() as client:
        reply = await client.post("/v1/models/a:load", headers={"authorization": f"Bearer {KEY}"})
        assert reply.status_code == 403
        header = {"authorization": f"Bearer {ADMIN}"}
        reply = await client.post("/v1/models/a:load", headers=header)
        assert (reply.status_code, reply.json()["revision"]) == (200, "2")
        assert (await client.post(TAG, json={"input": "x"}, headers=header)).json()["answer"]["total"] == 125.0
    open_door = door()
    async with open_door.client() as client:
        assert (await client.post("/v1/models/a:load")).status_code == 403  # without keys there is no administrator


async def test_other_origins_are_refused_unless_they_are_named(door):
    ask = {"origin": "https://page.example", "access-control-request-method": "POST",
           "access-control-request-headers": "authorization,content-type"}  # fmt: skip
    async with door().client() as client:
        reply = await client.options(TAG, headers=ask)
        assert "access-control-allow-origin" not in reply.headers
    async with door(config={"cors": ("https://page.example",)}).client() as client:
        reply = await client.options(TAG, headers=ask)
        assert reply.headers["access-control-allow-origin"] == "https://page.example"
        assert "authorization" in reply.headers["access-control-allow-headers"].lower()
        reply = await client.post(TAG, json={"input": "x"}, headers={"origin": "https://page.example"})
        assert "Server-Timing" in reply.headers["access-control-expose-headers"]
        reply = await client.options(TAG, headers={**ask, "origin": "https://other.example"})
        assert "access-control-allow-origin" not in reply.headers


async def test_a_trace_goes_on_from_its_caller(door):
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with door().client() as client:
        reply = await client.post(TAG, json={"input": "x"}, headers={"traceparent": parent})
    assert reply.headers["traceparent"].split("-")[1] == parent.split("-")[1]


async def test_the_same_routes_below_a_path_of_another_app(door):
    import httpx2

    made = door()
    app = FastAPI()
    mount(app, made.engine, "/language")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://s") as client:
        reply = await client.post(f"/language{TAG}", json={"input": "x"})
        assert reply.json()["answer"]["total"] == 120.0
        page = (await client.get("/language/openapi.json")).json()
        assert page["servers"] == [{"url": "/language"}]
        assert (await client.get("/language/ui/")).status_code == 200


async def test_every_example_of_the_openapi_page_is_answered(door):
    tasks = ["token-classification", "text-classification", "fill-mask", "zero-shot-classification"]
    made = door(*(Letters(task) for task in tasks), Writer())
    async with made.client() as client:
        page = (await client.get("/openapi.json")).json()
        assert page["openapi"] == "3.1.0"
        count = 0
        for path, methods in page["paths"].items():
            for method, about in methods.items():
                body = about.get("requestBody", {}).get("content", {}).get("application/json", {})
                for example in [each["value"] for each in body.get("examples", {}).values()] or [None]:
                    reply = await client.request(method, path, json=example)
                    assert reply.status_code == 200, (path, example, reply.text)
                    count += 1
    assert count > 15
