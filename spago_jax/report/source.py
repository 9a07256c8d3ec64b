# SPDX-License-Identifier: BSD-2-Clause
"""What a run folder holds, as far as it got: a file that is missing or cut off is empty."""

import dataclasses
import json
from typing import Any

import yaml

from spago_jax.train.run_folder import RunFolder

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class RunData:
    """The contents of a run folder; see `RunFolder` for what each file is.

    Attributes:
        folder: the folder's name.
        config_text: ``config.yaml`` as written.
        config: the same, parsed; empty where it cannot be.
        missing: the files that are not there or cannot be read.
    """

    folder: str
    config_text: str = ""
    config: Record = dataclasses.field(default_factory=dict)
    about: Record = dataclasses.field(default_factory=dict)
    scores: Record = dataclasses.field(default_factory=dict)
    details: Record = dataclasses.field(default_factory=dict)
    programs: Record = dataclasses.field(default_factory=dict)
    state: Record = dataclasses.field(default_factory=dict)
    parameters: tuple[Record, ...] = ()
    metrics: tuple[Record, ...] = ()
    timings: tuple[Record, ...] = ()
    histograms: tuple[Record, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the run got as far as its final scores."""
        scores = self.scores.get("scores")
        return isinstance(scores, dict) and bool(scores)

    @property
    def best_step(self) -> int | None:
        """The step of the best checkpoint, known of a run that ended."""
        step = self.scores.get("best_step")
        return step if isinstance(step, int) else None

    def records(self, kind: str) -> list[Record]:
        """The lines of ``metrics.jsonl`` of one kind, by step."""
        return sorted((r for r in self.metrics if r.get("kind") == kind), key=lambda r: r["step"])

    def splits(self, section: Record) -> list[str]:
        """The parts of the data in a section: test first, then dev, then others."""
        order = {"test": 0, "dev": 1}
        return sorted(section, key=lambda name: (order.get(name, 2), name))


def read_run(run: RunFolder) -> RunData:
    """Reads what there is of a run."""
    missing: list[str] = []

    def whole(name: str, kind: type, *, expected: bool = True) -> Any:
        try:
            value = json.loads((run / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            if expected:
                missing.append(name)
            return kind()
        return value if isinstance(value, kind) else kind()

    def lines(name: str, *, expected: bool = True) -> tuple[Record, ...]:
        try:
            found = list(run.lines(name))
        except OSError:
            found = []
        if not found and expected:
            missing.append(name)
        return tuple(found)

    written, parsed = "", {}
    try:
        written = (run / "config.yaml").read_text(encoding="utf-8")
        parsed = yaml.safe_load(written)
    except (OSError, ValueError):
        missing.append("config.yaml")
    except (yaml.YAMLError, RecursionError):
        pass  # shown as it is written
    return RunData(
        folder=run.path.resolve().name,
        config_text=written,
        config=parsed if isinstance(parsed, dict) else {},
        about=whole("about.json", dict),
        scores=whole("scores.json", dict),
        details=whole("details.json", dict),
        programs=whole("programs.json", dict),
        state=whole("state.json", dict, expected=False),  # not in runs of versions up to 0.1
        parameters=tuple(row for row in whole("model.json", list) if isinstance(row, dict)),
        metrics=lines("metrics.jsonl"),
        timings=lines("timings.jsonl"),
        histograms=lines("histograms.jsonl", expected=False),  # made only where asked for
        missing=tuple(missing),
    )
