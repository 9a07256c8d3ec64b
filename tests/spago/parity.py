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
    # The files of one name are one task, since they share compiled programs.
    names = sorted({path.name for path in files})
    tasks = [[path for path in files if path.name == name] for name in names]
    passed = failed = 0
    with ProcessPoolExecutor(max(1, args.jobs), mp_context=get_context("spawn")) as pool:
        for good, bad, lines in pool.map(run_files, tasks, [args.dtype] * len(tasks)):
            passed, failed = passed + good, failed + bad
            print("\n".join(lines), flush=True)
    print(f"{passed} passed, {failed} failed, {len(files)} files")
    return 1 if failed else 0


def run_files(paths: list[Path], dtype: str) -> tuple[int, int, list[str]]:
    """All cases of some files: how many passed and failed, and their lines."""
    from spago import handlers  # noqa: F401  (they register themselves)
    from spago.check import check
    from spago.golden import read_each
    from spago_jax.compiler.cache import cache_by_default

    cache_by_default()
    lines, passed = [], 0
    for path in paths:
        try:
            cases = list(read_each(path))
        except InputError as error:
            cases = [error]
        for case in cases:
            if isinstance(case, InputError):
                lines.append(f"FAIL {path.parent.name}/{path.stem} - inf  # {case}")
                continue
            result = check(case, dtype)
            passed += result.passed
            lines.append(str(result))
    return passed, len(lines) - passed, lines
