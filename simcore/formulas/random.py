"""Random arrays addressed by (seed, stream, draw, item): the same bits in any order, on any target.

Key = the 64-bit seed; counter = (block, item, draw, stream). A stream is a purpose of one landscape
(``Landscape.stream``), an item a start (0 for coefficients), a block two normals or two uniforms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.compilation import jit
from simcore.errors import InputError
from simcore.formulas.normals import normal_pair
from simcore.formulas.philox import philox4x32, unit_interval

Array = NDArray[np.float64]

_WORD = 2**32


@jit
def fill_words(out, normal, key0, key1, stream, draw, first):
    """Fill row i of out (items, count) with the numbers of item first + i."""
    items, count = out.shape
    for i in range(items):
        for block in range((count + 1) // 2):
            a, b, c, d = philox4x32(block, first + i, draw, stream, key0, key1)
            u = unit_interval(a, b)
            v = unit_interval(c, d)
            if normal:
                u, v = normal_pair(u, v)
            out[i, 2 * block] = u
            if 2 * block + 1 < count:
                out[i, 2 * block + 1] = v


def _numbers(normal: bool, seed: int, stream: int, draw: int, first: int, items: int, count: int) -> Array:
    if not 0 <= seed < 2**64:
        raise InputError(f"seed is {seed}; give a whole number from 0 to 2^64 - 1")
    if not 0 <= draw < _WORD:
        raise InputError(f"draw is {draw}; give a whole number from 0 to 2^32 - 1")
    if not (first >= 0 and first + items <= _WORD):
        raise InputError(f"starts {first} to {first + items - 1} are asked for; starts are numbered from 0 to 2^32 - 1")
    out = np.empty((items, count))
    word: Any = np.uint32
    fill_words(out, normal, word(seed % _WORD), word(seed // _WORD), word(stream), word(draw), first)
    return out


def normals(seed: int, stream: int, draw: int, item: int, count: int) -> Array:
    """Return ``count`` standard normals of one item, shape (count,); a shorter count is a prefix of a longer one."""
    return _numbers(True, seed, stream, draw, item, 1, count)[0]


def uniforms(seed: int, stream: int, draw: int, item: int, count: int) -> Array:
    """Return ``count`` uniforms on (0, 1) of one item, shape (count,)."""
    return _numbers(False, seed, stream, draw, item, 1, count)[0]


def start_normals(seed: int, stream: int, draw: int, first: int, starts: int, count: int) -> Array:
    """Return standard normals, shape (starts, count): row i is ``normals(seed, stream, draw, first + i, count)``."""
    return _numbers(True, seed, stream, draw, first, starts, count)


def start_uniforms(seed: int, stream: int, draw: int, first: int, starts: int, count: int) -> Array:
    """Return uniforms on (0, 1), shape (starts, count): row i is ``uniforms(seed, stream, draw, first + i, count)``."""
    return _numbers(False, seed, stream, draw, first, starts, count)
