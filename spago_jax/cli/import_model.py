# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax import`."""

import enum
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spago_jax.cli.app import app

if TYPE_CHECKING:
    from spago_jax.interop.huggingface.pretrained import Pretrained

_SHOWN = 8  # names of tensors


class Policy(enum.StrEnum):
    """When the hub is asked."""

    never = "never"
    missing = "missing"
    always = "always"


@app.command("import")
def import_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, or a name on the hub.", show_default=False)],
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Where to write it as safetensors.", show_default=False)
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="Read it with this head, not the one that config.json names.")
    ] = None,
    allow_missing: Annotated[
        list[str] | None, typer.Option(help="Tensors that may be missing, such as 'classifier.*'. Repeatable.")
    ] = None,
    download: Annotated[Policy, typer.Option(help="When to ask the hub; a local copy comes first.")] = Policy.never,
    revision: Annotated[str | None, typer.Option(help="A branch, a tag or a commit on the hub.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is in FOLDER.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> None:
    """Finds a pre-trained model, checks it, reports what was mapped, and writes it to FOLDER if one is given."""
    from spago_jax.core.disk import explain_os_error
    from spago_jax.core.show import memory
    from spago_jax.interop.huggingface.load import load_pretrained
    from spago_jax.interop.huggingface.locate import find_model
    from spago_jax.interop.huggingface.pretrained import check_free

    if folder is not None:
        check_free(folder, overwrite=overwrite)
    place = find_model(model, download=download.value, revision=revision)  # a download shows bars of its own
    size = sum(path.stat().st_size for path in place.iterdir() if path.is_file())
    _say(f"reading {place}, {memory(size)}")
    found = load_pretrained(place, head=head, allow_missing=allow_missing or ())
    facts = _facts(found)
    if folder is not None:
        _say(f"writing {folder}, {memory(facts['bytes'])}")
        with explain_os_error(folder):
            facts["written"] = str(found.save(folder, overwrite=overwrite))
    print(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else _table(facts))


def _say(message: str) -> None:
    """Says what is being done, on standard error: standard output is the report."""
    print(f"spago-jax: {message}", file=sys.stderr, flush=True)


def _facts(found: "Pretrained") -> dict[str, Any]:
    report = found.report
    tokenizer = found.tokenizer if found.has_tokenizer else None
    return {
        "model": str(found.folder),
        "file": report.file.name,
        "architecture": found.config.network.architecture,
        "head": found.head,
        "labels": list(found.labels) if found.head.endswith("-classification") else None,
        "tensors": report.tensors,
        "parameters": report.parameters,
        "bytes": report.nbytes,
        "tokenizer": tokenizer and {"size": tokenizer.size, "max_length": tokenizer.max_length},
        "pooling": found.pooling and "+".join(found.pooling.pooling.modes),
        "missing": list(report.fresh),
        "surplus": list(report.surplus),
        "untied": list(report.untied),
    }


def _table(facts: dict[str, Any]) -> str:
    from spago_jax.core.show import memory

    shown = dict(facts)
    shown["bytes"] = f"{facts['bytes']:,} ({memory(facts['bytes'])})"
    shown["parameters"] = f"{facts['parameters']:,}"
    if facts["tokenizer"]:
        length = facts["tokenizer"]["max_length"]
        shown["tokenizer"] = (
            f"{facts['tokenizer']['size']:,} pieces, {f'at most {length} per text' if length else 'any length'}"
        )
    width = max(map(len, shown)) + 2
    return "\n".join(f"{name:<{width}}{_line(value)}" for name, value in shown.items() if name != "untied" or value)


def _line(value: Any) -> str:
    if isinstance(value, list):
        more = f", and {len(value) - _SHOWN} more" if len(value) > _SHOWN else ""
        return f"{len(value)}: {', '.join(value[:_SHOWN])}{more}" if value else "none"
    return "none" if value is None else str(value)
