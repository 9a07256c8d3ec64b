# SPDX-License-Identifier: BSD-2-Clause
"""A file of answers that grows block by block, and that a run which was killed goes on with."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from spago_jax.core.disk import explain_os_error, replace_file
from spago_jax.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_READ = 1 << 20


def progress_file(output: Path) -> Path:
    """Returns the file beside a file of answers that says what it is made from, and how far it is.

    >>> progress_file(Path("a/out.jsonl")).name
    'out.jsonl.progress.json'
    """
    return output.with_name(f"{output.name}.progress.json")


def described(files: Iterable[str]) -> list[dict[str, Any]]:
    """Returns the names, sizes in bytes and SHA-256 hashes of some files, which are read for it."""
    found = []
    for name in files:
        with open(name, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.append({"file": name, "bytes": os.path.getsize(name), "sha256": digest})
    return found


@contextmanager
def resumed(
    output: Path, made_from: Mapping[str, Any], block: int
) -> Iterator[tuple[int, Callable[[Sequence[str]], None]]]:
    """Opens a file of answers, one per line, to go on where it ends.

    Whole lines that are there are kept; a part of a line at the end is dropped. What the file is made from is written
    beside it before its first line is, and the count of its lines after each block.

    Args:
        output: the file; a new one, or one that was begun here.
        made_from: ``inputs``, as ``described`` gives them, and whatever else the answers depend on, as JSON has it.
        block: the most lines that are added at a time.

    Yields:
        How many lines there are, and a function that adds some.

    Raises:
        InputError: for a file that was not begun here, one that was made from something else (named, with both
            values), and one that another process is writing.
        CheckpointError: where it cannot be written.
    """
    beside = progress_file(output)
    asked = json.loads(json.dumps(made_from, default=str))
    _begun(output, beside, asked)  # before anything is made
    with ExitStack() as stack:
        with explain_os_error(output):
            file = stack.enter_context(open(output, "ab"))
            _hold(file, output)
            before = _begun(output, beside, asked)
            if before is None:
                replace_file(beside, _json(asked, 0))
            count = _cut(output, file, most=block + (before or {}).get("answered", 0))

        def add(lines: Sequence[str]) -> None:
            nonlocal count
            with explain_os_error(output):
                file.write("".join(lines).encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
                count += len(lines)
                replace_file(beside, _json(asked, count))

        yield count, add
        with explain_os_error(output):
            replace_file(beside, _json(asked, count, complete=True))


def _json(made_from: Mapping[str, Any], count: int, *, complete: bool = False) -> str:
    return json.dumps({**made_from, "answered": count, "complete": complete}, ensure_ascii=False, indent=2) + "\n"


def _begun(output: Path, beside: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is known of a file that was begun with the same; None for one that is not there, or is empty."""
    if not beside.exists():
        if output.exists() and (not output.is_file() or output.stat().st_size):
            raise InputError(
                f"is there, but not {beside.name}: it was not begun with --resume; choose another name, or remove it",
                path=output,
            )
        return None
    try:
        found = json.loads(beside.read_text("utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("answered"), int):
        raise InputError(f"damaged; remove it and {output.name} to begin again", path=beside)
    _check_same(output, found, asked)
    return found


def _check_same(output: Path, before: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuses to go on with other inputs, another model or other options."""
    way_out = "go on with the same, or give another --output"
    for name, value in asked.items():
        had = before.get(name)
        if name == "inputs":
            _check_inputs(output, had if isinstance(had, list) else [], value)
        elif isinstance(value, dict):
            old = had if isinstance(had, dict) else {}
            for key in sorted({*old, *value}):
                if old.get(key) != value.get(key):
                    said = f"--{key.replace('_', '-')}"
                    raise InputError(
                        f"begun with {said} {_said(old.get(key))}, not {_said(value.get(key))}; {way_out}", path=output
                    )
        elif had != value:
            raise InputError(f"begun with {name} {_said(had)}, not {_said(value)}; {way_out}", path=output)


def _check_inputs(output: Path, had: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> None:
    # Not by their names: a folder may be mounted elsewhere.
    for old, new in zip(had, now, strict=False):
        if any(old.get(key) != new[key] for key in ("bytes", "sha256")):
            raise InputError(
                f"the input {new['file']} is not what it was when this was begun ({old.get('file')}, "
                f"{old.get('bytes')} bytes, now {new['bytes']}); give another --output to answer it anew",
                path=output,
            )
    if len(had) != len(now):
        raise InputError(f"begun with {len(had)} input files, not {len(now)}; give another --output", path=output)


def _said(value: object) -> str:
    return "left out" if value is None else json.dumps(value, ensure_ascii=False)


def _hold(file: BinaryIO, output: Path) -> None:
    """Keeps other processes off for as long as the file is open; where there are no locks, nothing does."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise InputError("another process is writing it; wait for it, or end it", path=output) from None


def _cut(output: Path, file: BinaryIO, most: int) -> int:
    """Drops a part of a line at the end; returns how many lines there are, which may be no more than was answered."""
    count = whole = at = 0
    with open(output, "rb") as read:
        while block := read.read(_READ):
            count += block.count(b"\n")
            if (last := block.rfind(b"\n")) >= 0:
                whole = at + last + 1
            at += len(block)
    if count > most:
        raise InputError(
            f"{count} lines, more than the {most} that may have been answered: others were added; remove it to begin "
            "again",
            path=output,
        )
    file.truncate(whole)
    return count
