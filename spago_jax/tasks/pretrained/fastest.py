# SPDX-License-Identifier: BSD-2-Clause
"""Which runtime is faster on this machine: measured once per shape of a model, and kept in the cache folder."""

import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spago_jax.core.disk import replace_file
from spago_jax.core.machine import cache_root, processor
from spago_jax.tasks.predictor import Call

_SHAPES = ((1, 32), (8, 64))
_CALLS = 3
FILE = "runtimes.json"


def fastest(calls: Mapping[str, Callable[[], Call]], key: str, longest: int) -> str:
    """Returns the name of the faster way to run a model.

    Args:
        calls: by name, what makes the function of a batch with ``ids``, ``types``, ``lengths`` and ``at``.
        key: of the model's shape; the answer is kept under it and this machine's processor.
        longest: the most pieces of a row.
    """
    path = cache_root() / FILE
    full_key = f"{_machine()}; {key}"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    if isinstance(kept, dict) and kept.get(full_key) in calls:
        return kept[full_key]
    seconds = {name: _seconds(make(), longest) for name, make in calls.items()}
    best = [min(times) for times in zip(*seconds.values(), strict=True)]
    chosen = min(seconds, key=lambda name: sum(a / b for a, b in zip(seconds[name], best, strict=True)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps((kept if isinstance(kept, dict) else {}) | {full_key: chosen}, indent=1) + "\n")
    except OSError:  # a read-only home: measured again by the next process
        pass
    return chosen


def _seconds(call: Call, longest: int) -> list[float]:
    """The best time of some calls, in each of the shapes."""
    found = []
    for rows, time_steps in _SHAPES:
        size = min(time_steps, longest)
        zeros = np.zeros((rows, size), np.int32)
        batch: dict[str, Any] = {"ids": zeros, "types": zeros, "lengths": np.full(rows, size, np.int32)}
        batch["at"] = np.zeros((rows, 1), np.int32)
        times = []
        for _ in range(_CALLS + 1):  # the first compiles
            start = time.perf_counter()
            for array in call(batch).values():
                np.asarray(array)
            times.append(time.perf_counter() - start)
        found.append(min(times[1:]))
    return found


def _machine() -> str:
    cpu = processor()
    versions = (f"{name} {importlib.metadata.version(name)}" for name in ("jax", "onnxruntime"))
    return f"{cpu.name}, {cpu.usable} cores, {', '.join(versions)}"
