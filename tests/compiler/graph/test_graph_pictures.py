"""Pictures: valid, nothing over anything else, at every size and every level."""

import html
import re
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import spago_jax as sj
from spago_jax.compiler.graph import graph
from spago_jax.drawing.layout import Item, layout
from spago_jax.drawing.svg import text_width
from spago_jax.errors import InputError
from spago_jax.nn.linear import Linear

NS = "{http://www.w3.org/2000/svg}"


class Perceptron(sj.Module):
    hidden: Linear
    output: Linear

    def __call__(self, x):
        return self.output(jax.nn.relu(self.hidden(x)))


class Stack(sj.Module):
    layers: tuple

    def __call__(self, x):
        for layer in self.layers:
            x = x + layer(x)
        return x


def stack(depth):
    key = jax.random.key(0)

    def init():
        return Stack(tuple(Perceptron(Linear.init(key, 6, 6), Linear.init(key, 6, 6)) for _ in range(depth)))

    return jax.eval_shape(init)


def chain(length):
    def run(x, y):
        kept = []
        for index in range(length - 3):
            x = (x + y) if index % 3 else x * 2.0
            kept.append(x)
        return x, kept[len(kept) // 2] if kept else y

    return graph(run, "f32[2]", "f32[2]")


# -- reading an SVG --------------------------------------------------------------------------------------------------


def offset(transform):
    found = re.fullmatch(r"translate\(([-\d.]+) ([-\d.]+)\)", transform or "translate(0 0)")
    return float(found[1]), float(found[2])


class Drawn:
    """What a browser would see: rectangles, texts and lines at their places."""

    def __init__(self, text):
        root = ElementTree.fromstring(text)
        assert root.tag == NS + "svg"
        self.width, self.height = map(float, root.get("viewBox").split()[2:])
        assert (root.get("width"), root.get("height")) == (f"{self.width:g}", f"{self.height:g}")
        self.boxes, self.open, self.texts, self.lines, self.heads = [], [], [], [], []
        self.read(root, 0.0, 0.0, None)

    def read(self, element, dx, dy, around):
        x, y = offset(element.get("transform"))
        dx, dy = dx + x, dy + y
        rect = None
        for child in element:
            if child.tag == NS + "rect":
                kinds = child.get("class").split()
                place = [float(child.get(name, 0)) for name in ("x", "y", "width", "height")]
                place[0] += dx
                place[1] += dy
                if kinds[0] == "box" and place[2:] != [12, 12]:  # those are the legend's
                    rect = tuple(place)
                    self.boxes.append(rect)
                elif kinds[0] == "open":
                    self.open.append(tuple(place))
                elif kinds[0] == "head":
                    rect = tuple(place)
        for child in element:
            if child.tag == NS + "text":
                self.texts.append((child, dx, dy, rect))
            elif child.tag == NS + "path" and child.get("class") == "line":
                self.lines += [(piece, dx, dy) for piece in re.findall(r"M[^M]+", child.get("d"))]
            elif child.tag == NS + "path" and child.get("class") == "tip":
                self.heads += [(float(a) + dx, float(b) + dy) for a, b in re.findall(r"M(\S+) (\S+?)l", child.get("d"))]
            elif child.tag == NS + "g":
                self.read(child, dx, dy, rect)

    def points(self, steps=12):
        """Points on every line, close together."""
        for piece, dx, dy in self.lines:
            x = y = 0.0
            for command, numbers in re.findall(r"([MVC])([^MVC]*)", piece):
                values = [float(v) for v in numbers.split()]
                if command == "M":
                    x, y = values
                elif command == "V":
                    for i in range(steps + 1):
                        yield x + dx, y + (values[0] - y) * i / steps + dy
                    y = values[0]
                else:
                    x1, y1, x2, y2, x3, y3 = values
                    for i in range(steps + 1):
                        t = i / steps
                        a, b, c, d = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t**3
                        yield a * x + b * x1 + c * x2 + d * x3 + dx, a * y + b * y1 + c * y2 + d * y3 + dy
                    x, y = x3, y3


def check(text):
    """No two boxes overlap, nothing is cut off, every label fits, and no line runs through a box."""
    drawn = Drawn(text)
    near = 0.11  # coordinates are rounded to a tenth
    for x, y, w, h in drawn.boxes + drawn.open:
        assert x >= 0
        assert y >= 0
        assert x + w <= drawn.width + near
        assert y + h <= drawn.height + near
    for index, one in enumerate(drawn.boxes):
        for other in drawn.boxes[:index]:
            assert not overlaps(one, other, near), (one, other)
    for index, one in enumerate(drawn.open):  # open boxes hold each other, or are apart
        for other in drawn.open[:index] + drawn.boxes:
            assert not overlaps(one, other, near) or inside(one, other, near) or inside(other, one, near)
    for element, dx, dy, rect in drawn.texts:
        kind = element.get("class").split()
        size = {"t": 12.0, "name": 15.0}.get(kind[0], 10.5)
        width = text_width(element.text or "", size, bold=kind[0] in ("t", "name"))
        left = float(element.get("x")) + dx - (width / 2 if "m" in kind else 0.0)
        bottom = float(element.get("y")) + dy
        x, y, w, h = rect or (0.0, 0.0, drawn.width, drawn.height)
        assert left >= x
        assert left + width <= x + w + near, element.text
        assert bottom - size >= y - near
        assert bottom + 1 <= y + h + near
    for x, y in drawn.points():
        assert 0 <= x <= drawn.width
        assert 0 <= y <= drawn.height
        for left, top, width, height in drawn.boxes:
            through = left + near < x < left + width - near and top + near < y < top + height - near
            assert not through, (x, y)
    for x, y in drawn.heads:
        assert any(abs(y - top) < near and left < x < left + width for left, top, width, _ in drawn.boxes)
    return drawn


def overlaps(one, other, near):
    return (
        one[0] + near < other[0] + other[2]
        and other[0] + near < one[0] + one[2]
        and one[1] + near < other[1] + other[3]
        and other[1] + near < one[1] + one[3]
    )


def inside(outer, inner, near):
    return (
        outer[0] <= inner[0] + near
        and outer[1] <= inner[1] + near
        and inner[0] + inner[2] <= outer[0] + outer[2] + near
        and inner[1] + inner[3] <= outer[1] + outer[3] + near
    )


# -- SVG -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, 2, 3, None])
def test_the_tagger_at_every_level(tagger, level):
    drawn = check(tagger.svg(level))
    assert len(drawn.boxes) == tagger.picture(level).size


@pytest.mark.parametrize("level", [0, 1, 2, 3, None])
def test_a_perceptron_at_every_level(level):
    check(graph(lambda model, x: model(x), stack(1).layers[0], "f32[5, 6]").svg(level))


@pytest.mark.parametrize("length", [5, 20, 80, 300])
def test_chains_of_every_length(length):
    assert len(check(chain(length).svg()).boxes) >= length


def test_a_deep_stack_and_its_gradient():
    loss = graph(lambda model, x: model(x).sum(), stack(12), "f32[5, 6]")
    assert len(check(loss.svg()).boxes) == 12 * 8 + 3
    check(loss.gradient("model").svg())
    check(loss.gradient("model").svg(1))


def test_the_gradient_of_the_tagger(tagger_loss):
    found = tagger_loss.gradient()
    for level in (0, 1, 2):
        check(found.svg(level))
    drawn = found.picture(0)
    kinds = {box.title: box.kind for box in drawn.root.children}
    assert kinds["Tagger"] == "module"
    assert kinds["Tagger ∇"] == "backward"


def test_loops_and_branches_inside_each_other():
    def run(x):
        def body(c, x):
            c = jax.lax.cond(x.sum() > 0, lambda c: jnp.tanh(c) + x, lambda c: c, c)
            return jax.lax.while_loop(lambda c: c.sum() < 3.0, lambda c: c + 1.0, c), c

        return jax.lax.scan(body, jnp.zeros(3), x)

    found = graph(run, "f32[4, 3]")
    for level in (0, 1, 2, 3, None):
        check(found.svg(level))
    titles = {box.title for box in found.picture().root.leaves()}
    assert {"carry", "element", "results", "chosen", "tanh"} <= titles
    assert [box.title for box in found.picture(0).root.leaves() if box.kind == "loop"] == ["scan × 4"]


def test_many_inputs_and_outputs_are_drawn_together():
    found = graph(lambda many: {name: value * 2 for name, value in many.items()}, {f"v{i}": 1.0 for i in range(40)})
    drawn = found.picture(0)
    assert [box.lines[0] for box in drawn.root.leaves() if box.kind in ("input", "output")].count("40 arrays") >= 1
    check(found.svg(0))


def test_names_that_are_hostile():
    evil = '<script>"&\\"' + "x" * 80 + "\u202e日本語\n]]>"
    found = graph(lambda batch: jnp.sin(batch[evil]), {evil: 1.0}, name=evil)
    text = found.svg()
    check(text)
    assert "<script>" not in text
    assert html.escape('<script>"&\\"') in text


def test_empty_and_trivial_graphs():
    check(graph(lambda: jnp.float32(1.0)).svg())
    check(graph(lambda x: x, "f32[2]").svg())
    check(graph(lambda x: (), "f32[2]").svg())


def test_300_nodes_are_drawn_in_less_than_a_second(tagger):
    tagger.block  # noqa: B018  (made once for all pictures)
    start = time.process_time()
    tagger.svg()
    assert tagger.picture().size > 280
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("level", [-1, True, "1", 1.5])
def test_a_level_is_a_natural_number(tagger, level):
    with pytest.raises(InputError, match="level is .*; it is 0 for one box a module, 1 for its children"):
        tagger.svg(level)


def test_parameters_are_attached_to_what_reads_them(tagger):
    boxes = {box.title: box for box in tagger.picture(1).root.leaves()}
    assert boxes["scorer"].attached == ("weight f32[9,64]", "bias f32[9]")
    assert boxes["embeddings"].attached == ("4 parameters",) or boxes["embeddings"].attached == ("4 arrays",)
    assert not any("model." in box.title for box in boxes.values())
    assert boxes["batch.shapes"].lines[-1] == "not used"


def test_folding_takes_the_modules_one_by_one(tagger):
    def modules(level):
        return [box.title for box in tagger.picture(level).root.leaves() if box.kind == "module"]

    assert modules(0) == ["Tagger"]
    assert modules(1) == ["embeddings", "encoder", "scorer", "crf"]
    assert modules(2) == ["parts.0", "parts.1", "rnn"]
    assert modules(None) == []


def test_a_module_that_is_left_and_entered_again_is_drawn_twice():
    model = stack(1).layers[0]
    found = graph(lambda model, x: model(jnp.sin(model(x))), model, "f32[5, 6]")
    titles = [box.title for box in found.picture(0).root.leaves()]
    assert titles == ["x", "Perceptron", "sin", "Perceptron (2)", "output"]
    check(found.svg(0))


def test_notebooks_get_a_picture_that_fits(tagger):
    text = tagger._repr_html_()
    assert text.startswith('<div style="overflow:auto')
    assert "folded: level " in text
    assert len(Drawn(text[text.index("<svg") : text.index("</svg>") + 6]).boxes) <= 120
    assert "folded" not in chain(20)._repr_html_()


def test_the_pictures_of_the_guide_are_sound():
    folder = Path(__file__).resolve().parents[3] / "docs" / "pictures"
    found = sorted(folder.glob("*.svg"))
    assert "perceptron.svg" in [path.name for path in found]
    for path in found:
        text = path.read_text(encoding="utf-8")
        check(text)
        assert not re.search(r"/(home|work|root|Users|tmp)/", text)


def test_places_in_tooltips_are_short(tagger):
    assert "ops/linear.py:" in tagger.svg()
    assert str(Path(__file__).resolve().parents[3]) not in tagger.svg() + tagger.dot()


# -- layout ----------------------------------------------------------------------------------------------------------


def test_a_tree_has_no_crossings():
    items = [Item(name, 30, 20) for name in "abcdefg"]
    found = layout(items, [("a", "c"), ("a", "b"), ("b", "g"), ("b", "d"), ("c", "e"), ("c", "f")])
    b, c = found.boxes["b"], found.boxes["c"]
    below = {name: found.boxes[name].x for name in "gdef"}
    left, right = (("g", "d"), ("e", "f")) if b.x < c.x else (("e", "f"), ("g", "d"))
    assert max(below[name] for name in left) < min(below[name] for name in right)


def test_circles_are_refused():
    with pytest.raises(ValueError, match="circles"):
        layout([Item("a", 1, 1), Item("b", 1, 1)], [("a", "b"), ("b", "a")])


# -- DOT and Mermaid -------------------------------------------------------------------------------------------------

STRING = r'"(?:[^"\\]|\\.)*"'
STATEMENT = re.compile(
    rf"(?P<open>(?:digraph|subgraph) (?P<name>{STRING}) {{)|(?P<close>}})|"
    rf"(?P<edge>{STRING} -> {STRING} \[[^\n]*\];)|(?P<node>{STRING} \[[^\n]*\];)|(?P<set>node \[.*\];|label={STRING};)"
)
ATTRIBUTES = re.compile(rf"\[(?:\w+={STRING}(?:, )?)*\];$")


def parsed(text):
    """Nodes by cluster and edges of a DOT file; fails on anything that is no DOT."""
    nodes, edges, depth = {}, [], []
    for line in text.splitlines():
        found = STATEMENT.fullmatch(line.strip())
        assert found, line
        if found["open"]:
            depth.append(found["name"])
        elif found["close"]:
            depth.pop()
        elif found["edge"]:
            edges.append(tuple(re.findall(STRING, line)[:2]))
            assert ATTRIBUTES.search(line)
        elif found["node"]:
            nodes[re.match(rf"\s*({STRING})", line)[1]] = tuple(depth)
            assert ATTRIBUTES.search(line)
    assert not depth
    return nodes, edges


@pytest.mark.parametrize("level", [0, 1, 2, None])
def test_dot_says_what_the_picture_shows(tagger, level):
    nodes, edges = parsed(tagger.dot(level))
    drawn = tagger.picture(level)
    assert set(nodes) == {f'"{box.key}"' for box in drawn.root.leaves()}
    assert edges == [(f'"{arrow.source}"', f'"{arrow.target}"') for arrow in drawn.arrows]
    if level == 2:
        assert max(len(clusters) for clusters in nodes.values()) == 3


def test_dot_and_mermaid_escape(tagger):
    evil = 'a"] }; x [label="\\\n#end<b>'
    found = graph(lambda batch: jnp.sin(batch[evil]), {evil: 1.0}, name=evil)
    nodes, edges = parsed(found.dot())
    assert len(nodes) == 3
    assert len(edges) == 2
    lines = found.mermaid().splitlines()
    label = next(line for line in lines if line.strip().startswith("n0["))
    assert re.fullmatch(r' *n0\["[^"<>\[\]]*(<br/>[^"<>\[\]]*)*"\]:::input', label), label


@pytest.mark.parametrize("level", [1, None])
def test_mermaid_says_what_the_picture_shows(tagger, level):
    lines = [line.strip() for line in tagger.mermaid(level).splitlines()]
    drawn = tagger.picture(level)
    assert sum("-->" in line for line in lines) == len(drawn.arrows)
    assert sum(line.startswith("subgraph ") for line in lines) == lines.count("end")
    names = {line.split("[", 1)[0] for line in lines if ":::" in line}
    assert len(names) == drawn.size
    for line in lines:
        if "-->" in line:
            assert set(line.split(" --> ")) <= names
