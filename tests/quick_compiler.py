"""How the tests compile: quickly, and once for each machine.

Most tests ask what a program computes, not how fast it is. The options below compile a small program in a sixth of
the time, at the same float64 accuracy; options that are already in ``XLA_FLAGS`` stay as they are. What was compiled is
kept in the user's cache folder, so that a fresh clone on a machine that ran the tests before starts warm.
"""

import os
from importlib.metadata import version
from pathlib import Path

OPTIONS = {"xla_backend_optimization_level": "0", "xla_cpu_parallel_codegen_split_count": "1"}
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 12):  # later ones abort at an option that they do not know
    OPTIONS["xla_cpu_use_fusion_emitters"] = "false"


def quick_compiler() -> None:
    """Sets the options and the cache folder; XLA reads them when its first program compiles."""
    given = os.environ.get("XLA_FLAGS", "")
    ours = [f"--{name}={value}" for name, value in OPTIONS.items() if f"--{name}" not in given]
    os.environ["XLA_FLAGS"] = " ".join([*ours, given]).strip()
    if "SPAGO_CACHE" not in os.environ:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        os.environ["SPAGO_CACHE"] = str(Path(home) / "spago_jax" / "tests")
