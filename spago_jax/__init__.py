# SPDX-License-Identifier: BSD-2-Clause
"""Neural models as plain Python classes of arrays, traced once into XLA programs.

    import spago_jax as sj

``sj.Module`` is a frozen dataclass of arrays; ``sj.compile`` makes a ``Program`` of a pure function.
"""

import typing as _typing

from spago_jax.compiler import Buckets as Buckets
from spago_jax.compiler import Program as Program
from spago_jax.compiler import RetraceError as RetraceError
from spago_jax.compiler import cache as cache
from spago_jax.compiler import compile as compile
from spago_jax.compiler import spec as spec
from spago_jax.core import Array as Array
from spago_jax.core import Module as Module
from spago_jax.core import Precision as Precision
from spago_jax.core import Rng as Rng
from spago_jax.core import Role as Role
from spago_jax.core import add_loss as add_loss
from spago_jax.core import buffer as buffer
from spago_jax.core import combine as combine
from spago_jax.core import count_parameters as count_parameters
from spago_jax.core import flat as flat
from spago_jax.core import freeze as freeze
from spago_jax.core import labels as labels
from spago_jax.core import param as param
from spago_jax.core import partition as partition
from spago_jax.core import roles as roles
from spago_jax.core import static as static
from spago_jax.core import summary as summary
from spago_jax.core import tap as tap
from spago_jax.core import trainable as trainable
from spago_jax.core import unflat as unflat
from spago_jax.core import value_and_grad as value_and_grad
from spago_jax.core.lazy_names import lazy_names as _lazy_names

if _typing.TYPE_CHECKING:
    from spago_jax.compiler.graph import Graph as Graph
    from spago_jax.compiler.graph import graph as graph
    from spago_jax.compiler.ship import export as export
    from spago_jax.compiler.ship import load_program as load_program
    from spago_jax.tasks.experiment import load_experiment as load_experiment
    from spago_jax.tasks.load import load_pretrained as load_pretrained
    from spago_jax.tasks.load import load_task as load_task

__version__ = "0.2.0"

# Loaded when they are first asked for, so that the import of the package stays light.
__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "Graph": "spago_jax.compiler.graph",
        "graph": "spago_jax.compiler.graph",
        "export": "spago_jax.compiler.ship",
        "load_program": "spago_jax.compiler.ship",
        "load_experiment": "spago_jax.tasks.experiment",
        "load_pretrained": "spago_jax.tasks.load",
        "load_task": "spago_jax.tasks.load",
    },
)
