# SPDX-License-Identifier: BSD-2-Clause
"""Checkpoints of a run, written by Orbax in the background: the latest and the best. Only this file uses Orbax."""

import contextlib
import glob
import json
import logging
import math
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.core import flat, unflat
from spago_jax.core.section import one_or_more
from spago_jax.core.tree import PyTree
from spago_jax.errors import CheckpointError, InputError
from spago_jax.train.task import Score

Tree = TypeVar("Tree")
Where = Callable[[str, Sequence[int]], jax.sharding.Sharding]
"""Where an array lies, by its path and shape."""


# The arrays of a checkpoint lie in two parts, so that an old one can be kept without what only training needs.
WEIGHTS, TRAINING = "weights", "training"
_WEIGHTS_OF = ("model.", "average.")


class Checkpoints:
    """The checkpoints of one run: the newest ones, and the one with the best dev score.

    Each is self-contained: arrays by their dotted path, and JSON beside them (scores so far, position in the data,
    the resolved config). Orbax writes to a temporary folder and renames it, so a crash leaves earlier ones whole.
    Several processes that train together write one checkpoint, each its parts of the arrays; it opens on any number of
    devices and processes. All of them then call the same methods.
    A best one that is older than the newest ``keep`` holds the model and its average alone, and not the state of the
    optimizer: it serves evaluation, not resuming.

    Args:
        folder: ``RUN/checkpoints``.
        metric: the dev score that picks the best one; checkpoints with the score of another one are not compared.
        keep: how many of the newest are kept whole.
        read_only: change nothing in the folder, which must exist.

    Raises:
        CheckpointError: if the folder cannot be opened.
    """

    def __init__(self, folder: str | Path, *, metric: Score | None = None, keep: int = 2, read_only: bool = False):
        self.folder = Path(folder).resolve()
        self.metric, self._keep, self._read_only = metric, keep, read_only
        # Half a second: what opens no checkpoint, such as a server of pre-trained models, goes without.
        from orbax.checkpoint import v1 as ocp

        policies = ocp.training.preservation_policies
        best = policies.BestN(get_metric_fn=self._rank, n=1, keep_checkpoints_without_metrics=False)  # pyright: ignore
        if read_only and not self.folder.is_dir():
            raise CheckpointError(f"{self.folder}: no checkpoints here; is this the folder of a run?")
        _hush()
        with _explained(f"cannot open the checkpoints in {self.folder}"), contextlib.ExitStack() as stack:
            self._orbax = ocp.training.Checkpointer(
                str(stack.enter_context(_without_wildcards(self.folder))),
                preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(keep), best]),  # pyright: ignore
                cleanup_tmp_directories=not read_only,
            )
            self._link = stack.pop_all()
        self._pending: Any = None

    def _rank(self, metrics: Any) -> tuple[float, int]:
        """The larger the better; ties go to the earlier checkpoint."""
        score = self._score(metrics)
        if score is None:
            return -math.inf, 0
        sign = -1.0 if self.metric is not None and self.metric.better == "min" else 1.0
        return sign * score, -int(metrics["order"])

    def _score(self, metrics: Any) -> float | None:
        """The score of a checkpoint; None where it has none, or its record is damaged."""
        found = metrics if isinstance(metrics, Mapping) else {}
        scores = {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
        if scores.pop("order", None) is None:
            return None
        if self.metric is None:
            return next(iter(scores.values()), None)
        return scores.get(self.metric.name, scores.get("score"))  # "score" in runs of versions up to 0.1

    def save(self, step: int, state: PyTree, about: dict[str, Any], score: float | None = None) -> None:
        """Starts writing a checkpoint; returns once the arrays are copied, before they are on disk.

        Raises:
            CheckpointError: when this or the previous write failed (full disk, unwritable folder).
        """
        self.wait()
        # A host copy: the state is donated to the next step, and a checkpoint must open on any number of devices.
        # Where other processes hold parts of it, the copy stays on the devices, and each writes its parts.
        shared = jax.process_count() > 1
        arrays = flat(_copied(state)) if shared else {path: np.array(leaf) for path, leaf in flat(state).items()}
        weights = {path: array for path, array in arrays.items() if path.startswith(_WEIGHTS_OF)}
        parts = {WEIGHTS: weights, TRAINING: {path: a for path, a in arrays.items() if path not in weights}}
        parts = {name: part for name, part in parts.items() if part}
        name = "score" if self.metric is None else self.metric.name
        metrics = None if score is None else {name: float(score), "order": step}
        with self._writing():
            self._pending = self._orbax.save_checkpointables_async(
                step, parts, force=True, overwrite=True, metrics=metrics, custom_metadata=about
            )

    def wait(self) -> None:
        """Waits until the last save is on disk.

        Raises:
            CheckpointError: when the save failed.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            with self._writing():
                pending.result()
                self._trim()

    def _trim(self) -> None:
        """Deletes what only training needs from the checkpoints that are older than the newest ``keep``."""
        if jax.process_index() != 0:
            return
        for step in self.steps()[: -self._keep]:
            part = self.folder / str(step) / TRAINING
            dropped = part.with_name(f"{TRAINING}.deleted")
            if part.is_dir():
                os.replace(part, dropped)  # first, so that no half of it is taken for the whole
            shutil.rmtree(dropped, ignore_errors=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with _explained(f"cannot write a checkpoint to {self.folder}"):
                yield
        except CheckpointError as error:
            for part in self.folder.glob("*.orbax-checkpoint-tmp*"):  # a partial checkpoint fills the disk
                shutil.rmtree(part, ignore_errors=True)
            kept = [int(path.name) for path in self.folder.glob("*") if path.name.isdigit()]
            rest = f"; the last good checkpoint is step {max(kept)}; --resume continues from it" if kept else ""
            raise CheckpointError(f"{error}{rest}") from error.__cause__

    def close(self) -> None:
        """Waits for the last save and frees Orbax's threads.

        Raises:
            CheckpointError: when the save failed.
        """
        try:
            self.wait()
        finally:
            with contextlib.suppress(Exception):  # it can only repeat why the save failed
                self._orbax.close()
            self._link.close()

    def damaged(self, step: int, why: str) -> CheckpointError:
        """Returns the error for an unusable checkpoint, with advice on how to go on."""
        others = [other for other in self.steps() if other != step]
        way_out = f"; delete {self.folder / str(step)} to use checkpoint {others[-1]}" if others else ""
        where = f"checkpoint {step} in {self.folder}"
        return CheckpointError(f"{where} cannot be read; it may be truncated: {why}{way_out}")

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, oldest first."""
        return sorted(int(c.step) for c in self._orbax.checkpoints)

    def latest(self) -> int | None:
        """The step of the newest checkpoint."""
        steps = self.steps()
        return steps[-1] if steps else None

    def best(self) -> int | None:
        """The step of the checkpoint with the best dev score; the newest one if none has a score."""
        scored = [c for c in self._orbax.checkpoints if self._score(c.metrics) is not None]
        if not scored:
            return self.latest()
        return int(max(scored, key=lambda c: self._rank(c.metrics)).step)

    def about(self, step: int) -> dict[str, Any]:
        """Returns the JSON of one checkpoint, without its arrays.

        Raises:
            CheckpointError: for a damaged checkpoint.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                return dict(self._orbax.metadata(step).custom_metadata or {})  # type: ignore[arg-type]
        except Exception as error:
            raise self.damaged(step, _reason(error)) from error

    def load(
        self, step: int, skeleton: Tree, parts: Sequence[str] = (), *, where: Where | None = None
    ) -> tuple[Tree, dict[str, Any]]:
        """Reads one checkpoint into the shape of ``skeleton``.

        Args:
            step: one of ``steps()``.
            skeleton: a tree of arrays or ``ShapeDtypeStruct``.
            parts: only the arrays under these paths; later ones override earlier ones: ``("model", "average")`` is
                the model with its averaged weights, if there are any.
            where: where the arrays lie, by their paths in the checkpoint; None: in the memory of the host, whole.

        Raises:
            CheckpointError: for a damaged checkpoint, or one of another model; names the array that differs.
        """
        arrays, about = self._read(step, parts, where)
        try:
            return unflat(skeleton, arrays), about
        except InputError as error:
            raise CheckpointError(f"checkpoint {step} in {self.folder} is of another model: {error}") from None

    def arrays(self, step: int, parts: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """The arrays of one checkpoint by path, as ``load`` takes them.

        Raises:
            CheckpointError: for a damaged checkpoint.
        """
        return self._read(step, parts)[0]

    def _read(
        self, step: int, parts: Sequence[str], where: Where | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        about, parts = self.about(step), one_or_more(parts)
        wanted = [WEIGHTS] if parts and all(f"{part}." in _WEIGHTS_OF for part in parts) else [WEIGHTS, TRAINING]
        inside = self.folder / str(step)
        whole = not any((inside / name).is_dir() for name in (WEIGHTS, TRAINING))  # as versions up to 0.1 wrote them
        if not whole and TRAINING in wanted and not (inside / TRAINING).is_dir():
            raise CheckpointError(
                f"checkpoint {step} in {self.folder} holds the model without the state of the optimizer, so that "
                f"training cannot go on from it; start another run from its weights, with init: "
                f"{{from: {self.folder.parent}, step: {step}}}"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                if whole:
                    stored = self._orbax.load(step)["arrays"]  # type: ignore[index, call-overload]
                else:
                    about_arrays = self._orbax.checkpointables_metadata(step).metadata
                    there = {
                        name: {path: _target(path, array, where) for path, array in about_arrays[name].items()}
                        for name in wanted
                        if (inside / name).is_dir()
                    }
                    found = self._orbax.load_checkpointables(step, there)
                    stored = {path: leaf for part in found.values() for path, leaf in part.items()}
        except Exception as error:
            raise self.damaged(step, _reason(error)) from error
        arrays: dict[str, Any] = {}
        for prefix in [f"{part}." for part in parts] or [""]:
            found = {path.removeprefix(prefix): leaf for path, leaf in stored.items() if path.startswith(prefix)}
            arrays |= {path: leaf if where is not None else np.asarray(leaf) for path, leaf in found.items()}
        return arrays, about


@jax.jit
def _copied(state: PyTree) -> Any:
    return jax.tree.map(jnp.copy, state)


def _target(path: str, array: Any, where: Where | None) -> Any:
    """What an array is read as: a part of one on the devices, or one in the memory of the host."""
    if where is None:
        return np.empty(array.shape, array.dtype)
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=where(path, array.shape))


@contextlib.contextmanager
def _without_wildcards(folder: Path) -> Iterator[Path]:
    """Gives a path to a folder in which no character is a wildcard: Orbax takes its path for a pattern.

    It lists the parts of a checkpoint by ``glob``, finds none where the path has brackets, and writes weights that
    cannot be read. A symbolic link from a temporary folder stands in for such a path.
    """
    if glob.escape(str(folder)) == str(folder):
        yield folder
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="spago-jax-") as beside:
        if glob.escape(beside) != beside:
            raise CheckpointError(
                f"neither the folder nor the one for temporary files ({beside}) may have any of *?[ in its path"
            )
        link = Path(beside) / "checkpoints"
        link.symlink_to(folder, target_is_directory=True)
        yield link


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turns any error of Orbax, TensorStore or the system into one line that says what failed and why."""
    try:
        yield
    except (CheckpointError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise CheckpointError(f"{what}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Returns the root cause on one line, with the system's errors about writing in plain words."""
    chain = [error]
    while (deeper := chain[-1].__cause__ or chain[-1].__context__) is not None and deeper not in chain:
        chain.append(deeper)
    text = " ".join(str(found) for found in chain)
    for sign, meaning in (
        ("No space left", "the disk is full"),
        ("File too large", "the file is larger than the system's limit"),
        ("Permission denied", "permission denied"),
        ("Read-only file system", "the file system is read-only"),
    ):
        if sign in text:
            return meaning
    root = next((str(found).strip() for found in reversed(chain) if str(found).strip()), type(error).__name__)
    first = root.splitlines()[0]
    return first if len(first) < 300 else first[:300] + "..."


def _hush() -> None:
    """Keeps the noise of a failed read or write off standard error; the CheckpointError says it in one line.

    TensorStore reports pending operations to Orbax's event loop, which is closed by then, and Python prints one
    traceback per array; asyncio logs Orbax tasks whose errors were never retrieved; Orbax logs errors of its own.
    """
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    tasks = logging.getLogger("asyncio")
    if _not_from_orbax not in tasks.filters:
        tasks.addFilter(_not_from_orbax)
    before = sys.unraisablehook
    if getattr(before, "hushes_closed_loops", False):
        return

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if not (unraisable.exc_type is RuntimeError and str(unraisable.exc_value) == "Event loop is closed"):
            before(unraisable)

    hook.hushes_closed_loops = True  # type: ignore[attr-defined]
    sys.unraisablehook = hook


def _not_from_orbax(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    ours = any(name in message for name in ("OCDBT", "orbax", "tensorstore", "zarr"))
    return not ("was never retrieved" in message and ours)


def json_safe(value: object) -> Any:
    """Returns the value after a round trip through JSON, so that the saved value equals the restored one."""
    return json.loads(json.dumps(value))
