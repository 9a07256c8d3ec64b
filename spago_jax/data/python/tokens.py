# SPDX-License-Identifier: BSD-2-Clause
"""Tokens of Python source, for any text, even broken or half-written files.

`tokenize` of the standard library refuses broken text, and cuts f-strings into pieces from Python 3.12 on but
not before. This reader cuts the same text into the same tokens under every Python: each string, f-strings
and t-strings too, is one token. On valid source it agrees with `tokenize` (a test compares the two).
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

__all__ = ["Kind", "PythonToken", "lex", "logical_lines", "split_lines"]

Kind = Literal["name", "number", "string", "operator", "comment", "other"]


class PythonToken(NamedTuple):
    """One token; rows count from 1, columns from 0 in code points, the end is exclusive (as in `tokenize`)."""

    kind: Kind
    text: str
    start: tuple[int, int]
    end: tuple[int, int]


_DIGITS = r"\d(?:_?\d)*"
_EXPONENT = rf"(?:[eE][+-]?{_DIGITS})"
_TOKEN = re.compile(
    rf"""
      (?P<space>[ \t\f]+|\\\n)
    | (?P<newline>\n)
    | (?P<comment>\#[^\n]*)
    | (?P<string>(?:[rR][bBfFtT]?|[bBfFtT][rR]?|[uU])?(?P<quote>'''|\"\"\"|'|\"))
    | (?P<number>0[xX](?:_?[0-9a-fA-F])+ | 0[bB](?:_?[01])+ | 0[oO](?:_?[0-7])+
        | (?:\.{_DIGITS} | {_DIGITS}(?:\.(?:{_DIGITS})?)?){_EXPONENT}?[jJ]?)
    | (?P<name>[^\W\d]\w*)
    | (?P<operator>\*\*=|//=|>>=|<<=|\.\.\.|!=|->|:=|==|<=|>=|\+=|-=|\*=|/=|%=|&=|\|=|\^=|@=|\*\*|//|<<|>>
        |[-+*/%@&|^~<>=()\[\]{{}},:.;])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)

# The body of a string up to its end, or, in broken text, up to where it has to stop.
_BODY = {
    "'": re.compile(r"(?:[^'\\\n]|\\.)*(')?", re.DOTALL),
    '"': re.compile(r'(?:[^"\\\n]|\\.)*(")?', re.DOTALL),
    "'''": re.compile(r"(?:[^'\\]|\\.|'(?!''))*(''')?", re.DOTALL),
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*(""")?', re.DOTALL),
}
# Keywords that cannot begin a line inside brackets: if one does, a bracket above was never closed.
_STATEMENTS = """
    def class import return raise try while with except finally pass break continue del global nonlocal assert
"""
_STATEMENT = frozenset(_STATEMENTS.split())


def split_lines(text: str) -> list[str]:
    """Returns the lines as Python counts them, without their ends: only \\n, \\r\\n and \\r break lines.

    >>> split_lines("a\\r\\nb\\x0cc\\n")
    ['a', 'b\\x0cc', '']
    """
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _formatted_end(text: str, at: int, quote: str, depth: int = 0) -> int:
    """Returns where the f-string with its body at `at` ends (after the quote), or -1: strings nest in {...}."""
    if depth > 20:
        return -1
    braces = 0
    while at < len(text):
        char = text[at]
        if text.startswith(quote, at) and (braces == 0 or len(quote) == 3):
            return at + len(quote)
        if char == "\n" and len(quote) == 1 and braces == 0:
            return -1
        if char == "\\":
            at += 2
        elif braces == 0:
            if text.startswith("{{", at):
                at += 2
            else:
                braces = char == "{"
                at += 1
        elif char in "'\"":
            inner = text[at : at + 3] if text[at : at + 3] in ("'''", '"""') else char
            body = _BODY[inner].match(text, at + len(inner))
            prefix = text[at - 1 : at].lower()
            if prefix in ("f", "t"):
                at = _formatted_end(text, at + len(inner), inner, depth + 1)
                if at < 0:
                    return -1
            elif body is None or body.group(1) is None:
                return -1
            else:
                at = body.end()
        else:
            braces += (char in "{[(") - (char in "}])")
            at += 1
    return -1


def lex(text: str) -> list[PythonToken]:
    """Returns all tokens of a text, with comments, without white space and line ends.

    A string that is never closed ends with its line, or with the text if it has three quotes.

    >>> [(t.kind, t.text) for t in lex("x = f'{a}'  # hi")]
    [('name', 'x'), ('operator', '='), ('string', "f'{a}'"), ('comment', '# hi')]
    >>> lex("if (1")[-1]
    PythonToken(kind='number', text='1', start=(1, 4), end=(1, 5))
    """
    return [token for line in logical_lines(text) for token in line]


def logical_lines(text: str) -> Iterator[list[PythonToken]]:
    """Yields the tokens of each logical line: a statement, with all lines that brackets and backslashes join.

    A comment on a line of its own is a logical line.

    >>> [[t.text for t in line] for line in logical_lines("f(1,\\n  2)\\n\\n# end\\ny")]
    [['f', '(', '1', ',', '2', ')'], ['# end'], ['y']]
    """
    text = "\n".join(split_lines(text)).removeprefix("\ufeff")
    row, line_start, at, depth = 1, 0, 0, 0
    fresh = True  # no token on this physical line yet
    line: list[PythonToken] = []
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None  # the last alternative matches any character
        kind, end = match.lastgroup, match.end()
        if kind == "quote":
            kind = "string"
        if kind == "string":
            quote = match.group("quote")
            prefix = match.group("string")[: -len(quote)].lower()
            close = _formatted_end(text, end, quote) if "f" in prefix or "t" in prefix else -1
            if close < 0:
                body = _BODY[quote].match(text, end)
                close = body.end() if body else end
            end = min(close, len(text))
        piece = text[at:end]
        if kind == "newline":
            if depth == 0 and line:
                yield line
                line = []
        elif kind != "space":
            if kind == "name" and fresh and depth and piece in _STATEMENT:
                depth = 0
                if line:
                    yield line
                line = []
            start = (row, at - line_start)
            breaks = piece.count("\n")
            stop = (row + breaks, len(piece) - piece.rfind("\n") - 1) if breaks else (row, end - line_start)
            line.append(PythonToken(kind, piece, start, stop))  # pyright: ignore[reportArgumentType]
            fresh = False
            if kind == "operator":
                if piece in "([{":
                    depth += 1
                elif piece in ")]}":
                    depth = max(0, depth - 1)
        breaks = piece.count("\n")
        if breaks:
            row += breaks
            line_start = at + piece.rfind("\n") + 1
            fresh = True
        at = end
    if line:
        yield line
