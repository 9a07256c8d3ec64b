# SPDX-License-Identifier: BSD-2-Clause
"""Checkpoints of a run, written by Orbax in the background: the latest and the best. Only this file uses Orbax."""

import contextlib
import json
import logging
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from orbax.checkpoint import v1 as ocp

from spago_jax.core import flat, unflat
from spago_jax.errors import CheckpointError, InputError

Tree = TypeVar("Tree")
_POLICIES = ocp.training.preservation_policies


class Checkpoints:
    """The checkpoints of one run: the latest two, and the one with the best dev score.

    Each is self-contained: arrays by their dotted path, and JSON beside them (scores so far, position in the data,
    the resolved config). Orbax writes to a temporary folder and renames it, so a crash leaves earlier ones whole.

    Args:
        folder: ``RUN/checkpoints``.
        larger_is_better: how dev scores compare.
    """

    def __init__(self, folder: str | Path, *, larger_is_better: bool = True, keep: int = 2, read_only: bool = False):
        self.folder = Path(folder).resolve()
        sign = 1.0 if larger_is_better else -1.0
        best = _POLICIES.BestN(
            # Ties go to the earlier checkpoint.
            get_metric_fn=lambda m: (sign * m["score"], -m["order"]),  # type: ignore[arg-type, return-value]
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        if read_only and not self.folder.is_dir():
            raise CheckpointError(f"{self.folder}: no checkpoints here; is this the folder of a run?")
        _hush()
        self._sign = sign
        with _explained(f"cannot open the checkpoints in {self.folder}"):
            self._orbax = ocp.training.Checkpointer(
                str(self.folder),
                preservation_policy=_POLICIES.AnyPreservationPolicy([_POLICIES.LatestN(keep), best]),  # pyright: ignore
                cleanup_tmp_directories=not read_only,
            )
        self._pending: Any = None

    def save(self, step: int, state: Any, about: dict[str, Any], score: float | None = None) -> None:
        """Starts writing a checkpoint; returns once the arrays are copied, before they are on disk.

        Raises:
            CheckpointError: when this or the previous write failed (full disk, unwritable folder).
        """
        self.wait()
        # A host copy: the state is donated to the next step, and a checkpoint must open on any number of devices.
        arrays = {path: np.array(leaf) for path, leaf in flat(state).items()}
        metrics = None if score is None else {"score": float(score), "order": step}
        with self._writing():
            self._pending = self._orbax.save_async(
                step, {"arrays": arrays}, force=True, overwrite=True, metrics=metrics, custom_metadata=about
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
        scored = [c for c in self._orbax.checkpoints if c.metrics is not None]
        if not scored:
            return self.latest()
        return int(max(scored, key=lambda c: (self._sign * c.metrics["score"], -c.metrics["order"])).step)  # type: ignore[index]

    def load(self, step: int, skeleton: Tree, parts: Sequence[str] = ()) -> tuple[Tree, dict[str, Any]]:
        """Reads one checkpoint into the shape of ``skeleton``.

        Args:
            step: one of ``steps()``.
            skeleton: a tree of arrays or ``ShapeDtypeStruct``.
            parts: only the arrays under these paths; later ones override earlier ones: ``("model", "average")`` is
                the model with its averaged weights, if there are any.

        Raises:
            CheckpointError: for a damaged checkpoint, or one of another model; names the array that differs.
        """
        arrays, about = self._read(step, parts)
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

    def _read(self, step: int, parts: Sequence[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                about = self._orbax.metadata(step).custom_metadata
                stored = self._orbax.load(step)["arrays"]  # type: ignore[index, call-overload]
        except Exception as error:
            raise self.damaged(step, _reason(error)) from error
        arrays: dict[str, Any] = {}
        for prefix in [f"{part}." for part in parts] or [""]:
            found = {path.removeprefix(prefix): leaf for path, leaf in stored.items() if path.startswith(prefix)}
            arrays |= {path: np.asarray(leaf) for path, leaf in found.items()}
        return arrays, dict(about or {})  # type: ignore[arg-type]


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

    def hook(unraisable: Any) -> None:
        if not (unraisable.exc_type is RuntimeError and str(unraisable.exc_value) == "Event loop is closed"):
            before(unraisable)

    hook.hushes_closed_loops = True  # type: ignore[attr-defined]
    sys.unraisablehook = hook


def _not_from_orbax(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    ours = any(name in message for name in ("OCDBT", "orbax", "tensorstore", "zarr"))
    return not ("was never retrieved" in message and ours)


def json_safe(value: Any) -> Any:
    """Returns the value after a round trip through JSON, so that the saved value equals the restored one."""
    return json.loads(json.dumps(value))
