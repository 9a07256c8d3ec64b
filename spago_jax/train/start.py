# SPDX-License-Identifier: BSD-2-Clause
"""Initial weights (``init:`` of a config), from a run, an exported folder or a pre-trained model."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from spago_jax.core import Module, flat, unflat
from spago_jax.core.paths import match_paths
from spago_jax.data.lexicon import Lexicon
from spago_jax.data.processor import load_settings
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.stacked import extend, fit, frozen_paths, remember
from spago_jax.errors import CheckpointError, InputError
from spago_jax.interop.checkpoints import open_checkpoint
from spago_jax.interop.huggingface import find_model
from spago_jax.interop.huggingface.arrays import pretrained_arrays
from spago_jax.optim import OptimizerConfig
from spago_jax.optim.config import GroupConfig
from spago_jax.train.checkpoint import Checkpoints
from spago_jax.train.data_record import refuse_changed
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.schema import Experiment, InitConfig
from spago_jax.train.task import Task


def prepare(experiment: Experiment, resumed: RunFolder | None = None) -> tuple[Task, dict[str, np.ndarray] | None]:
    """Prepares the task of an experiment with its data, and reads the initial weights if ``init`` names any.

    Args:
        experiment: from ``load_experiment``.
        resumed: the run to continue, whose own vocabularies are then kept.

    Raises:
        InputError: for bad data, or a folder that training cannot start from.
        CheckpointError: for weights that cannot be read.
    """
    task_class = experiment.task_class
    if resumed is not None and (resumed.assets / "processor.json").is_file():
        for split in experiment.data.splits():
            why = "resume with the same data, or start another run with --out"
            refuse_changed(resumed, experiment.data, split, why)
        return task_class.prepare(experiment, processor=task_class.processor_class.load(resumed.assets)), None
    if experiment.init is None:
        return task_class.prepare(experiment), None
    if not is_own_folder(experiment.init.source):
        find_model(experiment.init.source)  # before any work
        task = task_class.prepare(experiment)
        head = getattr(task.objective, "head", None)
        if head is None:
            raise InputError(
                "init.from names a pre-trained model, which is for model.kind: encoder; here it goes into "
                "model.embeddings: [{kind: transformer, from: ...}]",
                path=experiment.init.source,
            )
        return task, task.usable(pretrained_arrays(experiment.init.source, head))
    weights = read_weights(experiment.init)
    assets = assets_of(experiment.init)
    same = load_settings(assets).get("task") == task_class.name
    start = task_class.processor_class.load(assets) if same else None
    return task_class.prepare(experiment, start=start), weights


def is_own_folder(source: str) -> bool:
    """Whether a folder is a run or an exported program, rather than a model in Hugging Face's layout."""
    return any(os.path.isfile(os.path.join(source, name)) for name in ("config.yaml", "manifest.json"))


def assets_of(config: InitConfig) -> Path:
    """Returns the folder of the vocabularies that belong to the weights.

    Raises:
        InputError: for a folder that is neither a run nor an exported program.
    """
    folder = Path(config.source)
    if not is_own_folder(config.source):
        raise InputError("init.from: neither the folder of a run nor an exported folder", path=folder)
    return folder / "assets"


def read_weights(config: InitConfig) -> dict[str, np.ndarray]:
    """Reads the arrays by path, from a run's best checkpoint (the averaged ones, if any) or an exported folder.

    Raises:
        InputError: for a folder that is neither of them.
        CheckpointError: for a checkpoint, or weights, that are missing or cannot be read.
    """
    folder = assets_of(config).parent
    if (folder / IMPORTED).is_file():
        return imported_weights(folder)
    if not (folder / "config.yaml").is_file():
        from spago_jax.compiler.ship.load import ProgramError, read_safetensors

        prefix = "model."
        try:
            found = read_safetensors(folder / "weights.safetensors")
        except ProgramError as error:
            raise CheckpointError(str(error)) from None
        return {path.removeprefix(prefix): np.asarray(array) for path, array in found.items()}
    with closing(Checkpoints(folder / "checkpoints", read_only=True)) as checkpoints:
        step = config.step if config.step is not None else _best_step(folder) or checkpoints.latest()
        if step is None or step not in checkpoints.steps():
            raise CheckpointError(f"{folder}: no checkpoint {step or ''}; there are {checkpoints.steps()}")
        return checkpoints.arrays(step, ("model", "average"))


IMPORTED = "model.safetensors"
"""The arrays of a model that was imported from another library's file, in a folder that is otherwise that of a run."""


def imported_weights(folder: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of an imported model, by path.

    Raises:
        CheckpointError: where they are missing or cannot be read.
    """
    try:
        with open_checkpoint(folder / IMPORTED) as tensors:
            return {name: tensors.copy(name) for name in tensors.names()}
    except InputError as error:
        raise CheckpointError(str(error)) from None


def with_weights(
    model: Module, weights: Mapping[str, np.ndarray], config: InitConfig, growing: Sequence[str] = ()
) -> Module:
    """Returns the model with these arrays in place of its own.

    Args:
        model: a fresh model.
        weights: arrays by path.
        config: which arrays may be missing.
        growing: patterns of arrays whose first rows are those of the weights, and whose other rows are for words and
            labels that are new.

    Raises:
        InputError: for arrays of the model that are absent from the weights, or have another shape there, and that
            ``allow_missing`` does not name; each is listed.
    """
    own = flat(model)
    match_paths(model, config.freeze, where="init.freeze")
    allowed = match_paths(model, config.allow_missing, where="init.allow_missing")
    new = {path: weights[path] for path, leaf in own.items() if path in weights and weights[path].shape == leaf.shape}
    if config.extend and is_own_folder(config.source):
        for path in own.keys() & weights.keys() - new.keys() - allowed:
            if any(fnmatchcase(path, pattern) for pattern in growing):
                grown = _grown(np.asarray(own[path]), weights[path])
                if grown is not None:
                    new[path] = grown
    missing = [path for path in own if path not in new and path not in allowed]
    if missing:
        listed = "\n".join(f"  {path}: {_difference(own[path], weights.get(path))}" for path in missing)
        heads = sorted({path.partition(".")[0] for path in missing})
        raise InputError(
            f"init.from = {config.source}: these arrays of the model cannot be taken from there:\n{listed}\n"
            f"Let them start fresh with init.allow_missing: [{', '.join(f'{head}.*' for head in heads)}]"
        )
    return unflat(model, {path: jnp.asarray(array, own[path].dtype) for path, array in new.items()}, partial=True)


def _grown(own: np.ndarray, old: np.ndarray) -> np.ndarray | None:
    """Returns the model's own array with an older, smaller one in its first corner; None where that does not fit."""
    if own.ndim != old.ndim or any(n < m for n, m in zip(own.shape, old.shape, strict=True)):
        return None
    if own.dtype == bool:  # which transitions are allowed follows from the labels
        return own
    grown = own.copy()
    grown[tuple(slice(size) for size in old.shape)] = old
    return grown


def indexers_of(experiment: Experiment, lexicon: Lexicon, start: Any, forms: RaggedArray) -> Sequence[TokenIndexer]:
    """Returns the host halves of an experiment's embeddings, with what they remember of the training data.

    Args:
        experiment: the experiment, whose model has ``embeddings``.
        lexicon: the forms of the training data.
        start: the processor of the weights that training starts from, or None: its forms are kept, and extended unless
            ``init.extend`` is false.
        forms: the forms of each training sentence.
    """
    configs = experiment.model.embeddings
    if start is None:
        found = fit(configs, lexicon)
    else:
        extended = experiment.init is not None and experiment.init.extend
        found = extend(configs, start.indexers, lexicon) if extended else start.indexers
    remember(configs, found, forms, lexicon)
    return found


def is_fresh(experiment: Experiment, path: str) -> bool:
    """Whether ``init.allow_missing`` lets an array start fresh: labels are then those of the new data alone."""
    config = experiment.init
    if config is None or not config.extend:
        return config is not None
    return any(fnmatchcase(path, pattern) or path.startswith(f"{pattern}.") for pattern in config.allow_missing)


def optimizer_config(experiment: Experiment) -> OptimizerConfig:
    """Returns the optimizer's settings, with the arrays frozen that ``init.freeze`` names or an embedding keeps."""
    config = experiment.optimizer
    paths = [] if experiment.init is None else list(experiment.init.freeze)
    paths += frozen_paths(getattr(experiment.model, "embeddings", ()))
    if not paths:
        return config
    frozen = GroupConfig.model_validate({"match": paths, "freeze": True})
    return config.model_copy(update={"groups": (frozen, *config.groups)})


def _best_step(folder: Path) -> int | None:
    try:
        return int(json.loads((folder / "scores.json").read_text(encoding="utf-8"))["best_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # the run did not end: use its latest checkpoint


def _difference(own: Any, given: np.ndarray | None) -> str:
    if given is None:
        return f"{list(own.shape)}, absent there"
    return f"{list(own.shape)}, {list(given.shape)} there"
