# SPDX-License-Identifier: BSD-2-Clause
"""Puts the pages together: each has a file of what is its own, and all share a frame and some parts."""

import dataclasses
import re
from collections.abc import Mapping
from importlib import resources
from string import Template

_PART = re.compile(r"^ *<!-- (\w+) -->\n", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class _Page:
    """What a page's frame says of it: its name among the links, its title, and the tasks of the models it offers."""

    link: str
    tasks: str = ""
    title: str | None = None


_WRITERS = (
    "text2text-generation translation summarization paraphrasing text-generation keyword-generation relation-extraction"
)
_PAGES = {
    "home": _Page("Home", title="spago_jax"),
    "tag": _Page("Tag", "token-classification replaced-token-detection"),
    "classify": _Page("Classify", "text-classification"),
    "zero-shot": _Page("Zero-shot", "zero-shot-classification"),
    "answer": _Page("Answer", "question-answering"),
    "fill-mask": _Page("Fill masks", "fill-mask"),
    "generate": _Page("Generate", _WRITERS),
    "encode": _Page("Encode", "text-encoding"),
    "search": _Page("Search"),
    "docs": _Page("Routes"),
}


def assembled() -> dict[str, str]:
    """Returns the HTML of each page by its name.

    >>> sorted(assembled())[:3]
    ['answer', 'classify', 'docs']
    """
    frame = Template(_read("frame"))
    pieces = _PART.split(_read("parts"))[1:]
    parts = dict(zip(pieces[::2], pieces[1::2], strict=True))
    return {name: frame.substitute(_filled(name, page, parts)) for name, page in _PAGES.items()}


def _filled(name: str, page: _Page, parts: Mapping[str, str]) -> dict[str, str]:
    """What the frame has blanks for. The page of the routes lies above the folder of the others."""
    above = name == "docs"
    title = page.title or page.link
    main = _PART.sub(lambda found: parts[found[1]], _read(name))
    return {
        "title": title,
        "ui": "ui/" if above else "",
        "script": "docs" if above else "page",
        "tasks": page.tasks,
        "kind": name,
        "nav": "".join(_link(name, other) for other in _PAGES),
        "main": f"      <h1>{title}</h1>\n{main}",
    }


def _link(name: str, other: str) -> str:
    """The line of the links that leads from a page to another one."""
    above = name == "docs"
    if other == "docs":
        target = "docs" if above else "../docs"
    elif other == "home":
        target = "ui/" if above else "./"
    else:
        target = f"ui/{other}" if above else other
    here = ' aria-current="page"' if other == name else ""
    return f'        <li><a href="{target}"{here}>{_PAGES[other].link}</a></li>\n'


def _read(name: str) -> str:
    return (resources.files("spago_jax.serve.pages") / f"{name}.html").read_text(encoding="utf-8")
