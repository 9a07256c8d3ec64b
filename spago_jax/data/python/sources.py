# SPDX-License-Identifier: BSD-2-Clause
"""Python source as a corpus: the standard library of every installation, cut into tagged windows."""

import hashlib
import os
import sysconfig
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from spago_jax.data.python.roles import label_tokens
from spago_jax.data.python.tokens import PythonToken, logical_lines
from spago_jax.errors import InputError

__all__ = [
    "ModuleSplit",
    "PythonUnit",
    "module_name",
    "python_sources",
    "read_python",
    "read_sources",
    "split_modules",
    "token_form",
]

# Tests and tables, packages that newer Pythons removed, and third-party packages.
_SKIP = "test tests idle_test site-packages dist-packages lib2to3 distutils encodings pydoc_data __pycache__"
_SKIP_FOLDERS = frozenset(_SKIP.split())


class PythonUnit(NamedTuple):
    """A window of whole logical lines: the "sentence" of the task.

    `tokens` are the forms that a model reads (see `token_form`), `tags` their roles (None if the file is
    not valid Python), `spans` the places of the tokens in the file: rows from 1, columns from 0, end exclusive.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...] | None
    line: int
    spans: tuple[tuple[tuple[int, int], tuple[int, int]], ...]


class ModuleSplit(NamedTuple):
    """The files of each part; no module is in two of them."""

    train: list[Path]
    dev: list[Path]
    test: list[Path]


def _library() -> Path:
    return Path(sysconfig.get_paths()["stdlib"])


def module_name(path: Path, root: Path | None = None) -> str:
    """Returns the dotted name of a module file under a root (by default the standard library).

    >>> module_name(Path("/lib/json/__init__.py"), Path("/lib"))
    'json'
    """
    relative = path.relative_to(root or _library()).with_suffix("")
    parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
    return ".".join(parts)


def _fraction(name: str) -> float:
    """Returns a number in [0, 1) that depends only on the name, on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def python_sources(root: Path | None = None) -> list[Path]:
    """Returns the modules of the standard library, in an order that depends only on their names.

    Left out: tests, generated tables (``encodings``, ``pydoc_data``, ``_sysconfigdata*``), packages that newer
    Pythons no longer have, and installed packages. The order is that of a hash of the module's name, so any
    head of the list is a fair sample, and the same on all machines with the same Python.

    Args:
        root: another folder of Python files; None for the standard library.

    Raises:
        InputError: the folder holds no Python files.
    """
    root = root or _library()
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIP_FOLDERS]  # installed packages can be many
        found += [Path(folder, f) for f in files if f.endswith(".py") and not f.startswith("_sysconfigdata")]
    if not found:
        raise InputError("no Python files (*.py) in this folder", path=root)
    return sorted(found, key=lambda path: (_fraction(module_name(path, root)), module_name(path, root)))


def split_modules(
    paths: Iterable[Path], *, dev: float = 0.1, test: float = 0.1, root: Path | None = None
) -> ModuleSplit:
    """Splits files by their top package, by a hash of its name: the same on every machine.

    All modules of a package go to the same part, because they share names. A module stays in its part when other
    modules are added or removed (another version of Python).

    >>> paths = [Path(f"/lib/{name}.py") for name in ("ast", "bisect", "cmd", "json/decoder", "json/encoder")]
    >>> split = split_modules(paths, dev=0.2, test=0.2, root=Path("/lib"))
    >>> [p.stem for p in split.train], [p.stem for p in split.dev], [p.stem for p in split.test]
    (['bisect', 'cmd', 'decoder', 'encoder'], ['ast'], [])

    Args:
        paths: files under `root`.
        dev: the share of packages for development, 0 to 1.
        test: the share for testing.
        root: the folder that module names start from; None for the standard library.

    Raises:
        InputError: `dev` and `test` leave nothing to train on.
    """
    if dev < 0 or test < 0 or dev + test >= 1:
        raise InputError(f"dev={dev} and test={test} leave nothing to train on: expected 0 <= dev + test < 1")
    split = ModuleSplit([], [], [])
    for path in paths:
        package = module_name(path, root).partition(".")[0]
        # Not the hash that orders the files, so that the head of each part is a fair sample.
        at = _fraction(f"split:{package}")
        part = split.test if at < test else split.dev if at < test + dev else split.train
        part.append(path)
    return split


def token_form(token: PythonToken, *, limit: int = 24) -> str:
    """Returns the short form of a token, without white space, as a model reads it.

    White space becomes ``␣``; a form longer than `limit` keeps only its head and tail.

    >>> from spago_jax.data.python.tokens import lex
    >>> token_form(lex("'a b'")[0]), token_form(lex("# a very long comment to the end of it all")[0])
    ("'a␣b'", '#␣a␣very␣long␣c…f␣it␣all')
    """
    text = token.text
    if len(text) > limit:
        tail = limit // 3
        text = text[: limit - tail - 1] + "…" + text[-tail:]
    return "".join("␣" if char.isspace() else char for char in text)


def _read(path: Path) -> str:
    try:
        with tokenize.open(path) as file:  # obeys the file's coding line
            return file.read()
    except OSError as error:
        raise InputError(f"cannot read the source: {error.strerror}", path=path) from None
    except (SyntaxError, UnicodeDecodeError) as error:
        raise InputError(f"cannot decode the source: {error}", path=path) from None


def read_python(source: Path | str, *, max_tokens: int = 64, tagged: bool = True) -> Iterator[PythonUnit]:
    """Cuts a source into windows of whole logical lines, with the role of each token.

    Lines are joined as long as a window stays within `max_tokens`; a line longer than that is cut. Text that is
    not valid Python yields the same windows without tags.

    >>> for unit in read_python("import os\\nx = os.sep", max_tokens=5):
    ...     print(unit.line, unit.tokens, unit.tags)
    1 ('import', 'os') ('keyword', 'module')
    2 ('x', '=', 'os', '.', 'sep') ('variable', 'operator', 'module', 'punctuation', 'attribute')

    Args:
        source: a file, or the text itself (a `str` is always text).
        max_tokens: the most tokens per window.
        tagged: whether to read the syntax tree for the roles; without it every window has None for its tags.

    Raises:
        InputError: the file cannot be read, or `max_tokens` is below 1.
    """
    if max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens}, expected 1 or more")
    text = _read(source) if isinstance(source, Path) else source
    lines = list(logical_lines(text))
    tokens = [token for line in lines for token in line]
    tags = label_tokens(text, tokens) if tagged else None
    start = end = 0
    for line in lines:
        if end > start and end - start + len(line) > max_tokens:
            yield from _windows(tokens, tags, start, end, max_tokens)
            start = end
        end += len(line)
    yield from _windows(tokens, tags, start, end, max_tokens)


def _windows(
    tokens: Sequence[PythonToken], tags: Sequence[str] | None, start: int, end: int, size: int
) -> Iterator[PythonUnit]:
    for at in range(start, end, size):
        stop = min(at + size, end)
        piece = tokens[at:stop]
        yield PythonUnit(
            tuple(token_form(token) for token in piece),
            None if tags is None else tuple(tags[at:stop]),
            piece[0].start[0],
            tuple((token.start, token.end) for token in piece),
        )


def read_sources(
    paths: Iterable[Path], *, max_tokens: int = 64, total_tokens: int | None = None
) -> Iterator[PythonUnit]:
    """Yields the tagged windows of many files, file by file; files that are not valid Python are skipped.

    Args:
        paths: the Python files.
        max_tokens: the most tokens per window.
        total_tokens: the most tokens in all; None reads everything.
    """
    seen = 0
    for path in paths:
        try:
            units = list(read_python(path, max_tokens=max_tokens))
        except InputError:  # in no encoding that Python would read
            continue
        for unit in units:
            if unit.tags is None:
                break
            seen += len(unit.tokens)
            if total_tokens is not None and seen > total_tokens:
                return
            yield unit
