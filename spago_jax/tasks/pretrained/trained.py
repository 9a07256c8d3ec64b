# SPDX-License-Identifier: BSD-2-Clause
"""An encoder that a run has trained, as a model in Hugging Face's layout: it answers, and is written, like one."""

from pathlib import Path
from typing import Any

from spago_jax.core import Module, Precision, flat
from spago_jax.errors import InputError
from spago_jax.interop.huggingface import Pretrained
from spago_jax.interop.huggingface.pretrained import LoadReport, check_free
from spago_jax.models.encoder import config_from_huggingface
from spago_jax.tasks.pretrained.objective import EncoderObjective
from spago_jax.tasks.text_to_text.objective import TextToTextObjective
from spago_jax.tasks.text_to_text.trained import trained_model
from spago_jax.train.task import Task


def trained_encoder(task: Task, model: Any) -> Pretrained:
    """Returns the model of a task with its config and its tokenizer.

    Args:
        task: one whose model is an encoder with a head.
        model: the trained one.

    Raises:
        InputError: for a task of another kind of model.
    """
    objective = task.objective
    if not isinstance(objective, EncoderObjective):
        raise InputError(
            f"{task.name}: the model is no encoder with a head, which alone has Hugging Face's layout; use another "
            "--format"
        )
    model = objective.plain(Precision.parse(task.experiment.train.precision).to_compute(model))
    arrays = flat(model).values()
    report = LoadReport(
        file=Path(task.experiment.name),
        tensors=len(arrays),
        parameters=sum(array.size for array in arrays),
        nbytes=sum(array.nbytes for array in arrays),
    )
    return Pretrained(
        folder=Path(task.experiment.name),
        config=config_from_huggingface(task.processor.config),
        head=objective.head,
        model=model,
        pooling=objective.pipeline(model),
        generation=None,
        report=report,
        own_tokenizer=task.processor.tokenizer,
    )


def export_huggingface(task: Task, model: Module, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Writes a trained model in Hugging Face's layout: ``config.json``, ``model.safetensors``, the tokenizer's files.

    Args:
        task: one whose model is an encoder with a head, or an encoder-decoder.
        model: the trained one.
        folder: where; it appears complete or not at all.
        overwrite: replace a model that is there.

    Returns:
        The folder.

    Raises:
        InputError: for another kind of model, or a folder that is in the way.
    """
    check_free(Path(folder), overwrite=overwrite)
    found = trained_model(task, model) if isinstance(task.objective, TextToTextObjective) else None
    return (found or trained_encoder(task, model)).save(folder, overwrite=overwrite)
