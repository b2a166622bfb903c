"""Real symmetric tensors contracted with complex vectors in lanes, down to the matrices that a tracker of paths needs.

A symmetric tensor with q indices is kept once a multiset of indices: C(n + q - 1, q) entries, pairs in the order of
packed matrices. ``T`` itself, with p indices, stands as a row a multiset of p - 1 of them (``linear.packed``), so its
contraction with a vector has p - 1 = m indices; ``tables`` lead from there, level by level, to matrices.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.compilation import jit
from simcore.proof.lanes import REGISTER, fma, imag, nothing, put, real, take, turned, width, zeroed
from simcore.proof.linear import BLOCK, contract, multiply

Tables = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def multisets(n: int, q: int) -> list[tuple[int, ...]]:
    """Return the multisets of q of n indices in the order of the kernels: pairs (k, j), k <= j, by j first."""
    if q == 2:
        return [(k, j) for j in range(n) for k in range(j + 1)]
    return list(itertools.combinations_with_replacement(range(n), q))


def tables(n: int, p: int) -> Tables | None:
    """Return (rows, first row of each level, entries of each level), or None for p = 3, which needs none.

    Row of a multiset of level q, q = 2, ..., p - 2, holds the places of it and one more index in level q + 1;
    ``first[q]`` is where level q begins. Kernels ask ``tables is None``, not p == 3: Numba leaves out what the type of
    an argument excludes, and half of what a tracker would compile with it.
    """
    if p == 3:
        return None
    parts: list[NDArray[np.int64]] = []
    first, begin = np.zeros(p, np.int64), 0
    for q in range(2, p - 1):
        place = {s: i for i, s in enumerate(multisets(n, q + 1))}
        rows = [[place[tuple(sorted((*s, l)))] for l in range(n)] for s in multisets(n, q)]  # noqa: E741
        parts.append(np.array(rows, np.int64))
        first[q] = begin
        begin += len(rows)
    return np.concatenate(parts), first, np.array([math.comb(n + q - 1, q) for q in range(p)], np.int64)


def workspace(T: NDArray[Any], n: int, p: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return room for a tracker, a row each: vectors of 2 n complex numbers a lane, packed matrices, levels below T.

    Made here, three arrays in all: what a kernel allocates, and every array handed to it, takes time to compile.
    """
    step = 2 * REGISTER // (8 * T.itemsize)
    level = step * (T.size // n + BLOCK) if p > 3 else 0
    return (
        zeroed(T.dtype, 15, 2 * step * n),
        zeroed(T.dtype, 2, step * (n * (n + 1) // 2 + BLOCK)),
        zeroed(T.dtype, 3, level),
    )


@jit(inner=True)
def _lower(tables, q, n, M, v, A):
    """A_s = sum_l M_(s + l) v_l for the multisets s of q indices; at most 2 n + 2 roundings on any term."""
    rows, first, sizes = tables
    step = 2 * width(M)
    for s in range(sizes[q]):
        a, b = nothing(M), nothing(M)
        for l in range(n):  # noqa: E741
            x, z = take(M, step * rows[first[q] + s, l]), take(v, step * l)
            a = fma(real(x), z, a)
            b = fma(imag(x), z, b)
        put(A, step * s, a + turned(b))


@jit(inner=True)
def descend(T, tables, n, p, y, z, above, A):
    """A = T y^(p-3) z, packed; above[q % 2] keep the levels q = 3 and 4, T y^(p-3) and T y^(p-4), where they exist."""
    if tables is None:
        contract(T, n, z, A)
    else:
        contract(T, n, y, above[(p - 1) % 2])
        for q in range(p - 2, 2, -1):
            _lower(tables, q, n, above[(q + 1) % 2], y, above[q % 2])
        _lower(tables, 2, n, above[1], z, A)


@jit(inner=True)
def bend(T, tables, n, p, above, u, B):
    """B = T y^(p-3) u, packed, after ``descend``."""
    if tables is None:
        contract(T, n, u, B)
    else:
        _lower(tables, 2, n, above[1], u, B)


@jit(inner=True)
def third(T, tables, n, p, above, u, E, e):
    """E = T y^(p-4) u^2, packed, and e = E u, for p > 3, after ``descend``; above[2] is overwritten."""
    if p == 4:
        contract(T, n, u, above[2])
    else:
        _lower(tables, 3, n, above[0], u, above[2])
    _lower(tables, 2, n, above[2], u, E)
    multiply(n, E, u, e)
