# SPDX-License-Identifier: BSD-2-Clause
"""The manifest of an exported folder: what the program takes and gives, and a checksum of every file."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from jax.core import ShapedArray

from spago_jax.compiler.ship.arguments import Leaf, Shipment
from spago_jax.compiler.ship.load import FORMAT_VERSION, manifest_hash
from spago_jax.compiler.ship.plain import describe
from spago_jax.errors import InputError


def input_json(leaf: Leaf) -> dict[str, Any]:
    """Returns one input array as JSON."""
    return {"dtype": leaf.dtype, "shape": list(leaf.dims)}


def aval_json(aval: ShapedArray) -> dict[str, Any]:
    """Returns one output array as JSON; a dimension is a number or an expression of the inputs' dimensions."""
    return {"dtype": aval.dtype.name, "shape": [dim if isinstance(dim, int) else str(dim) for dim in aval.shape]}


def check_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns the metadata as JSON gives it back.

    Raises:
        InputError: for what JSON does not have.
    """
    try:
        return json.loads(json.dumps(dict(metadata or {})))
    except (TypeError, ValueError) as error:
        raise InputError(f"metadata must be plain JSON (strings, numbers, lists, dicts): {error}") from None


def file_facts(folder: Path) -> dict[str, Any]:
    """Size and SHA-256 of every file of a folder, but for the manifest."""
    facts = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            data = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            facts[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return facts


def write_manifest(
    folder: Path, format: str, shipped: Shipment, facts: Mapping[str, Any], metadata: Mapping[str, Any] | None
) -> None:
    """Writes ``manifest.json`` for all that lies in the folder.

    Args:
        folder: with its other files complete.
        format: ``stablehlo`` or ``onnx``.
        shipped: for the arguments and weights.
        facts: what is particular to the format.
        metadata: the user's own, plain JSON.
    """
    manifest: dict[str, Any] = {
        "format": format,
        "format_version": FORMAT_VERSION,
        "name": shipped.name,
        "arguments": {name: describe(tree, input_json) for name, tree in shipped.inputs.items()},
        "dimensions": list(shipped.names()),
        "weights": {
            path: {
                "dtype": array.dtype.name,
                "shape": [int(n) for n in array.shape],
                "trainable": shipped.trainable[path],
            }
            for path, array in shipped.weights.items()
        },
        **facts,
        "jax_version": jax.__version__,
        "metadata": check_metadata(metadata),
        "files": file_facts(folder),
    }
    manifest["sha256"] = manifest_hash(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
