# SPDX-License-Identifier: BSD-2-Clause
"""From a folder, or a name, to a pre-trained model."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.core import flat, unflat
from spago_jax.core.paths import matches
from spago_jax.errors import InputError, did_you_mean
from spago_jax.interop.checkpoints import TensorFile, open_checkpoint
from spago_jax.interop.huggingface.json_files import read_object
from spago_jax.interop.huggingface.layout import CONFIG
from spago_jax.interop.huggingface.locate import Download, find_model
from spago_jax.interop.huggingface.pretrained import LoadReport, Pretrained, read_generation
from spago_jax.interop.huggingface.sentence import read_pipeline
from spago_jax.models.encoder import PretrainedConfig, named_classifiers
from spago_jax.models.encoder_decoder import EncoderDecoderConfig
from spago_jax.models.encoder_decoder.names import as_in_file
from spago_jax.models.pretrained import (
    PLANS,
    File,
    Model,
    config_from_huggingface,
    init_model,
    refuse_pair,
    untied,
    weight_table,
)
from spago_jax.models.weight_table import Weights, WeightTable, read_weights

DTYPES = ("float32", "float64", "bfloat16")
# Heads with one output per label.
_LABELED = ("sequence-classification", "token-classification")
_SHOWN = 10
_TRAIN_FIRST = "it was not trained for this: take a model that was, train it first, or let them start at random"


def load_pretrained(
    source: str | Path,
    *,
    head: str | None = None,
    dtype: str = "float32",
    allow_missing: str | Sequence[str] = (),
    download: Download = "never",
    revision: str | None = None,
    token: str | None = None,
) -> Pretrained:
    """Opens a pre-trained model in Hugging Face's layout, with its head, its tokenizer and its pipeline.

    Nothing is downloaded unless ``download`` says so, and no code of the model's is run: a pickle is read, not
    executed, and a model that brings its own Python code is refused. Files are mapped and moved tensor by tensor, so
    the model is in memory once.

    Args:
        source: a folder, or a name that Hugging Face's cache or hub has.
        head: one that the architecture has, such as ``states`` or ``sequence-classification``; by default the one that
            ``architectures`` in config.json names.
        dtype: of the model: ``float32``, ``float64`` (with JAX's x64 mode) or ``bfloat16``, whatever the file has.
        allow_missing: patterns of tensors' names (``classifier.*``), or of our paths, that the file may lack; they
            start at random.
        download: ``never``, ``missing`` or ``always``; see ``find_model``.
        revision: of a name.
        token: of an account on the hub.

    Raises:
        InputError: where there is no such model, where a file is damaged, for an architecture or a setting that is not
            supported, and for tensors that are missing; each is named.

    >>> load_pretrained("someone/no-such-model")
    Traceback (most recent call last):
    ...
    spago_jax.errors.InputError: there is no folder 'someone/no-such-model', and no model of this name ...
    """
    wanted = _dtype(dtype)
    folder = find_model(source, download=download, revision=revision, token=token)
    config, head = read_config(folder, head)
    with open_checkpoint(folder) as tensors:
        head = _head(head, config, tensors)
        config, model, report = _read(tensors, config, head, wanted, allow_missing)
    return Pretrained(folder, config, head, model, read_pipeline(folder), read_generation(folder), report)


def read_config(folder: Path, head: str | None = None) -> tuple[File, str | None]:
    """Returns what ``config.json`` says, and the head that was asked for or that it names.

    Raises:
        InputError: for a model that needs code of its own, for an architecture that is not supported, and for a setting
            that would change what it computes.
    """
    path = folder / CONFIG
    facts = read_object(path)
    kind, classes = facts.get("model_type"), facts.get("architectures") or []
    if facts.get("auto_map") or facts.get("trust_remote_code"):
        raise InputError(
            f"the model brings Python code of its own (auto_map: {_short(facts.get('auto_map'))}), which is never run; "
            f"supported are {', '.join(sorted(PLANS))}",
            path=path,
        )
    if not isinstance(kind, str) or kind not in PLANS:
        # no nearest name: BART is another architecture than BERT, and not a misspelling of it
        raise InputError(f"model_type is {kind!r}; supported are {', '.join(sorted(PLANS))}", path=path)
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise InputError(f"architectures is {_short(classes)}, expected a list of names", path=path)
    plans = PLANS[kind]
    if head is not None and head not in plans:
        raise InputError(f"{kind} has no head {head!r}: {did_you_mean(head, plans)}", path=path)
    known = {plan.class_name for plan in plans.values()}
    if head is None and classes and classes[0] not in known:
        raise InputError(
            f"architectures names {classes[0]!r}, which is not supported ({did_you_mean(classes[0], known)}); name the "
            f"head yourself: head=, one of {', '.join(plans)}",
            path=path,
        )
    if head is not None:  # what the file names does not matter then, known or not
        facts = {key: value for key, value in facts.items() if key != "architectures"}
    config = config_from_huggingface(facts, path=str(path))
    if "id2label" not in facts:  # then the file's own number counts
        config = dataclasses.replace(config, labels=())
    return config, head or config.head


def read_encoder_config(folder: Path, head: str | None = None) -> tuple[PretrainedConfig, str | None]:
    """Returns the same of a folder that has to hold an encoder.

    Raises:
        InputError: see ``read_config``; and for an encoder-decoder.
    """
    refuse_pair(read_object(folder / CONFIG).get("model_type"), str(folder / CONFIG))
    config, head = read_config(folder, head)
    assert isinstance(config, PretrainedConfig)
    return config, head


def weights_reader(tensors: TensorFile, dtype: np.dtype) -> Callable[[str], np.ndarray]:
    """Returns a function that copies a tensor of floating-point numbers, in ``dtype``; it refuses any other."""

    def read(name: str) -> np.ndarray:
        if not jnp.issubdtype(tensors.dtype(name), jnp.floating):
            raise InputError(
                f"tensor {name!r} has dtype {tensors.dtype(name).name}, expected floating-point numbers: quantized "
                "models are not read",
                path=tensors.path,
            )
        return tensors.copy(name, dtype)

    return read


def _head(head: str | None, config: File, tensors: TensorFile) -> str:
    """A class without a head, such as BertModel, may be saved with its pooler or without."""
    pooled = any(".pooler." in f".{name}" for name in tensors.names())
    if head is None:
        return "states"
    return "states" if head == "pooler" and config.head == "pooler" and not pooled else head


def _read(
    tensors: TensorFile, config: File, head: str, dtype: np.dtype, allow_missing: str | Sequence[str]
) -> tuple[File, Model, LoadReport]:
    names = tensors.names()
    # BERT's pre-training file may have any number of classifiers beside the masked words; that of others has its own
    classifiers = named_classifiers(names) if (config.network.architecture, head) == ("bert", "pretraining") else ()
    read = weights_reader(tensors, dtype)
    if isinstance(config.network, EncoderDecoderConfig):
        config = config.with_network(as_in_file(config.network, names))
    table = weight_table(config.network, head, classifiers=classifiers or None)

    found = read_weights(table, names, read, path=str(tensors.path))
    _refuse_missing(found, table, head, allow_missing, tensors.path)
    config = _labeled(config, head, found.arrays, tensors.path)
    network = untied(config.network, found.untied)
    config = config.with_network(network)

    weights = {name: found.arrays[f"head.classifiers.{name}.weight"] for name in classifiers}
    sizes = {name: array.shape[0] if array.ndim else 1 for name, array in weights.items()} or None

    def init(key: jax.Array) -> Model:
        return init_model(key, network, head=head, labels=len(config.labels), classifiers=sizes)

    arrays: dict[str, Any] = {}
    for path in list(found.arrays):  # one at a time: JAX takes over most of them, and copies the others
        arrays[path] = jax.device_put(found.arrays.pop(path))
    try:
        arrays |= _fresh(init, found.missing_paths, dtype)
        model = unflat(jax.eval_shape(init, jax.random.key(0)), arrays)
    except InputError as error:
        raise InputError(str(error), path=tensors.path) from None
    return config, model, _report(tensors, model, table, found)


def _dtype(name: str) -> np.dtype:
    if name not in DTYPES:
        raise InputError(f"dtype={name!r}: {did_you_mean(str(name), DTYPES)}")
    dtype = np.dtype(jnp.dtype(name))
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise InputError("dtype='float64' needs JAX's x64 mode: set JAX_ENABLE_X64=1, or use jax.enable_x64()")
    return dtype


def _refuse_missing(found: Weights, table: WeightTable, head: str, allow: str | Sequence[str], path: Path) -> None:
    patterns = [allow] if isinstance(allow, str) else list(allow)
    refused: list[str] = []
    head_only = True
    for weight in table:
        missing = sorted(set(weight.names()) & set(found.missing))
        head_only = head_only and (not missing or weight.path.startswith("head."))
        named = [name for name in missing if any(matches(each, p) for p in patterns for each in (name, weight.path))]
        refused += [name for name in missing if name not in named]
        if named and len(missing) < len(weight.names()):
            # our array of all layers is drawn as a whole, and what the file has of it would be lost without a word
            raise InputError(
                f"has some layers' tensors and lacks those of others: {', '.join(missing[:_SHOWN])}; they can only "
                "start at random all together",
                path=path,
            )
    if refused:
        more = f" and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise InputError(
            f"lacks {len(refused)} of the tensors of a model with the head {head!r}: {', '.join(refused[:_SHOWN])}"
            f"{more}; {_TRAIN_FIRST if head_only else 'choose another head, or let them start at random'} with "
            "allow_missing",
            path=path,
        )


def _labeled(config: File, head: str, arrays: Mapping[str, np.ndarray], path: Path) -> File:
    """The labels are as many as the head has outputs."""
    bias = arrays.get("head.output.bias")
    there = len(bias) if head in _LABELED and bias is not None and bias.ndim else None
    if config.labels and there not in (None, len(config.labels)):
        raise InputError(f"the head has {there} outputs, and config.json names {len(config.labels)} labels", path=path)
    if config.labels:
        return config
    return dataclasses.replace(config, labels=tuple(f"LABEL_{number}" for number in range(there or 2)))


def _fresh(init: Callable[..., Any], paths: Sequence[str], dtype: np.dtype) -> dict[str, jax.Array]:
    """Draws the arrays of some paths; compiled, so that no others are drawn."""
    if not paths:
        return {}
    drawn = jax.jit(lambda key: {path: array for path, array in flat(init(key)).items() if path in paths})
    return {path: array.astype(dtype) for path, array in drawn(jax.random.key(0)).items()}


def _report(tensors: TensorFile, model: Model, table: WeightTable, found: Weights) -> LoadReport:
    arrays = flat(model).values()
    return LoadReport(
        file=tensors.path,
        tensors=sum(len(weight.names()) for weight in table) - len(found.missing),
        parameters=sum(array.size for array in arrays),
        nbytes=sum(array.nbytes for array in arrays),
        fresh=found.missing_paths,
        surplus=found.surplus,
        untied=found.untied,
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]} ..."
