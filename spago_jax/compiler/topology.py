# SPDX-License-Identifier: BSD-2-Clause
"""TPUs that are described rather than there: their published peaks, and what a compiled program takes of them."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import jax
from jax.stages import Compiled

from spago_jax.compiler.report import Cost, text_of
from spago_jax.core.show import amount
from spago_jax.errors import InputError, did_you_mean

_KINDS = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
_COLLECTIVE = re.compile(rf"= (.*?) ({_KINDS})(-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+[0-9]*[a-z0-9]*)\[([0-9,]*)\]")


@dataclasses.dataclass(frozen=True)
class Chip:
    """What one chip can do at most, as its maker publishes it.

    Attributes:
        flops: floating point operations per second, in bfloat16.
        bytes: bytes per second between the chip and its memory.
        links: bytes per second that it sends to its neighbors, over all links.
        memory: bytes.
        axes: how many axes a slice of such chips has.
    """

    flops: float
    bytes: float
    links: float
    memory: float
    axes: int

    def seconds(self, flops: float, moved: float, sent: float) -> dict[str, float]:
        """Returns how long the work of a program takes at least on each part of the chip, by what bounds it.

        >>> CHIPS["v5e"].seconds(197e12, 819e9, 400e9)
        {'compute': 1.0, 'memory': 1.0, 'links': 2.0}
        """
        return {"compute": flops / self.flops, "memory": moved / self.bytes, "links": sent / self.links}


# https://cloud.google.com/tpu/docs/v5e, v5p and v6e. Links are published for both directions together: half is sent.
CHIPS = {
    "v5e": Chip(197e12, 819e9, 200e9, 16e9, 2),
    "v5p": Chip(459e12, 2765e9, 600e9, 95e9, 3),
    "v6e": Chip(918e12, 1640e9, 400e9, 32e9, 2),
}


def chip_of(topology: str) -> Chip:
    """Returns the chip that a topology such as ``v5e:4x4`` is made of.

    Raises:
        InputError: for an unknown chip, or a shape that its slices do not have.

    >>> chip_of("v5e:4x4x4")
    Traceback (most recent call last):
    ...
    spago_jax.errors.InputError: topology 'v5e:4x4x4': 3 axes, and a slice of v5e has 2, as in v5e:2x2
    """
    name, _, shape = topology.partition(":")
    if name not in CHIPS:
        raise InputError(f"topology {topology!r}: unknown chip {name!r}: {did_you_mean(name, CHIPS)}")
    chip = CHIPS[name]
    example = f"{name}:{'x'.join('2' * chip.axes)}"
    if not re.fullmatch(r"[1-9][0-9]{0,3}(x[1-9][0-9]{0,3})*", shape):
        raise InputError(f"topology {topology!r}: expected a chip and the shape of a slice, as in {example}")
    axes = shape.count("x") + 1
    if axes != chip.axes:
        raise InputError(f"topology {topology!r}: {axes} axes, and a slice of {name} has {chip.axes}, as in {example}")
    return chip


def described_devices(topology: str) -> list[Any]:
    """Returns the devices of a slice, for which programs can be compiled and not run.

    Raises:
        InputError: where libtpu is not installed, or does not know such a slice.
    """
    chip_of(topology)
    try:
        import libtpu  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise InputError("no package 'libtpu', which compiles for TPUs: pip install 'spago_jax[tpu]'") from None
    from jax.experimental import topologies

    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=topology).devices)
    except (jax.errors.JaxRuntimeError, NotImplementedError, ValueError) as error:
        raise InputError(f"topology {topology!r}: {str(error).splitlines()[0]}") from None


_GROUPS = re.compile(r"replica_groups=(?:\{\{([0-9,]+)\}|\[[0-9]+,([0-9]+)\])")


def collective_bytes(hlo: str) -> dict[str, tuple[int, int]]:
    """How often a compiled program (its HLO text) has devices talk to each other, and the bytes of the results.

    Returns:
        ``(count, bytes per device)`` by kind; the body of a loop counts once.

    >>> collective_bytes("%x = (f32[2,3]{1,0:T(8,128)}, bf16[4]) all-reduce(%y, %z), replica_groups={}")
    {'all-reduce': (1, 32)}
    """
    found: dict[str, tuple[int, int]] = {}
    for kind, size, _ in _collectives(hlo):
        count, total = found.get(kind, (0, 0))
        found[kind] = count + 1, total + size
    return found


def _collectives(hlo: str) -> Iterator[tuple[str, int, int | None]]:
    """Yields the kind, the bytes of the result and the number of devices that take part; None: all of them."""
    for line in hlo.splitlines():
        if (match := _COLLECTIVE.search(line)) is None:
            continue
        sizes = [_bytes(*array.groups()) for array in _ARRAY.finditer(match[1])]
        # What is begun apart from its end names its operands beside its results; a sum has the size of its operands.
        size = max(sizes, default=0) if match[3] and match[2] != "all-reduce" else sum(sizes)
        groups = _GROUPS.search(line)
        members = None if groups is None else int(groups[2]) if groups[2] else groups[1].count(",") + 1
        yield match[2], size, members


def _bytes(dtype: str, shape: str) -> int:
    bits = re.search(r"[0-9]+", dtype)
    width = int(bits[0]) if bits else 8 * (dtype == "pred")
    count = 1
    for size in filter(None, shape.split(",")):
        count *= int(size)
    return -(-count * width // 8)


def sent_bytes(collectives: dict[str, tuple[int, int]], devices: int) -> float:
    """Returns the bytes that each device sends, if every collective goes around a ring.

    Source: Patarasuk and Yuan (2009), "Bandwidth optimal all-reduce algorithms for clusters of workstations".

    >>> sent_bytes({"all-reduce": (1, 1600)}, 16), sent_bytes({"all-gather": (1, 1600)}, 16)
    (3000.0, 1500.0)
    """
    share = (devices - 1) / devices
    factors = {"all-reduce": 2 * share, "all-gather": share, "reduce-scatter": devices - 1.0, "all-to-all": share}
    return sum(size * factors.get(kind, 1.0) for kind, (_, size) in collectives.items())


def sent_in(hlo: str, devices: int) -> float:
    """Returns the bytes that each device sends in a compiled program, each collective around a ring of its devices.

    >>> sent_in("%x = f32[100] all-reduce(%y), replica_groups=[8,2]<=[16]", 16)
    400.0
    """
    return sum(sent_bytes({kind: (1, size)}, members or devices) for kind, size, members in _collectives(hlo))


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a program that was compiled for a slice takes on each device, and the least time that it needs there.

    Attributes:
        chip: what the slice is made of.
        cost: XLA's own analysis, of one device.
        collectives: how often devices talk to each other, and the bytes of the results, by kind.
        sent: the bytes that each device sends.
        loops: how many loops there are, of whose bodies XLA counts one pass.
        seconds: how long the work takes at least, by what bounds it.
    """

    chip: Chip
    cost: Cost
    collectives: dict[str, tuple[int, int]]
    sent: float
    loops: int
    seconds: dict[str, float]

    @classmethod
    def of(cls, compiled: Compiled, topology: str, devices: int) -> "Estimate":
        """Reads a ``jax.stages.Compiled``."""
        chip, cost = chip_of(topology), Cost.of(compiled, "", 0.0, "")
        hlo = text_of(compiled)
        sent = sent_in(hlo, devices)
        seconds = chip.seconds(cost.flops, cost.bytes_accessed, sent)
        return cls(chip, cost, collective_bytes(hlo), sent, hlo.count(" while("), seconds)

    @property
    def bound(self) -> str:
        """The part of the chip that takes longest."""
        return max(self.seconds, key=lambda name: self.seconds[name])

    @property
    def fits(self) -> bool:
        """Whether the program fits the memory of a chip."""
        return self.cost.peak_bytes <= self.chip.memory

    def text(self) -> str:
        """Returns all of it in three lines."""
        cost = self.cost
        room = "" if self.fits else ": MORE THAN THERE IS"
        said = ", ".join(f"{count} {kind} of {amount(size, 'B')}" for kind, (count, size) in self.collectives.items())
        once = f"; {self.loops} loops, of whose bodies XLA counts one pass" if self.loops else ""
        parts = ", ".join(f"{name} {amount(value, 's')}" for name, value in self.seconds.items())
        return (
            f"  per device: {amount(cost.flops, 'FLOP')}, {amount(cost.bytes_accessed, 'B')} moved, peak "
            f"{amount(cost.peak_bytes, 'B')} of {amount(self.chip.memory, 'B')}{room} (arguments "
            f"{amount(cost.argument_bytes, 'B')}, temporaries {amount(cost.temporary_bytes, 'B')})\n"
            f"  collectives: {said or 'none'}\n"
            f"  {self.bound} bound: at least {amount(self.seconds[self.bound], 's')} ({parts}{once})"
        )
