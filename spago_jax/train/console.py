# SPDX-License-Identifier: BSD-2-Clause
"""Shows the progress of training: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class TrainingConsole:
    """Prints lines, and one bar per epoch with its rate and the remaining time.

    Args:
        file: where to print; standard error by default, so that standard output holds only results.
        quiet: print nothing.
    """

    def __init__(self, file: IO[str] | None = None, *, quiet: bool = False):
        self._console = Console(file=file or sys.stderr, quiet=quiet, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._start = time.perf_counter()

    def __enter__(self) -> "TrainingConsole":
        if self._console.is_terminal:
            self._progress = self._bar()
            self._progress.start()
        return self

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("steps, {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def line(self, text: str) -> None:
        """Prints a line that stays; Rich markup in it is printed as it is."""
        self._console.print(text, markup=False)

    def value(self, name: str, step: int, value: float) -> None:
        """Takes one value of the run, for consoles that draw curves."""

    def begin(self, description: str, total: int, done: int = 0) -> None:
        """Starts the bar of an epoch."""
        if self._progress is None:
            return
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(description, total=total, completed=done, rate="")

    def advance(self, steps: int, rate: str, description: str | None = None) -> None:
        """Moves the bar."""
        if self._progress is not None and self._task is not None:
            fields: dict[str, Any] = {"rate": rate}
            if description is not None:
                fields["description"] = description
            self._progress.update(self._task, advance=steps, **fields)
