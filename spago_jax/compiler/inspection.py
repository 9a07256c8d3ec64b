# SPDX-License-Identifier: BSD-2-Clause
"""What can be asked of a Program besides running it: its graph, derivative, texts, times and profile."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from spago_jax.compiler.peaks import Timing, time_calls
from spago_jax.errors import InputError

if TYPE_CHECKING:
    from spago_jax.compiler.graph import Graph
    from spago_jax.compiler.program import Program


class Inspection:
    """The questions of a Program. Without arguments they are asked of the first signature that it has."""

    name: str
    function: Callable[..., Any]

    def arguments(self) -> tuple[Any, ...]:
        """The arguments of the first signature, as ``ShapeDtypeStruct``. ``Program`` knows them."""
        raise NotImplementedError

    @property
    def graph(self) -> "Graph":
        """The Graph of the first signature: to draw, differentiate, simplify, evaluate node by node."""
        return self.graph_of(*self.arguments())

    def graph_of(self, *args: Any) -> "Graph":
        """The Graph for these arguments: arrays, ``ShapeDtypeStruct``, or text such as ``"f32[8, 3]"``."""
        from spago_jax.compiler.graph import Graph

        return Graph.of(self.function, *args, name=self.name)

    def grad(self, wrt: str | Sequence[str] | None = None) -> "Program":
        """A Program of the derivative of a scalar output: ``{path: gradient}``.

        Args:
            wrt: path patterns of inputs (``"model.*"``); by default every float input but buffers.

        >>> import spago_jax as sj
        >>> cube = sj.compile(lambda x, y: x**3 * y, "f32[]", "f32[]", name="cube")
        >>> cube.grad("x")(jnp.float32(2.0), jnp.float32(1.0))
        {'x': Array(12., dtype=float32)}
        """
        from spago_jax.compiler.graph import Graph
        from spago_jax.compiler.program import Program

        @functools.wraps(self.function)
        def derivative(*args: Any) -> Any:
            return Graph.of(self.function, *args, name=self.name).gradient(wrt)(*args)

        return Program(derivative, name=f"gradient of {self.name}")

    def lowered(self, *args: Any) -> Any:
        """JAX's ``Lowered`` for these arguments. ``Program`` knows how."""
        raise NotImplementedError

    def stablehlo(self, *args: Any) -> str:
        """The program as StableHLO, before XLA optimizes it."""
        return self.lowered(*args).as_text()

    def hlo(self, *args: Any) -> str:
        """The program as XLA runs it, after fusion and layout."""
        return self.lowered(*args).compile().as_text()

    def time(self, *args: Any, n: int = 10, **kwargs: Any) -> Timing:
        """Times ``n`` calls, each waited for to the end; donated arguments are copied before, outside of the time.

        >>> import spago_jax as sj
        >>> timing = sj.compile(jnp.sin, "f32[8]").time(jnp.ones(8), n=3)
        >>> len(timing.seconds)
        3
        """
        return time_calls(lambda a, k: self(*a, **k), n, setup=lambda: self._fresh(args, kwargs))  # type: ignore[operator]

    def profile(self, folder: str | Path, *args: Any, n: int = 3, **kwargs: Any) -> Path:
        """Runs ``n`` calls under JAX's profiler, and returns the folder of the trace (for TensorBoard, Perfetto).

        The operations carry the names of the modules that they came from.

        Raises:
            InputError: where the folder cannot be written.
        """

        def call() -> None:
            a, k = self._fresh(args, kwargs)
            jax.block_until_ready(self(*a, **k))  # type: ignore[operator]

        call()  # compiled before the trace begins
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write the profile to {folder}: {error.strerror}") from None
        with jax.profiler.trace(str(path)):
            for step in range(n):
                with jax.profiler.StepTraceAnnotation(self.name, step_num=step):
                    call()
        return path

    def evaluate(self, *args: Any, watch: Any = (), check: Any = None) -> Any:
        """Runs node by node, for debugging; see ``Graph.evaluate``."""
        return self.graph_of(*args).evaluate(*args, watch=watch, check=check)

    def fingerprint(self) -> str:
        """A hash of what the first signature computes, the same in every process; see ``Graph.fingerprint``."""
        return self.graph.fingerprint()

    def export(self, folder: str | Path, *arguments: Any, **options: Any) -> Path:
        """Writes a folder that runs with JAX and NumPy alone; see ``sj.export``."""
        from spago_jax.compiler.ship import export

        return export(self, folder, *arguments, **options)  # type: ignore[arg-type]

    def _fresh(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, or copies that may be donated."""
        return jax.tree.map(jax.numpy.copy, (args, kwargs)) if getattr(self, "_donate", ()) else (args, kwargs)
