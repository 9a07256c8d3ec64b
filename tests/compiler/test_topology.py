"""TPUs that are described: what is refused, what is counted in HLO (by hand), and a program for a slice of v5e."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from helpers import refuses

from spago_jax.cli.main import run
from spago_jax.compiler.topology import CHIPS, Estimate, chip_of, collective_bytes, described_devices, sent_bytes
from spago_jax.tasks.inspect import NoRoom, _compiled

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "digits-mlp.yaml"
HLO = """
ENTRY %main (a: f32[8,128]) -> f32[8,128] {
  %sum = (f32[8,128]{1,0:T(8,128)}, bf16[3]{0:T(256)}) all-reduce(%a, %b), replica_groups={{0,1,2,3}}, to_apply=%add
  %begun = f32[16]{0} all-reduce-start(%c), channel_id=2
  %ended = f32[16]{0} all-reduce-done(%begun)
  %gather = (s8[4]{0}, s8[16]{0}) all-gather-start(%d), dimensions={0}
  %part = pred[5] reduce-scatter(%e), metadata={op_name="an all-reduce(of something)"}
  %use = f32[8,128] fusion(%sum), calls=%all-reduce.1
}
"""


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        ("v5x:2x2", "topology 'v5x:2x2': unknown chip 'v5x': "),
        ("v5e", "topology 'v5e': expected a chip and the shape of a slice, as in v5e:2x2"),
        ("v5e:4x", "topology 'v5e:4x': expected a chip and the shape of a slice, as in v5e:2x2"),
        ("v5e:0x2", "topology 'v5e:0x2': expected a chip and the shape of a slice, as in v5e:2x2"),
        ("v5p:2x2", "topology 'v5p:2x2': 2 axes, and a slice of v5p has 3, as in v5p:2x2x2"),
    ],
)
def test_a_topology_that_is_none_is_refused(topology, message, capsys):
    assert run(["inspect", str(CONFIG), "--topology", topology]) == 2
    assert message in capsys.readouterr().err


def test_without_libtpu_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "libtpu", None)
    with refuses("no package 'libtpu', which compiles for TPUs: pip install 'spago_jax[tpu]'"):
        described_devices("v5e:2x2")


def test_collectives_are_counted_with_the_bytes_of_their_results():
    assert collective_bytes(HLO) == {
        "all-reduce": (2, 8 * 128 * 4 + 3 * 2 + 16 * 4),
        "all-gather": (1, 16),
        "reduce-scatter": (1, 5),
    }
    assert collective_bytes("%x = f32[8] add(%a, %b)") == {}


def test_a_ring_sends_what_its_steps_add_up_to():
    """By hand: in each of n - 1 steps a device sends one n-th of the array; a sum is scattered, then gathered."""
    for devices in (2, 4, 16):
        steps = sum(1600 / devices for _ in range(devices - 1))
        assert sent_bytes({"all-reduce": (1, 1600)}, devices) == pytest.approx(2 * steps)
        assert sent_bytes({"all-gather": (1, 1600)}, devices) == pytest.approx(steps)
        assert sent_bytes({"reduce-scatter": (1, 1600 // devices)}, devices) == pytest.approx(steps)


def test_the_least_time_is_that_of_the_slowest_part():
    n = 64
    compiled = jax.jit(jnp.matmul).lower(jnp.ones((n, n)), jnp.ones((n, n))).compile()
    text = Estimate.of(compiled, "v5e:4x4", 16).text()
    assert "per device: 524 kFLOP" in text or "524.3 kFLOP" in text, text
    assert "collectives: none" in text
    assert "memory bound: at least" in text  # 2 n^3 / 197e12 s is less than 3 * 4 n^2 / 819e9 s
    found = chip_of("v5e:4x4").seconds(2.0 * n**3, 12.0 * n**2, 0.0)
    assert found == {"compute": 2 * n**3 / 197e12, "memory": 12 * n**2 / 819e9, "links": 0.0}
    assert CHIPS["v5p"].flops == 459e12


def test_a_program_without_room_is_refused_with_ways_out():
    """The message is that of libtpu for BERT-base on a slice of v5e."""

    class Lowered:
        def compile(self):
            raise jax.errors.JaxRuntimeError(
                "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries (17.60G) "
                "exceeds available HBM (15.75G).\n\nmore"
            )

    with refuses(
        "v5e:4x4: the program does not fit the memory of a device (Ran out of memory on HBM, the total memory required "
        "for HLO temporaries (17.60G) exceeds available HBM (15.75G).); more devices, train.remat: full, "
        "train.sharding: fsdp or a smaller train.batch_size make it smaller",
        NoRoom,
    ):
        _compiled(Lowered(), "v5e:4x4")


@pytest.mark.slow
def test_a_step_is_compiled_for_a_slice_that_is_not_there():
    pytest.importorskip("libtpu")
    code = "from spago_jax.cli.main import main; main()"
    command = [sys.executable, "-c", code, "inspect", str(CONFIG), "--topology", "v5e:2x2"]
    done = subprocess.run(
        command, env={**os.environ, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "v5e:2x2: 4 x TPU v5 lite" in done.stdout
    assert "all-reduce of" in done.stdout
    assert done.stdout.count(" bound: at least ") == 2
