# SPDX-License-Identifier: BSD-2-Clause
"""Network: a built flow. An ordinary Module, whose layers are trained and whose plan is compiled."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, count_parameters, freeze, static
from spago_jax.core.definition import check_instance
from spago_jax.core.partition import Where
from spago_jax.core.paths import flat, matches
from spago_jax.core.taps import collect_taps, total_loss, without_taps
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, did_you_mean
from spago_jax.flow.part import Context
from spago_jax.flow.picture import svg
from spago_jax.flow.plan import Plan
from spago_jax.flow.shapes import read_shapes, same_shape, shape_text
from spago_jax.flow.step import Frame


class Network(Module):
    """``net(x)``, or with forward references ``net(x, state) -> (y, state)``.

    Made by ``Flow.build``. Everything that takes a Module takes it: ``jax.jit``, ``jax.grad``, ``sj.compile``,
    ``sj.value_and_grad``, checkpoints. Values of tagged steps are tapped (``sj.collect_taps``, ``observe``).

    >>> from spago_jax import flow
    >>> net = flow.start(lambda x: 2 * x).tag("double").also(jnp.square).build(jax.random.key(0), "f32[batch, 1]")
    >>> net(jnp.array([[3.0]]))
    Array([[42.]], dtype=float32)
    >>> y, seen = net.observe(jnp.array([[3.0]]))
    >>> seen["double"]
    Array([[6.]], dtype=float32)
    """

    layers: dict[str, Any]
    plan: Plan = static()

    @classmethod
    def assembled(cls, layers: dict[str, Any], plan: Plan) -> "Network":
        """From its halves; an array in two places is refused.

        Raises:
            DefinitionError: naming both places.
        """
        network = cls(layers=layers, plan=plan)
        check_instance(network)
        return network

    def __call__(
        self, x: PyTree, state: PyTree = None, *, rng: Rng | None = None, lengths: Array | None = None, **inputs: Any
    ) -> Any:
        """The output; with forward references the output and the state for the next call.

        Args:
            x: the stream, as the spec of ``build``.
            state: what the call before returned, or None for a fresh start (zeros).
            rng: randomness of training, for the layers that take it.
            lengths: of padded sequences, for the layers that take them.
            inputs: the further inputs by name.

        Raises:
            InputError: for a missing or unknown input, a state where there is none, or an unknown name in it.
        """
        if not self.plan.stateful and state is not None:
            raise InputError(
                "this flow has no forward reference, so it takes no state; further inputs are given by name"
                + (f": {', '.join(f'{name}=...' for name in self.plan.inputs)}" if self.plan.inputs else "")
            )
        self.check_inputs(inputs)
        self.check_state(state)
        # NumPy's arrays as JAX's: a function may hand them on as they are, and then in the dtype of NumPy.
        x, inputs = jax.tree.map(jnp.asarray, (x, inputs))
        y, after = self.advance(x, state, Context(rng, lengths), inputs)
        return (y, after) if self.plan.stateful else y

    def check_inputs(self, inputs: Mapping[str, Any]) -> None:
        """Refuses missing and unknown inputs. Raises InputError."""
        for name in inputs:
            if name not in self.plan.inputs:
                raise InputError(f"this flow has no input {name!r}: {did_you_mean(name, self.plan.inputs or ['none'])}")
        missing = [name for name in self.plan.inputs if name not in inputs]
        if missing:
            raise InputError(f"this flow needs {len(self.plan.inputs)} more input(s); {missing[0]!r} is missing")

    def check_state(self, state: PyTree) -> None:
        """Refuses names that this flow does not remember; zeros would be read instead. Raises InputError."""
        inside = [f"{step.name}:{part}" for step in self.plan.steps for part in step.part_names()]
        known = [*self.plan.state, *inside]
        for name in state or ():
            if name not in known:
                raise InputError(f"this flow keeps no {name!r} from call to call: {did_you_mean(name, known)}")

    def advance(self, x: PyTree, state: PyTree, context: Context, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
        """One call: the output, and the state that it leaves (None for a flow without)."""
        if self.plan.stateful and state is None:
            state = self.initial_memory(x, inputs)
        frame = Frame(self.layers, state or {}, inputs, context)
        y = self.plan.run(frame, x)
        return y, frame.after if self.plan.stateful else None

    def initial_state(self, x: PyTree, **inputs: Any) -> PyTree:
        """The state before the first call, zeros, for inputs of these specs: text, arrays or ``ShapeDtypeStruct``.

        Raises:
            InputError: where no state fits: a tagged output whose shape depends on itself.
        """
        self.check_inputs(inputs)
        if not self.plan.stateful:
            return {}
        shapes, _ = read_shapes({"x": x, **inputs})
        return self.initial_memory(shapes.pop("x"), shapes)

    def initial_memory(self, x: PyTree, inputs: Mapping[str, Any]) -> PyTree:
        """Zeros in the form of what a call leaves; None for a flow without forward references."""
        if not self.plan.stateful:
            return None

        def after(layers: PyTree, memory: PyTree, x: PyTree, inputs: PyTree) -> PyTree:
            frame = Frame(layers, memory, inputs, Context())
            self.plan.run(frame, x)
            return frame.after

        before: PyTree = {}
        found: PyTree = {}
        for _ in range(3):  # a tag may read another one's memory, whose shape is known after the first round
            before, found = found, jax.eval_shape(without_taps(after), self.layers, found, x, dict(inputs))
            if same_shape(before, found):
                return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), found)
        tag = next(t for t in self.plan.state if not same_shape(before[t], found[t]))
        raise InputError(
            f"the memory of tag {tag!r} has no shape of its own: read as {shape_text(before[tag])}, the step that "
            f"writes it makes {shape_text(found[tag])}"
        )

    def detached(self, state: PyTree) -> PyTree:
        """A state through which no gradient flows back: for truncated back-propagation over calls in one program."""
        return jax.lax.stop_gradient(state)

    # -- looking ---------------------------------------------------------------------------------------------------

    def observe(self, x: PyTree, state: PyTree = None, **options: Any) -> tuple[Any, dict[str, Any]]:
        """A call, and what was tapped in it: ``{tag: value}``, with ``TAG.iterations`` and ``TAG.trace`` of loops.

        What is tapped in a flow inside is under ``step/tag``. May be traced, as a call may.
        """
        with collect_taps() as found:
            y = self(x, state, **options)
        return y, dict(found)

    def losses(self, found: Mapping[str, Any]) -> Array:
        """The sum of the auxiliary losses (load balance, ponder cost) among what was tapped: a scalar."""
        return total_loss(found)

    def svg(self, *, level: int | None = None, times: Mapping[str, float] | None = None) -> str:
        """The picture of the flow; see ``spago_jax.flow.picture.svg``."""
        return svg(self, level=level, times=times)

    def _repr_svg_(self) -> str:
        return self.svg()

    # -- by tag ----------------------------------------------------------------------------------------------------

    def paths(self, *names: str) -> tuple[str, ...]:
        """The paths of the modules of tags and tag groups; a pattern of paths stands for itself.

        Raises:
            InputError: for a name that is neither.
        """
        found: list[str] = []
        for name in names:
            if name in self.plan.tags or name in dict(self.plan.groups):
                found += [
                    p for tag in self.plan.tagged(name) for p in self.plan.paths(self.plan.steps[self.plan.tags[tag]])
                ]
            elif name.endswith(".*") and name[:-2] in self.plan.tags:
                found += self.paths(name[:-2])
            elif any(matches(path, name) for path in flat(self)):
                found.append(name)
            else:
                self.plan.tagged(name)  # raises, with the nearest tag
        return tuple(dict.fromkeys(found))

    def freeze(self, *names: str) -> Where:
        """Chooses what is trainable, less the modules of some tags, tag groups, or patterns of paths.

        For ``sj.value_and_grad(loss, wrt=net.freeze("encoder"))``, ``sj.partition`` and optimizers.

        Raises:
            InputError: for a name that is neither, or a tag of steps without parameters.
        """
        for name in names:
            if not self.paths(name):
                raise InputError(f"freeze: what is tagged {name!r} has no parameters; tag the step that has them")
        return freeze(*self.paths(*names))

    def parameters(self, name: str) -> int:
        """How many numbers the modules of a tag, or of a tag group, have.

        Raises:
            InputError: for an unknown tag.
        """
        return sum(count_parameters(self.part(path)) for path in self.paths(name))

    def part(self, path: str) -> Any:
        """The module at a path, ``layers.encoded``."""
        found: PyTree = self
        for key in path.split("."):
            found = found[key] if isinstance(found, dict) else getattr(found, key)
        return found
