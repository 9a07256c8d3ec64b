"""Runs whole folders of golden files: see ``scripts/parity``."""

import argparse
import fnmatch
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from spago_jax.errors import InputError


def main() -> int:
    """Runs every case in a folder, one line each; exit 1 on any failure or unknown case, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="scripts/parity", description="Computes spaGO's golden cases again.")
    parser.add_argument("folder", type=Path, help="golden files, at any depth")
    parser.add_argument("--except", dest="excluded", default="", help="file names to leave out, as 'nlp.*,tokenizer.*'")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    args = parser.parse_args()
    if not args.folder.is_dir():
        print(f"scripts/parity: {args.folder}: no such folder", file=sys.stderr)
        return 2
    patterns = [pattern for pattern in args.excluded.split(",") if pattern]
    files = [
        path
        for path in sorted(args.folder.rglob("*.json"))
        if path.name != "index.json" and not any(fnmatch.fnmatch(path.name.removesuffix(".json"), p) for p in patterns)
    ]
    if not files:
        print(f"scripts/parity: {args.folder}: no golden files", file=sys.stderr)
        return 2
    passed = failed = 0
    with ProcessPoolExecutor(max(1, args.jobs), mp_context=get_context("spawn")) as pool:
        for good, bad, lines in pool.map(run_file, files, [args.dtype] * len(files)):
            passed, failed = passed + good, failed + bad
            print("\n".join(lines), flush=True)
    print(f"{passed} passed, {failed} failed, {len(files)} files")
    return 1 if failed else 0


def run_file(path: Path, dtype: str) -> tuple[int, int, list[str]]:
    """All cases of one file: how many passed and failed, and their lines."""
    from spago import handlers  # noqa: F401  (they register themselves)
    from spago.check import check
    from spago.golden import read_cases
    from spago_jax.compiler.cache import cache_by_default

    cache_by_default()
    try:
        results = [check(case, dtype) for case in read_cases(path)]
    except InputError as error:
        return 0, 1, [f"FAIL {path.parent.name}/{path.stem} - inf  # {error}"]
    good = sum(result.passed for result in results)
    return good, len(results) - good, [str(result) for result in results]
