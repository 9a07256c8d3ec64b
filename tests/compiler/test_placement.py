# SPDX-License-Identifier: BSD-2-Clause
"""Programs on a mesh. Oracle: the same program on one device. Eight devices come from a process of their own."""

import subprocess
import sys

import jax
import pytest
from jax.sharding import Mesh

import spago_jax as sj
from spago_jax.errors import InputError

_SCRIPT = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
import spago_jax as sj
from spago_jax.errors import InputError
from spago_jax.nn import Linear

class Net(sj.Module):
    up: Linear
    down: Linear
    def __call__(self, x):
        return self.down(jnp.tanh(self.up(x)))

key = jax.random.key(0)
net = Net(Linear.init(key, 8, 16), Linear.init(key, 16, 4))
x = jax.random.normal(key, (32, 8))
mesh = Mesh(np.array(jax.devices()).reshape(2, 4), ("data", "model"))
rules = [
    (r"up\\.weight", ("model", None)), (r"up\\.bias", P("model")), (r"down\\.weight", P(None, "model")),
    (r"^x$", ("data",)),
]
def loss(net, x):
    return jnp.square(net(x)).mean()
plain = sj.compile(loss)
spread = sj.compile(loss, mesh=mesh, rules=rules, name="spread")
np.testing.assert_allclose(spread(net, x), plain(net, x), rtol=1e-6)
report = spread.report(roofline=False)
assert report.costs[0].collectives.get("all-reduce", 0) >= 1, report
assert "collectives:" in str(report)
grads, expected = sj.graph(spread).gradient("net.*").compile(mesh=mesh, rules=rules), jax.grad(loss)(net, x)
for path, found in grads(net, x).items():
    np.testing.assert_allclose(found, sj.flat(expected)[path.removeprefix("net.")], rtol=1e-5, atol=1e-6)
spread.freeze()(net, x)
ahead = sj.compile(loss, net, "f32[32, 8]", mesh=mesh, rules=rules).freeze()
np.testing.assert_allclose(ahead(net, x), plain(net, x), rtol=1e-6)
for bad, size in (((r"up\\.bias", P("model", "data")), 32), ((r"x", P("data")), 31)):
    try:
        sj.compile(loss, mesh=mesh, rules=[bad], name="bad")(net, jnp.ones((size, 8)))
    except InputError as error:
        print(error)
print("devices", len(spread(net, x).devices()))
"""


def test_a_program_on_eight_devices_gives_what_one_gives():
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bad: net.up.bias has shape [16], too few axes for" in done.stdout
    assert "bad: axis 0 of x has size 31, which does not split over 2 devices ('data')" in done.stdout
    assert "devices 8" in done.stdout


def test_rules_are_checked_before_work():
    mesh = Mesh(jax.devices()[:1], ("data",))
    with pytest.raises(InputError, match="names the mesh axis 'dta': did you mean 'data'"):
        sj.compile(lambda x: x, mesh=mesh, rules=[("x", ("dta",))])
    with pytest.raises(InputError, match="is not a regular expression"):
        sj.compile(lambda x: x, mesh=mesh, rules=[("x(", ("data",))])
    with pytest.raises(InputError, match="there is none: give mesh= too"):
        sj.compile(lambda x: x, rules=[("x", ("data",))])
