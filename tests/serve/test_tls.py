"""TLS at both doors: certificates that are renewed, certificates of clients, and what is refused without them."""

import shutil
import ssl

import httpx2
import pytest
from fakes import Letters
from running import Running, authority, signed

from spago_jax.errors import InputError
from spago_jax.serve.client import Client, GrpcClient, Retries, ServerError
from spago_jax.serve.config import ServeConfig, TlsConfig, check_safe
from spago_jax.serve.tls import Certificates

NEVER = Retries(most=0)
ASK = ("letters", "text-classification", "x")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make certificates")
    made = tmp_path_factory.mktemp("tls")
    authority(made)
    for name in ("server", "renewed", "client"):
        signed(made, name)
    return made


def subject(address: str, folder) -> str:
    import socket

    host, port = address.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        return dict(part[0] for part in wrapped.getpeercert()["subject"])["commonName"]


def test_both_doors_speak_tls_and_take_a_renewed_certificate(folder, tmp_path):
    for kind in ("pem", "key"):
        shutil.copy(folder / f"server.{kind}", tmp_path / f"now.{kind}")
    tls = {"cert": str(tmp_path / "now.pem"), "key": str(tmp_path / "now.key")}
    with Running({"letters": Letters("text-classification")}, tls=tls) as running:
        for kind, address in ((Client, running.http), (GrpcClient, running.grpc)):
            with kind(address, ca=folder / "ca.pem", retries=NEVER) as client:
                assert client.answer(*ASK)["total"] == 120.0
        with Client(running.http, retries=NEVER) as client, pytest.raises(httpx2.ConnectError):
            client.answer(*ASK)  # of an authority that is not known
        with GrpcClient(running.grpc, retries=NEVER, timeout=2) as client, pytest.raises(ServerError):
            client.answer(*ASK)  # plain text
        assert subject(running.http, folder) == "server"
        shutil.copy(folder / "renewed.key", tmp_path / "now.key")  # half a change leaves what there is
        assert running.server._certificates.refresh() is False
        assert subject(running.http, folder) == "server"
        shutil.copy(folder / "renewed.pem", tmp_path / "now.pem")
        assert running.server._certificates.refresh() is True
        assert subject(running.http, folder) == "renewed"
        with GrpcClient(running.grpc, ca=folder / "ca.pem", retries=NEVER) as client:
            assert client.answer(*ASK)["total"] == 120.0


def test_clients_need_a_certificate_where_that_is_wanted(folder):
    tls = {"cert": str(folder / "server.pem"), "key": str(folder / "server.key"), "client_ca": str(folder / "ca.pem")}
    own = (folder / "client.pem", folder / "client.key")
    with Running({"letters": Letters("text-classification")}, tls=tls) as running:
        for kind, address in ((Client, running.http), (GrpcClient, running.grpc)):
            with kind(address, ca=folder / "ca.pem", cert=own, retries=NEVER) as client:
                assert client.answer(*ASK)["total"] == 120.0
            with (
                kind(address, ca=folder / "ca.pem", retries=NEVER, timeout=2) as client,
                pytest.raises((httpx2.TransportError, ServerError)),
            ):
                client.answer(*ASK)


def test_files_that_are_not_certificates_are_named(folder, tmp_path):
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(InputError, match=r"bad\.pem: not a certificate with its key"):
        Certificates(TlsConfig(cert=str(tmp_path / "bad.pem"), key=str(folder / "server.key")))
    with pytest.raises(InputError, match=r"bad\.pem: not a certificate"):
        Certificates(TlsConfig(cert=str(folder / "server.pem"), key=str(folder / "server.key"),
                               client_ca=str(tmp_path / "bad.pem")))  # fmt: skip


def test_an_address_that_others_reach_needs_tls_and_keys(tmp_path):
    tls = {"cert": "c.pem", "key": "k.pem"}
    check_safe(ServeConfig())
    check_safe(ServeConfig(host="::1"))
    check_safe(ServeConfig(host="0.0.0.0", insecure=True))
    check_safe(ServeConfig(host="0.0.0.0", tls=tls, keys="keys"))
    check_safe(ServeConfig(host="0.0.0.0", tls={**tls, "client_ca": "ca.pem"}))
    with pytest.raises(InputError, match="others could read what is sent"):
        check_safe(ServeConfig(host="0.0.0.0", keys="keys"))
    with pytest.raises(InputError, match="anybody could ask"):
        check_safe(ServeConfig(host="192.168.1.2", tls=tls))
