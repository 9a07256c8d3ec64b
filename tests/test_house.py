"""The house rules of the design: imports run one way, files stay small, ``import spago_jax`` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "spago_jax"
FILES = sorted(PACKAGE.rglob("*.py"))

# Each level may import the levels above it, and its own.
LEVELS = (
    {"core", "ops"},
    {"drawing"},
    {"compiler"},
    {"nn", "eager", "optim", "flow"},
    {"data", "text", "embeddings", "report", "train", "generation"},
    {"models"},
    {"tasks", "interop"},
    {"sweep", "serve"},
    {"cli"},
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
FREE = {"errors"}  # every level may raise them


def house(module: str) -> str:
    """The part of the package that a dotted module name lies in; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def imports_of(source: str, module: str, *, is_package: bool) -> list[tuple[int, str]]:
    """``(line, dotted name)`` of every import of spago_jax in a module, wherever in the file it stands."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parent = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parent, *([node.module] if node.module else [])])
            # `from spago_jax import nn` names a part of the house; `from spago_jax.nn import Linear` does not
            found += [(node.lineno, f"{base}.{alias.name}" if base == "spago_jax" else base) for alias in node.names]
    return sorted({(line, name) for line, name in found if name.split(".")[0] == "spago_jax"})


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What a module imports from a later level of the house."""
    own = house(module)
    bad = []
    for line, name in imports_of(source, module, is_package=is_package):
        other = house(name)
        if other in FREE or own == other:
            continue
        if own in FREE or other not in LEVEL:  # names of the top package pull in what it imports
            bad.append(f"{module}:{line} imports {name}")
        elif own in LEVEL and LEVEL[other] > LEVEL[own]:
            bad.append(f"{module}:{line} imports {name}: {other} comes after {own}")
    return bad


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_check_sees_each_kind_of_violation():
    assert violations("import spago_jax.train.loop", "spago_jax.ops.crf") == [
        "spago_jax.ops.crf:1 imports spago_jax.train.loop: train comes after ops"
    ]
    assert violations("def f():\n    from spago_jax.models import x", "spago_jax.nn.gru")  # inside a function too
    assert violations("from spago_jax import serve", "spago_jax.core.paths")
    assert violations("from ..train import loop", "spago_jax.nn.gru")
    assert violations("from ..train import loop", "spago_jax.nn", is_package=True)
    assert violations("from .train import loop", "spago_jax.nn", is_package=True) == []  # spago_jax.nn.train
    assert violations("from .. import models", "spago_jax.nn.gru")
    assert violations("from spago_jax import Module", "spago_jax.nn.gru")
    assert violations("from spago_jax.core import paths", "spago_jax.errors")
    assert violations("from spago_jax.errors import InputError", "spago_jax.core.paths") == []
    assert violations("from spago_jax.data import lines\nimport jax", "spago_jax.train.loop") == []
    assert violations("from . import rng", "spago_jax.core.paths") == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path):
    module = module_name(path)
    assert violations(path.read_text("utf-8"), module, is_package=path.name == "__init__.py") == []


def test_every_part_of_the_package_has_a_level():
    parts = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert parts - set(LEVEL) == set()
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert modules <= {"__init__", "__main__", "errors"}


@pytest.mark.parametrize("folder", ["spago_jax", "tests", "scripts"])
def test_no_file_is_longer_than_600_lines(folder: str):
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text("utf-8").splitlines())) > 600
    }
    assert long == {}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_header_and_docstring(path: Path):
    text = path.read_text("utf-8")
    assert text.startswith("# SPDX-License-Identifier: BSD-2-Clause\n")
    assert ast.get_docstring(ast.parse(text)), "a module says in its docstring what it is"


def run_python(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_import_is_light_and_starts_no_backend():
    heavy = [
        "orbax",
        "pydantic",
        "typer",
        "optax",
        "torch",
        "transformers",
        "spago_jax.drawing",
        "spago_jax.report",
        "spago_jax.sweep",
        "spago_jax.train",
        "spago_jax.models",
        "spago_jax.cli",
        "spago_jax.nn",
        "spago_jax.serve",
        "spago_jax.interop",
        "spago_jax.tasks",
        "spago_jax.data",
    ]
    code = f"""
import sys, spago_jax
from jax._src import xla_bridge  # the one place that knows; a test may look
print([name for name in {heavy!r} if name in sys.modules], sorted(xla_bridge._backends))
"""
    assert run_python(code) == "[] []"


def test_import_brings_no_library_but_jax_numpy_and_flax():
    """Flax itself imports yaml and rich (``flax/__init__`` takes in linen); nothing else may come with us."""
    code = """
import sys, flax, jax, numpy
before = set(sys.modules)
import spago_jax
print({name.split(".")[0] for name in set(sys.modules) - before if "flax" not in name} - set(sys.stdlib_module_names))
"""
    assert run_python(code) == "{'spago_jax'}"


def test_import_leaves_jax_as_it_was():
    code = """
import jax
before = dict(jax.config.values)
import spago_jax
print({name for name, value in jax.config.values.items() if before.get(name) != value})
"""
    assert run_python(code) == "set()"
