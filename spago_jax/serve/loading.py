# SPDX-License-Identifier: BSD-2-Clause
"""Opens the models and collections of a config, and says when they change."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError, did_you_mean
from spago_jax.serve.collections import Collection
from spago_jax.serve.config import PYTHON_DOCS, ModelConfig, ServeConfig
from spago_jax.serve.engine import Engine, Served
from spago_jax.serve.engine.problems import Unknown
from spago_jax.serve.shelf import Shelf
from spago_jax.tasks.predictor import Predictor

log = logging.getLogger("spago_jax.serve")
_ENDS = 2**20  # bytes at either end of a file of weights that its revision is made of
_WEIGHTS = (".safetensors", ".bin", ".npz", ".pt")
_CONFIGS = ("config.json", "config.yaml", "manifest.json")


def check_models(config: ServeConfig) -> None:
    """Checks what can be checked before anything is opened.

    Raises:
        InputError: for an unknown task, or no model at all.
    """
    from spago_jax.tasks.pretrained.registry import PRETRAINED
    from spago_jax.tasks.registry import TASKS

    known = sorted({*TASKS.names(), *PRETRAINED.names()} - {"passage-search", "language-modeling"})
    if not config.models:
        raise InputError("no model to serve: name one, as in spago-jax serve MODEL --task TASK, or give a config")
    for name, model in config.models.items():
        if model.task == "passage-search":
            raise InputError(
                f"models.{name}.task = 'passage-search': serve its encoder as text-encoding, and the passages as one "
                "of the collections"
            )
        if model.task not in known:
            raise InputError(f"models.{name}.task = {model.task!r}: {did_you_mean(model.task, known)}")


def open_model(model: ModelConfig, *, offline: bool) -> Predictor:
    """Opens a model.

    Raises:
        InputError: where it is missing, damaged, or of another task.
    """
    from spago_jax.tasks.load import load_task
    from spago_jax.train.start import is_own_folder

    if is_own_folder(model.source):
        return load_task(model.task, model.source, step=model.step, **model.settings)
    if model.step is not None:
        raise InputError(f"step = {model.step}: only a run folder has checkpoints to choose from", path=model.source)
    download = "never" if offline else "missing"
    return load_task(model.task, model.source, dtype=model.dtype, download=download, **model.settings)


def weights_of(source: str) -> int:
    """Returns the bytes of the weights of a model: of its files, or of the largest checkpoint of a run."""
    from spago_jax.interop.huggingface import find_model
    from spago_jax.train.start import is_own_folder

    folder = Path(source) if is_own_folder(source) else Path(find_model(source))
    checkpoints = folder / "checkpoints"
    if checkpoints.is_dir():
        return max((_size(each.rglob("*")) for each in checkpoints.iterdir()), default=0)
    kinds = [_size(path for path in folder.rglob("*") if path.suffix == kind) for kind in _WEIGHTS]
    return next((size for size in kinds if size), 0)  # the same weights may lie there in several formats


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())


def revision_of(source: str) -> str:
    """Returns a name for the present state of a model: a hash of its configs and of both ends of its weights."""
    from spago_jax.interop.huggingface import find_model
    from spago_jax.train.start import is_own_folder

    folder = Path(source) if is_own_folder(source) else Path(find_model(source))
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not (path.suffix in _WEIGHTS or path.name in _CONFIGS):
            continue
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder)}:{size};".encode())
        with open(path, "rb") as file:
            digest.update(file.read(_ENDS))
            if size > 2 * _ENDS:
                file.seek(-_ENDS, 2)
                digest.update(file.read())
    if (folder / "checkpoints").is_dir():
        digest.update(",".join(sorted(each.name for each in (folder / "checkpoints").iterdir())).encode())
    return digest.hexdigest()[:12]


class Loader:
    """Opens what a config names, and opens a model again when it is asked to.

    Args:
        config: of the server.
        engine: that serves it.
        collections: where collections are put.
        open: opens a model; a test may open something else.
    """

    def __init__(
        self,
        config: ServeConfig,
        engine: Engine,
        collections: dict[str, Collection],
        open: Callable[[ModelConfig], Predictor] | None = None,
        revision: Callable[[str], str] = revision_of,
        weights: Callable[[str], int] = weights_of,
    ):
        self.config, self.engine, self.collections = config, engine, collections
        self._open = open or (lambda model: open_model(model, offline=config.offline))
        self._revision, self._weights = revision, weights

    def load(self, name: str) -> Served:
        """Opens a model of the config, again if it is served already.

        Raises:
            Unknown: for a name that the config does not have.
            InputError: where it cannot be opened.
        """
        model = self.config.models.get(name)
        if model is None:
            raise Unknown(f"no model {name!r}", field="model", hint=did_you_mean(name, self.config.models))
        # The revision first: files that change while they are read are then read again at the next load.
        revision = "" if not self.config.offline and not Path(model.source).exists() else self._revision(model.source)
        found = self.engine.load(name, model.task, lambda: self._open(model), revision=revision, source=model.source)
        log.info("model %s is ready", name, extra={"fields": {"model": name, "revision": revision}})
        return found

    def run(self, said: Callable[[str], object] = lambda _: None) -> None:
        """Opens everything; the server is ready when its models are, and collections follow.

        Raises:
            InputError: for the first thing that cannot be opened.
        """
        lazy = {name: model for name, model in self.config.models.items() if model.load == "lazy"}
        if lazy or self.config.limits.memory is not None:
            self._shelve(lazy)
        for name in self.config.models:
            if name not in lazy:
                said(f"opening {name}")
                self.load(name)
        folders = {name: each for name, each in self.config.collections.items() if each.index != PYTHON_DOCS}
        for name, collection in folders.items():
            self._add(name, _opened(collection.index), collection)
        self.engine.ready()
        said("ready")
        for name, collection in self.config.collections.items():
            if name not in folders:
                said(f"encoding the passages of {name}, once")
                self._add(name, self._python_docs(collection.encoder), collection)
                said(f"{name} can be searched")

    def _shelve(self, lazy: Mapping[str, ModelConfig]) -> None:
        """Puts models on the shelf that are opened when they are asked for, and checks that all fit."""
        room = self.config.limits.memory
        shelf = Shelf(self.engine, self.load, None if room is None else room * 2**20)
        for name, model in self.config.models.items():
            size = self._weights(model.source)
            if name in lazy:
                shelf.add(name, model.task, size)
            else:
                shelf.keep(name, size)
        shelf.check()
        self.engine.shelf = shelf

    def _add(self, name: str, index: Any, collection: Any) -> None:
        folder = None if collection.index == PYTHON_DOCS else collection.index
        made = Collection(name, index, collection.encoder, collection.reader, folder)
        made.check(self.engine)
        self.collections[name] = made

    def _python_docs(self, encoder: str) -> Any:
        from spago_jax.tasks.passage_search.predictor import PassageSearch
        from spago_jax.tasks.passage_search.python_docs import load_python_passages

        served = self.engine.models[encoder]
        search = PassageSearch(served.predictor, source=self.config.models[encoder].source)  # type: ignore[arg-type]
        load_python_passages(search, self.config.models[encoder].source, self._while_serving)
        return search.passages

    def _while_serving(self, vectors: Iterable[Any], _: int) -> Iterator[Any]:
        for vector in vectors:
            if self.engine.state != "ready":
                raise InputError("the server is stopping")
            yield vector


def _opened(folder: str) -> Any:
    from spago_jax.tasks.passage_search.index import PassageIndex

    return PassageIndex.open(folder)
