# SPDX-License-Identifier: BSD-2-Clause
"""Markup as values: text is escaped unless it is `Html` already, so what a user's data holds stays text."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
# Control characters are errors in HTML, and a lone surrogate cannot be written as UTF-8.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")

Child = Any


class Html(str):
    """Markup; any other string is text."""


def text(value: object) -> Html:
    """Escaped text.

    >>> text("<b> & 'c'")
    '&lt;b&gt; &amp; &#x27;c&#x27;'
    """
    return Html(escape(_UNWRITABLE.sub("\ufffd", str(value)), quote=True))


def join(*children: Child) -> Html:
    """Children one after the other: `Html` as it is, iterables flattened, None left out, all else escaped."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, Iterable) and not isinstance(child, (str, bytes)):
            parts.append(join(*child))
        else:
            parts.append(text(child))
    return Html("".join(parts))


def el(name: str, *children: Child, **attributes: object) -> Html:
    """An element. A trailing underscore in an attribute's name is dropped, others become hyphens.

    >>> el("td", "a < b", class_="number", data_v=3)
    '<td class="number" data-v="3">a &lt; b</td>'
    >>> el("input", type="checkbox", checked=True, hidden=None)
    '<input type="checkbox" checked>'
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if isinstance(value, float):
        value = f"{value:.6g}"
    return f' {name}="{text(value)}"'
