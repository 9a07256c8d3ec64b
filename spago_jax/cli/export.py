# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax export`."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError


class Format(enum.StrEnum):
    """What is written."""

    stablehlo = "stablehlo"
    onnx = "onnx"
    huggingface = "huggingface"


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write.", show_default=False)],
    format: Annotated[
        Format,
        typer.Option(
            help="stablehlo runs with jax and numpy alone; onnx with onnxruntime; huggingface is an encoder's config, "
            "weights and tokenizer, as transformers reads them."
        ),
    ] = Format.stablehlo,
    platforms: Annotated[str, typer.Option(help="Where a stablehlo artefact shall run.")] = "cpu,cuda,tpu",
    differentiable: Annotated[
        bool, typer.Option("--differentiable", help="Ship the gradient too, for fine-tuning.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an exported program that is there.")] = False,
) -> None:
    """Exports a trained run: a folder from text to answers that works without this library, or a model for others."""
    from spago_jax.compiler.ship.export import check_platforms
    from spago_jax.compiler.ship.folder import check_target
    from spago_jax.interop.huggingface.pretrained import check_free
    from spago_jax.tasks.load import open_run

    chosen = check_platforms([name.strip() for name in platforms.split(",") if name.strip()])
    if differentiable and format is not Format.stablehlo:
        what = "an ONNX model" if format is Format.onnx else "a model in Hugging Face's layout"
        raise InputError(f"{what} has no gradient; leave --differentiable away, or use --format stablehlo")
    if format is Format.huggingface:
        check_free(folder, overwrite=overwrite)
    else:
        check_target(folder, overwrite)
    trained = open_run(run)
    if format is Format.huggingface:
        from spago_jax.tasks.pretrained.trained import export_huggingface

        written = export_huggingface(trained.task, trained.model, folder, overwrite=overwrite)
    elif format is Format.onnx:
        from spago_jax.interop.onnx.task import export_onnx

        written = export_onnx(trained, folder, overwrite=overwrite)
    else:
        from spago_jax.tasks.export import export_run

        written = export_run(trained, folder, platforms=chosen, differentiable=differentiable, overwrite=overwrite)
    for path in sorted(path for path in written.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size:>12,}  {path}")
