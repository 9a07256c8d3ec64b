# SPDX-License-Identifier: BSD-2-Clause
"""Program: a pure function, traced once per input signature and compiled ahead of time."""

import inspect
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax

from spago_jax.compiler.buckets import Buckets, OutputAxes, pad_argument
from spago_jax.compiler.cache import cache_by_default
from spago_jax.compiler.report import Cost, Report
from spago_jax.compiler.signature import RetraceError, Signature, retrace_error
from spago_jax.compiler.spec import Spec
from spago_jax.errors import InputError, did_you_mean


class Program:
    """A compiled function; make one with ``compile``.

    Dispatch is left to ``jax.jit``'s C++ path. The guard that counts traces, and refuses them once the program is
    frozen, sits inside the traced body: it runs only when JAX traces, and costs nothing per call.

    Attributes:
        name: shown in reports and errors.
        traces: how often the function was traced.
        frozen: whether a new signature raises ``RetraceError``.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        specs: Sequence[Spec] = (),
        *,
        donate: str | Sequence[str] = (),
        static: str | Sequence[str] = (),
        buckets: Buckets | None = None,
        name: str | None = None,
    ):
        self.function = function
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self.traces = 0
        self.frozen = False
        self._parameters = inspect.signature(function)
        self._donate = _argument_names(self.name, "donate", donate, self._parameters)
        self._static = _argument_names(self.name, "static", static, self._parameters)
        self._specs = {spec.name: spec for spec in specs}
        for spec in specs:
            _argument_names(self.name, "spec", (spec.name,), self._parameters)
        self._buckets = buckets
        if buckets is not None:
            self._check_buckets(buckets)
        self._signatures: list[tuple[Signature, dict[str, Any], str]] = []
        self._costs: dict[Signature, Cost] = {}
        self._output_axes: OutputAxes | None = None
        self._probing = False
        self._lock = threading.Lock()
        self._jit = jax.jit(self._guarded(), donate_argnames=self._donate or None, static_argnames=self._static or None)

    def __repr__(self) -> str:
        state = "frozen" if self.frozen else "open"
        return f"Program({self.name}, {len(self._signatures)} signature(s), {self.traces} trace(s), {state})"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the program; the first call of a new signature traces and compiles it."""
        if self._buckets is not None:
            return self._call_bucketed(*args, **kwargs)
        cache_by_default()
        return self._jit(*args, **kwargs)

    # -- compiling ahead of time ---------------------------------------------------------------------------------

    def add(self, *args: Any, **kwargs: Any) -> "Program":
        """Compiles one more signature now, from arrays or ``ShapeDtypeStruct``; the first real call finds it ready."""
        self.prepare(*args, **kwargs)()
        return self

    def prepare(self, *args: Any, **kwargs: Any) -> Callable[[], None]:
        """Traces one more signature now, and returns what compiles it; several may be compiled at once in threads."""
        cache_by_default()
        known = len(self._signatures)
        lowered = self._jit.lower(*args, **kwargs)
        added = self._signatures[known:]

        def finish() -> None:
            start = time.perf_counter()
            compiled = lowered.compile()
            seconds = time.perf_counter() - start
            for signature, _, reason in added:
                self._costs[signature] = Cost.of(compiled, signature.inputs(), seconds, reason)

        return finish

    def warmup(self, sizes: Mapping[str, int] | None = None, **given: Any) -> "Program":
        """Compiles every combination of bucket sizes from the specs; ``sizes`` are the other named dimensions.

        Args:
            sizes: sizes of named dimensions that have no bucket.
            given: the arguments without a spec (a model, say), as arrays or ``ShapeDtypeStruct``.

        Raises:
            InputError: for a Program without specs, or a dimension without a size.
        """
        if not self._specs:
            raise InputError(f"{self.name}: warmup() needs specs, as in compile(f, spec('x', 'f32[batch, 8]'))")
        combinations: list[dict[str, int]] = [dict(sizes or {})]
        for dim, values in (self._buckets.sizes if self._buckets else {}).items():
            combinations = [{**combo, dim: value} for combo in combinations for value in values]
        pending = []
        for combo in combinations:
            arguments = {name: spec.struct(combo) for name, spec in self._specs.items()}
            bound = self._parameters.bind(**{**given, **arguments})
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

    def report(self) -> Report:
        """Cost, memory and compile time of every compiled signature, by XLA's own analysis."""
        for signature, arguments, reason in list(self._signatures):
            if signature not in self._costs:
                start = time.perf_counter()
                bound = self._parameters.bind(**arguments)
                compiled = self._jit.lower(*bound.args, **bound.kwargs).compile()
                self._costs[signature] = Cost.of(
                    compiled, signature.inputs(), time.perf_counter() - start, f"{reason}; timed again for this report"
                )
        costs = tuple(self._costs[signature] for signature, _, _ in self._signatures if signature in self._costs)
        return Report(self.name, self.traces, self.frozen, costs)

    # -- inside --------------------------------------------------------------------------------------------------

    def _guarded(self) -> Callable[..., Any]:
        function, parameters = self.function, self._parameters

        def body(*args: Any, **kwargs: Any) -> Any:
            if not self._probing:
                bound = parameters.bind(*args, **kwargs)
                bound.apply_defaults()
                self._record(dict(bound.arguments))
            return function(*args, **kwargs)

        body.__name__ = self.name
        body.__signature__ = parameters  # type: ignore[attr-defined]
        return body

    def _record(self, arguments: dict[str, Any]) -> None:
        dynamic = {name: value for name, value in arguments.items() if name not in self._static}
        static = {name: repr(arguments[name]) for name in self._static if name in arguments}
        signature = Signature.of(dynamic)
        signature = Signature(signature.avals, signature.structure + repr(static))
        with self._lock:
            seen = [known for known, _, _ in self._signatures]
            if self.frozen and signature not in seen:
                raise retrace_error(self.name, seen, signature)
            self.traces += 1
            if signature in seen:
                return
            structs = {
                name: value if name in self._static else jax.tree.map(_struct, value)
                for name, value in arguments.items()
            }
            self._signatures.append((signature, structs, _reason(seen, signature)))

    def _check_buckets(self, buckets: Buckets) -> None:
        named = {dim for spec in self._specs.values() for dim in spec.dims if isinstance(dim, str)}
        for dim in buckets.sizes:
            if dim not in named:
                raise InputError(
                    f"{self.name}: bucket {dim!r} is no dimension of a spec "
                    f"({', '.join(f'{n}: {s}' for n, s in self._specs.items()) or 'there are no specs'}): "
                    f"{did_you_mean(dim, named)}"
                )

    def _call_bucketed(self, *args: Any, **kwargs: Any) -> Any:
        assert self._buckets is not None
        arguments = self._with_lengths(args, kwargs)
        sizes: dict[str, int] = {}
        for name, spec in self._specs.items():
            if name in arguments:
                spec.bind(tuple(arguments[name].shape), sizes)
        fitted = self._buckets.fit(sizes)
        padded = {
            name: pad_argument(self._specs[name], value, fitted) if name in self._specs else value
            for name, value in arguments.items()
        }
        if self._output_axes is None:
            self._output_axes = self._probe_outputs(arguments, sizes)
        bound = self._parameters.bind(**padded)
        cache_by_default()
        return self._output_axes.crop(self._jit(*bound.args, **bound.kwargs), sizes)

    def _with_lengths(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name; ``lengths``, where the function takes it and the caller gave none, is made."""
        spec = self._specs.get("lengths")
        if spec is None or "lengths" in kwargs:
            return dict(self._parameters.bind(*args, **kwargs).arguments)
        partial = self._parameters.bind_partial(*args, **kwargs).arguments
        if "lengths" in partial:
            return dict(partial)
        sizes: dict[str, int] = {}
        for name, other in self._specs.items():
            if name in partial:
                other.bind(tuple(partial[name].shape), sizes)
        time_dim = next((d for d in (self._buckets.sizes if self._buckets else ()) if d not in spec.dims), None)
        if time_dim is None or time_dim not in sizes:
            raise InputError(f"{self.name}: pass lengths: no bucketed dimension says how long a row is")
        lengths = jax.numpy.full(spec.shape(sizes), sizes[time_dim], spec.dtype)
        return {**partial, "lengths": lengths}

    def _probe_outputs(self, arguments: dict[str, Any], sizes: dict[str, int]) -> OutputAxes:
        def shapes_at(at: Mapping[str, int]) -> Any:
            structs = {
                name: self._specs[name].struct(at) if name in self._specs else value
                for name, value in arguments.items()
            }
            bound = self._parameters.bind(**structs)
            return jax.eval_shape(self.function, *bound.args, **bound.kwargs)

        names = tuple(self._buckets.sizes) if self._buckets else ()
        return OutputAxes.probe(shapes_at, tuple(n for n in names if n in sizes), self._buckets.fit(sizes))  # type: ignore[union-attr]


def compile(
    function: Callable[..., Any],
    *specs: Spec,
    donate: str | Sequence[str] = (),
    static: str | Sequence[str] = (),
    buckets: Buckets | None = None,
    name: str | None = None,
) -> Program:
    """Makes a Program of a pure function; with specs and no named dimension left open, compiles it at once.

    Args:
        function: pure; its arguments are pytrees of arrays (Modules among them).
        specs: what arguments look like, ``spec("x", "f32[batch, 8]")``; dimensions are sizes or names.
        donate: names of arguments whose memory the outputs may take over (a train state). They are gone after.
        static: names of hashable arguments that are part of the signature.
        buckets: the sizes that named dimensions are padded to. Rows added by padding have ``lengths`` 0, and
            the padding is cut off the outputs again.
        name: for reports and errors.

    Raises:
        InputError: for a name that is no argument, with the nearest one.

    >>> import spago_jax as sj
    >>> double = sj.compile(lambda x: 2 * x, sj.spec("x", "f32[3]"), name="double")
    >>> double(jnp.arange(3.0)), double.traces
    (Array([0., 2., 4.], dtype=float32), 1)
    >>> double.freeze()(jnp.arange(4.0))
    Traceback (most recent call last):
    ...
    spago_jax.compiler.signature.RetraceError: double is frozen with 1 compiled signature(s), and this call fits none...
    """
    program = Program(function, specs, donate=donate, static=static, buckets=buckets, name=name)
    open_dims = any(isinstance(dim, str) for spec in specs for dim in spec.dims)
    required = {
        n for n, p in program._parameters.parameters.items() if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    }
    if specs and not open_dims and required <= {spec.name for spec in specs}:
        program.warmup()
    return program


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
                f"{program}: {role} {name!r} is no argument of it: {did_you_mean(name, signature.parameters)}"
            )
    return names


def _reason(seen: list[Signature], new: Signature) -> str:
    if not seen:
        return "first call"
    lines = min((known.difference(new) for known in seen), key=len)
    return "; ".join(lines[:2]) + (f"; and {len(lines) - 2} more" if len(lines) > 2 else "")


def _struct(leaf: Any) -> Any:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) if hasattr(leaf, "dtype") else leaf


__all__ = ["Program", "RetraceError", "compile", "compile_all"]
