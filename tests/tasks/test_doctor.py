# SPDX-License-Identifier: BSD-2-Clause
"""The doctor, on processors described by hand in the kernel's own format."""

import os

import pytest

from spago_jax.cli.main import run
from spago_jax.compiler.peaks import Peaks
from spago_jax.core.machine import Processor, processor
from spago_jax.tasks.doctor import advice

PEAKS = Peaks({"float32": 1e11, "bfloat16": 4e11}, 1e10, 1e-5)
FAST = Processor("Xeon", 2, 2, None, ("avx", "avx2", "amx_bf16"), 8 << 30)


def test_a_processor_is_read_off_the_system(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "proc/cpuinfo").write_text("model name\t: Xeon 8481C\nflags\t\t: fpu avx avx2 amx_bf16 amx_tile\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal:       32000000 kB\nMemFree: 1 kB\n")
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("150000 100000\n")
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("1073741824\n")
    cpu = processor(tmp_path)
    assert cpu.name == "Xeon 8481C"
    assert cpu.flags == ("avx", "avx2", "amx_tile", "amx_bf16")
    assert (cpu.quota, cpu.memory) == (1.5, 1 << 30)
    assert 1 <= cpu.usable <= cpu.cores == os.cpu_count()


def test_no_limits_and_a_system_that_tells_nothing(tmp_path):
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("max 100000\n")
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("max\n")
    cpu = processor(tmp_path)
    assert (cpu.quota, cpu.memory, cpu.flags) == (None, None, None)


@pytest.mark.parametrize(
    ("cpu", "peaks", "environment", "cached", "words"),
    [
        (FAST, PEAKS, {}, True, "4.0 times faster in bfloat16"),
        (FAST, Peaks({"float32": 1e11, "bfloat16": 1e11}, 1e10, 1e-5), {}, True, "is it masked"),
        (Processor("old", 2, 2, None, ("avx",), None), None, {}, True, "has no bfloat16 products (AMX, AVX-512 BF16)"),
        (Processor("old", 2, 2, None, ("avx",), None), PEAKS, {}, True, "no AVX2"),
        (Processor("x", 8, 8, 2.0, None, None), None, {}, True, "2 of 8 cores are granted"),
        (Processor("x", 8, 3, None, None, None), None, {}, True, "3 of 8 cores are granted"),
        (FAST, None, {"JAX_DISABLE_JIT": "1"}, True, "JAX_DISABLE_JIT is set"),
        (FAST, None, {"JAX_DEBUG_NANS": "True"}, True, "JAX_DEBUG_NANS is set"),
        (FAST, None, {"JAX_ENABLE_X64": "1"}, True, "JAX_ENABLE_X64 is set"),
        (FAST, None, {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}, True, "splits the CPU"),
        (FAST, None, {"NVIDIA_VISIBLE_DEVICES": "all"}, True, "install jax[cuda"),
        (FAST, None, {}, False, "compile cache is off"),
    ],
)
def test_advice(cpu, peaks, environment, cached, words):
    assert any(words in line for line in advice(cpu, "cpu", peaks, environment, cached=cached))


@pytest.mark.parametrize(
    ("flags", "ratio", "words"),
    [
        (("avx2", "avx512_bf16"), 2.0, "2.0 times faster in bfloat16: try train.precision=bfloat16"),
        (("avx2",), 2.0, "2.0 times faster in bfloat16: try train.precision=bfloat16"),
        (None, 2.0, "2.0 times faster in bfloat16: try train.precision=bfloat16"),
        (("avx2", "avx512_bf16"), 0.5, "reach 0.5 times the rate of float32: leave train.precision at float32"),
        (("avx2",), 0.25, "reach 0.2 times the rate of float32: leave train.precision at float32"),
        (("avx2", "amx_bf16"), 0.5, "AMX is there, but bfloat16 products reach only 0.5 times float32"),
        (("avx2", "avx512_bf16"), 1.2, ""),
        (("avx2", "avx512_bf16"), None, ""),
        (("avx2",), None, "they are emulated, and slower"),
    ],
)
def test_advice_on_bfloat16_follows_what_was_measured(monkeypatch, flags, ratio, words):
    """Not the flags: an AMD processor without AMX has bfloat16 products too."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    peaks = None if ratio is None else Peaks({"float32": 1e11, "bfloat16": ratio * 1e11}, 1e10, 1e-5)
    lines = list(advice(Processor("x", 2, 2, None, flags, None), "cpu", peaks, {}, cached=True))
    assert [line for line in lines if "bfloat16" in line] == lines
    assert len(lines) == bool(words)
    assert not words or words in lines[0]


def test_nothing_to_say(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not list(advice(FAST, "cpu", None, {}, cached=True))
    assert not list(advice(FAST, "gpu", PEAKS, {}, cached=True))


def test_the_command(capsys):
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    for words in ("versions      python", "processor", "instructions", "devices", "compile cache", "FLOP/s in float32"):
        assert words in text
