"""Mutated inputs: seeded damage to files and to settings, and the check that only expected errors come of it."""

import copy
import random
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from spago_jax.errors import SpagoError

SECONDS = 60  # no small input may take longer
SHOWN = 8  # failures that are printed

# What is put into files: bytes that decoders, separators and quotes trip over.
PIECES = [
    b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n", b"\n\n", b"\t", b"\t\t", b",",
    b";",
    b'"', b'""', b"'", b" ", b"\xc2\xa0", b"\xe2\x80\xa8", b"\x1a", b"\\", b"\\ud800", b"#", b"{", b"}", b"[", b"]",
    b":",
    b"- ", b"&a ", b"*a", b"!!python/object:os.system ", b"---\n", b"%", b"NaN", b"1e999", b"-", b"0", b"__label__",
    b"__label__ ", b"-DOCSTART-\tO\n\n", b"1-2", b"8.1", "é".encode(), "😀".encode(), "\u0301".encode(), b"null",
    b"true",
    "²".encode(), "٣".encode(),
]  # fmt: skip
# What is put in the place of a field of a file.
FIELDS = [b"", b" ", b"0", b"-1", b"9" * 30, b"9" * 5000, b"1e999", b"nan", b"inf", b"x" * 200_000, b"null", b"[]",
    b"{}",
          b'"', b"\0", b"\xff", b"O", b"B-", b"I-LOC", b"-", b"E-PER", "²".encode(), b"true", b"1_000",
    b"0x10"]  # fmt: skip
DEEP: Any = "leaf"
for _ in range(60):
    DEEP = {"deep": [DEEP]}
# What is put in the place of a setting.
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 0.5, -0.5, 10**30, -(10**30), 10**400, 1e308, 1e-320, float("nan"),
    float("inf"), "",
    " ", "\0", "a\0b", "\ud800", "\ufeff", "\r", "\n", "x" * 10_000, "[", "${", "${NOT_SET_ANYWHERE}", "${HOME}",
    "~", "/",
    ".", "..", "./", "*", "**/*", "[", "{a: 1}", "1e999", "nan", "0", "true", "²", [], {}, [[]], [None], [1, "a",
    None],
    {"kind": "words"}, {"kind": None}, {"a": 1}, {1: 2}, {None: None}, {True: "x"}, [{}], DEEP, ["x"] * 500,
]  # fmt: skip


def damaged(data: bytes, draw: random.Random) -> bytes:
    """The bytes after one to three mutations."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        data = draw.choice(_DAMAGES)(data, draw)
    return data


def _flip(data: bytes, draw: random.Random) -> bytes:
    if not data:
        return data
    at = draw.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :]


def _insert(data: bytes, draw: random.Random) -> bytes:
    at = draw.choice((0, len(data), draw.randint(0, len(data)), draw.randint(0, len(data)), draw.randint(0, len(data))))
    return data[:at] + draw.choice(PIECES) * draw.choice((1, 1, 1, 2, 300)) + data[at:]


def _delete(data: bytes, draw: random.Random) -> bytes:
    at = draw.randint(0, len(data))
    return data[:at] + data[at + draw.choice((1, 1, 2, 7, 100)) :]


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.choice((0, 1, draw.randint(0, len(data)), draw.randint(0, len(data)), len(data) - 1))]


def _tail(data: bytes, draw: random.Random) -> bytes:
    return data[draw.randint(0, len(data)) :]


def _noise(data: bytes, draw: random.Random) -> bytes:
    return draw.randbytes(draw.choice((1, 10, 1000)))


def _lines(data: bytes, draw: random.Random) -> bytes:
    lines = data.split(b"\n")
    at, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    kind = draw.choice(("double", "swap", "delete", "first", "shuffle", "blank"))
    if kind == "double":
        lines[at:at] = [lines[at]] * draw.choice((1, 5))
    elif kind == "swap":
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == "delete":
        del lines[at]
    elif kind == "first":
        lines = lines[:1]
    elif kind == "shuffle":
        draw.shuffle(lines)
    else:
        lines = [b""] * len(lines)
    return b"\n".join(lines)


def _field(data: bytes, draw: random.Random) -> bytes:
    """Replaces, doubles, drops or reorders the fields of one line, or of all."""
    lines = data.split(b"\n")
    separator = draw.choice([mark for mark in (b"\t", b",", b" ", b": ", b'"') if mark in data] or [b"\t"])
    every = draw.random() < 0.3
    at, kind = draw.randrange(len(lines)), draw.choice(("replace", "replace", "replace", "double", "drop", "reverse"))
    place, value = draw.randrange(12), draw.choice(FIELDS[:-1] if every else FIELDS)
    value = value[:100] if every else value
    for number in range(len(lines)) if every else [at]:
        fields = lines[number].split(separator)
        if kind == "replace":
            fields[place % len(fields)] = value
        elif kind == "double":
            fields.append(fields[place % len(fields)])
        elif kind == "drop":
            del fields[place % len(fields)]
        else:
            fields.reverse()
        lines[number] = separator.join(fields)
    return b"\n".join(lines)


def _ends(data: bytes, draw: random.Random) -> bytes:
    return data.replace(b"\n", draw.choice((b"\r\n", b"\r", b"\n\n", b" ", b"\n\r", b"\x85")))


def _encoding(data: bytes, draw: random.Random) -> bytes:
    text = data.decode("utf-8", "replace")
    return text.encode(draw.choice(("utf-16", "utf-8-sig", "latin-1", "utf-32-le")), "replace")


def _nested(data: bytes, draw: random.Random) -> bytes:
    at, depth = draw.randint(0, len(data)), draw.choice((3, 500, 100_000))
    return data[:at] + draw.choice((b"[", b"{", b'{"a":', b"- ", b"(", b'"')) * depth + data[at:]


def _long(data: bytes, draw: random.Random) -> bytes:
    at = draw.randint(0, len(data))
    return data[:at] + draw.choice((b"x", b"x ", b"9", b"\xc3\xa9", b"a,", b"a\t")) * 150_000 + data[at:]


_DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [
    *[_flip, _insert, _delete, _cut, _lines, _field] * 4, _ends, _encoding, _tail, _noise, _nested, _long,
]  # fmt: skip


def changed(tree: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """Settings after one to three mutations: another value, a key less, an unknown one, a renamed one."""
    tree = copy.deepcopy(tree)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        places = list(_places(tree))
        if not places:
            return tree
        parent, key = draw.choice(places)
        kind = draw.choice(("value", "value", "value", "value", "delete", "rename", "unknown", "wrap", "swap"))
        if kind == "value":
            parent[key] = copy.deepcopy(draw.choice(VALUES))
        elif kind == "delete":
            del parent[key]
        elif kind == "wrap":
            parent[key] = draw.choice(([parent[key]], {"kind": parent[key]}, {"x": parent[key]}, str(parent[key])))
        elif kind == "swap":
            other, there = draw.choice(places)
            parent[key] = copy.deepcopy(other[there])
        elif isinstance(parent, dict):
            name = draw.choice(("x", "", f"{key}s", 1, None, "kind", "\ud800", "a.b"))
            parent[name] = parent.pop(key) if kind == "rename" else draw.choice(VALUES)
    return tree


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


class Holds:
    """Runs cases, each of which has to work or to raise one of the library's own errors,
    and lists those that do not."""

    def __init__(self) -> None:
        self.failures: dict[str, tuple[str, int]] = {}
        self.count = self.refused = 0

    def check(self, case: str, shown: Any, call: Callable[..., object], *arguments: Any, **options: Any) -> None:
        """Runs one case.

        Args:
            case: names it, with its seed.
            shown: what was handed in, to repeat it.
            call: hands it in.
            arguments: of the call.
            options: of the call.
        """
        self.count += 1
        try:
            with _limit(SECONDS):
                call(*arguments, **options)
        except SpagoError as error:
            self.refused += 1
            if not str(error).strip():
                self.fail(case, shown, "an error without a message")
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in place if "spago_jax" in frame.filename] or place
            where = f"{type(error).__name__} in {Path(own[-1].filename).name}:{own[-1].lineno}"
            self.fail(case, shown, f"{where}: {str(error)[:300]}", key=where)

    def fail(self, case: str, shown: Any, what: str, key: str | None = None) -> None:
        """Notes a failure; the first of each kind is kept."""
        text, count = self.failures.get(key or what, (f"{case}: {what}\n  {_short(shown)}", 0))
        self.failures[key or what] = text, count + 1

    def done(self, least: int = 1) -> None:
        """Fails with what was found; also where hardly any input was refused, for then nothing was tested."""
        if self.failures:
            listed = "\n".join(f"{count} x {text}" for text, count in list(self.failures.values())[:SHOWN])
            pytest.fail(f"{len(self.failures)} kinds of failures in {self.count} cases:\n{listed}", pytrace=False)
        assert self.refused >= least, f"{self.refused} of {self.count} were refused"


def _short(shown: Any) -> str:
    text = repr(shown)
    return text if len(text) <= 3000 else f"{text[:2000]} ... {text[-600:]} ({len(text)} characters)"


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    def late(number: int, frame: Any) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
