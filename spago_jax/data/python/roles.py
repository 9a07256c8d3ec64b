# SPDX-License-Identifier: BSD-2-Clause
"""The role of each token of Python source: semantic highlighting as a tagging task.

The labels come from `ast`, so they depend on the syntax around a token and not only on its spelling: the same
word is a parameter in a signature, an argument name in a call, an attribute after a dot, a variable where it is
bound. Rules are chosen so that they can be decided from a statement and its neighbours. The first row that
fits gives the role (the last part of a dotted name in the place of a type is the type):

| role | which tokens |
|---|---|
| comment | from ``#`` to the end of the line |
| docstring | the strings that are the first statement of a module, class or function |
| string | every other string, f-strings and bytes too; each is one token |
| number | numbers |
| decorator | the ``@`` before a definition and the dotted name after it (not the arguments) |
| keyword | the reserved words, with True, False, None; ``match``, ``case``, ``type`` where they open a statement |
| function | the name after ``def`` |
| class | the name after ``class`` |
| self | the names ``self`` and ``cls`` |
| parameter | the names that a ``def`` or ``lambda`` declares |
| argument | the name before ``=`` in a call or in the head of a class |
| module | module names in an import, their ``as`` names, and uses of a name that ``import`` binds |
| import | the names after ``from ... import``, and their ``as`` names |
| type | names in annotations, class bases, ``except`` clauses, and after ``raise`` (where called, or capitalised) |
| method | the name after a dot that is called |
| attribute | any other name after a dot |
| builtin | a name of `builtins` (those of Python 3.11) that the file does not bind itself |
| constant | a name in capitals of two or more letters, bound or read, not called |
| variable | a name where it is bound: assignment, ``for``, ``with``, ``as``, ``:=``, patterns, ``del``, ``global`` |
| call | a name that is called |
| name | a name that is read |
| punctuation | ``( ) [ ] { } , : . ; ... ->`` |
| operator | all other signs |
"""

import ast
import re
import warnings
from collections.abc import Iterable, Sequence

from spago_jax.data.python.tokens import PythonToken, split_lines

__all__ = ["ROLES", "label_tokens"]

_ROLES = """
    argument attribute builtin call class comment constant decorator docstring function import keyword method
    module name number operator parameter punctuation self string type variable
"""
ROLES: tuple[str, ...] = tuple(_ROLES.split())

# Fixed lists, not those of the running Python: labels must not depend on the version.
_KEYWORDS = """
    False None True and as assert async await break class continue def del elif else except finally for from
    global if import in is lambda nonlocal not or pass raise return try while with yield
"""
_BUILTINS = """
    ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError
    BrokenPipeError BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError
    ConnectionRefusedError ConnectionResetError DeprecationWarning EOFError Ellipsis EncodingWarning
    EnvironmentError Exception ExceptionGroup FileExistsError FileNotFoundError FloatingPointError FutureWarning
    GeneratorExit IOError ImportError ImportWarning IndentationError IndexError InterruptedError
    IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError ModuleNotFoundError NameError
    NotADirectoryError NotImplemented NotImplementedError OSError OverflowError PendingDeprecationWarning
    PermissionError ProcessLookupError RecursionError ReferenceError ResourceWarning RuntimeError RuntimeWarning
    StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError SystemExit TabError TimeoutError
    TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError
    UnicodeWarning UserWarning ValueError Warning ZeroDivisionError __build_class__ __debug__ __import__ abs
    aiter all anext any ascii bin bool breakpoint bytearray bytes callable chr classmethod compile complex
    copyright credits delattr dict dir divmod enumerate eval exec exit filter float format frozenset getattr
    globals hasattr hash help hex id input int isinstance issubclass iter len license list locals map max
    memoryview min next object oct open ord pow print property quit range repr reversed round set setattr slice
    sorted staticmethod str sum super tuple type vars zip
"""
_SIGNS = "( ) [ ] { } , : . ; ... ->"
KEYWORDS = frozenset(_KEYWORDS.split())
BUILTINS = frozenset(_BUILTINS.split())
_PUNCTUATION = frozenset(_SIGNS.split())
_CONSTANT = re.compile(r"_*[A-Z][A-Z0-9_]*[A-Z0-9]_*")
_SELF = frozenset(("self", "cls"))
_Place = tuple[int, int]


def label_tokens(text: str, tokens: Sequence[PythonToken]) -> list[str] | None:
    """Returns the role of every token of a whole file, or None if it is not valid Python.

    >>> from spago_jax.data.python.tokens import lex
    >>> source = "import os\\ndef size(path=None):\\n    return os.stat(path).st_size\\n"
    >>> tokens = lex(source)
    >>> labels = label_tokens(source, tokens)
    >>> [(t.text, r) for t, r in zip(tokens, labels) if r not in ("keyword", "punctuation")]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('os', 'module'), ('size', 'function'), ('path', 'parameter'), ('=', 'operator'), ('os', 'module'),
     ('stat', 'method'), ('path', 'name'), ('st_size', 'attribute')]

    Args:
        text: the source.
        tokens: the result of `lex` for it.
    """
    lines = split_lines(text.removeprefix("\ufeff"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # doubtful escapes in strings do not matter here
            tree = ast.parse("\n".join(lines))
        walker = _Walker(lines, tokens)
        walker.visit_module(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return [walker.role(token) for token in tokens]


class _Scope:
    """The names that one module, function or class binds; whether ``import x`` is all that binds them."""

    def __init__(self, node: ast.AST, parent: "_Scope | None"):
        self.is_class = isinstance(node, ast.ClassDef)
        self.parent = parent
        self.modules: set[str] = set()
        self.bound: set[str] = set()
        _bindings(node, self)

    def kind(self, name: str) -> str:
        """Returns ``module``, ``bound`` or ``free``, by Python's rule: functions do not see the class body around."""
        scope: _Scope | None = self
        while scope is not None:
            if scope is self or not scope.is_class:
                if name in scope.bound:
                    return "bound"
                if name in scope.modules:
                    return "module"
            scope = scope.parent
        return "free"


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = (*_FUNCTIONS, ast.ClassDef)


def _arguments(node: ast.arguments) -> list[ast.arg]:
    several = [*node.posonlyargs, *node.args, *node.kwonlyargs, node.vararg, node.kwarg]
    return [a for a in several if a is not None]


def _bindings(root: ast.AST, scope: _Scope) -> None:
    """Collects the names that `root` itself binds, without entering functions and classes in it."""
    elsewhere: set[str] = set()
    if isinstance(root, _FUNCTIONS):
        scope.bound.update(a.arg for a in _arguments(root.args))
    body = root.body if isinstance(root, (ast.Module, *_SCOPES)) else []
    stack: list[ast.AST] = list(body) if isinstance(body, list) else [body]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            scope.modules.update(a.asname or a.name.partition(".")[0] for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            scope.bound.update(a.asname or a.name for a in node.names)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            elsewhere.update(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            scope.bound.add(node.id)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            scope.bound.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            scope.bound.add(node.rest)
        if isinstance(node, _SCOPES):
            if not isinstance(node, ast.Lambda):
                scope.bound.add(node.name)
        else:
            stack.extend(ast.iter_child_nodes(node))
    scope.bound -= elsewhere
    scope.modules -= elsewhere | scope.bound


class _Walker:
    """Walks the tree once and notes roles by place; `role` decides for tokens that no node places."""

    def __init__(self, lines: Sequence[str], tokens: Sequence[PythonToken]):
        self.lines = lines
        self.tokens = tokens
        self.at = {token.start: i for i, token in enumerate(tokens)}
        self.ends = {token.end: i for i, token in enumerate(tokens)}
        self.places: dict[_Place, str] = {}

    def role(self, token: PythonToken) -> str:
        placed = self.places.get(token.start)
        if placed is not None:
            return placed
        if token.kind == "name":
            return "keyword" if token.text in KEYWORDS else "self" if token.text in _SELF else "name"
        if token.kind in ("operator", "other"):
            return "punctuation" if token.text in _PUNCTUATION else "operator"
        return token.kind

    # Places: ast counts columns in bytes of UTF-8, tokens in code points.

    def place(self, row: int, column: int) -> _Place:
        line = self.lines[row - 1]
        return (row, column if line.isascii() else len(line.encode()[:column].decode(errors="ignore")))

    def start(self, node: ast.expr | ast.stmt | ast.arg | ast.keyword | ast.alias | ast.pattern) -> _Place:
        return self.place(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt | ast.pattern) -> _Place:
        return self.place(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def last_name(self, node: ast.expr | ast.pattern) -> _Place | None:
        """Returns where the name starts that ends with this node."""
        i = self.ends.get(self.end(node))
        return None if i is None else self.tokens[i].start

    def before(self, i: int, *texts: str) -> int:
        """Returns the index of the nearest token with one of these texts, going back from `i`."""
        while i > 0 and self.tokens[i].text not in texts:
            i -= 1
        return i

    def put(self, place: _Place | None, role: str) -> None:
        if place is not None and place in self.at:
            i = self.at[place]
            if self.tokens[i].kind == "name":
                self.places.setdefault(place, "self" if self.tokens[i].text in _SELF else role)

    def after(self, place: _Place, count: int = 1) -> PythonToken | None:
        """Returns the token `count` places further on, skipping comments."""
        i = self.at.get(place)
        while i is not None and count:
            i += 1
            if i >= len(self.tokens):
                return None
            count -= self.tokens[i].kind != "comment"
        return None if i is None else self.tokens[i]

    def until(self, node: ast.stmt, texts: Iterable[str]) -> list[PythonToken]:
        """Returns the tokens of a simple statement up to the first of `texts`."""
        found: list[PythonToken] = []
        i = self.at.get(self.start(node))
        while i is not None and i < len(self.tokens) and self.tokens[i].start < self.end(node):
            if self.tokens[i].text in texts:
                break
            found.append(self.tokens[i])
            i += 1
        return found

    # The walk

    def visit_module(self, tree: ast.Module) -> None:
        self.docstring(tree)
        scope = _Scope(tree, None)
        for node in tree.body:
            self.visit(node, scope)

    def docstring(self, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        first = node.body[0] if node.body else None
        if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
            return
        if isinstance(first.value.value, str):
            i = self.at.get(self.start(first))
            while i is not None and i < len(self.tokens) and self.tokens[i].start < self.end(first):
                if self.tokens[i].kind == "string":
                    self.places[self.tokens[i].start] = "docstring"
                i += 1

    def visit(self, node: ast.AST, scope: _Scope) -> None:
        method = getattr(self, f"on_{type(node).__name__}", None)
        if method is not None:
            method(node, scope)
        elif not isinstance(node, (ast.expr_context, ast.operator, ast.cmpop, ast.unaryop, ast.boolop)):
            for child in ast.iter_child_nodes(node):
                self.visit(child, scope)

    def on_JoinedStr(self, node: ast.AST, scope: _Scope) -> None:
        pass  # one token; the places of inner nodes are wrong before Python 3.12

    on_TemplateStr = on_JoinedStr

    def on_Name(self, node: ast.Name, scope: _Scope) -> None:
        self.put(self.start(node), self.name_role(node.id, scope, stored=not isinstance(node.ctx, ast.Load)))

    def name_role(self, name: str, scope: _Scope, *, stored: bool = False, called: bool = False) -> str:
        if not stored:
            kind = scope.kind(name)
            if kind == "module":
                return "module"
            if kind == "free" and name in BUILTINS:
                return "builtin"
        if called:
            return "call"
        if _CONSTANT.fullmatch(name):
            return "constant"
        return "variable" if stored else "name"

    def on_Attribute(self, node: ast.Attribute, scope: _Scope) -> None:
        self.put(self.last_name(node), "attribute")
        self.visit(node.value, scope)

    def on_Call(self, node: ast.Call, scope: _Scope) -> None:
        if isinstance(node.func, ast.Name):
            self.put(self.start(node.func), self.name_role(node.func.id, scope, called=True))
        elif isinstance(node.func, ast.Attribute):
            self.put(self.last_name(node.func), "method")
        self.visit(node.func, scope)
        self.arguments(node, scope)

    def arguments(self, node: ast.Call, scope: _Scope) -> None:
        for value in (*node.args, *node.keywords):
            self.visit(value, scope)

    def on_keyword(self, node: ast.keyword, scope: _Scope) -> None:
        if node.arg is not None:
            self.put(self.start(node), "argument")
        self.visit(node.value, scope)

    def type(self, node: ast.AST | None, scope: _Scope) -> None:
        """Marks a name where a type is expected; other nodes are read as usual."""
        if isinstance(node, ast.Name):
            self.put(self.start(node), "type")
        elif isinstance(node, ast.Attribute):
            self.put(self.last_name(node), "type")
            self.visit(node.value, scope)
        elif isinstance(node, (ast.Tuple, ast.List, ast.Subscript, ast.BinOp, ast.Starred)):
            for child in ast.iter_child_nodes(node):
                self.type(child, scope)
        elif node is not None:
            self.visit(node, scope)

    def on_Raise(self, node: ast.Raise, scope: _Scope) -> None:
        if isinstance(node.exc, ast.Call):
            self.type(node.exc.func, scope)
            self.arguments(node.exc, scope)
        elif node.exc is not None:
            last = node.exc.id if isinstance(node.exc, ast.Name) else getattr(node.exc, "attr", "")
            walk = self.type if last.lstrip("_")[:1].isupper() else self.visit
            walk(node.exc, scope)
        if node.cause is not None:
            self.visit(node.cause, scope)

    def on_ExceptHandler(self, node: ast.ExceptHandler, scope: _Scope) -> None:
        self.type(node.type, scope)
        if node.name is not None and node.type is not None:
            i = self.ends.get(self.end(node.type))
            while i is not None and self.tokens[i].text != "as":  # brackets may stand between
                i += 1
            if i is not None:
                name = self.after(self.tokens[i].start)
                self.put(name and name.start, self.name_role(node.name, scope, stored=True))
        for child in node.body:
            self.visit(child, scope)

    def on_AnnAssign(self, node: ast.AnnAssign, scope: _Scope) -> None:
        self.visit(node.target, scope)
        self.type(node.annotation, scope)
        if node.value is not None:
            self.visit(node.value, scope)

    # Definitions

    def decorators(self, nodes: Sequence[ast.expr], scope: _Scope) -> None:
        for node in nodes:
            first = self.start(node)
            i = self.at.get(first)
            if i:
                self.places[self.tokens[self.before(i - 1, "@")].start] = "decorator"
            target = node.func if isinstance(node, ast.Call) else node
            while i is not None and i < len(self.tokens) and self.tokens[i].start < self.end(target):
                self.put(self.tokens[i].start, "decorator")
                i += 1
            self.visit(node, scope)

    def defined(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, role: str) -> None:
        name = self.after(self.start(node), 2 if isinstance(node, ast.AsyncFunctionDef) else 1)
        self.put(name and name.start, role)

    def on_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope) -> None:
        self.decorators(node.decorator_list, scope)
        self.defined(node, "function")
        inner = _Scope(node, scope)
        self.signature(node.args, scope)
        self.type(node.returns, scope)
        self.docstring(node)
        for parameter in getattr(node, "type_params", ()):
            self.visit(parameter, scope)
        for child in node.body:
            self.visit(child, inner)

    on_AsyncFunctionDef = on_FunctionDef

    def on_Lambda(self, node: ast.Lambda, scope: _Scope) -> None:
        self.signature(node.args, scope)
        self.visit(node.body, _Scope(node, scope))

    def signature(self, node: ast.arguments, scope: _Scope) -> None:
        for argument in _arguments(node):
            self.put(self.start(argument), "parameter")
            self.type(argument.annotation, scope)
        for default in (*node.defaults, *node.kw_defaults):
            if default is not None:
                self.visit(default, scope)

    def on_ClassDef(self, node: ast.ClassDef, scope: _Scope) -> None:
        self.decorators(node.decorator_list, scope)
        self.defined(node, "class")
        for base in node.bases:
            self.type(base, scope)
        for keyword in node.keywords:
            self.visit(keyword, scope)
        self.docstring(node)
        for parameter in getattr(node, "type_params", ()):
            self.visit(parameter, scope)
        inner = _Scope(node, scope)
        for child in node.body:
            self.visit(child, inner)

    # Imports and other statements with names that are not nodes

    def on_Import(self, node: ast.Import, scope: _Scope) -> None:
        for token in self.until(node, ()):
            if token.kind == "name" and token.text not in KEYWORDS:
                self.put(token.start, "module")

    def on_ImportFrom(self, node: ast.ImportFrom, scope: _Scope) -> None:
        path = self.until(node, ("import",))
        places = {token.start for token in path}
        for token in self.until(node, ()):
            if token.kind == "name" and token.text not in KEYWORDS:
                self.put(token.start, "module" if token.start in places else "import")

    def on_Global(self, node: ast.Global | ast.Nonlocal, scope: _Scope) -> None:
        for token in self.until(node, ()):
            if token.kind == "name" and token.text not in KEYWORDS:
                self.put(token.start, self.name_role(token.text, scope, stored=True))

    on_Nonlocal = on_Global

    def on_Match(self, node: ast.Match, scope: _Scope) -> None:
        self.places[self.start(node)] = "keyword"
        self.visit(node.subject, scope)
        for case in node.cases:
            # A case has no place of its own, nor have the brackets that its pattern may stand in.
            i = self.before(self.at.get(self.start(case.pattern), 0) - 1, "case")
            self.places[self.tokens[i].start] = "keyword"
            self.visit(case, scope)

    def on_MatchAs(self, node: ast.MatchAs | ast.MatchStar, scope: _Scope) -> None:
        if node.name is not None:
            self.put(self.last_name(node), self.name_role(node.name, scope, stored=True))
        for child in ast.iter_child_nodes(node):
            self.visit(child, scope)

    on_MatchStar = on_MatchAs

    def on_MatchMapping(self, node: ast.MatchMapping, scope: _Scope) -> None:
        i = self.ends.get(self.end(node))
        if node.rest is not None and i is not None:
            name = self.tokens[self.before(i, node.rest)]
            self.put(name.start, self.name_role(node.rest, scope, stored=True))
        for child in ast.iter_child_nodes(node):
            self.visit(child, scope)

    def on_MatchClass(self, node: ast.MatchClass, scope: _Scope) -> None:
        for pattern in node.kwd_patterns:
            i = self.before(self.at.get(self.start(pattern), 0), "=")
            self.put(self.tokens[i - 1].start, "argument")
        for child in ast.iter_child_nodes(node):
            self.visit(child, scope)

    def on_TypeVar(self, node: ast.AST, scope: _Scope) -> None:
        start = self.start(node)  # pyright: ignore[reportArgumentType]
        name = self.after(start) if type(node).__name__ != "TypeVar" else None
        self.put(name.start if name else start, "type")
        self.type(getattr(node, "bound", None), scope)

    on_ParamSpec = on_TypeVarTuple = on_TypeVar

    def on_TypeAlias(self, node: ast.AST, scope: _Scope) -> None:
        self.places[self.start(node)] = "keyword"  # pyright: ignore[reportArgumentType]
        for child in ast.iter_child_nodes(node):
            self.visit(child, scope)
