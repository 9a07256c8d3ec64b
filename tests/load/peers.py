"""Ours and LitServe in turns, the same client asking both for vectors of the same texts, one at a time per caller.

    python tests/load/peers.py OURS=http://127.0.0.1:8000/v1/models/minilm/text-encoding \
        LITSERVE=http://127.0.0.1:8400/predict --callers 32 --seconds 20 --turns 3

Both must be running (`litserve_minilm.py` starts the peer). Says requests per second, p50 and p99 of each, by turn and
in all, and how far the vectors of the two lie apart.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from typing import Any

import httpx2

WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away")


def texts(count: int) -> list[str]:
    """Texts of 1 to 100 words, most of them short."""
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=min(1 + int(draw.expovariate(1 / 20)), 100))) for _ in range(count)]


def vector(reply: Any) -> list[float]:
    return (reply.get("answer") or reply)["vector"]


async def turn(address: str, given: list[str], callers: int, seconds: float) -> list[float]:
    """Milliseconds of every request of a turn."""
    taken: list[float] = []
    limits = httpx2.Limits(max_connections=callers, max_keepalive_connections=callers)
    async with httpx2.AsyncClient(timeout=60, limits=limits) as client:
        until = time.monotonic() + seconds

        async def caller(number: int) -> None:
            draw = random.Random(number)
            while time.monotonic() < until:
                began = time.monotonic()
                reply = await client.post(address, json={"input": draw.choice(given)})
                assert reply.status_code == 200, reply.text[:200]
                taken.append(1000 * (time.monotonic() - began))

        await asyncio.gather(*(caller(number) for number in range(callers)))
    return taken


def said(taken: list[float], seconds: float) -> dict[str, float]:
    at = statistics.quantiles(taken, n=100)
    return {
        "requests per second": round(len(taken) / seconds, 1),
        "p50 ms": round(at[49], 1),
        "p99 ms": round(at[98], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs=2, metavar="NAME=ADDRESS")
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    servers, given = dict(each.split("=", 1) for each in arguments.servers), texts(500)
    pairs = [
        [vector(httpx2.post(address, json={"input": text}, timeout=60).json()) for address in servers.values()]
        for text in given[:20]
    ]
    apart = max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))
    report: dict[str, Any] = {"vectors apart by at most": apart, "turns": []}
    every: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(arguments.turns + 1):
        for name, address in servers.items():
            taken = asyncio.run(turn(address, given, arguments.callers, arguments.seconds if number else 3))
            if number:  # the first, short turn warms
                every[name] += taken
                report["turns"].append({name: said(taken, arguments.seconds)})
    report["in all"] = {name: said(taken, arguments.seconds * arguments.turns) for name, taken in every.items()}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
