# SPDX-License-Identifier: BSD-2-Clause
"""An encoder-decoder that a run has trained, as a model in Hugging Face's layout: it writes, and is saved, like one."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spago_jax.core import Precision, flat
from spago_jax.errors import InputError
from spago_jax.interop.huggingface import Pretrained
from spago_jax.interop.huggingface.pretrained import LoadReport
from spago_jax.models.encoder_decoder import EncoderDecoderConfig, EncoderDecoderFile
from spago_jax.models.pretrained import config_from_huggingface, config_to_huggingface
from spago_jax.tasks.text_to_text.origin import Origin
from spago_jax.train.schema import Experiment
from spago_jax.train.task import Task

HEAD = "words"


def pair_file(config: Mapping[str, Any], path: str = "config.json") -> EncoderDecoderFile:
    """Returns what the config of an encoder-decoder says.

    Raises:
        InputError: for the config of another kind of model.
    """
    found = config_from_huggingface(config, path=path)
    if not isinstance(found, EncoderDecoderFile):
        raise InputError(
            f"model_type is {config.get('model_type')!r}, an encoder, which writes no texts: expected an "
            "encoder-decoder (bart, marian, mbart, mt5, pegasus, t5)",
            path=path,
        )
    return found


def network_config(config: Mapping[str, Any]) -> EncoderDecoderConfig:
    """Returns the sizes of a network, from its ``config.json``."""
    return pair_file(config).network


def checked_config(experiment: Experiment, origin: Origin) -> dict[str, Any]:
    """Returns the ``config.json`` of the model that is trained.

    Raises:
        InputError: for a key that is not supported, or fewer positions than the training data may need.
    """
    file, train = pair_file(origin.config, origin.path), experiment.train
    network = file.network
    if experiment.model.dropout is not None:
        network = dataclasses.replace(network, dropout=experiment.model.dropout)
    wanted = {"max_length": train.max_length, "max_target_length": train.max_target_length or train.max_length}
    for name, length in wanted.items():
        if network.longest is not None and length > network.longest:
            raise InputError(
                f"train.{name} = {length}, and the model has positions for {network.longest} tokens "
                "(max_position_embeddings)"
            )
    return config_to_huggingface(file.with_network(network), HEAD)


def trained_model(task: Task, model: Any) -> Pretrained:
    """Returns the model of a task with its config, its tokenizers, and how it writes."""
    processor, experiment = task.processor, task.experiment
    model = Precision.parse(experiment.train.precision).to_compute(model)
    arrays = flat(model).values()
    report = LoadReport(
        file=Path(experiment.name),
        tensors=len(arrays),
        parameters=sum(array.size for array in arrays),
        nbytes=sum(array.nbytes for array in arrays),
    )
    separate = processor.target_tokenizer is not processor.tokenizer
    return Pretrained(
        folder=Path(experiment.name),
        config=pair_file(processor.config),
        head=HEAD,
        model=model,
        pooling=None,
        generation=processor.generation,
        report=report,
        own_tokenizer=processor.tokenizer,
        own_target_tokenizer=processor.target_tokenizer if separate else None,
    )
