"""Frequency sets of random waves that are isotropic to fourth order.

Take f(x) = sum_k sqrt(w_k) (a_k cos k.x + b_k sin k.x) with standard normal a, b. The joint law of f, its gradient and
its Hessian at a point depends on the frequencies only through

    l2 = sum_k w_k k_i^2,    l4 = sum_k w_k k_i^4,    l22 = sum_k w_k k_i^2 k_j^2  (i != j),

provided all odd moments vanish. It is the law of an isotropic field exactly when l4 = 3 l22, whatever the number of
waves: an isotropic fourth-order tensor is l22 (d_ij d_kl + d_ik d_jl + d_il d_jk), and i = j = k = l gives 3 l22.

Symbols: n dimension; a frequency of *type* m has m entries +-1 and n - m entries 0; W_m total weight of a type.
A type's frequencies with equal weights have l2 = l4 = m/n and l22 = m (m - 1) / (n (n - 1)), so l4 - 3 l22 is e_m / n
with the *excess* e_m = m (n + 2 - 3 m) / (n - 1), and the condition reads sum_m W_m e_m = 0.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from simcore.errors import InputError

Array = NDArray[np.float64]


@cache
def isotropic_frequencies(n: int) -> tuple[NDArray[np.int8], Array]:
    """Return integer frequencies with entries in {-1, 0, 1} that are isotropic to fourth order, and their weights.

    The excess e_m is positive below m = (n + 2)/3 and negative above, so one type serves where (n + 2)/3 is whole
    (n = 1, 4, 7, 10) and the two types next to it, weighted to cancel, serve elsewhere. Of k and -k one is kept.
    For n = 1 there is no l22; the single wave k = 1 has l4 = l2, which is the condition with l22 read as l2/3.

    Parameters
    ----------
    n : int
        Dimension, at least 1. The set has 1, 4, 9, 12, 60, 110, 140, 784, 1344, 1680 waves for n = 1..10.

    Returns
    -------
    frequencies : (M, n) int8, read-only
        Each row's first non-zero entry is 1.
    weights : (M,) float64, read-only
        Positive, with sum 1: the field has unit variance.

    Raises
    ------
    InputError
        If ``n`` is below 1.

    Source
    ------
    Derived above from the moments of an isotropic tensor of fourth order.
    """
    blocks, weights = [], []
    for m, total in type_weights(n).items():
        block = _frequencies_of_type(n, m)
        blocks.append(block)
        weights.append(np.full(len(block), float(total / len(block))))
    frequencies, weight = np.concatenate(blocks), np.concatenate(weights)
    frequencies.flags.writeable = weight.flags.writeable = False  # the cache hands the same arrays to everyone
    return frequencies, weight


def type_weights(n: int) -> dict[int, Fraction]:
    """Return the total weight W_m of each type in the set for dimension ``n``: exact, positive, with sum 1."""
    if n < 1:
        raise InputError(f"n is {n}; the dimension of a random field is at least 1")
    below = (n + 2) // 3
    if 3 * below == n + 2:
        return {below: Fraction(1)}
    excess_below, excess_above = (m * (n + 2 - 3 * m) for m in (below, below + 1))
    return {
        below: Fraction(-excess_above, excess_below - excess_above),
        below + 1: Fraction(excess_below, excess_below - excess_above),
    }


def wave_count(n: int) -> int:
    """Return the number of waves of ``isotropic_frequencies(n)`` without building them; ``InputError`` beyond n = 10^4,
    where it has thousands of digits."""
    if n > 10_000:
        raise InputError(f"n is {n}; give at most 10000 variables, beyond them nobody counts an isotropic set's waves")
    return sum(math.comb(n, m) * 2 ** (m - 1) for m in type_weights(n))


def log_wave_count(n: int) -> float:
    """Return ln of ``wave_count(n)``: for dimensions whose number of waves has more digits than anybody waits for."""
    logs = [
        math.lgamma(n + 1) - math.lgamma(m + 1) - math.lgamma(n - m + 1) + (m - 1) * math.log(2)
        for m in type_weights(n)
    ]
    return max(logs) + math.log(sum(math.exp(one - max(logs)) for one in logs))


def second_moment(n: int) -> Fraction:
    """Return l2 = sum_k w_k k_1^2 of ``isotropic_frequencies(n)``; l4 = l2 and l22 = l2/3 (n = 1: only l4 = l2)."""
    return sum((weight * m for m, weight in type_weights(n).items()), Fraction(0)) / n


def _frequencies_of_type(n: int, m: int) -> NDArray[np.int8]:
    """All vectors with m entries +-1 and the others 0 whose first non-zero entry is 1, shape (C(n, m) 2^(m-1), n)."""
    places = np.array(list(combinations(range(n), m)))
    signs = np.array([(1, *rest) for rest in product((1, -1), repeat=m - 1)], dtype=np.int8)
    block = np.zeros((len(places), len(signs), n), dtype=np.int8)
    np.put_along_axis(block, np.broadcast_to(places[:, None, :], (*block.shape[:2], m)), signs[None], axis=2)
    return block.reshape(-1, n)


def half_period_symmetries(frequencies: NDArray[np.int8]) -> list[tuple[tuple[int, ...], int]]:
    """Return every s in {0, 1}^n, s != 0, with f(x + pi s) = sign f(x) for *all* coefficients, with its sign.

    k.(x + pi s) = k.x + pi k.s, so s works exactly when k.s has one parity for all frequencies k: a linear system over
    the field of two elements, (k - k_0).s = 0 mod 2, solved by elimination.

    Translations by other lengths give nothing more for the sets above with n > 1: a frequency of type m >= 2 comes with
    both signs of its last entry, k and k - 2 e_j, which forces 2 t_j = 0 mod 2 pi.
    """
    parity = np.unique(np.asarray(frequencies) & 1, axis=0).astype(np.uint8)
    n = parity.shape[1]
    rows = list(parity[1:] ^ parity[0])
    pivots: list[int] = []
    reduced: list[NDArray[np.uint8]] = []
    for column in range(n):
        leading = next((i for i, row in enumerate(rows) if row[column]), None)
        if leading is None:
            continue
        pivot = rows.pop(leading)
        rows = [row ^ pivot if row[column] else row for row in rows]
        reduced = [row ^ pivot if row[column] else row for row in reduced]
        reduced.append(pivot)
        pivots.append(column)
    free = [column for column in range(n) if column not in pivots]
    solutions = []
    for bits in product((0, 1), repeat=len(free)):
        s = np.zeros(n, dtype=np.uint8)
        s[free] = bits
        for column, row in zip(pivots, reduced, strict=True):
            s[column] = (row[free] @ s[free]) & 1
        if s.any():
            sign = -1 if (parity[0].astype(int) @ s.astype(int)) % 2 else 1
            solutions.append((tuple(int(v) for v in s), sign))
    return solutions


def haar_rotation(normals: Array) -> Array:
    """Return the orthogonal matrix that Gram-Schmidt makes of standard normals of shape (n, n): Haar distributed.

    Rows are orthonormalised twice, in plain Python floats: no library routine whose rounding differs between
    processors stands between the seed and the frequencies. (The map commutes with orthogonal matrices applied from
    the right, and the law of the normals is invariant under them, so the result's law is too: it is Haar measure on
    O(n). Source: Mezzadri (2007).)
    """
    rows: list[list[float]] = []
    for start in normals.tolist():
        row = start
        for _ in range(2):  # the second pass removes what the first one's cancellation left
            for other in rows:
                overlap = _dot(row, other)
                row = [a - overlap * b for a, b in zip(row, other, strict=True)]
            norm = math.sqrt(_dot(row, row))
            row = [a / norm for a in row]
        rows.append(row)
    return np.array(rows)


def rotate(frequencies: NDArray[np.int8], rotation: Array, scale: float) -> Array:
    """Return ``scale * frequencies @ rotation``, shape (M, n), summed in a fixed order (a matrix product's is not)."""
    result = np.zeros(frequencies.shape)
    for j in range(frequencies.shape[1]):
        result += frequencies[:, j, None].astype(np.float64) * rotation[j]
    return result * scale


def _dot(a: list[float], b: list[float]) -> float:
    total = 0.0
    for x, y in zip(a, b, strict=True):
        total += x * y
    return total
