# SPDX-License-Identifier: BSD-2-Clause
"""Exports what a trained run predicts: a folder that works without this library, or an ONNX model."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from spago_jax.compiler.ship.arguments import shipment
from spago_jax.compiler.ship.export import DEFAULT_PLATFORMS, copy_files, export
from spago_jax.compiler.ship.folder import appearing, check_target
from spago_jax.compiler.ship.manifest import write_manifest
from spago_jax.errors import InputError, did_you_mean
from spago_jax.models.character_lm.recipe import CharacterLMRecipe
from spago_jax.models.classifier.mlp_recipe import MLPClassifierRecipe
from spago_jax.models.classifier.text_recipe import TextClassifierRecipe
from spago_jax.models.sequence_labeler.recipe import SequenceLabelerRecipe
from spago_jax.models.tokens.encoder import TokenEncoder
from spago_jax.tasks.readme import readme
from spago_jax.tasks.run import TrainedRun

FORMATS = ("stablehlo", "onnx")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a trained run offers to others.

    Attributes:
        name: of the program.
        function: ``function(model, *inputs)``.
        inputs: the specs of the inputs.
        metadata: names of tags or classes, and where it came from.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    metadata: dict[str, Any]


def export_run(
    trained: TrainedRun,
    folder: str | Path,
    *,
    format: str = "stablehlo",
    platforms: Sequence[str] = DEFAULT_PLATFORMS,
    differentiable: bool = False,
    overwrite: bool = False,
) -> Path:
    """Exports the prediction of a trained run, its vocabularies and a README.

    Args:
        trained: from ``open_run``.
        folder: where; it appears complete or not at all.
        format: ``stablehlo`` (runs with JAX and NumPy alone) or ``onnx``.
        platforms: of a StableHLO artefact.
        differentiable: ship the gradient too (StableHLO).
        overwrite: replace an exported program that is there.

    Returns:
        The folder.

    Raises:
        InputError: for an unknown format or platform, or a folder that is in the way.
        ExportError: for what cannot be exported.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}, {did_you_mean(format, FORMATS)}")
    if format == "onnx" and differentiable:
        raise InputError("an ONNX model has no gradient; leave --differentiable away, or use --format stablehlo")
    target = Path(folder)
    check_target(target, overwrite)
    found = prediction(trained)
    assets = sorted(path for path in trained.run.assets.rglob("*") if path.is_file())
    files: dict[str, Path | bytes] = {
        f"assets/{path.relative_to(trained.run.assets).as_posix()}": path for path in assets
    }
    batch = found.inputs[0] if isinstance(found.inputs[0], dict) else {}
    files["README.txt"] = readme(found.name, format, batch).encode("utf-8")
    if format == "stablehlo":
        return export(
            found.function,
            target,
            trained.model,
            *found.inputs,
            name=found.name,
            platforms=platforms,
            differentiable=differentiable,
            metadata=found.metadata,
            files=files,
            overwrite=overwrite,
        )
    from spago_jax.interop.onnx import to_onnx

    shipped = shipment(found.function, (trained.model, *found.inputs), name=found.name)
    with appearing(target, overwrite=overwrite) as beside:
        to_onnx(found.function, beside / "model.onnx", trained.model, *found.inputs, name=found.name)
        copy_files(beside, files)
        write_manifest(beside, "onnx", shipped, {}, found.metadata)
    return target


def prediction(trained: TrainedRun) -> Prediction:
    """The function of a run that is shipped, by the kind of its model.

    Raises:
        InputError: for a kind of model that has none.
    """
    recipe, model = trained.recipe, trained.model
    about = {"run": trained.experiment.name, "kind": recipe.kind, "step": trained.step}
    if isinstance(recipe, SequenceLabelerRecipe):
        tags = recipe.tags
        more = {"tags": list(tags.names), "scheme": tags.scheme, "files_scheme": tags.written}
        return Prediction("tag", tag, (_tokens(model.tokens),), about | more)
    if isinstance(recipe, TextClassifierRecipe):
        specs = _tokens(model.tokens)
        if model.ngrams is not None:
            specs |= {"ngrams": "i32[batch, ngrams]", "ngram_lengths": "i32[batch]"}
        more: dict[str, Any] = {"classes": list(recipe.classes)}
        if model.ngrams is not None:
            config = recipe.config
            more["ngrams"] = {
                "rows": config.ngrams,
                "order": config.ngram_order,
                "characters": config.character_ngrams,
            }
        return Prediction("classify", classify, (specs,), about | more)
    if isinstance(recipe, MLPClassifierRecipe):
        height, width = recipe.shape
        classes = [str(number) for number in range(recipe.classes)]
        return Prediction(
            "classify_images", classify, (f"f32[batch, {height}, {width}]",), about | {"classes": classes}
        )
    if isinstance(recipe, CharacterLMRecipe):
        state = jax.tree.map(_free_batch, jax.eval_shape(lambda model: model.initial_state((1,)), model))
        inputs = ("i32[batch, time]", "i32[batch]", state)
        return Prediction("read", read, inputs, about | {"alphabet": recipe.alphabet})
    raise InputError(f"a run of kind {recipe.kind!r} has no prediction that can be exported", path=trained.run.path)


def tag(model: Any, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The best tags int[batch, time] (0 beyond the lengths), and every tag's score [batch, time, tags]."""
    scores = model(batch)
    return {"tags": model.decode(scores, batch["lengths"]), "scores": scores}


def classify(model: Any, inputs: Any) -> dict[str, jax.Array]:
    """The probabilities [batch, classes]."""
    return {"probabilities": jax.nn.softmax(model(inputs))}


def read(model: Any, ids: jax.Array, lengths: jax.Array, state: Any) -> dict[str, Any]:
    """``log p`` of every next character [batch, time, alphabet], and the state after the last one read."""
    logits, new = model(ids, lengths, state=state)
    state = jax.tree.map(lambda after, before: after.astype(before.dtype), new, state)
    return {"log_probabilities": jax.nn.log_softmax(logits), "state": state}


def _tokens(encoder: TokenEncoder) -> dict[str, str]:
    """The specs of what a token encoder reads; only what this one has a use for."""
    specs = {"words": "i32[batch, time]"}
    if encoder.characters is not None:
        specs |= {"characters": "i32[batch, time, characters]", "character_lengths": "i32[batch, time]"}
    if encoder.shapes is not None:
        specs["shapes"] = "i32[batch, time]"
    return specs | {"lengths": "i32[batch]"}


def _free_batch(leaf: jax.ShapeDtypeStruct) -> Any:
    (batch,) = jax.export.symbolic_shape("batch")
    return jax.ShapeDtypeStruct((batch, *leaf.shape[1:]), leaf.dtype)
