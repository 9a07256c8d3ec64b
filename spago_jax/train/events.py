# SPDX-License-Identifier: BSD-2-Clause
"""Writes the numbers of a run to ``metrics.jsonl``, and to TensorBoard if requested."""

import importlib.util
import math
from types import TracebackType
from typing import Any

from spago_jax.errors import InputError
from spago_jax.train.run_folder import RunFolder


class Events:
    """Writes one record at a time; a record has ``step``, ``kind`` (train, dev, test, watch, action) and numbers."""

    def __init__(self, run: RunFolder, tensorboard: bool = False):
        self._run = run
        self._writer: Any = None
        self.check(tensorboard)
        if tensorboard and run.writes:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(str(run / "tensorboard"))

    @staticmethod
    def check(tensorboard: bool) -> None:
        """Raises InputError if TensorBoard is requested but its package is not installed."""
        if tensorboard and importlib.util.find_spec("tensorboardX") is None:
            raise InputError("train.tensorboard needs the extra 'tensorboard': pip install 'spago_jax[tensorboard]'")

    def __enter__(self) -> "Events":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, record: dict[str, Any]) -> None:
        """Writes one record."""
        clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
        self._run.append("metrics.jsonl", clean)
        if self._writer is not None:
            for name, value in record.items():
                if name not in ("step", "kind", "epoch") and isinstance(value, int | float):
                    self._writer.add_scalar(f"{record['kind']}/{name}", value, record["step"])
