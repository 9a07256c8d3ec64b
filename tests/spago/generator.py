"""spaGO's random numbers: Go's ``golang.org/x/exp/rand`` (PCG XSL RR 128/64), in plain Python.

For tests alone: it draws one number after the other, which no accelerator likes.
"""

import functools
import math

import numpy as np

_MASK64, _MASK128 = (1 << 64) - 1, (1 << 128) - 1
_MULTIPLIER = 47026247687942121848144207491837523525
_INCREMENT = 117397592171526113268558934119004209487
_TAIL = 3.442619855899  # where the ziggurat's base layer ends
_AREA = 9.91256303526217e-3  # of each of its 128 layers


class Generator:
    """The generator seeded as spaGO's ``rand.NewLockedRand(seed)``.

    Source: O'Neill (2014), "PCG"; Marsaglia and Tsang (2000), "The ziggurat method".

    >>> generator = Generator(0)
    >>> generator.uint64(), round(generator.float64(), 6)
    (14697929703826476783, 0.772596)
    """

    def __init__(self, seed: int):
        self._state = (seed & _MASK64) << 64 | (seed & _MASK64)

    def uint64(self) -> int:
        """64 random bits."""
        self._state = (self._state * _MULTIPLIER + _INCREMENT) & _MASK128
        high, low = self._state >> 64, self._state & _MASK64
        mixed, turn = high ^ low, high >> 58
        return (mixed >> turn | mixed << (64 - turn)) & _MASK64

    def float64(self) -> float:
        """Uniform in [0, 1)."""
        return (self.uint64() & ((1 << 53) - 1)) / (1 << 53)

    def normal(self) -> float:
        """From the standard normal distribution."""
        kn, wn, fn = _ziggurat()
        while True:
            bits = self.uint64() >> 32
            j = bits - (1 << 32) if bits >= 1 << 31 else bits
            i = j & 0x7F
            x = j * float(wn[i])
            if abs(j) < kn[i]:
                return x
            if i == 0:
                while True:
                    x = -math.log(self.float64()) / _TAIL
                    y = -math.log(self.float64())
                    if y + y >= x * x:
                        return _TAIL + x if j > 0 else -_TAIL - x
            if fn[i] + np.float32(self.float64()) * (fn[i - 1] - fn[i]) < np.float32(math.exp(-0.5 * x * x)):
                return x

    def fill(self, shape: tuple[int, int], draw: str) -> np.ndarray:
        """A matrix filled row by row by ``float64`` or ``normal``."""
        return np.array([getattr(self, draw)() for _ in range(shape[0] * shape[1])]).reshape(shape)


@functools.cache
def _ziggurat() -> tuple[list[int], np.ndarray, np.ndarray]:
    kn, wn, fn = [0] * 128, np.zeros(128, np.float32), np.zeros(128, np.float32)
    scale = float(1 << 31)
    here = before = _TAIL
    base = _AREA / math.exp(-0.5 * here * here)
    kn[0], kn[1] = int(here / base * scale), 0
    wn[0], wn[127] = base / scale, here / scale
    fn[0], fn[127] = 1.0, math.exp(-0.5 * here * here)
    for i in range(126, 0, -1):
        here = math.sqrt(-2.0 * math.log(_AREA / here + math.exp(-0.5 * here * here)))
        kn[i + 1] = int(here / before * scale)
        before = here
        fn[i], wn[i] = math.exp(-0.5 * here * here), here / scale
    return kn, wn, fn
