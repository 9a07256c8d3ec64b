# SPDX-License-Identifier: BSD-2-Clause
"""The operations on nodes, one kind a file; importing them fills the registry."""

from spago_jax.compiler.symbolic.operations import (
    activations as activations,
)
from spago_jax.compiler.symbolic.operations import (
    broadcasting as broadcasting,
)
from spago_jax.compiler.symbolic.operations import (
    elementwise as elementwise,
)
from spago_jax.compiler.symbolic.operations import (
    losses as losses,
)
from spago_jax.compiler.symbolic.operations import (
    normalization as normalization,
)
from spago_jax.compiler.symbolic.operations import (
    products as products,
)
from spago_jax.compiler.symbolic.operations import (
    randomness as randomness,
)
from spago_jax.compiler.symbolic.operations import (
    reductions as reductions,
)
from spago_jax.compiler.symbolic.operations import (
    shapes as shapes,
)
from spago_jax.compiler.symbolic.operations import (
    windows as windows,
)
