# SPDX-License-Identifier: BSD-2-Clause
"""A flow as nested boxes and arrows, by its steps and tags: for SVG, Graphviz and Mermaid."""

from collections.abc import Mapping
from typing import Any

from spago_jax.core import count_parameters
from spago_jax.drawing.dot import dot as draw_dot
from spago_jax.drawing.mermaid import mermaid as draw_mermaid
from spago_jax.drawing.picture import Arrow, Box, Picture
from spago_jax.drawing.svg import svg as draw_svg
from spago_jax.errors import InputError, did_you_mean
from spago_jax.flow.adaptive_step import Adaptive
from spago_jax.flow.gate_step import Gate
from spago_jax.flow.loop_steps import Loop, Repeat, Times
from spago_jax.flow.map_step import Map
from spago_jax.flow.network import Network
from spago_jax.flow.part import Use
from spago_jax.flow.simple_steps import Also, Input, Merge, StateRead
from spago_jax.flow.step import Step
from spago_jax.flow.switch_step import Switch


def svg(net: Network, *, level: int | None = None, times: Mapping[str, float] | None = None) -> str:
    """The flow as SVG: a box a step, flows inside as open boxes, what ``using`` hands over dashed, state dotted.

    Args:
        net: a built flow.
        level: how deep flows inside are open; None: all of them.
        times: seconds by step, as ``step_times`` measures them: boxes are then green to red.

    Raises:
        InputError: for times of a step that there is not, or a level that is no natural number.

    >>> from spago_jax import flow
    >>> written = flow.start(flow.linear(2)).tag("a").loop(flow.linear(2)).times(3)
    >>> net = written.build(jax.random.key(0), "f32[batch, 2]")
    >>> text = svg(net, times=flow.step_times(net, jnp.ones((1, 2)), rounds=1))
    >>> "3 times" in text, "#a" in text
    (True, True)
    """
    return draw_svg(picture(net, level=level, times=times))


def dot(net: Network, *, level: int | None = None, times: Mapping[str, float] | None = None) -> str:
    """The flow in Graphviz' language; see ``svg``."""
    return draw_dot(picture(net, level=level, times=times))


def mermaid(net: Network, *, level: int | None = None, times: Mapping[str, float] | None = None) -> str:
    """The flow as a Mermaid flowchart; see ``svg``."""
    return draw_mermaid(picture(net, level=level, times=times))


def picture(net: Network, *, level: int | None = None, times: Mapping[str, float] | None = None) -> Picture:
    """The boxes and arrows of a flow; see ``svg``."""
    if level is not None and (isinstance(level, bool) or not isinstance(level, int) or level < 0):
        raise InputError(f"level is {level!r}; it is 0 for one box a step, 1 for flows inside, ..., or None for all")
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
        self, net: Network, lead: str, given: Mapping[str, str], level: int | None, x: str = "input"
    ) -> tuple[list[Box], str, str]:
        """The boxes of a flow, the box that the stream comes into, and the one that the output comes from."""
        plan, boxes = net.plan, []
        ends: dict[int, str] = {}
        starts: dict[int, str] = {}
        for number in plan.order:
            step = plan.steps[number]
            key = f"{lead}s{number}"
            if isinstance(step, Input):
                if step.tag in given:
                    ends[number] = given[str(step.tag)]
                    continue
                boxes.append(Box(key, "input", f"{step.tag}", ("input",)))
                starts[number] = ends[number] = key
                continue
            if isinstance(step, StateRead):
                if step.reads in plan.inputs:
                    ends[number] = ends[plan.tags[step.reads]]
                    continue
                boxes.append(Box(key, "state", f"{step.reads}", ("of the last call",)))
                ends[number] = key
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
        self, net: Network, step: Step, key: str, sources: list[str], handed: Mapping[str, str], level: int | None
    ) -> tuple[Box, str]:
        """The box of a step, with arrows into it, and the leaf that its output comes from."""
        lines = _about(net, step)
        seconds = self.times.get(step.name)
        heat = None if seconds is None or not self.longest else seconds / self.longest
        if seconds is not None:
            lines = (*lines, _milliseconds(seconds))
        title, kind = _title(step), _KINDS.get(type(step), "module" if _uses(step) else "arithmetic")
        inside = level is None or level > 0
        nested = [part.target(net.layers) if isinstance(part, Use) and part.network else None for part in step.parts]
        if len(step.parts) == 1 and not (nested[0] is not None and inside):
            self.into(key, sources, handed.values())
            return Box(key, kind, title, lines, tooltip=f"{step}", heat=heat), key
        children: list[Box] = []
        ends: list[str] = []
        for index, part in enumerate(step.parts):
            own = f"{key}p{index}"
            refs = handed if step.part_inputs(index, [0] * len(sources), tuple(handed.items()))[1] else {}
            where = sources if not (isinstance(step, Loop) and index == 1) else [ends[0]]
            if isinstance(step, Map):
                where = sources[-1:]
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
            count = f"{count_parameters(part.target(net.layers)):,} parameters" if isinstance(part, Use) else ""
            children.append(
                Box(
                    own,
                    "module" if count else "arithmetic",
                    step.part_names()[index],
                    tuple(filter(None, (shown, count))),
                )
            )
            ends.append(own)
        end = ends[0]
        if isinstance(step, Gate | Switch | Also):
            end = f"{key}m"
            what = {Gate: "weighted sum", Switch: "the chosen one", Also: "+"}[type(step)]
            children.append(Box(end, kind, what))
            self.into(end, [*ends, *(sources if isinstance(step, Also) else [])], ())
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


_KINDS: dict[type, str] = {
    Times: "loop",
    Repeat: "loop",
    Adaptive: "loop",
    Gate: "gate",
    Switch: "switch",
    Map: "map",
    Merge: "reduction",
}


def _uses(step: Step) -> bool:
    return any(isinstance(part, Use) for part in step.parts)


def _title(step: Step) -> str:
    shown = " ".join(part.shown for part in step.parts[:1] if hasattr(part, "shown"))
    what = {"through": shown, "branch": shown, "also": f"+ {shown}", "merge": f"merge {shown}"}.get(
        step.kind, step.kind
    )
    return f"{what} #{step.tag}" if step.tag else what


def _about(net: Network, step: Step) -> tuple[str, ...]:
    """What a step does beyond its name, and how many parameters it has."""
    how = {
        Times: lambda s: f"{s.most} times",
        Repeat: lambda s: f"{s.form}, at most {s.most}" + (", row by row" if s.per == "example" else ""),
        Adaptive: lambda s: f"adaptive, at most {s.most}",
        Switch: lambda s: "row by row" if s.per == "example" else "",
        Map: lambda s: f"{s.form}{f' {s.slices}' if s.form == 'slices' else ''}",
    }.get(type(step), lambda s: "")(step)
    count = sum(count_parameters(net.part(path)) for path in net.plan.paths(step))
    return tuple(filter(None, (how, f"{count:,} parameters" if count else "")))


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"
