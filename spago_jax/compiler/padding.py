# SPDX-License-Identifier: BSD-2-Clause
"""A call through buckets: the arguments are padded to a compiled size, and the outputs are cut back."""

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.buckets import Buckets, OutputAxes, Shapes, cut, output_shapes, pad_argument
from spago_jax.compiler.spec import Spec
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, did_you_mean


class Padding:
    """Pads the arguments of one function to its buckets, and cuts its outputs.

    How an output's axes follow the named dimensions is read off its abstract shapes, once; where they follow by no
    linear rule, the function is traced abstractly at each actual size.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        signature: inspect.Signature,
        specs: Mapping[str, Spec],
        buckets: Buckets,
        static: Sequence[str],
    ):
        self.name, self.function, self.signature = name, function, signature
        self.specs, self.buckets, self.static = specs, buckets, tuple(static)
        self._rules: dict[Any, OutputAxes | None] = {}
        self._exact: dict[Any, Shapes] = {}
        named = {dim for spec in specs.values() for dim in spec.dims if isinstance(dim, str)}
        for dim in buckets.sizes:
            if dim not in named:
                raise InputError(
                    f"{name}: bucket {dim!r} is not a dimension of a spec "
                    f"({', '.join(f'{n}: {s}' for n, s in specs.items()) or 'there are no specs'}): "
                    f"{did_you_mean(dim, named)}"
                )

    def call(self, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a compiled function on padded arguments.

        Raises:
            InputError: for a size above the largest bucket, shapes that do not fit the specs, or a function that
                leaves the padding elsewhere than at the end of an axis of an output.
        """
        arguments = self._with_lengths(args, kwargs)
        sizes = self._sizes(arguments)
        fitted = self.buckets.fit(sizes)
        if sizes != fitted:
            self._refuse_misplaced(self._rule_of(arguments, sizes, fitted), sizes, fitted)
        padded = self._replaced(arguments, lambda spec, value: pad_argument(spec, value, fitted))
        output = run(*padded.args, **padded.kwargs)
        return output if sizes == fitted else self._crop(output, arguments, sizes, fitted)

    def fitted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """Returns the arguments with the shape that ``call`` would give them, for compiling ahead of time."""
        arguments = self._with_lengths(args, kwargs)
        sizes = self.buckets.fit(self._sizes(arguments))
        return self._replaced(arguments, lambda spec, value: jax.ShapeDtypeStruct(spec.shape(sizes), value.dtype))

    def _sizes(self, arguments: Mapping[str, Any]) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for name, spec in self.specs.items():
            if name in arguments:
                spec.bind(np.shape(arguments[name]), sizes)
        return sizes

    def _replaced(self, arguments: Mapping[str, Any], change: Callable[[Spec, Any], Any]) -> inspect.BoundArguments:
        changed = {
            name: change(self.specs[name], value) if name in self.specs else value for name, value in arguments.items()
        }
        return inspect.BoundArguments(self.signature, changed)  # type: ignore[arg-type]

    def _with_lengths(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name; ``lengths``, where there is a spec for it and the caller gave none, is made."""
        spec = self.specs.get("lengths")
        given = self.signature.bind_partial(*args, **kwargs).arguments
        if spec is not None and given.get("lengths") is None:
            given.pop("lengths", None)
            sizes = self._sizes(given)
            time = next((dim for dim in self.buckets.sizes if dim not in spec.dims), None)
            if time is None or time not in sizes:
                raise InputError(f"{self.name}: pass lengths: no bucketed dimension says how long a row is")
            given["lengths"] = np.full(spec.shape(sizes), sizes[time], spec.dtype)
        complete = inspect.BoundArguments(self.signature, given)  # type: ignore[arg-type]
        self.signature.bind(*complete.args, **complete.kwargs)  # raises Python's own error for a missing argument
        arrays = {name: _array(value, self.specs[name]) for name, value in given.items() if name in self.specs}
        return {**given, **arrays}

    # -- the way back ----------------------------------------------------------------------------------------------

    def _crop(self, output: PyTree, arguments: Mapping[str, Any], sizes: dict[str, int], fitted: dict[str, int]) -> Any:
        leaves, treedef = jax.tree.flatten(output)
        key = self._key(arguments, sizes)
        real = tuple(leaf.shape for leaf in leaves)
        rule = self._rule_of(arguments, sizes, fitted)
        if rule is not None and rule.shapes(fitted) != real:  # the same statics, and another model
            rule = self._rule_of(arguments, sizes, fitted, anew=True)
            self._refuse_misplaced(rule, sizes, fitted)
        if rule is not None and rule.linear:
            goals = rule.shapes(sizes)
        else:
            goals = self._exact_shapes((key, real, tuple(sorted(sizes.items()))), arguments, sizes)
        return treedef.unflatten([cut(leaf, goal) for leaf, goal in zip(leaves, goals, strict=True)])

    def _key(self, arguments: Mapping[str, Any], sizes: Mapping[str, int]) -> Any:
        free = tuple(sorted((dim, size) for dim, size in sizes.items() if dim not in self.buckets.sizes))
        return free, tuple((name, arguments[name]) for name in self.static if name in arguments)

    def _rule_of(
        self, arguments: Mapping[str, Any], sizes: Mapping[str, int], fitted: dict[str, int], *, anew: bool = False
    ) -> OutputAxes | None:
        key = self._key(arguments, sizes)
        if anew or key not in self._rules:
            self._rules[key] = self._rule(arguments, fitted)
        return self._rules[key]

    def _rule(self, arguments: Mapping[str, Any], fitted: dict[str, int]) -> OutputAxes | None:
        bucketed = tuple(name for name in self.buckets.sizes if name in fitted)
        rule = OutputAxes.probe(lambda at: self._traced(arguments, at), bucketed, fitted)
        joined = rule.joined() if rule is not None else None
        if joined is not None:
            raise InputError(
                f"{self.name}: output {joined[0]} joins {' and '.join(joined[1])} in one axis, so that padding lies "
                f"inside it and cannot be cut off; keep the axes apart, or pad the inputs before the call"
            )
        return rule

    def _refuse_misplaced(self, rule: OutputAxes | None, sizes: Mapping[str, int], fitted: Mapping[str, int]) -> None:
        for dim, outputs in rule.misplaced.items() if rule is not None else ():
            if sizes[dim] != fitted[dim]:
                for output, cause in outputs.items():
                    raise InputError(
                        f"{self.name}: output {output} does not keep the padding of {dim} at its end, where it is cut "
                        f"off: {cause}; go by lengths instead (x[lengths - 1], a mask before a sort), do this outside "
                        f"the program, or call it at the sizes of a bucket"
                    )

    def _exact_shapes(self, key: Hashable, arguments: Mapping[str, Any], sizes: dict[str, int]) -> Shapes:
        if key not in self._exact:
            try:
                self._exact[key] = output_shapes(self._traced(arguments, sizes))
            except Exception as error:
                raise InputError(
                    f"{self.name}: cannot tell how to cut the padding off the outputs, because the function does not "
                    f"take the sizes {sizes} themselves ({error}); pad the inputs before the call"
                ) from error
        return self._exact[key]

    def _traced(self, arguments: Mapping[str, Any], at: Mapping[str, int]) -> jaxprs.ClosedJaxpr:
        fixed = {name: value for name, value in arguments.items() if name in self.static}
        moving = {
            name: jax.ShapeDtypeStruct(self.specs[name].shape(at), value.dtype)
            if name in self.specs
            else jax.tree.map(struct_of, value)
            for name, value in arguments.items()
            if name not in fixed
        }

        def apply(moving: dict[str, Any]) -> Any:
            bound = inspect.BoundArguments(self.signature, {**moving, **fixed})  # type: ignore[arg-type]
            return self.function(*bound.args, **bound.kwargs)

        return jaxprs.trace(apply, moving)[0]


def struct_of(leaf: object) -> Any:
    """What JAX knows of an array while it traces: shape, dtype, and whether it came from a Python number."""
    if not hasattr(leaf, "dtype"):
        return leaf
    aval = leaf if isinstance(leaf, jax.ShapeDtypeStruct) else jax.typeof(leaf)
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=getattr(aval, "weak_type", False))


def _array(value: object, spec: Spec) -> Any:
    """Makes an array of the spec's dtype of a list of numbers."""
    return value if hasattr(value, "dtype") else np.asarray(value, spec.dtype)
