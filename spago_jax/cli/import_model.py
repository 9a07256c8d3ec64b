# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax import`."""

import enum
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError

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
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A folder, a name on the hub, or a file of Flair's.", show_default=False),
    ],
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
    tokenizer: Annotated[
        str | None, typer.Option(help="Of a model of Flair's: how it shall cut plain texts into tokens.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> None:
    """Finds a pre-trained model, checks it, reports what was mapped, and writes it to FOLDER if one is given.

    A file of Flair's, of any release, becomes a folder like that of a run: safetensors and JSON instead of a pickle.
    """
    from spago_jax.interop.flair.file import is_flair

    if is_flair(model):
        refuse_options(head=head, allow_missing=allow_missing, revision=revision)
        import_flair_file(Path(model), folder, tokenizer, overwrite=overwrite, as_json=as_json)
        return
    refuse_options(tokenizer=tokenizer)
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


def refuse_options(**given: Any) -> None:
    """Refuses options that are for a model of another kind.

    Raises:
        InputError: naming the first of them.
    """
    for name, value in given.items():
        if value:
            kind = "in Hugging Face's layout" if name != "tokenizer" else "of Flair's"
            raise InputError(f"--{name.replace('_', '-')} is for a model {kind}")


def import_flair_file(
    path: Path, folder: Path | None, tokenizer: str | None, *, overwrite: bool, as_json: bool
) -> None:
    """Reads a file of Flair's, says what was in it, and writes it to a folder if one is given."""
    from spago_jax.core.disk import explain_os_error, refuse_taken
    from spago_jax.core.show import memory
    from spago_jax.interop.flair.imported import ABOUT
    from spago_jax.interop.flair.open import import_flair

    if folder is not None:
        refuse_taken(folder, "an imported model", ABOUT, overwrite=overwrite)
    found = import_flair(path, tokenizer=tokenizer)
    facts = dict(found.facts)
    if folder is not None:
        _say(f"writing {folder}, {memory(facts['bytes'])}")
        with explain_os_error(folder):
            facts["written"] = str(found.save(folder, overwrite=overwrite))
    if as_json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    shown = {**facts, "bytes": f"{facts['bytes']:,} ({memory(facts['bytes'])})"}
    width = max(map(len, shown)) + 2
    for name, value in shown.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key}={each}" for key, each in value.items())
        print(f"{name:<{width}}{_line(value)}")


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


def _line(value: object) -> str:
    if isinstance(value, list):
        more = f", and {len(value) - _SHOWN} more" if len(value) > _SHOWN else ""
        return f"{len(value)}: {', '.join(value[:_SHOWN])}{more}" if value else "none"
    return "none" if value is None else str(value)
