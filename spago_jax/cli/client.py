# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax client`: asks a server, by the names that spaGO's clients have for it."""

import enum
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError, did_you_mean


class Output(enum.StrEnum):
    """How answers are written."""

    yaml = "yaml"
    json = "json"


# What a command asks for: the options that it needs, and the tasks that can answer it.
_WRITING = ("text2text-generation", "translation", "summarization", "paraphrasing", "text-generation")
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "answer": (("question", "passage"), ("question-answering",)),
    "analyze": (("text",), ("token-classification",)),
    "classify": (("text",), ("text-classification",)),
    "classify-nli": (("text", "labels"), ("zero-shot-classification",)),
    "discriminate": (("text",), ("replaced-token-detection",)),
    "encode": (("text",), ("text-encoding",)),
    "generate": (("text",), _WRITING),
    "predict": (("text",), ("fill-mask",)),
    "search": (("text", "collection"), ()),
    "similarity": (("text1", "text2"), ("text-encoding",)),
    "tag": (("text",), ("token-classification",)),
}


@app.command()
def client(
    command: Annotated[str, typer.Argument(metavar="COMMAND", help=f"One of {', '.join(COMMANDS)}.")],
    text: Annotated[str | None, typer.Option(help="The text; for search, the question.")] = None,
    text1: Annotated[str | None, typer.Option(help="The first text, of similarity.")] = None,
    text2: Annotated[str | None, typer.Option(help="The second text, of similarity and of pairs to classify.")] = None,
    question: Annotated[str | None, typer.Option(help="The question, of answer.")] = None,
    passage: Annotated[str | None, typer.Option(help="The passage, of answer.")] = None,
    labels: Annotated[str | None, typer.Option(help="Labels apart by commas, of classify-nli.")] = None,
    multi_class: Annotated[bool, typer.Option("--multi-class", help="Several labels may hold.")] = False,
    hypothesis_template: Annotated[str | None, typer.Option(help="The hypothesis, with {} for a label.")] = None,
    merge_entities: Annotated[bool, typer.Option("--merge-entities", help="One token per entity.")] = False,
    filter_non_entities: Annotated[
        bool, typer.Option("--filter-non-entities", help="Leave out what is not an entity.")
    ] = False,
    collection: Annotated[str | None, typer.Option(help="The collection, of search.")] = None,
    mode: Annotated[str, typer.Option(help="Of search: dense (by vectors), words, or hybrid.")] = "dense",
    model: Annotated[str | None, typer.Option(help="The model; default: the first that can do it.")] = None,
    address: Annotated[
        str, typer.Option(envvar="SPAGO_ADDRESS", help="Of HTTP, https://HOST:PORT too; of gRPC, HOST:PORT.")
    ] = "http://127.0.0.1:8000",
    key: Annotated[str | None, typer.Option(envvar="SPAGO_KEY", help="The key, where the server asks for one.")] = None,
    ca: Annotated[Path | None, typer.Option(help="The certificate that signed the server's.")] = None,
    cert: Annotated[Path | None, typer.Option(help="The client's own certificate.")] = None,
    cert_key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds that the answer may take.")] = 60.0,
    output: Annotated[Output, typer.Option("--output", "-o", help="How the answer is written.")] = Output.yaml,
) -> None:
    """Asks a server: spago-jax client answer --question "Who?" --passage "Ann did it."

    The commands are those of spaGO's three clients, and generate, tag and search. An address that begins with http is
    asked over HTTP, any other over gRPC.
    """
    from spago_jax.cli.extras import needing

    if command not in COMMANDS:
        raise InputError(f"no command {command!r}: {did_you_mean(command, COMMANDS)}")
    given = {"text": text, "text1": text1, "text2": text2, "question": question, "passage": passage,
             "labels": labels, "collection": collection, "mode": mode}  # fmt: skip
    needed, tasks = COMMANDS[command]
    if missing := [f"--{name}" for name in needed if given[name] is None]:
        raise InputError(f"client {command} needs {' and '.join(missing)}")
    if (cert is None) != (cert_key is None):
        raise InputError("--cert and --cert-key go together")
    with needing("serve"):
        from spago_jax.serve.client import Client, GrpcClient, ServerError
    kind: Any = Client if address.startswith(("http://", "https://")) else GrpcClient
    own = None if cert is None or cert_key is None else (cert, cert_key)
    try:
        with kind(address, key=key, ca=ca, cert=own, timeout=timeout) as server:
            found = _asked(server, command, model, tasks, given, multi_class, hypothesis_template)
    except ServerError as error:
        raise InputError(f"{address}: {error}") from None
    except OSError as error:
        raise InputError(f"{address}: {error}") from None
    except Exception as error:  # of httpx2, which has a family of its own
        if type(error).__module__.startswith("httpx2"):
            raise InputError(f"{address}: {error or type(error).__name__}") from None
        raise
    if command in ("analyze", "tag"):
        found = {"tokens": _tokens(found, merge=merge_entities, drop=filter_non_entities)}
    print(_written(found, output), end="")


def _asked(
    server: Any,
    command: str,
    model: str | None,
    tasks: tuple[str, ...],
    given: dict[str, Any],
    several: bool,
    template: str | None,
) -> Any:
    if command == "search":
        return {"passages": server.search(given["collection"], given["text"], mode=given["mode"])}
    models = server.models()
    if model is None:  # the first task that the command means, and the first model of it
        fitting = sorted((each for each in models if each["task"] in tasks), key=lambda each: tasks.index(each["task"]))
    else:
        fitting = [each for each in models if each["name"] == model]
    chosen = fitting[0] if fitting else None
    if chosen is None:
        names = [each["name"] for each in models]
        if model is not None:
            raise InputError(f"the server has no model {model!r}: {did_you_mean(model, names)}")
        raise InputError(f"no model of the server does {' or '.join(tasks)}; it has {', '.join(names) or 'none'}")
    where = (chosen["name"], chosen["task"])
    if command == "similarity":
        one, other = (server.answer(*where, given[name])["vector"] for name in ("text1", "text2"))
        return {"similarity": round(_cosine(one, other), 6)}
    if command == "answer":
        return server.answer(*where, {"question": given["question"], "passage": given["passage"]})
    if command == "classify" and given["text2"] is not None:
        return server.answer(*where, {"text": given["text"], "pair": given["text2"]})
    if command == "classify-nli":
        options = {"labels": [label.strip() for label in given["labels"].split(",")], "multi_label": several}
        return server.answer(*where, given["text"], **options, **({} if template is None else {"template": template}))
    return server.answer(*where, given["text"])


def _cosine(one: list[float], other: list[float]) -> float:
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / max((sum(a * a for a in one) * sum(b * b for b in other)) ** 0.5, 1e-12)


def _tokens(answer: dict[str, Any], *, merge: bool, drop: bool) -> list[dict[str, Any]]:
    """The tokens of a tagged text as spaGO's client shows them."""
    places = list(zip(answer["tokens"], answer["offsets"], answer["tags"], strict=True))
    found = [{"text": token, "start": place[0], "end": place[1], "label": tag} for token, place, tag in places]
    if merge and answer["spans"]:
        spans = [{name: span[name] for name in ("text", "start", "end", "label")} for span in answer["spans"]]
        outside = [
            {**token, "label": "O"}
            for token in found
            if not any(token["start"] < span["end"] and token["end"] > span["start"] for span in spans)
        ]
        found = sorted([*spans, *outside], key=lambda token: token["start"])
    return [token for token in found if not (drop and token["label"] == "O")]


def _written(found: object, output: Output) -> str:
    if output is Output.json:
        return json.dumps(found, ensure_ascii=False) + "\n"
    import yaml

    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True)
