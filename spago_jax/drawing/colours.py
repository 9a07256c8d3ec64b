# SPDX-License-Identifier: BSD-2-Clause
"""The colours of every picture and page: boxes by kind, series and labels by number, and the page itself.

The hues of series and labels are told apart with the common kinds of colour blindness (after Okabe and Ito, "Color
Universal Design", 2008), darkened or lightened until they are legible as text; nothing is said by colour alone.
"""

from typing import NamedTuple


class Kind(NamedTuple):
    """How boxes of one kind look.

    Attributes:
        name: for the legend.
        fill: on light ground.
        edge: on light ground.
        dark_fill: on dark ground.
        dark_edge: on dark ground.
        frame: the edge on light and on dark ground of an open box; None for kinds that hold no boxes.
        line: how arrows that leave the box are drawn.
    """

    name: str
    fill: str
    edge: str
    dark_fill: str
    dark_edge: str
    frame: tuple[str, str] | None = None
    line: str = "solid"


KINDS = {
    "input": Kind("input", "#dbeafe", "#2563eb", "#16304f", "#60a5fa"),
    "output": Kind("output", "#dcfce7", "#15803d", "#12341f", "#4ade80"),
    "product": Kind("matrix product", "#ffe4c7", "#c2560c", "#4a2a0e", "#fb923c"),
    "arithmetic": Kind("arithmetic", "#f8fafc", "#64748b", "#242b35", "#94a3b8"),
    "reduction": Kind("reduction", "#ede4fe", "#7c3aed", "#2f2150", "#a78bfa"),
    "movement": Kind("data movement", "#e7eaee", "#9aa5b4", "#1c2027", "#66727f"),
    "random": Kind("random", "#fde2ee", "#be2a6e", "#481a30", "#f472b6"),
    "loop": Kind("loop, branch", "#d3f3ef", "#0f766e", "#0f3431", "#2dd4bf", ("#0f766e", "#2a8a80")),
    "module": Kind("module, folded", "#fdf3c8", "#a16207", "#3b300f", "#eab308", ("#a16207", "#8a7530")),
    "backward": Kind("module, backward", "#fbe0da", "#b4381f", "#44201a", "#f87171", ("#b4381f", "#a05545")),
    "gate": Kind("gate", "#e0e7ff", "#4338ca", "#25255c", "#818cf8", ("#4338ca", "#6366b8")),
    "switch": Kind("switch", "#ffe4e6", "#be123c", "#4a1724", "#fb7185", ("#be123c", "#b0485d")),
    "map": Kind("map", "#cffafe", "#0e7490", "#10353f", "#22d3ee", ("#0e7490", "#2b8096")),
    "using": Kind("handed over by tag", "#eff6ff", "#2563eb", "#16304f", "#60a5fa", line="dashed"),
    "state": Kind("state from call to call", "#fef3c7", "#c2560c", "#4a2a0e", "#fb923c", line="dotted"),
    "other": Kind("other", "#ffffff", "#334155", "#20262e", "#cbd5e1"),
}
TEXT, BORDER = "#0f172a", "#64748b"  # of boxes on light ground, for formats without a style sheet

# Each as it is on light and on dark ground.
PAGE = {
    "page": ("#f6f6f3", "#151514"),
    "surface": ("#fff", "#1e1e1d"),
    "ink": ("#1c1c1a", "#ecebe6"),
    "muted": ("#62615b", "#a5a39b"),
    "line": ("#e2e1db", "#383733"),
    "soft": ("#f0efea", "#282826"),
    "bad": ("#b3261e", "#ff8f85"),
    "heat": ("#0072b2", "#3f9fdd"),
    "miss": ("#d55e00", "#e8772e"),
    "deep": ("#fff", "#10100f"),
}
SERIES = (
    ("#0072b2", "#62b5ee"),
    ("#c94f00", "#ff9553"),
    ("#00805d", "#3ecb9e"),
    ("#a94385", "#ea9ccb"),
    ("#7d6500", "#dfc13f"),
    ("#5350b8", "#abaaf8"),
)
LABELS = (
    ("#0067a3", "#6cbcf0"),
    ("#b04600", "#ff9a5c"),
    ("#007355", "#45cfa2"),
    ("#a03d7d", "#ec9fcd"),
    ("#756000", "#e0c341"),
    ("#5350b8", "#abaaf8"),
    ("#8c2f2f", "#f08a80"),
    ("#006c7a", "#4fcbd8"),
    ("#4a6e00", "#a6cf52"),
    ("#8347b8", "#c9a0f2"),
    ("#82541f", "#d4a373"),
    ("#a8244a", "#ff86a6"),
)

# Light fills on which black text is read; the time steps of a tape take them in turn.
TIME_STEPS = ("#e8f1fb", "#fdeccf", "#e3f4e1", "#f6e3f0", "#eee8dc", "#e0f3f3", "#fbe1de", "#ecebfa")

_HEAT = ((187, 247, 208), (253, 230, 138), (252, 165, 165))


def heat_colour(share: float) -> str:
    """Green for 0, yellow, red for 1.

    >>> heat_colour(0.0), heat_colour(1.0)
    ('#bbf7d0', '#fca5a5')
    """
    place = min(max(share, 0.0), 1.0) * 2
    low, high = _HEAT[min(int(place), 1)], _HEAT[min(int(place), 1) + 1]
    rest = place - min(int(place), 1)
    return "#" + "".join(f"{round(a + (b - a) * rest):02x}" for a, b in zip(low, high, strict=True))


def page_variables() -> str:
    """The colours of pages as CSS: variables for light and dark, and a class for each series and label."""
    named = [
        *PAGE.items(),
        *((f"k{i}", pair) for i, pair in enumerate(SERIES)),
        *((f"e{i}", pair) for i, pair in enumerate(LABELS)),
    ]
    light, dark = ("".join(f"--{name}:{pair[ground]};" for name, pair in named) for ground in (0, 1))
    classes = "".join(f".{name}{{--k:var(--{name})}}" for name, _ in named[len(PAGE) :])
    return (
        f":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{classes}\n"
    )
