# SPDX-License-Identifier: BSD-2-Clause
"""A flow as nested boxes and arrows, by its steps and tags: for SVG, Graphviz and Mermaid."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spago_jax.core import count_parameters
from spago_jax.drawing.dot import dot as draw_dot
from spago_jax.drawing.mermaid import mermaid as draw_mermaid
from spago_jax.drawing.picture import Arrow, Box, Picture
from spago_jax.drawing.svg import svg as draw_svg
from spago_jax.errors import InputError, did_you_mean
from spago_jax.flow.plan import Plan
from spago_jax.flow.simple_steps import Input, StateRead
from spago_jax.flow.step import Step

if TYPE_CHECKING:
    from spago_jax.flow.network import Network


def svg(net: "Network", *, level: int | None = None, times: Mapping[str, float] | None = None) -> str:
    """The flow as SVG: a box per step, flows inside as open boxes, what ``using`` hands over dashed, state dotted.

    Args:
        net: a built flow.
        level: how deep flows inside are open; None: all of them.
        times: seconds by step, as ``step_times`` measures them: boxes are then green to red.

    Raises:
        InputError: for times of an unknown step, or a level that is not a whole number from 0 on.

    >>> from spago_jax import flow
    >>> written = flow.start(flow.linear(2)).tag("a").loop(flow.linear(2)).times(3)
    >>> net = written.build(jax.random.key(0), "f32[batch, 2]")
    >>> text = svg(net, times=flow.step_times(net, jnp.ones((1, 2)), rounds=1))
    >>> "3 times" in text, "#a" in text
    (True, True)
    """
    return draw_svg(picture(net, level=level, times=times))


def dot(net: "Network", *, level: int | None = None, times: Mapping[str, float] | None = None) -> str:
    """The flow in Graphviz' language; see ``svg``."""
    return draw_dot(picture(net, level=level, times=times))


def mermaid(net: "Network", *, level: int | None = None, times: Mapping[str, float] | None = None) -> str:
    """The flow as a Mermaid flowchart; see ``svg``."""
    return draw_mermaid(picture(net, level=level, times=times))


def picture(net: "Network", *, level: int | None = None, times: Mapping[str, float] | None = None) -> Picture:
    """The boxes and arrows of a flow; see ``svg``."""
    if level is not None and (isinstance(level, bool) or not isinstance(level, int) or level < 0):
        raise InputError(f"level is {level!r}; expected 0 (one box per step), 1 (flows inside), ..., or None (all)")
    names = [step.name for step in net.plan.steps]
    for name in times or ():
        if name not in names:
            raise InputError(f"no step {name!r} in this flow: {did_you_mean(name, names)}")
    drawing = _Drawing(times or {})
    boxes, _, last = drawing.network(net, "", {}, level)
    drawing.arrows.append(Arrow(last, "output", ""))
    boxes = [Box("input", "input", "input"), *boxes, Box("output", "output", "output")]
    total = f", {_milliseconds(sum(times.values()))} in steps" if times else ""
    cost = f"{count_parameters(net):,} parameters{total}"
    return Picture(Box("", "module", "flow", (cost,), children=tuple(boxes)), tuple(dict.fromkeys(drawing.arrows)))


class _Drawing:
    """Boxes and arrows of one picture."""

    def __init__(self, times: Mapping[str, float]):
        self.times = times
        self.longest = max(times.values(), default=0.0)
        self.arrows: list[Arrow] = []

    def network(
        self, net: "Network", lead: str, given: Mapping[str, str], level: int | None, x: str = "input"
    ) -> tuple[list[Box], str, str]:
        """The boxes of a flow, the box that the stream comes into, and the one that the output comes from."""
        plan, boxes = net.plan, []
        ends: dict[int, str] = {}
        for number in plan.order:
            step = plan.steps[number]
            key = f"{lead}s{number}"
            if step.is_root:
                stands_for = _known_box(step, plan, given, ends)
                ends[number] = stands_for or key
                if stands_for is None:
                    boxes.append(Box(key, step.box, step.title(), (step.about(),)))
                continue
            sources = [ends[source] for source in step.sources] or [x]
            handed = {}
            for tag, node in step.refs:
                pill = f"{key}u{tag}"
                if isinstance(plan.steps[node], StateRead):
                    handed[tag] = ends[node]
                    continue
                boxes.append(Box(pill, "using", f"using {tag}"))
                self.arrows.append(Arrow(ends[node], pill, tag))
                handed[tag] = pill
            box, end = self.step(net, step, key, sources, handed, level)
            boxes.append(box)
            ends[number] = end
            if step.tag in plan.state:
                boxes.append(Box(f"{key}w", "state", f"{step.tag}", ("for the next call",)))
                self.arrows.append(Arrow(end, f"{key}w", step.tag or ""))
        return boxes, x, ends[plan.output]

    def step(
        self, net: "Network", step: Step, key: str, sources: list[str], handed: Mapping[str, str], level: int | None
    ) -> tuple[Box, str]:
        """The box of a step, with arrows into it, and the leaf that its output comes from."""
        lines = _lines(net, step)
        seconds = self.times.get(step.name)
        heat = None if seconds is None or not self.longest else seconds / self.longest
        if seconds is not None:
            lines = (*lines, _milliseconds(seconds))
        title = f"{step.title()} #{step.tag}" if step.tag else step.title()
        has_layers = any(part.layer_path for part in step.parts)
        kind = step.box or ("module" if has_layers else "arithmetic")
        inside = level is None or level > 0
        nested = [part.network(net.layers) for part in step.parts]
        if len(step.parts) == 1 and not (nested[0] is not None and inside):
            self.into(key, sources, handed.values())
            return Box(key, kind, title, lines, tooltip=f"{step}", heat=heat), key
        children: list[Box] = []
        ends: list[str] = []
        for index, part in enumerate(step.parts):
            own = f"{key}p{index}"
            refs = handed if step.part_inputs(index, [0] * len(sources), tuple(handed.items()))[1] else {}
            where = step.part_arrows(index, sources, ends)
            inner: Any = nested[index]
            if inner is not None and inside:
                names = inner.plan.inputs_from(tuple(refs.items())) if refs else {}
                boxes, _, end = self.network(inner, own, names, None if level is None else level - 1, where[0])
                if len(step.parts) == 1:
                    children, ends = boxes, [end]
                    continue
                name = step.part_names()[index]
                children.append(Box(own, "module", name, children=tuple(boxes)))
                ends.append(end)
                continue
            self.into(own, where, refs.values())
            shown = "flow" if inner is not None else part.shown
            count = part.parameters(net.layers)
            about = () if count is None else (f"{count:,} parameters",)
            what = "arithmetic" if count is None else "module"
            children.append(Box(own, what, step.part_names()[index], (shown, *about)))
            ends.append(own)
        end = ends[0]
        if step.join:
            end = f"{key}m"
            children.append(Box(end, kind, step.join))
            self.into(end, step.join_arrows(sources, ends), ())
        return Box(
            key,
            kind,
            ", ".join((title, *(line for line in lines if "parameters" not in line))),  # those are on the boxes inside
            tooltip=f"{step}",
            children=tuple(children),
            heat=heat,
        ), end

    def into(self, key: str, sources: Any, handed: Any) -> None:
        """Arrows into a leaf."""
        self.arrows += [Arrow(source, key, "") for source in (*sources, *handed)]


def _known_box(step: Step, plan: Plan, given: Mapping[str, str], ends: Mapping[int, str]) -> str | None:
    """The box that a root stands for: what the flow around hands to an input, or the input that a state is."""
    if isinstance(step, Input):
        return given.get(str(step.tag))
    if isinstance(step, StateRead) and step.reads in plan.inputs:
        return ends[plan.tags[step.reads]]
    return None


def _lines(net: "Network", step: Step) -> tuple[str, ...]:
    """What a step does beyond its title, and how many parameters it has."""
    count = sum(count_parameters(net.part(path)) for path in net.plan.paths(step))
    return tuple(filter(None, (step.about(), f"{count:,} parameters" if count else "")))


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"
