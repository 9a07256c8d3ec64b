# SPDX-License-Identifier: BSD-2-Clause
"""The OpenAPI page of a server: its own models and their options, with examples that answer."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from spago_jax.serve.compat import cybertron, spago
from spago_jax.serve.engine import Served
from spago_jax.serve.http.collections import AddAsk, AnswerAsk, SearchAsk
from spago_jax.serve.http.gate import OPEN
from spago_jax.serve.http.native import Ask
from spago_jax.serve.http.oip import Infer
from spago_jax.serve.http.openai import EmbeddingsAsk
from spago_jax.serve.http.shared import Shared
from spago_jax.serve.tasks import schema_of

PROBLEMS = {
    "400": "The body is not JSON.",
    "401": "No key, or one that is not known.",
    "403": "A key that does not open this.",
    "404": "There is no such model, task or collection.",
    "408": "The body did not come in time.",
    "409": "It is there already, or cannot be changed.",
    "413": "More than a request may hold.",
    "422": "Something that the task does not take.",
    "429": "The queue is full; Retry-After says when to try again.",
    "500": "The server's fault.",
    "503": "Not ready, or about to stop.",
    "504": "The time of the request is over.",
}
_OF_CHANGES = ("403", "409")
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "message", "field", "hint", "request_id"],
            "properties": {
                "type": {"type": "string"},
                "message": {"type": "string"},
                "field": {"type": ["string", "null"]},
                "hint": {"type": ["string", "null"]},
                "request_id": {"type": ["string", "null"]},
            },
        }
    },
}
_OF_OPENAI = {"type": "object", "required": ["error"], "properties": {"error": {"type": "object"}}}
_OF_OIP = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_OF_CYBERTRON = {"type": "object", "required": ["code", "message", "details"]}
_OBJECT: dict[str, Any] = {"type": "object"}
_TIMEOUT = {
    "name": "X-Request-Timeout",
    "in": "header",
    "required": False,
    "description": "milliseconds that the answer may take",
    "schema": {"type": "integer", "minimum": 1, "maximum": 600_000},
}


def operation(
    summary: str,
    tag: str,
    answer: Mapping[str, Any],
    *,
    body: Mapping[str, Any] | None = None,
    examples: Sequence[Any] = (),
    error: Mapping[str, Any] | None = _ERROR,
    problems: Sequence[str] | None = None,
    kinds: Sequence[str] = ("application/json",),
    parameters: Sequence[Any] = (),
) -> dict[str, Any]:
    """Returns one operation of the page."""
    usual = [code for code in PROBLEMS if code not in _OF_CHANGES] if body is not None else ["401", "500"]
    chosen = problems if problems is not None else usual
    failure = {"text/plain": {"schema": {"type": "string"}}} if error is None else {
        "application/json": {"schema": error}
    }  # fmt: skip
    responses: dict[str, Any] = {
        "200": {"description": "The answer.", "content": {kind: {"schema": answer} for kind in kinds}}
    }
    if "text/event-stream" in kinds:
        responses["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    responses |= {code: {"description": PROBLEMS[code], "content": failure} for code in chosen}
    made: dict[str, Any] = {"summary": summary, "tags": [tag], "responses": responses}
    if parameters:
        made["parameters"] = list(parameters)
    if body is not None:
        content: dict[str, Any] = {"schema": body}
        if examples:
            content["examples"] = {f"example{number}": {"value": value} for number, value in enumerate(examples, 1)}
        made["requestBody"] = {"required": True, "content": {"application/json": content}}
        made["parameters"] = [*made.get("parameters", ()), _TIMEOUT]
    return made


def schema_for(section: type[BaseModel]) -> dict[str, Any]:
    """Returns the schema of a body, in one piece."""
    found = section.model_json_schema()
    definitions = found.pop("$defs", {})

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return whole(definitions[value["$ref"].rpartition("/")[2]])
            return {name: whole(each) for name, each in value.items()}
        return [whole(each) for each in value] if isinstance(value, list) else value

    return whole(found)


def _ask(served: Served, limits: Any) -> tuple[dict[str, Any], list[Any]]:
    """Returns the schema of the body for a model, and examples of it."""
    task, section = schema_of(served.task), served.Options
    found = schema_for(Ask)
    found["properties"]["input"] = task.input
    found["properties"]["inputs"] = {"type": "array", "items": task.input, "maxItems": limits.request_items}
    options = {} if section is None else schema_for(section)
    found["properties"]["options"] = {**options, "type": "object"}
    if not served.streams:
        del found["properties"]["stream"]
    # One of both, which a schema says once in each alternative.
    found["oneOf"] = [{"required": ["input"]}, {"required": ["inputs"]}]
    known = set() if section is None else set(section.model_fields)
    given = {name: value for name, value in task.options.items() if name in known}
    extra = {"options": given} if given else {}
    return found, [{"input": task.example, **extra}, {"inputs": [task.example, task.example], **extra}]


def openapi_of(shared: Shared, root: str = "") -> dict[str, Any]:
    """Returns the page of a server as it stands: its models and collections are paths of their own."""
    paths: dict[str, dict[str, Any]] = {}
    engine = shared.engine
    paths["/health/live"] = {"get": operation("Whether the process lives.", "health", _OBJECT, problems=["500"])}
    paths["/health/ready"] = {
        "get": operation("Whether requests should come here.", "health", _OBJECT, problems=["500", "503"])
    }
    paths["/health/ready"]["get"]["responses"]["503"]["content"] = {"application/json": {"schema": _OBJECT}}
    paths["/v1/models"] = {"get": operation("Lists the models.", "models", _OBJECT)}
    paths["/v1/collections"] = {"get": operation("Lists the collections.", "collections", _OBJECT)}
    for served in engine.models.values():
        body, examples = _ask(served, engine.limits)
        task = schema_of(served.task)
        about = {name: {"type": "string"} for name in ("model", "revision", "task")}
        answer = {
            "type": "object",
            "required": ["model", "task", "usage"],
            "properties": {**about, "answer": task.answer, "results": {"type": "array"}, "usage": _OBJECT},
        }
        kinds = ("application/json", "text/event-stream") if served.streams else ("application/json",)
        paths[f"/v1/models/{served.name}"] = {"get": operation(f"Shows {served.name}.", "models", _OBJECT)}
        paths[f"/v1/models/{served.name}/{served.task}"] = {
            "post": operation(
                f"{served.task} by {served.name}.", "tasks", answer, body=body, examples=examples, kinds=kinds
            )
        }
    for name, collection in shared.collections.items():
        search = operation(
            f"Finds passages of {name}.", "collections", _OBJECT, body=schema_for(SearchAsk),
            examples=[{"query": "how to sort a list"}],
        )  # fmt: skip
        paths[f"/v1/collections/{name}:search"] = {"post": search}
        if collection.reader is not None:
            answering = operation(
                f"Answers from passages of {name}.", "collections", _OBJECT, body=schema_for(AnswerAsk),
                examples=[{"question": "what sorts a list?"}],
            )  # fmt: skip
            paths[f"/v1/collections/{name}:answer"] = {"post": answering}
        if collection.folder is not None:
            named = {"name": "id", "in": "query", "required": True, "description": "the passages that are removed",
                     "schema": {"type": "array", "items": {"type": "string"}, "minItems": 1}}  # fmt: skip
            paths[f"/v1/collections/{name}/passages"] = {
                "post": operation(
                    f"Adds passages to {name}.", "collections", _OBJECT, body=schema_for(AddAsk),
                    problems=list(PROBLEMS),
                ),
                "delete": operation(
                    f"Removes passages of {name}.", "collections", _OBJECT, parameters=[named],
                    problems=["401", "403", "404", "409", "422", "500"],
                ),
            }  # fmt: skip
    encoders = [served.name for served in engine.models.values() if served.task == "text-encoding"]
    if encoders:
        paths["/v1/embeddings"] = {
            "post": operation(
                "Vectors, as OpenAI's clients ask for them.", "openai", _OBJECT, body=schema_for(EmbeddingsAsk),
                examples=[{"model": encoders[0], "input": "a text"}], error=_OF_OPENAI,
                problems=[code for code in PROBLEMS if code not in ("422", *_OF_CHANGES)],
            )
        }  # fmt: skip
        _open(paths["/v1/embeddings"]["post"])
    for served in engine.models.values():
        tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [str(schema_of(served.task).example)]}
        infer = operation(
            f"Answers texts by {served.name}.", "open inference protocol", _OBJECT, body=schema_for(Infer),
            examples=[{"inputs": [tensor]}] if isinstance(schema_of(served.task).example, str) else (), error=_OF_OIP,
        )  # fmt: skip
        _open(infer)
        paths[f"/v2/models/{served.name}/infer"] = {"post": infer}
        shown = operation(f"Shows {served.name}.", "open inference protocol", _OBJECT, error=_OF_OIP)
        paths[f"/v2/models/{served.name}"] = {"get": _open(shown)}
    if "spago" in shared.config.compat:
        paths |= _spago(shared)
    if "cybertron" in shared.config.compat:
        paths |= _cybertron(shared)
    if shared.keys is not None:
        for path, methods in paths.items():
            if not path.startswith(OPEN):
                for each in methods.values():
                    each["security"] = [{"key": []}]
    return {
        "openapi": "3.1.0",
        "info": {"title": "spago_jax", "version": version("spago_jax"), "description": "Models for language."},
        "servers": [{"url": root or "/"}],
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }


def _open(made: dict[str, Any]) -> dict[str, Any]:
    """Lets the gate's own refusal have its own shape beside that of another system."""
    content = made["responses"]["401"]["content"]["application/json"]
    made["responses"]["401"]["content"] = {"application/json": {"schema": {"anyOf": [content["schema"], _ERROR]}}}
    return made


_JSON = {str: "string", int: "integer", bool: "boolean", dict: "object"}


def _spago(shared: Shared) -> dict[str, Any]:
    found = {}
    has = {served.task for served in shared.engine.models.values()}
    for path, call in spago.ROUTES.items():
        if not has & set(call.tasks):
            continue
        fields = {
            name: {"type": "array", "items": {"type": "string"}} if kind is list else {"type": _JSON[kind]}
            for name, kind in spago.FIELDS[path].items()
        }
        made = operation(
            f"spaGO's {call.name}.", "spago", _OBJECT, body={"type": "object", "properties": fields}, error=None,
            problems=["400", "401", "408", "413", "429", "500", "503"],
        )  # fmt: skip
        made["responses"]["401"]["content"] = {"application/json": {"schema": _ERROR}}
        found[path] = {"post": made}
    return found


def _cybertron(shared: Shared) -> dict[str, Any]:
    has = {served.task for served in shared.engine.models.values()}
    found = {}
    for path, call in cybertron.ROUTES.items():
        tasks = call.tasks if call is not None else (*cybertron.CLASSIFY.tasks, "token-classification",
                                                     "zero-shot-classification")  # fmt: skip
        if not has & set(tasks):
            continue
        model = {"name": "model", "in": "query", "schema": {"type": "string", "enum": sorted(shared.engine.models)}}
        made = operation(
            f"cybertron's {path.rpartition('/')[2]}.", "cybertron", _OBJECT, body=_OBJECT, error=_OF_CYBERTRON,
            problems=["400", "401", "404", "408", "429", "500", "503", "504"], parameters=[model],
        )  # fmt: skip
        found[path] = {"post": _open(made)}
    return found
