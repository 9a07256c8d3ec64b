# SPDX-License-Identifier: BSD-2-Clause
"""The process of trials that run beside others: reads jobs as lines of JSON, answers each with a line of JSON.

It ends when its input does: at once, wherever it is, for then the sweep that it works for was killed.
"""

import dataclasses
import json
import os
import queue
import signal
import sys
import threading
import traceback
from typing import Any

from spago_jax.errors import SpagoError


def main() -> None:
    """Works until the input ends; says first that it is ready to be interrupted."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not be taken for an answer
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(waiting,), daemon=True).start()
    answer: dict[str, Any] = {"ready": True}
    while True:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an answer is written whole
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            answer = _answer(json.loads(waiting.get()))
        except KeyboardInterrupt:
            answer = {"stop": "Interrupted", "message": "interrupted"}


def _read(waiting: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        waiting.put(line)
    os._exit(1)


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    try:
        from spago_jax.core.devices import ask_for_cpu_devices

        ask_for_cpu_devices(job.pop("devices"))
        from spago_jax.sweep.one import Job, run_one

        return {"outcome": run_one(Job(**job))}
    except (SpagoError, OSError) as error:
        return {"stop": type(error).__name__, "message": str(error)}
    except Exception:
        return {"stop": "bug", "message": traceback.format_exc()}


def line_of(job: Any, devices: int | str) -> str:
    """A job as a line for a worker."""
    return json.dumps(dataclasses.asdict(job) | {"devices": devices}) + "\n"


if __name__ == "__main__":
    main()
