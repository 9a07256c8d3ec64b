# SPDX-License-Identifier: BSD-2-Clause
"""Writes a program to a folder that runs with JAX and NumPy alone."""

import importlib.util
import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax import export as jax_export

from spago_jax.compiler.ship import load
from spago_jax.compiler.ship.arguments import Shipment, shipment
from spago_jax.compiler.ship.folder import appearing, check_target
from spago_jax.compiler.ship.manifest import aval_json, check_metadata, write_manifest
from spago_jax.compiler.ship.plain import describe
from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.compiler.ship.symbolic import structs, traced, weight_structs
from spago_jax.errors import ExportError, InputError, did_you_mean
from spago_jax.ops.lstm_cudnn import use_cudnn

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
DEFAULT_PLATFORMS = ("cpu", "cuda", "tpu")


def export(
    function: Callable[..., Any],
    folder: str | Path,
    *arguments: Any,
    static: Mapping[str, Any] | None = None,
    name: str | None = None,
    platforms: Sequence[str] = DEFAULT_PLATFORMS,
    differentiable: bool = False,
    sizes: Mapping[str, Sequence[int]] | None = None,
    constraints: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    files: Mapping[str, Path | bytes] | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a folder with StableHLO, weights (safetensors), a manifest and the loader.

    Arguments of arrays (a Module) become weights by their dotted paths; arguments of specs become inputs. A named
    dimension stays free, and one name is one size wherever it stands.

    Args:
        function: a pure function, a Program, a Module, or a method of one.
        folder: where; it appears complete or not at all.
        arguments: in the function's order, arrays or specs: ``"f32[batch, 8]"``, ``sj.spec``, ``ShapeDtypeStruct``,
            or dicts, lists and tuples of these.
        static: fixed values of further arguments, by name.
        name: of the program; by default the function's.
        platforms: of ``cpu``, ``cuda``, ``rocm`` and ``tpu``; one artefact serves all of them.
        differentiable: also ship the gradient, so that it can be fine-tuned.
        sizes: for dimensions that cannot be free, the sizes to export one entry for each: ``{"time": (16, 64)}``.
        constraints: facts about free dimensions, ``"time >= 2"``.
        metadata: plain JSON that travels with it.
        files: further files, ``{name: path or content}`` (vocabularies).
        overwrite: replace an exported program that is there.

    Returns:
        The folder.

    Raises:
        InputError: for bad arguments, an unknown platform, a folder that is in the way, or without ``flatbuffers``
            (what is exported runs without it).
        ExportError: for a dimension that cannot be free, naming it, or an operation that cannot be shipped.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "double"
    >>> _ = export(lambda x: {"y": 2 * x}, target, "f32[batch, 2]", name="double")
    >>> program = load.load_program(target)
    >>> program
    LoadedProgram('double'
      x: float32[batch, 2]
      -> {y: float32[batch, 2]}
      0 numbers in 0 weights; cpu, cuda, tpu)
    >>> program(np.ones((3, 2), np.float32))["y"][0]
    Array([2., 2.], dtype=float32)
    """
    target = Path(folder)
    check_target(target, overwrite)
    check_metadata(metadata)
    platforms = check_platforms(platforms)
    if importlib.util.find_spec("flatbuffers") is None:
        raise InputError("exporting needs the package flatbuffers: pip install 'spago_jax[export]'")
    shipped = shipment(function, arguments, static=static, name=name)
    chosen = _combinations(shipped, sizes or {})
    entries = []
    for number, combination in enumerate(chosen):
        exported = _exported(shipped, combination, platforms, constraints)
        file = "program.jax_export" if len(chosen) == 1 else f"program-{number}.jax_export"
        tree = jax.tree.unflatten(exported.out_tree, exported.out_avals)
        facts = {"file": file, "sizes": combination, "outputs": describe(tree, aval_json)}
        entries.append((facts, exported, _serialized(shipped, exported, combination, differentiable)))
    with appearing(target, overwrite=overwrite) as beside:
        for facts, _, data in entries:
            (beside / facts["file"]).write_bytes(data)
        write_safetensors(beside / "weights.safetensors", shipped.weights)
        copy_files(beside, {"load_program.py": Path(load.__file__), **(files or {})})
        write_manifest(
            beside,
            "stablehlo",
            shipped,
            {
                "entries": [facts for facts, _, _ in entries],
                "constraints": list(constraints),
                "platforms": list(platforms),
                "differentiable": differentiable,
                "calling_convention_version": entries[0][1].calling_convention_version,
            },
            metadata,
        )
    return target


def check_platforms(platforms: Sequence[str]) -> tuple[str, ...]:
    """Returns the platforms, each once.

    Raises:
        InputError: for an unknown one, or none.

    >>> check_platforms(["cpu", "tpu", "cpu"])
    ('cpu', 'tpu')
    """
    platforms = tuple(dict.fromkeys((platforms,) if isinstance(platforms, str) else platforms))
    for platform in platforms:
        if platform not in PLATFORMS:
            hint = "write cuda (NVIDIA) or rocm (AMD)" if platform == "gpu" else did_you_mean(platform, PLATFORMS)
            raise InputError(f"unknown platform {platform!r}: {hint}")
    if not platforms:
        raise InputError(f"no platform to export for; known: {', '.join(PLATFORMS)}")
    return platforms


def copy_files(folder: Path, files: Mapping[str, Path | bytes]) -> None:
    """Puts further files into a folder.

    Raises:
        InputError: for a name that leads out of the folder, or is taken.
    """
    for name, content in files.items():
        place = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts or place.exists() or name == "manifest.json":
            raise InputError(f"file {name!r} cannot be put into the exported folder: the name is taken or leads out")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
        else:
            shutil.copyfile(content, place)


def _combinations(shipped: Shipment, sizes: Mapping[str, Sequence[int]]) -> list[dict[str, int]]:
    for dim, values in sizes.items():
        if dim not in shipped.names():
            raise InputError(
                f"{shipped.name}: sizes: {dim!r} is not a free dimension of the specs, "
                f"{did_you_mean(dim, shipped.names())}"
            )
        if not values or any(int(value) != value or value < 1 for value in values):
            raise InputError(f"{shipped.name}: sizes of {dim!r} must be whole numbers of at least 1, got {values!r}")
    return [dict(zip(sizes, values, strict=True)) for values in itertools.product(*sizes.values())]


def _exported(
    shipped: Shipment, sizes: dict[str, int], platforms: tuple[str, ...], constraints: Sequence[str]
) -> jax_export.Exported:
    inputs = structs(shipped, sizes, constraints)
    work = jax_export.export(jax.jit(shipped.call), platforms=platforms)
    with use_cudnn(False):  # its calls depend on the machine: nothing that has to run elsewhere can hold them
        return traced(shipped, sizes, lambda: work(weight_structs(shipped), *inputs))


def _serialized(shipped: Shipment, exported: jax_export.Exported, sizes: dict[str, int], differentiable: bool) -> bytes:
    try:
        return bytes(traced(shipped, sizes, lambda: exported.serialize(vjp_order=1 if differentiable else 0)))
    except ValueError as error:
        if not differentiable:
            raise
        reason = next(iter(str(error).splitlines()), "")
        raise ExportError(
            f"{shipped.name}: its gradient cannot be exported ({reason}); differentiable=False"
        ) from error


__all__ = ["DEFAULT_PLATFORMS", "PLATFORMS", "check_platforms", "copy_files", "export"]
