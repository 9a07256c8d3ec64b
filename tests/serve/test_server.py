"""A server that listens: broken callers by raw sockets, signals, memory, and what opens sockets."""

import asyncio
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from fakes import Letters, engine, eventually, expected, until
from running import Fakes, Running

import spago_jax
from spago_jax.cli.main import run
from spago_jax.errors import InputError
from spago_jax.serve.client import AsyncClient, Client, Retries
from spago_jax.serve.config import ServeConfig, read_config
from spago_jax.serve.engine import Engine
from spago_jax.serve.http.bodies import parse
from spago_jax.serve.loading import Loader, check_models
from spago_jax.serve.server import Server

HERE = Path(__file__).parent
ASK = ("letters", "text-classification", "x")
PATH = "/v1/models/letters/text-classification"


@pytest.fixture(scope="module")
def server():
    models = {"letters": Letters("text-classification")}
    with Running(models, grpc_port=None, limits={"timeout": 1.0}) as running:
        yield running


def raw(server, data: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", server.server.port), timeout=10)
    made.sendall(data)
    return made


def head(length: int) -> bytes:
    return f"POST {PATH} HTTP/1.1\r\nHost: s\r\nContent-Length: {length}\r\n\r\n".encode()


def works(server) -> bool:
    with Client(server.http) as client:
        return client.answer(*ASK)["total"] == 120.0


def test_half_a_body_ends_in_time_and_holds_up_nobody(server):
    """The rest never comes: the request is told so, and the connection is not kept for ever."""
    with raw(server, head(100) + b'{"input": "x') as half:
        assert works(server)
        answer = half.recv(4000)
        assert b" 408 " in answer.split(b"\r\n")[0]
    assert works(server)


def test_a_caller_who_closes_early_leaves_nothing_behind(server):
    body = b'{"input": "x"}'
    for cut in (0, 5, len(body)):
        raw(server, head(len(body)) + body[:cut]).close()
    shared = server.server.shared
    until(lambda: not shared.metrics.value("spago_inflight") and not shared.engine.waiting[0], 5)
    assert shared.engine.waiting == (0, 0)
    assert shared.metrics.value("spago_inflight") == 0
    assert works(server)


async def storm(port: int, models: Letters, engine: Engine, count: int) -> None:
    """Asks so many times, and leaves each time: half of them once all wait, the others at once."""
    body = b'{"input": "x"}'
    models.gate.clear()

    async def ask(wait: asyncio.Event | None) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(len(body)) + body)
        await writer.drain()
        if wait is not None:
            await wait.wait()
        writer.close()

    full = asyncio.Event()
    asking = [asyncio.ensure_future(ask(full if number % 2 else None)) for number in range(count)]
    await eventually(lambda: engine.waiting[0] >= count // 2)
    full.set()
    await asyncio.gather(*asking)


def test_a_storm_of_callers_who_leave_leaves_nothing_behind():
    """300 calls whose callers are gone before they are answered: nothing waits for them, and the next are answered."""
    letters = Letters("text-classification")
    with Running({"letters": letters}, grpc_port=None) as server:
        shared, before = server.server.shared, len(letters.calls)
        try:
            asyncio.run(storm(server.server.port, letters, shared.engine, 300))
            until(lambda: not shared.metrics.value("spago_inflight"), 10)
        finally:
            letters.gate.set()
        until(lambda: shared.engine.waiting == (0, 0), 10)
        assert (len(shared.engine._room), shared.metrics.value("spago_queue_tokens")) == (0, 0)
        assert shared.metrics.value("spago_cancelled_total") >= 150
        assert len(letters.calls) - before < 10  # what was under way when they left, and no call for each of them
        assert all(works(server) for _ in range(5))


def test_a_slow_reader_holds_up_nobody(server):
    body = json.dumps({"inputs": ["x" * 60] * 32}).encode()
    with raw(server, head(len(body)) + body) as slow:
        assert works(server)
        data = b""
        while b'"usage"' not in data:
            data += slow.recv(64)
    assert data.count(b'"status":200') == 32


def test_nonsense_is_not_answered_by_a_trace_of_the_server(server):
    for nonsense in (b"\x16\x03\x01nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /\r\n\r\n"):
        with raw(server, nonsense) as made:
            answer = made.recv(4000)
            assert b"Traceback" not in answer
    assert works(server)


def test_memory_stays_as_it_is_over_many_requests():
    """Ten thousand requests: what the process holds does not grow by more than five in a hundred."""
    made = engine()

    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1])

    def ask(count: int) -> None:
        for start in range(0, count, 100):
            requests = [made.submit("a", ["x" * (1 + (start + n) % 64)]) for n in range(100)]
            for request in requests:
                request.result(10)

    with made:
        made.models["a"].predictor.calls = []
        ask(1000)
        made.models["a"].predictor.calls.clear()
        before = resident()
        ask(10_000)
        made.models["a"].predictor.calls.clear()
        assert resident() < 1.05 * before


def test_an_address_that_is_taken_is_named(server):
    with pytest.raises(InputError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address already in use"):
        asyncio.run(Server(ServeConfig(port=server.server.port), loader=Fakes).run(signals=False))


def test_a_model_that_cannot_be_opened_ends_the_server_with_its_name(tmp_path):
    config = ServeConfig(port=0, models={"m": {"task": "fill-mask", "source": str(tmp_path / "none")}})
    with pytest.raises(InputError, match="none"):
        asyncio.run(Server(config).run(signals=False))


def replicas(count: int) -> list[tuple[subprocess.Popen, int]]:
    found = []
    for _ in range(count):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {**os.environ, "PYTHONPATH": f"{HERE}:{Path(spago_jax.__file__).parent.parent}"}
        command = [sys.executable, str(HERE / "replica.py"), str(port), "0.01"]
        found.append(
            (subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), port)
        )
    for _, port in found:
        for _ in range(600):
            try:
                with Client(f"http://127.0.0.1:{port}", retries=Retries(most=0)) as client:
                    if client.ready():
                        break
            except Exception:
                time.sleep(0.05)
        else:
            raise AssertionError("a replica does not start")
    return found


@pytest.mark.slow
def test_a_rolling_stop_under_load_loses_no_request():
    """ray 37942, kuberay 3166: rolling updates dropped requests. Two replicas behind a balancer that asks whether they
    are ready, and callers that try nothing twice."""
    found = replicas(2)
    ready, wrong, answered, stop = dict.fromkeys([port for _, port in found], True), [], [0], threading.Event()

    def probe() -> None:
        while not stop.is_set():
            for port in ready:
                try:
                    with Client(f"http://127.0.0.1:{port}", timeout=1) as client:
                        ready[port] = client.ready()
                except Exception:
                    ready[port] = False
            time.sleep(0.05)

    def ask(number: int) -> None:
        clients = {port: Client(f"http://127.0.0.1:{port}", retries=Retries(most=0)) for port in ready}
        turn = number
        while not stop.is_set():
            turn += 1
            ports = [port for port, well in ready.items() if well]
            port = ports[turn % len(ports)]
            try:
                assert clients[port].answer(*ASK)["total"] == expected("x")
                answered[0] += 1
            except Exception as error:
                wrong.append((port, repr(error)))

    threads = [threading.Thread(target=probe), *(threading.Thread(target=ask, args=(n,)) for n in range(6))]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        found[0][0].send_signal(signal.SIGTERM)
        assert found[0][0].wait(15) == 0
        time.sleep(1)
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
        for process, _ in found:
            process.kill()
            process.wait()
    assert wrong == []
    assert answered[0] > 50


class Proxy:
    """A balancer in front of replicas that asks them nothing: what one refuses, by 503 or by not listening, goes to the
    next one."""

    def __init__(self, ports: list[int]):
        self.ports, self.turn, self.retried = ports, 0, 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                top = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", top)[1]))
                writer.write(await self.asked(top + body))
                await writer.drain()
        writer.close()

    async def asked(self, request: bytes) -> bytes:
        self.turn += 1
        for attempt in range(40):
            port = self.ports[(self.turn + attempt) % len(self.ports)]
            with suppress(ConnectionRefusedError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                top = await reader.readuntil(b"\r\n\r\n")  # a connection that breaks once it is made is a failure
                body = await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", top)[1]))
                writer.close()
                if b" 503 " not in top.split(b"\r\n")[0]:
                    return top + body
            self.retried += 1
            await asyncio.sleep(0.01)
        raise AssertionError("no replica answers")


@pytest.mark.slow
def test_a_stop_under_load_behind_a_proxy_that_tries_the_next_one_loses_no_request():
    found = replicas(2)
    proxy, wrong, answered = Proxy([port for _, port in found]), [], 0

    async def ask(address: str, over: asyncio.Event) -> None:
        nonlocal answered
        async with AsyncClient(address, retries=Retries(most=0)) as client:
            while not over.is_set():
                try:
                    assert (await client.answer(*ASK))["total"] == expected("x")
                    answered += 1
                except Exception as error:
                    wrong.append(repr(error))

    async def go() -> None:
        over = asyncio.Event()
        listener = await asyncio.start_server(proxy, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        asking = [asyncio.ensure_future(ask(address, over)) for _ in range(8)]
        await asyncio.sleep(1)
        found[0][0].send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(found[0][0].wait, 15) == 0
        await asyncio.sleep(0.5)
        over.set()
        await asyncio.gather(*asking)
        listener.close()

    try:
        asyncio.run(go())
    finally:
        for process, _ in found:
            process.kill()
            process.wait()
    assert wrong == []
    assert answered > 50
    assert proxy.retried > 0


@pytest.mark.slow
def test_a_second_signal_does_not_wait():
    ((process, port),) = replicas(1)
    held = socket.create_connection(("127.0.0.1", port))
    held.sendall(head(100) + b"{")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(4) == 0
    finally:
        held.close()
        process.kill()


def test_loading_offline_opens_no_socket(tmp_path, monkeypatch):
    """More: start-up downloads of flair and cybertron; here a name that is not there is refused without the network."""
    opened: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **_: opened.append(arguments))
    monkeypatch.setattr(socket.socket, "connect", lambda *arguments: opened.append(arguments))
    config = ServeConfig(models={"m": {"task": "text-encoding", "source": "somebody/no-such-model"}})
    made = engine(threads=False)
    with pytest.raises(InputError, match="somebody/no-such-model"):
        Loader(config, made, {}).run()
    assert opened == []


def test_a_config_is_read_with_its_lines(tmp_path):
    path = tmp_path / "serve.yaml"
    path.write_text("models:\n  m: {task: fill-mask, source: folder}\nlimits:\n  timeout: 10\n  qeue_items: 3\n")
    with pytest.raises(InputError, match=r"yaml:5: unknown key 'limits.qeue_items': did you mean 'queue_items'\?"):
        read_config(path)
    path.write_text("models:\n  m: {task: fil-mask, source: folder}\n")
    with pytest.raises(InputError, match="did you mean 'fill-mask'"):
        check_models(read_config(path))
    path.write_text("models:\n  m: {task: fill-mask, source: f}\ncollections:\n  c: {encoder: m, index: i}\n")
    with pytest.raises(InputError, match="expected a model of text-encoding"):
        read_config(path)
    assert read_config({"models": {}}, ("limits.timeout=3",)).limits.timeout == 3.0


def test_the_command_shows_its_config_and_refuses_what_is_not_safe(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        run(["serve", "some/model", "--task", "fill-mask", "--show", "--compat", "spago,cybertron", "--port", "9"]) == 0
    )
    shown = capsys.readouterr().out
    assert "source: some/model" in shown
    assert "port: 9" in shown
    assert run(["serve", "some/model", "--task", "fill-mask", "--host", "0.0.0.0"]) == 2
    assert "others could read what is sent" in capsys.readouterr().err
    assert run(["serve", "some/model", "--task", "fil-mask"]) == 2
    assert "did you mean 'fill-mask'?" in capsys.readouterr().err
    assert run(["serve", "some/model"]) == 2
    assert "give --task" in capsys.readouterr().err
    assert run(["serve", "some/model", "--task", "fill-mask", "--compat", "spaggo"]) == 2
    assert "spaggo" in capsys.readouterr().err


@pytest.mark.parametrize("data", [b"[" * 5000 + b"]" * 5000, b'{"a": "' + b"[" * 5000 + b'"}'])
def test_brackets_in_a_text_are_not_depth(data):
    from spago_jax.serve.engine import Limits
    from spago_jax.serve.engine.problems import Refused

    if data.startswith(b"{"):
        assert parse(data, Limits())["a"] == "[" * 5000
    else:
        with pytest.raises(Refused, match="more than 32 deep"):
            parse(data, Limits())


@pytest.mark.slow
def test_every_route_keeps_its_promise_under_made_up_requests():
    """schemathesis over the OpenAPI page: no 5xx, and no answer that the page does not declare."""
    schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: pip install -e '.[pages]'")
    from hypothesis import HealthCheck, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance
    from test_collections import index

    from spago_jax.serve.collections import Collection
    from spago_jax.serve.http import Shared, make_app
    from spago_jax.serve.metrics import Metrics

    with engine(request_items=4) as made:
        fakes, made.models = Fakes(Shared(made)).models, {}
        for name, fake in fakes.items():
            made.load(name, fake.name, lambda fake=fake: fake, revision="1")
        shared = Shared(made, ServeConfig(compat=("spago", "cybertron")), Metrics(), None,
                        {"letters": Collection("letters", index(), "encoder", "question-answering")})  # fmt: skip
        schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(shared))
        checks = [not_a_server_error, status_code_conformance, content_type_conformance]
        count = 0
        for result in schema.get_all_operations():
            operation = result.ok()

            @given(case=operation.as_strategy())
            @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
            def ask(case):
                case.headers.pop("X-Request-Timeout", None)  # a millisecond is too little, and then 504 is right
                case.call_and_validate(checks=checks)

            ask()
            count += 1
        assert count > 30
