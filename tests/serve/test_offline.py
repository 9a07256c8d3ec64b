"""A whole life of a server with no network but its own: in a process of its own, watched at its sockets."""

import json
import subprocess
import sys

import pytest
from tiny_pretrained import write_tiny, write_vocabulary

# Counts what leaves this machine, from before the first import: a start, requests through every door, and the stop.
WATCHED = """
import json, socket, sys
away = []
def here(address):
    host = address[0] if isinstance(address, tuple) else address
    own = host in ("127.0.0.1", "::1", "localhost", None, "")
    return own or isinstance(host, bytes) or not isinstance(address, tuple)
for name in ("connect", "connect_ex"):
    def watched(self, address, own=getattr(socket.socket, name)):
        if not here(address):
            away.append(str(address))
            raise OSError("no network")
        return own(self, address)
    setattr(socket.socket, name, watched)
def looked_up(host, *more, own=socket.getaddrinfo, **named):
    if host not in ("127.0.0.1", "::1", "localhost", None, ""):
        away.append(str(host))
        raise OSError("no network")
    return own(host, *more, **named)
socket.getaddrinfo = looked_up
import asyncio, threading
from spago_jax.serve.config import read_config
from spago_jax.serve.server import Server
config = read_config({"models": {"m": {"task": "text-encoding", "source": sys.argv[1]}},
                      "port": 0, "grpc_port": 0, "drain_delay": 0.0, "limits": {"batch_tokens": 64}})
server, said = Server(config), {}
async def main():
    running = asyncio.ensure_future(server.run(signals=False))
    for _ in range(6000):
        if server.shared.engine.state != "starting" or running.done():
            break
        await asyncio.sleep(0.01)
    from spago_jax.serve.client import AsyncClient, AsyncGrpcClient
    doors = {AsyncClient: f"http://127.0.0.1:{server.port}", AsyncGrpcClient: f"127.0.0.1:{server.grpc_port}"}
    for kind, address in doors.items():
        async with kind(address) as client:
            said[kind.__name__] = len((await client.answer("m", "text-encoding", "a b c"))["vector"])
    server.stop()
    await running
asyncio.run(main())
print(json.dumps({"away": away, "said": said}))
"""


@pytest.mark.slow
def test_a_start_and_requests_open_no_socket_beyond_this_machine(tmp_path):
    write_tiny(tmp_path / "m", head="states")
    write_vocabulary(tmp_path / "m")
    found = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path / "m")], capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert json.loads(found.stdout.splitlines()[-1]) == {"away": [], "said": {"AsyncClient": 8, "AsyncGrpcClient": 8}}
