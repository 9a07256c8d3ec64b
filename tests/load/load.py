"""Loads a server on this machine, and says what came of it.

    python tests/load/load.py --seconds 60 --callers 16 --model minilm --task text-encoding [--grpc HOST:PORT]

Each caller asks, waits for the answer, and asks again; lengths are mixed, some requests are lists. With --grpc the same
requests go through the other door. Ends with code 1 where an answer was wrong, or anything but 200, 429 and 503 came.
Only for a server of 127.0.0.1 or localhost.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Any

from spago_jax.serve.client import AsyncClient, AsyncGrpcClient, Retries, ServerError

WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away")


def text(draw: random.Random) -> str:
    """A text of 1 to 120 words, most of them short."""
    return " ".join(draw.choices(WORDS, k=min(1 + int(draw.expovariate(1 / 12)), 120)))


async def caller(client: Any, arguments: argparse.Namespace, until: float, number: int, found: dict[str, Any]) -> None:
    draw = random.Random(number)
    while time.monotonic() < until:
        inputs = [text(draw) for _ in range(draw.choice((1, 1, 1, 4, 16)))]
        began = time.monotonic()
        try:
            answers = await client.answers(arguments.model, arguments.task, inputs, truncate=True)
            statuses = [200 if isinstance(each, dict) else each.status for each in answers]
            if len(answers) != len(inputs) or any(
                isinstance(each, dict) and each.get("text", given) != given
                for each, given in zip(answers, inputs, strict=True)
            ):
                found["wrong"] += 1
        except ServerError as error:
            statuses = [error.status] * len(inputs)
            await asyncio.sleep(0.05)
        except Exception as error:
            statuses = [0] * len(inputs)
            found["errors"][type(error).__name__] += 1
        found["seconds"].append(time.monotonic() - began)
        found["statuses"].update(statuses)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="http://127.0.0.1:8000")
    parser.add_argument("--grpc", help="host and port of the gRPC door")
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--key")
    arguments = parser.parse_args()
    address = arguments.grpc or arguments.address
    host = address.removeprefix("http://").removeprefix("https://").rpartition(":")[0]
    if host not in ("127.0.0.1", "localhost", "[::1]"):
        parser.error(f"{address}: only a server on this machine is loaded")
    kind: Any = AsyncClient if arguments.grpc is None else AsyncGrpcClient
    found: dict[str, Any] = {"statuses": Counter(), "errors": Counter(), "seconds": [], "wrong": 0}
    begin = time.monotonic()
    async with kind(address, key=arguments.key, retries=Retries(most=0)) as client:
        until = begin + arguments.seconds
        await asyncio.gather(*(caller(client, arguments, until, n, found) for n in range(arguments.callers)))
    spent, times = time.monotonic() - begin, sorted(found["seconds"])
    at = {share: times[min(int(share * len(times)), len(times) - 1)] for share in (0.5, 0.95, 0.99)}
    answered = found["statuses"][200]
    report = {
        "seconds": round(spent, 1),
        "requests": len(times),
        "answered inputs": answered,
        "inputs per second": round(answered / spent, 1),
        "statuses": dict(found["statuses"]),
        "errors": dict(found["errors"]),
        "wrong": found["wrong"],
        "latency ms": {f"p{int(100 * share)}": round(1000 * value, 1) for share, value in at.items()},
    }
    print(json.dumps(report, indent=1))
    bad = set(found["statuses"]) - {200, 429, 503}
    return int(bool(found["wrong"] or bad))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
