# SPDX-License-Identifier: BSD-2-Clause
"""What this machine is, what it can do at most, and what is slow on it and why."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import jax

from spago_jax.compiler.cache import cache
from spago_jax.compiler.peaks import Peaks, measured_peaks
from spago_jax.core.machine import Processor, processor
from spago_jax.core.show import amount
from spago_jax.train.run_folder import versions


def examine(*, peaks: bool = True) -> Iterator[str]:
    """The findings, line by line; measuring the peaks takes a few seconds."""
    cpu = processor()
    yield "versions      " + ", ".join(f"{name} {version}" for name, version in versions().items())
    yield f"processor     {cpu.name}: {cpu.cores} core(s), {cpu.usable} usable here" + (
        f", quota {cpu.quota:g}" if cpu.quota else ""
    )
    yield "instructions  " + (" ".join(cpu.flags or ()) or "(the system does not tell)")
    yield f"memory        {amount(cpu.memory, 'B') if cpu.memory else '(the system does not tell)'}"
    devices = jax.local_devices()
    yield "devices       " + ", ".join(f"{d.id}: {d.device_kind} ({d.platform})" for d in devices)
    yield f"default       {jax.default_backend()}, float64 {'on' if jax.config.jax_enable_x64 else 'off'}"  # type: ignore[attr-defined]
    folder = cache()
    yield "compile cache " + (f"{folder} ({amount(_size(folder), 'B')})" if folder else "off")
    measured = measured_peaks() if peaks else None
    if measured is not None:
        for dtype, rate in measured.flops.items():
            yield f"peak          {amount(rate, 'FLOP/s')} in {dtype} matrix products"
        yield f"peak          {amount(measured.bytes, 'B/s')} of memory traffic"
        yield f"call          {amount(measured.call_seconds, 's')} for the smallest program"
    found = list(advice(cpu, jax.default_backend(), measured, os.environ, cached=folder is not None))
    yield ""
    yield from (f"* {line}" for line in found) if found else ["nothing that slows programs down was found"]


def advice(
    cpu: Processor, backend: str, peaks: Peaks | None, environment: Mapping[str, str], *, cached: bool
) -> Iterator[str]:
    """What is slow here and why, and what helps; one sentence each."""
    if backend == "cpu" and (shutil.which("nvidia-smi") or environment.get("NVIDIA_VISIBLE_DEVICES")):
        yield "a GPU seems to be there, but JAX runs on the CPU: install jax[cuda12] or jax[cuda13]"
    if backend == "cpu" and cpu.flags is not None and "avx2" not in cpu.flags:
        yield "no AVX2: matrix products run at a fraction of what newer processors reach"
    if backend == "cpu":
        yield from _bfloat16_advice(cpu, peaks)
    granted = min(cpu.usable, cpu.quota or cpu.usable)
    if granted < cpu.cores:
        yield f"{granted:g} of {cpu.cores} cores are granted: XLA starts threads for {cpu.usable}, which take turns"
    if "xla_force_host_platform_device_count" in environment.get("XLA_FLAGS", ""):
        yield "XLA_FLAGS splits the CPU into several devices: a program on one of them has a part of the cores"
    if not cached:
        yield "the compile cache is off: every process compiles anew (SPAGO_COMPILE_CACHE)"
    if environment.get("JAX_DISABLE_JIT", "").lower() in ("1", "true"):
        yield "JAX_DISABLE_JIT is set: every operation runs by itself"
    if environment.get("JAX_DEBUG_NANS", "").lower() in ("1", "true"):
        yield "JAX_DEBUG_NANS is set: every result is looked at on the host"
    if environment.get("JAX_ENABLE_X64", "").lower() in ("1", "true"):
        yield "JAX_ENABLE_X64 is set: Python numbers make float64 arrays, at half the speed and twice the memory"


def _bfloat16_advice(cpu: Processor, peaks: Peaks | None) -> Iterator[str]:
    """What the measured rates say; the processor's instructions alone where none were measured."""
    amx = cpu.flags is not None and "amx_bf16" in cpu.flags
    if peaks is None:
        if cpu.flags is not None and not amx and "avx512_bf16" not in cpu.flags:
            yield (
                "the processor has no bfloat16 products (AMX, AVX-512 BF16): they are emulated, and slower than in "
                "float32; leave train.precision at float32"
            )
        return
    ratio = peaks.flops["bfloat16"] / peaks.flops["float32"]
    if ratio > 1.5:
        yield f"matrix products are {ratio:.1f} times faster in bfloat16: try train.precision=bfloat16"
    elif amx:
        yield f"AMX is there, but bfloat16 products reach only {ratio:.1f} times float32: is it masked in a VM?"
    elif ratio < 1.0:
        yield (
            f"matrix products in bfloat16 reach {ratio:.1f} times the rate of float32: leave train.precision at float32"
        )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
