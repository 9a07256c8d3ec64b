# SPDX-License-Identifier: BSD-2-Clause
"""Exports a trained task as an ONNX model that answers texts with onnxruntime and NumPy."""

from pathlib import Path

from spago_jax.compiler.ship.arguments import shipment
from spago_jax.compiler.ship.export import copy_files
from spago_jax.compiler.ship.folder import appearing, check_target
from spago_jax.compiler.ship.manifest import write_manifest
from spago_jax.interop.onnx.convert import to_onnx
from spago_jax.tasks.export import carried_files, metadata, prediction, program_name, refuse_loops
from spago_jax.tasks.load import TrainedRun


def export_onnx(trained: TrainedRun, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Exports the prediction of a trained run as ``model.onnx`` with its processor, and a README.

    Args:
        trained: from ``open_run``.
        folder: where; it appears complete or not at all.
        overwrite: replace an exported program that is there.

    Returns:
        The folder.

    Raises:
        InputError: for a folder that is in the way, or where ``onnx`` is not installed.
        ExportError: for operations that have no ONNX form here.
    """
    target = Path(folder)
    check_target(target, overwrite)
    refuse_loops(trained.task)
    function, inputs = prediction(trained.task)
    name = program_name(trained.task)
    shipped = shipment(function, (trained.model, *inputs), name=name)
    with appearing(target, overwrite=overwrite) as beside:
        to_onnx(function, beside / "model.onnx", trained.model, *inputs, name=name)
        copy_files(beside, carried_files(trained, "onnx"))
        write_manifest(beside, "onnx", shipped, {}, metadata(trained))
    return target
