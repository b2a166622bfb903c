"""Philox4x32-10: a counter-based random number generator.

A block of four 32-bit words is a function of a 128-bit counter and a 64-bit key alone, so any draw or start can be
made again by itself, on any target and in any order.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011; checked against the
known-answer vectors of their library Random123.
"""

from __future__ import annotations

import numpy as np

from simcore.compilation import jit

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint32(0x9E3779B9)
_WEYL_1 = np.uint32(0xBB67AE85)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@jit
def philox4x32(c0, c1, c2, c3, k0, k1):
    """Return four uint32 for the counter (c0, c1, c2, c3) and the key (k0, k1), all uint32."""
    c0, c1, c2, c3 = np.uint32(c0), np.uint32(c1), np.uint32(c2), np.uint32(c3)
    k0, k1 = np.uint32(k0), np.uint32(k1)
    for _ in range(10):
        p0 = _MULTIPLIER_0 * np.uint64(c0)
        p1 = _MULTIPLIER_1 * np.uint64(c2)
        c0, c1, c2, c3 = (
            np.uint32(p1 >> _HALF) ^ c1 ^ k0,
            np.uint32(p1 & _LOW),
            np.uint32(p0 >> _HALF) ^ c3 ^ k1,
            np.uint32(p0 & _LOW),
        )
        k0 = np.uint32(k0 + _WEYL_0)
        k1 = np.uint32(k1 + _WEYL_1)
    return c0, c1, c2, c3


@jit(inline=True)
def unit_interval(high, low):
    """Return (k + 1/2) 2^-52 with k the upper 52 of 64 random bits: uniform on (0, 1), never 0 or 1, exact."""
    k = ((np.uint64(high) << _HALF) | np.uint64(low)) >> np.uint64(12)
    return (np.float64(k) + 0.5) * 2.220446049250313e-16
