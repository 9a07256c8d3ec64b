"""Who computes which golden file: handlers register themselves by the file's name."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from spago.golden import Case
from spago_jax.core import Array

Params = dict[str, Array]
Function = Callable[[Params, Sequence[Array]], Sequence[Array]]
"""Parameters by spaGO's name and the inputs, to the outputs in spaGO's shapes; differentiated, so it must be pure."""

Comparison = tuple[str, Any, np.ndarray]
"""What is compared, our number, spaGO's number."""


@dataclasses.dataclass(frozen=True)
class Instead:
    """What a case is held against where spaGO is wrong.

    Attributes:
        reason: what spaGO does wrong, in a line.
        outputs: the right outputs, from an oracle that is not the code under test (NumPy, another version of spaGO);
            None: spaGO's outputs are right, and its gradients alone are wrong.

    Gradients are held against central differences of our function.
    """

    reason: str
    outputs: Callable[[Case], Sequence[np.ndarray]] | None = None


@dataclasses.dataclass(frozen=True)
class Computation:
    """How a case is computed here.

    Attributes:
        function: the computation.
        instead: where spaGO is wrong in this case; None to match spaGO.
        gradient_tolerance: where spaGO's own gradient is less exact than float64 (rounded constants).
        settings: numbers that the function has taken out of the case, by name (an activation's ``alpha``). Whatever
            else it depends on stands in the config, the names, the shapes and the buffers: cases alike in all of these
            share a compiled program, and take only their parameters, inputs and gradients to it.
    """

    function: Function
    instead: Instead | None = None
    gradient_tolerance: float = 1e-9
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)


Handler = Callable[[Case], Computation | Iterable[Comparison]]
HANDLERS: dict[str, Handler] = {}


def golden(*files: str) -> Callable[[Handler], Handler]:
    """Registers a handler for golden files by name: ``@golden("nn.lstm")``.

    It returns a ``Computation``, which is checked in outputs and all gradients; or, for files of another kind
    (optimizers, initializers, metrics), the comparisons themselves.
    """

    def register(handler: Handler) -> Handler:
        for file in files:
            if file in HANDLERS:
                raise ValueError(f"two handlers for {file}")
            HANDLERS[file] = handler
        return handler

    return register
