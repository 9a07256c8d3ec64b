# SPDX-License-Identifier: BSD-2-Clause
"""The machine as this process finds it: cores, vector instructions, memory, and the folder of caches."""

import dataclasses
import os
import platform
from pathlib import Path

# What matters to XLA on a CPU: wide vectors, fused multiply-add, and the matrix units with their dtypes.
_INTERESTING = (
    "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni",
    "amx_tile", "amx_bf16", "amx_int8",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Processor:
    """The processor as this process sees it.

    Attributes:
        name: its model, where the system tells.
        cores: that there are.
        usable: that this process may run on.
        quota: cores' worth of time that a container grants; None without a limit.
        flags: the vector and matrix instructions that matter here; None where the system does not tell.
        memory: bytes that this process may use; None where the system does not tell.
    """

    name: str
    cores: int
    usable: int
    quota: float | None
    flags: tuple[str, ...] | None
    memory: int | None


def processor(root: Path = Path("/")) -> Processor:
    """Reads the processor off the system; ``root`` is another one in tests."""
    info = _text(root / "proc/cpuinfo")
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    return Processor(
        name=_field(info, "model name") or platform.processor() or platform.machine(),
        cores=cores,
        usable=usable,
        quota=_quota(root),
        flags=_flags(info),
        memory=_memory(root),
    )


def _flags(info: str) -> tuple[str, ...] | None:
    listed = (_field(info, "flags") or _field(info, "Features")).split()
    return tuple(flag for flag in _INTERESTING if flag in listed) if listed else None


def _quota(root: Path) -> float | None:
    parts = _text(root / "sys/fs/cgroup/cpu.max").split()
    if len(parts) == 2 and parts[0] != "max":
        return int(parts[0]) / int(parts[1])
    return None


def _memory(root: Path) -> int | None:
    sizes = []
    limit = _text(root / "sys/fs/cgroup/memory.max").strip()
    if limit.isdigit():
        sizes.append(int(limit))
    total = _field(_text(root / "proc/meminfo"), "MemTotal").split()
    if total:
        sizes.append(int(total[0]) * 1024)
    return min(sizes, default=None)


def _field(text: str, name: str) -> str:
    """The value of the first line ``name : value``."""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def cache_root() -> Path:
    """The folder of the caches: ``$SPAGO_CACHE``, else ``$XDG_CACHE_HOME/spago_jax``, else ``~/.cache/spago_jax``.

    The folder is not made. Deleting it is safe at any time that no run is using it.

    >>> import os, unittest.mock
    >>> with unittest.mock.patch.dict(os.environ, SPAGO_CACHE="/var/cache/words"):
    ...     print(cache_root().as_posix())
    /var/cache/words
    """
    chosen = os.environ.get("SPAGO_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "spago_jax"
