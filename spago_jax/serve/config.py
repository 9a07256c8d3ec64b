# SPDX-License-Identifier: BSD-2-Clause
"""The config of a server: which models, which doors, which limits."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from spago_jax.core.section import DataPath, PositiveInt, Section, Texts
from spago_jax.errors import InputError
from spago_jax.serve.engine.limits import Limits

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Compat = Literal["spago", "cybertron"]
PYTHON_DOCS = "python-docs"
"""Stands for the passages that come with every Python, where a collection is asked for."""


class ModelConfig(Section):
    """One model."""

    task: str = Field(description="the task that it does")
    source: str = Field(description="a run folder, an exported folder, a folder or a name in Hugging Face's layout")
    step: int | None = Field(default=None, description="which checkpoint of a run (default: the best)")
    load: Literal["start", "lazy"] = Field(default="start", description="open it at the start, or when it is asked for")
    dtype: Literal["float32", "bfloat16"] = Field(default="float32", description="what a pre-trained model computes in")
    settings: dict[str, Any] = Field(default={}, description="how a pre-trained model is opened: max_length, runtime")


class CollectionConfig(Section):
    """Passages that can be searched."""

    encoder: str = Field(description="the name of the model that encodes questions")
    index: str = Field(description="the folder of an index, as spago-jax index writes it, or python-docs")
    reader: str | None = Field(default=None, description="the name of a model that finds answers in passages")


class TlsConfig(Section):
    """Certificates; files that change are read again."""

    cert: DataPath = Field(description="the certificate, PEM")
    key: DataPath = Field(description="its key, PEM")
    client_ca: DataPath | None = Field(default=None, description="clients need a certificate that this one signed")


class ServeConfig(Section):
    """A server.

    >>> ServeConfig(models={"m": {"task": "fill-mask", "source": "folder"}}).port
    8000
    """

    models: dict[Name, ModelConfig] = Field(default={}, description="models, each under a name")
    collections: dict[Name, CollectionConfig] = Field(default={}, description="passages, each under a name")
    host: str = Field(default="127.0.0.1", description="the address that HTTP and gRPC listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="of HTTP; 0 takes a free one")
    grpc_port: int | None = Field(default=None, ge=0, le=65535, description="of gRPC; none by default")
    tls: TlsConfig | None = None
    keys: DataPath | None = Field(default=None, description="a file of keys, one per line; read again when it changes")
    insecure: bool = Field(default=False, description="allow an address that others reach without TLS or keys")
    cors: Texts = Field(default=(), description="the origins whose pages may ask, such as https://example.org")
    compat: tuple[Compat, ...] = Field(default=(), description="routes of other systems: spago, cybertron")
    pages: bool = Field(default=True, description="serve the pages")
    offline: bool = Field(default=True, description="never download a model")
    drain_delay: float = Field(default=5.0, ge=0, description="seconds from SIGTERM until nothing more is accepted")
    drain_timeout: float = Field(default=30.0, ge=0, description="seconds that what is under way then has")
    keep_alive: PositiveInt = Field(default=65, description="seconds that an idle connection is kept")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name, collection in self.collections.items():
            wanted = {"encoder": ("text-encoding", collection.encoder)}
            if collection.reader is not None:
                wanted["reader"] = ("question-answering", collection.reader)
            for role, (task, model) in wanted.items():
                found = self.models.get(model)
                if found is None or found.task != task:
                    known = [other for other, each in self.models.items() if each.task == task]
                    raise ValueError(
                        f"collections.{name}.{role} = {model!r}: expected a model of {task}; there is "
                        f"{', '.join(known) or 'none'}"
                    )
            if self.models[collection.encoder].load == "lazy":
                raise ValueError(
                    f"models.{collection.encoder}.load = 'lazy': the collection {name!r} needs it from the start"
                )
        return self


def check_safe(config: ServeConfig) -> None:
    """Refuses to listen where others can read or ask, unless that is wanted.

    Raises:
        InputError: for an address beyond this machine without TLS, or without keys or client certificates.
    """
    if config.insecure or is_loopback(config.host):
        return
    if config.tls is None:
        raise InputError(
            f"host {config.host}: others could read what is sent; give --tls-cert and --tls-key, or --insecure "
            "behind a proxy that does it"
        )
    if config.keys is None and config.tls.client_ca is None:
        raise InputError(f"host {config.host}: anybody could ask; give --keys or --tls-client-ca, or --insecure")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    >>> is_loopback("localhost"), is_loopback("127.0.0.3"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def read_config(path: str | Path | dict[str, Any], overrides: tuple[str, ...] = ()) -> ServeConfig:
    """Reads the config of a server from YAML.

    Raises:
        InputError: for a missing file, or anything wrong in it, with its line.
    """
    from spago_jax.train.config import validate
    from spago_jax.train.yaml_source import read

    source = read(path, overrides)
    return validate(ServeConfig, source.tree, source, ())
