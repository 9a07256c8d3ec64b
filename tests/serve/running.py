"""Servers that really listen, on free ports of this machine, in a thread."""

import asyncio
import subprocess
import threading
from pathlib import Path

from canned import Canned, all_tasks, tagged
from fakes import Letters, Writer, until
from test_collections import Encoder, index

from spago_jax.serve.collections import Collection
from spago_jax.serve.config import ServeConfig
from spago_jax.serve.server import Server


class Fakes:
    """Loads fakes instead of models."""

    def __init__(self, shared, models=None):
        self.shared, self.engine = shared, shared.engine
        self.models = models or {
            "letters": Letters("text-classification"), "writer": Writer(), "encoder": Encoder(),
            "tags": Canned("token-classification", tagged()),
            **{each.name: each for each in all_tasks() if each.name in ("question-answering", "fill-mask",
               "zero-shot-classification", "replaced-token-detection", "text2text-generation")},
        }  # fmt: skip

    def run(self, said):
        for name, fake in self.models.items():
            self.engine.load(name, fake.name, lambda fake=fake: fake, revision="1")
        self.shared.collections["letters"] = Collection("letters", index(), "encoder")
        self.engine.ready()

    def load(self, name):
        return self.engine.load(name, self.models[name].name, lambda: self.models[name], revision="2")


class Running:
    """A server that listens."""

    def __init__(self, models=None, **config):
        config = {"port": 0, "grpc_port": 0, "drain_delay": 0.0, "drain_timeout": 5.0, **config}
        self.server = Server(ServeConfig(**config), loader=lambda shared: Fakes(shared, models))
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        self.loop.run_until_complete(self.server.run(signals=False))

    def __enter__(self):
        self.thread.start()
        until(lambda: self.server.shared.engine.state == "ready" and self.server.port)
        scheme = "http" if self.server.config.tls is None else "https"
        self.http = f"{scheme}://localhost:{self.server.port}"
        self.grpc = f"localhost:{self.server.grpc_port}"
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.server.stop)
        self.thread.join(10)
        assert not self.thread.is_alive()


KIND = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)


def authority(folder: Path) -> Path:
    """Makes a certificate that signs others."""
    files = ("-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem"))
    # What Python 3.13 asks of an authority.
    uses = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-x509", *KIND, "-days", "2", "-subj", "/CN=test authority", *uses, *files)
    return folder / "ca.pem"


def signed(folder: Path, name: str) -> tuple[Path, Path]:
    """Makes a certificate of localhost and its key, signed by the authority."""
    files = ("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.csr"))
    openssl("req", *KIND, "-subj", f"/CN={name}", *files)
    (folder / "ext").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    openssl("x509", "-req", "-in", str(folder / f"{name}.csr"), "-CA", str(folder / "ca.pem"),
            "-CAkey", str(folder / "ca.key"), "-CAcreateserial", "-days", "2", "-extfile", str(folder / "ext"),
            "-out", str(folder / f"{name}.pem"))  # fmt: skip
    return folder / f"{name}.pem", folder / f"{name}.key"
