# SPDX-License-Identifier: BSD-2-Clause
"""Program: a pure function, traced once per input signature and compiled ahead of time."""

import functools
import inspect
import os
import threading
import time
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from jax.stages import Compiled, Lowered

from spago_jax.compiler.buckets import Buckets
from spago_jax.compiler.cache import cache_by_default
from spago_jax.compiler.donation import DonationWarning, unused_donations
from spago_jax.compiler.padding import Padding, struct_of
from spago_jax.compiler.peaks import Timing, measured_peaks, profile_calls, time_calls
from spago_jax.compiler.placement import Placement, Rules
from spago_jax.compiler.report import Cost, Report, text_of
from spago_jax.compiler.signature import RetraceError, Signature, retrace_error
from spago_jax.compiler.spec import Spec
from spago_jax.compiler.spec import spec as read_spec
from spago_jax.core.process_bound import ProcessBound
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, did_you_mean


class Program(ProcessBound):
    """A compiled function; make one with ``compile``.

    Dispatch is left to ``jax.jit``'s C++ path. The guard that counts traces, and refuses them once the program is
    frozen, sits inside the traced body: it runs only when JAX traces, and costs nothing per call.

    Attributes:
        name: shown in reports and errors.
        traces: how often the function was traced.
        frozen: whether a new signature raises ``RetraceError``.
    """

    instead = "pickle the function and compile it there, or write a folder with sj.export and open it with load_program"

    def __init__(
        self,
        function: Callable[..., Any],
        specs: Sequence[Spec] = (),
        *,
        donate: str | Sequence[str] = (),
        static: str | Sequence[str] = (),
        buckets: Buckets | None = None,
        mesh: Mesh | None = None,
        rules: Rules = (),
        name: str | None = None,
    ):
        self.function = function
        self.name = name or _name_of(function)
        if rules and mesh is None:
            raise InputError(f"{self.name}: rules say how arrays lie on a mesh, and there is none: give mesh= too")
        self._placement = None if mesh is None else Placement(self.name, mesh, rules)
        self._not_reused: list[str] = []
        self.traces = 0
        self.frozen = False
        self._parameters = _signature_of(function)
        self._donate = _argument_names(self.name, "donate", donate, self._parameters)
        self._static = _argument_names(self.name, "static", static, self._parameters)
        self._specs = {spec.name: spec for spec in specs}
        for spec in specs:
            _argument_names(self.name, "spec", (spec.name,), self._parameters)
        self._buckets = buckets
        self._padding: Padding | None = None
        if buckets is not None:
            self._padding = Padding(self.name, function, self._parameters, self._specs, buckets, self._static)
        self._signatures: list[tuple[Signature, dict[str, Any], str]] = []
        self._costs: dict[Signature, Cost] = {}
        self._lock = threading.Lock()
        self._thread = threading.local()
        self._jit = jax.jit(self._guarded(), donate_argnames=self._donate or None, static_argnames=self._static or None)

    def __repr__(self) -> str:
        state = "frozen" if self.frozen else "open"
        return f"Program({self.name}, {len(self._signatures)} signature(s), {self.traces} trace(s), {state})"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the program; the first call of a new signature traces and compiles it."""
        cache_by_default()
        if self._placement is not None:
            bound = self._placed(args, kwargs)
            args, kwargs = bound.args, bound.kwargs
        if self._padding is not None:
            return self._padding.call(self._jit, args, kwargs)
        if kwargs:  # f(x, y=2) and f(x, 2) are one signature, but two to jax.jit
            bound = self._parameters.bind(*args, **kwargs)
            args, kwargs = bound.args, bound.kwargs
        return self._jit(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """As a method of a class (``@sj.compile`` over ``def``), the object is the first argument."""
        return self if instance is None else types.MethodType(self, instance)

    # -- compiling ahead of time ---------------------------------------------------------------------------------

    def add(self, *args: Any, **kwargs: Any) -> "Program":
        """Compiles one more signature now, from arrays or ``ShapeDtypeStruct``; the first real call finds it ready."""
        self.prepare(*args, **kwargs)()
        return self

    def prepare(self, *args: Any, **kwargs: Any) -> Callable[[], None]:
        """Traces one more signature now, and returns what compiles it; several may be compiled at once in threads.

        With buckets, the signature is that of the bucket that holds the arguments.
        """
        cache_by_default()
        self._thread.added = added = []  # what this thread traces until the next lines are done
        try:
            lowered = self.lowered(*args, **kwargs)
        finally:
            self._thread.added = None

        def finish() -> None:
            start = time.perf_counter()
            compiled = lowered.compile()
            seconds = time.perf_counter() - start
            for signature, reason in added:
                self._costs[signature] = self._cost(compiled, signature, seconds, reason)

        return finish

    def lowered(self, *args: Any, **kwargs: Any) -> Lowered:
        """JAX's ``Lowered``, which can show StableHLO and compile; of the first signature where nothing is given."""
        if not args and not kwargs:
            args = self.arguments()
        if self._padding is not None:
            bound = self._padding.fitted(args, kwargs)
        else:
            bound = self._parameters.bind(*args, **kwargs)
        return self._lower(bound)

    def _lower(self, bound: inspect.BoundArguments) -> Any:
        if self._placement is not None:
            bound = self._placed(bound.args, bound.kwargs)
        with warnings.catch_warnings():  # DonationWarning says it with the paths
            warnings.filterwarnings("ignore", "Some donated buffers were not usable")
            return self._jit.lower(*bound.args, **bound.kwargs)

    def warmup(self, sizes: Mapping[str, int] | None = None, **given: Any) -> "Program":
        """Compiles every combination of bucket sizes from the specs; ``sizes`` are the other named dimensions.

        Args:
            sizes: sizes of named dimensions that have no bucket.
            given: the arguments without a spec (a model, say), as arrays or ``ShapeDtypeStruct``.

        Raises:
            InputError: for a Program without specs, a dimension without a size, or an argument that is missing.
        """
        if not self._specs:
            raise InputError(f"{self.name}: warmup() needs specs, as in compile(f, spec('x', 'f32[batch, 8]'))")
        named = {dim for spec in self._specs.values() for dim in spec.dims if isinstance(dim, str)}
        for dim in sizes or {}:
            if dim not in named:
                raise InputError(f"{self.name}: {dim!r} is not a dimension of a spec: {did_you_mean(dim, named)}")
        _argument_names(self.name, "argument", tuple(given), self._parameters)
        missing = [name for name in self._required() if name not in self._specs and name not in given]
        if missing:
            raise InputError(
                f"{self.name}: warmup() needs {', '.join(missing)} by name, as arrays or ShapeDtypeStruct: "
                f"there is no spec for it"
            )
        combinations: list[dict[str, int]] = [dict(sizes or {})]
        for dim, values in (self._buckets.sizes if self._buckets else {}).items():
            combinations = [{**combo, dim: value} for combo in combinations for value in values]
        pending = []
        for combo in combinations:
            arguments = {name: spec.struct(combo) for name, spec in self._specs.items()}
            bound = self._bound({**given, **arguments})
            pending.append(self.prepare(*bound.args, **bound.kwargs))
        compile_all(pending)
        return self

    def freeze(self) -> "Program":
        """From now on a new signature raises ``RetraceError`` instead of compiling."""
        self.frozen = True
        return self

    def unfreeze(self) -> "Program":
        """Allows new signatures again."""
        self.frozen = False
        return self

    # -- looking at it ---------------------------------------------------------------------------------------------

    @property
    def reasons(self) -> list[str]:
        """Why it traced, once per signature."""
        return [reason for _, _, reason in self._signatures]

    def arguments(self) -> tuple[Any, ...]:
        """Returns the arguments of the first signature, as ``ShapeDtypeStruct``.

        Raises:
            InputError: where there is none yet.
        """
        if not self._signatures:
            raise InputError(f"{self.name} has no signature yet: call it, or add() one")
        return self._bound(self._signatures[0][1]).args

    def report(self, *, roofline: bool = True) -> Report:
        """Cost, memory and compile time of every compiled signature, by XLA's own analysis.

        Args:
            roofline: say what limits each, against the peaks of this machine (measured once per process, in seconds).
        """
        for signature, arguments, reason in list(self._signatures):
            if signature not in self._costs:
                start = time.perf_counter()
                bound = self._bound(arguments)
                compiled = self._lower(bound).compile()
                seconds = time.perf_counter() - start
                self._costs[signature] = self._cost(
                    compiled, signature, seconds, f"{reason}; timed again for this report"
                )
        costs = tuple(self._costs[signature] for signature, _, _ in self._signatures if signature in self._costs)
        peaks = measured_peaks() if roofline else None
        return Report(self.name, self.traces, self.frozen, costs, peaks, tuple(self._not_reused))

    def stablehlo(self, *args: Any) -> str:
        """The program as StableHLO, before XLA optimizes it; of the first signature when no arguments are given."""
        return self.lowered(*args).as_text()

    def hlo(self, *args: Any) -> str:
        """The program as XLA runs it, after fusion and layout; of the first signature when no arguments are given."""
        return text_of(self.lowered(*args).compile())

    def time(self, *args: Any, n: int = 10, **kwargs: Any) -> Timing:
        """Times ``n`` calls, each until its result is computed; donated arguments are copied before the clock starts.

        >>> import spago_jax as sj
        >>> timing = sj.compile(jnp.sin, "f32[8]").time(jnp.ones(8), n=3)
        >>> len(timing.seconds)
        3
        """
        return time_calls(lambda a, k: self(*a, **k), n, setup=lambda: self._fresh(args, kwargs))

    def profile(self, folder: str | Path, *args: Any, n: int = 3, **kwargs: Any) -> Path:
        """Runs ``n`` calls under JAX's profiler, and returns the folder of the trace (for TensorBoard, Perfetto).

        The operations carry the names of the modules that they came from.

        Raises:
            InputError: if the folder cannot be written.
        """

        def call() -> Any:
            a, k = self._fresh(args, kwargs)
            return self(*a, **k)

        return profile_calls(call, folder, n, self.name)

    # -- inside --------------------------------------------------------------------------------------------------

    def _cost(self, compiled: Compiled, signature: Signature, seconds: float, reason: str) -> Cost:
        partitioned = self._placement is not None
        return Cost.of(compiled, signature.inputs(), seconds, reason, partitioned=partitioned)

    def _placed(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        assert self._placement is not None
        bound = self._parameters.bind(*args, **kwargs)
        moved = {name: value for name, value in bound.arguments.items() if name not in self._static}
        bound.arguments.update(self._placement.put(moved))
        return bound

    def _fresh(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Returns the arguments, or copies that may be donated."""
        return jax.tree.map(jax.numpy.copy, (args, kwargs)) if self._donate else (args, kwargs)

    def _required(self) -> list[str]:
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        parameters = self._parameters.parameters.items()
        return [name for name, p in parameters if p.default is p.empty and p.kind not in variadic]

    def _bound(self, arguments: Mapping[str, Any]) -> inspect.BoundArguments:
        return inspect.BoundArguments(self._parameters, dict(arguments))  # type: ignore[arg-type]

    def _guarded(self) -> Callable[..., Any]:
        function, parameters = self.function, self._parameters

        def body(*args: Any, **kwargs: Any) -> Any:
            arguments = dict(parameters.bind(*args, **kwargs).arguments)
            signature = self._examine(arguments)
            output = function(*args, **kwargs)
            if _jax_accepts(output):  # else JAX raises next, and nothing was compiled
                self._record(signature, arguments)
                self._check_donation(arguments, output)
            return output

        body.__name__ = body.__qualname__ = self.name
        body.__signature__ = parameters  # type: ignore[attr-defined]
        return body

    def _examine(self, arguments: dict[str, Any]) -> Signature:
        """The signature of a call that JAX is tracing; refused when the Program is frozen and it is a new one."""
        static = {name: value for name, value in arguments.items() if name in self._static}
        signature = Signature.of({name: v for name, v in arguments.items() if name not in static}, static)
        with self._lock:
            seen = [known for known, _, _ in self._signatures]
        if self.frozen and signature not in seen:
            raise retrace_error(self.name, seen, signature)
        return signature

    def _check_donation(self, arguments: dict[str, Any], output: PyTree) -> None:
        self._not_reused = unused_donations(arguments, self._donate, output)
        if self._not_reused:
            warnings.warn(
                f"{self.name}: donated, but no output has that shape and dtype: {', '.join(self._not_reused)}; "
                f"the memory cannot be reused",
                DonationWarning,
                stacklevel=2,
            )

    def _record(self, signature: Signature, arguments: dict[str, Any]) -> None:
        structs = {
            name: value if name in self._static else jax.tree.map(struct_of, value) for name, value in arguments.items()
        }
        with self._lock:
            self.traces += 1
            seen = [known for known, _, _ in self._signatures]
            if signature in seen:
                return
            reason = _reason(seen, signature)
            self._signatures.append((signature, structs, reason))
        if getattr(self._thread, "added", None) is not None:
            self._thread.added.append((signature, reason))


def compile(
    function: Callable[..., Any],
    *specs: Any,
    donate: str | Sequence[str] = (),
    static: str | Sequence[str] = (),
    buckets: Buckets | None = None,
    stabilize: bool = False,
    mesh: Mesh | None = None,
    rules: Rules = (),
    name: str | None = None,
) -> Program:
    """Makes a Program of a pure function; with specs and no named dimension left open, compiles it at once.

    Args:
        function: pure; its arguments are pytrees of arrays (Modules among them).
        specs: what arguments look like: ``spec("x", "f32[batch, 8]")``, whose dimensions are sizes or names; or, for
            the argument in that place, the text alone, arrays, or ``ShapeDtypeStruct``.
        donate: names of arguments whose memory the outputs may take over (a train state). They are gone after.
        static: names of hashable arguments that are part of the signature.
        buckets: the sizes that named dimensions are padded to. Rows added by padding have ``lengths`` 0, and
            the padding is cut off the ends of the outputs' axes again.
        stabilize: rewrite what overflows or cancels before it is compiled and differentiated; see ``Graph.stabilize``.
        mesh: the devices that share the work.
        rules: how arrays are split over them: ``(regular expression on the path, partition)``, first match first.
        name: for reports and errors.

    Raises:
        InputError: for a name that is not an argument, with the nearest one.

    >>> import spago_jax as sj
    >>> double = sj.compile(lambda x: 2 * x, sj.spec("x", "f32[3]"), name="double")
    >>> double(jnp.arange(3.0)), double.traces
    (Array([0., 2., 4.], dtype=float32), 1)
    >>> double.freeze()(jnp.arange(4.0))
    Traceback (most recent call last):
    ...
    spago_jax.compiler.signature.RetraceError: double is frozen with 1 compiled signature(s), and this call fits none...
    """
    if stabilize:
        from spago_jax.compiler.rewrite import stabilized

        function = stabilized(function, static=(static,) if isinstance(static, str) else static)
    named, given = _read_specs(function, specs)
    program = Program(function, named, donate=donate, static=static, buckets=buckets, mesh=mesh, rules=rules, name=name)
    open_dims = any(isinstance(dim, str) for spec in named for dim in spec.dims)
    if specs and not open_dims and set(program._required()) <= {spec.name for spec in named} | set(given):
        if named:
            program.warmup(**given)
        else:
            bound = program._bound(given)
            program.add(*bound.args, **bound.kwargs)
    return program


def _read_specs(function: Callable[..., Any], specs: Sequence[Any]) -> tuple[list[Spec], dict[str, Any]]:
    """Returns the specs by name, and what other arguments look like."""
    names = list(_signature_of(function).parameters)
    named: list[Spec] = []
    given: dict[str, Any] = {}
    for place, one in enumerate(specs):
        if isinstance(one, Spec):
            named.append(one)
            continue
        if place >= len(names):
            raise InputError(f"{_name_of(function)}: {len(specs)} specs, but {len(names)} argument(s)")
        if isinstance(one, str):
            named.append(read_spec(names[place], one))
        else:
            given[names[place]] = jax.tree.map(struct_of, one)
    return named, given


def compile_all(pending: Sequence[Callable[[], None]]) -> None:
    """Compiles what ``Program.prepare`` returned, as many at a time as there are cores: XLA compiles on one each."""
    if len(pending) == 1:
        pending[0]()
        return
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for done in [pool.submit(finish) for finish in pending]:
            done.result()


def _argument_names(
    program: str, role: str, names: str | Sequence[str], signature: inspect.Signature
) -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if name not in signature.parameters:
            raise InputError(
                f"{program}: {role} {name!r} is not an argument of it: {did_you_mean(name, signature.parameters)}"
            )
    return names


def _reason(seen: list[Signature], new: Signature) -> str:
    if not seen:
        return "first call"
    lines = min((known.difference(new) for known in seen), key=len)
    return "; ".join(lines[:2]) + (f"; and {len(lines) - 2} more" if len(lines) > 2 else "")


def _signature_of(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):  # some builtins have none
        kinds = {"args": inspect.Parameter.VAR_POSITIONAL, "kwargs": inspect.Parameter.VAR_KEYWORD}
        return inspect.Signature([inspect.Parameter(name, kind) for name, kind in kinds.items()])


def _name_of(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def _jax_accepts(output: PyTree) -> bool:
    try:
        for leaf in jax.tree.leaves(output):
            jax.typeof(leaf)
    except TypeError:
        return False
    return True


__all__ = ["Program", "RetraceError", "compile", "compile_all"]
