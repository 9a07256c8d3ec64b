"""The house rules of the design: imports run one way, files stay small, ``import spago_jax`` stays light."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "spago_jax"
# What protoc has generated is nobody's prose.
FILES = sorted(path for path in PACKAGE.rglob("*.py") if not path.name.endswith("_pb2.py"))

# Each level may import the levels above it, and its own.
LEVELS = (
    {"core", "ops"},
    {"compiler"},
    {"drawing", "nn", "optim", "eager"},
    {"flow", "text", "data", "generation"},
    # A pre-trained encoder is an embedding of tokens, and tasks start from pre-trained models, so what opens those
    # comes before them; the rest of interop turns what tasks have trained into other systems' files, and comes after.
    {
        "models.attention",
        "models.config_json",
        "models.encoder",
        "models.encoder_decoder",
        "models.execution",
        "models.modernbert",
        "models.pretrained",
        "models.t5",
        "models.weight_table",
    },
    {"interop.checkpoints", "interop.huggingface", "interop.encoder_onnx"},
    {"embeddings"},
    {"models"},
    {"report", "train"},
    # A file of Flair's is opened as a task, and by what opens tasks.
    {"tasks", "interop.flair"},
    {"sweep", "serve", "interop"},
    {"cli"},
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
FREE = {"errors", "registry"}  # every level may use them
# A Graph draws itself, and drawing knows no Graph.
DRAWN = {("spago_jax.compiler.graph.graph", "drawing"), ("spago_jax.compiler.graph.picture", "drawing")}
# To be mended; delete the line with the violation.
KNOWN: set[tuple[str, str]] = set()


def house(module: str) -> str:
    """The part of the package that a dotted module name lies in, or the part of that part if it has a level of its own;
    empty for the package itself."""
    first, second = (*module.split("."), "", "")[1:3]
    return part if (part := f"{first}.{second}") in LEVEL else first


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
        if (other in FREE and (own == other or own != "errors")) or own == other:
            continue
        if (module, other) in DRAWN | KNOWN:
            continue
        if own in FREE or other not in LEVEL:  # names of the top package pull in what it imports
            bad.append(f"{module}:{line} imports {name}")
        elif own in LEVEL and LEVEL[other] > LEVEL[own]:
            bad.append(f"{module}:{line} imports {name}: {other} comes after {own}")
    return bad


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_nothing_is_known_that_is_mended():
    """A line of KNOWN whose violation is gone has to go as well."""
    left = {
        (module_name(path), house(name))
        for path in FILES
        for _, name in imports_of(path.read_text("utf-8"), module_name(path), is_package=path.name == "__init__.py")
    }
    assert left >= KNOWN | DRAWN


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
    assert violations("import spago_jax.tasks.load", "spago_jax.interop.huggingface.load")
    assert violations("import spago_jax.interop.huggingface.load", "spago_jax.tasks.load") == []
    assert violations("import spago_jax.interop.onnx.task", "spago_jax.tasks.load")


def test_imports_run_one_way():
    found = [
        violation
        for path in FILES
        for violation in violations(path.read_text("utf-8"), module_name(path), is_package=path.name == "__init__.py")
    ]
    assert found == []


def test_every_part_of_the_package_has_a_level():
    parts = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert parts - set(LEVEL) == set()
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert modules <= {"__init__", "__main__", *FREE}


@pytest.mark.parametrize("folder", ["spago_jax", "tests", "scripts"])
def test_no_file_is_longer_than_600_lines(folder: str):
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text("utf-8").splitlines())) > 600
    }
    assert long == {}


def test_every_file_has_a_header_and_a_docstring():
    offenders = [
        str(path.relative_to(ROOT))
        for path in FILES
        if not (text := path.read_text("utf-8")).startswith("# SPDX-License-Identifier: BSD-2-Clause\n")
        or not ast.get_docstring(ast.parse(text))
    ]
    assert offenders == []


# Phrases that no English engineer writes: "is no array" for "is not an array", "one array a step" for "one array per
# step". "There is no file" and "no longer" are English.
FOREIGN = re.compile(
    r"(?<!there )\b(?:is|are|was|were|be) no (?!longer\b|more\b|less\b|other\b|such\b)\w+"
    r"|\b(?:one|file|number|array|pass|row|call) an? "
    r"(?:step|case|row|line|layer|word|token|file|group|block|epoch|batch|sentence|value|name|key|class|run|trial|node)\b"
    r"|\bwhat is no\b",
    re.IGNORECASE,
)


def prose(source: str) -> list[tuple[int, str]]:
    """The comments and docstrings of a file, each with its line."""
    found = [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            found.append((node.body[0].lineno, " ".join(text.split())))
    return sorted(found)


def test_docstrings_and_comments_are_english():
    offenders = [
        f"{path.relative_to(ROOT)}:{line}: {match.group()!r}"
        for path in FILES
        for line, text in prose(path.read_text("utf-8"))
        for match in FOREIGN.finditer(text)
    ]
    assert offenders == []
    assert FOREIGN.search("what is no array") and FOREIGN.search("one array a step")  # noqa: PT018
    assert not FOREIGN.search("where there is no file; it is no longer read")


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


def test_tests_of_the_slow_tier_are_there():
    """A name that no test has would move nothing into the tier."""
    for line in (ROOT / "tests" / "long_tests.txt").read_text(encoding="utf-8").splitlines():
        path, _, name = line.partition("::")
        source = (ROOT / path).read_text(encoding="utf-8")
        assert f"def {name.split('::')[-1].partition('[')[0]}(" in source or path.startswith("spago_jax"), line


def test_no_placeholder_is_left_in_what_people_read():
    """A number that was to be measured, a word that was to be found: neither must be shipped."""
    left = re.compile(r"@[A-Z_]+@|\b(?:TODO|FIXME|XXX)\b")
    assert left.search("a row: @ROWS@") and left.search("# TODO: measure")  # noqa: PT018
    readable = {".py", ".md", ".yaml", ".css", ".js", ".toml", ".html", ".txt"}
    files = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
    files += [path for folder in ("docs", "configs", "spago_jax") for path in (ROOT / folder).rglob("*")]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in sorted(files)
        if path.suffix in readable and path.parent.name != "exported"  # templates, filled in by an export
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (match := left.search(line))
    ]
    assert found == []


def test_no_two_test_files_have_one_name():
    """Their folders are no packages, so that pytest takes the second for the first."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    names = [name for name in names if name != "__init__.py" and not name.startswith("__")]
    assert sorted(set(names)) == sorted(names)


def test_the_version_is_one():
    """That of the package, of its metadata and of the changelog's newest section; what comes after it is unreleased."""
    import tomllib

    import spago_jax

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    released = re.findall(r"^## \[(\d[^]]*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert spago_jax.__version__ == declared == released[0]


def waits(source: str) -> list[int]:
    """The lines of loops that only wait: they never end where what they wait for does not come."""

    def idle(node: ast.stmt) -> bool:
        call = node.value if isinstance(node, ast.Expr) else None
        call = call.value if isinstance(call, ast.Await) else call
        return isinstance(node, ast.Pass) or (isinstance(call, ast.Call) and ast.unparse(call.func).endswith("sleep"))

    loops = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.While))
    return [node.lineno for node in loops if all(map(idle, node.body))]


def test_no_test_waits_for_ever():
    """A test that waits in vain fails by itself, as ``until`` of tests/serve/fakes.py does."""
    assert waits("while a:\n    await asyncio.sleep(0)\nwhile b:\n    pass\nwhile c:\n    c = d()") == [1, 3]
    files = sorted((ROOT / "tests").rglob("*.py"))
    found = [(str(path.relative_to(ROOT)), line) for path in files for line in waits(path.read_text("utf-8"))]
    assert found == []
