"""A sum of waves on the torus whose complex critical points are all known: where paths to any other one begin.

    f_0(x) = e_m(u) + c e_(m-1)(u),    u_i = a_i cos x_i,    c, a_i complex numbers,

e_m the elementary symmetric polynomials. A product of m cosines is the sum of the 2^m waves +-x_i +-x_j ... over 2^m:
f_0 has exactly the waves of the types m and m - 1 of ``simcore.landscapes.frequencies`` (c = 0 where m is alone).

At a critical point, for every coordinate, sin x_i = 0, so u_i = +-a_i, or d f_0/d u_i = 0. Let s coordinates be *free*
(of the second kind), F_1 and F_2 the first two elementary symmetric polynomials of the others, and G = c + F_1.

m = 1.  The derivative is 1: s = 0.
m = 2.  c + e_1 - u_i = 0: all free u_i are equal, (s - 1) u + G = 0, and s is not 1.
m = 3.  c (e_1 - u_i) + e_2 - u_i e_1 + u_i^2 = 0: the free u_i are roots of one quadratic equation, with the sum c +
        e_1 and the product c e_1 + e_2. Say p of them are r_1 and q = s - p are r_2.
        p = 0:  (s - 1)(s - 2)/2 r^2 + (s - 1) G r + c F_1 + F_2 = 0: two solutions, one for s = 2, none for s = 1.
        p, q > 0: the sum gives (p - 1) r_1 + (q - 1) r_2 = -G. For p = 1 or q = 1 the product then contradicts it
        (unless a number made of c and the a_i is 0); else it is a quadratic equation for r_1, two solutions.

Counted so, with both signs of every free sin x_i, there are 2^n sum_{k<m} A(n, k) of them (A Eulerian numbers), as many
as any sum of these waves can have (``simcore.proof.kushnirenko``), n = 1 .. 6; tests count and certify them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex128]


def _pairs(s: int, c: complex, first: Complex, second: Complex) -> Iterator[tuple[int, Complex, Complex]]:
    """Yield (p, r_1, r_2) for s >= 2 free coordinates, m = 3; r_1, r_2 of the shape of F_1, F_2."""
    G, rest = c + first, c * first + second
    for p in range(0, s // 2 + 1):
        q = s - p
        if p == 1:
            continue
        if p == 0:
            if s == 2:
                yield 0, -rest / G, -rest / G
                continue
            lead, linear, constant = (s - 1) * (s - 2) / 2 + 0 * G, (s - 1) * G, rest
            A, B = 0 * G, 1.0
        else:
            A, B = -G / (q - 1), -(p - 1) / (q - 1)  # r_2 = A + B r_1
            lead = (p * q - 1) * B + p * (p - 1) / 2 + q * (q - 1) / 2 * B * B + 0 * G
            linear = (p * q - 1) * A + G * (p + q * B) + q * (q - 1) * A * B
            constant = G * q * A + rest + q * (q - 1) / 2 * A * A
        root = np.sqrt(linear * linear - 4 * lead * constant)
        for sign in (1, -1) if p != q else (1,):  # p = q: the other root is r_2
            r = (-linear + sign * root) / (2 * lead)
            yield p, r, A + B * r


def critical_cosines(a: Complex, c: complex, m: int) -> tuple[Complex, NDArray[np.bool_]]:
    """Return (cos x_i (K, n), whether coordinate i is free (K, n)) of all critical points of f_0."""
    n = len(a)
    cosines, free = [], []
    for s in range(n + 1):
        for chosen in itertools.combinations(range(n), s):
            fixed = [i for i in range(n) if i not in chosen]
            signs = np.array(list(itertools.product((1.0, -1.0), repeat=n - s))).reshape(2 ** (n - s), n - s)
            u = np.zeros((len(signs), n), np.complex128)
            u[:, fixed] = signs * a[fixed]
            first = u.sum(axis=1)
            second = (first * first - (u * u).sum(axis=1)) / 2
            if s == 0:
                solutions = [u]
            elif s == 1 or m == 1:
                solutions = []
            elif m == 2:
                u[:, chosen] = (-(c + first) / (s - 1))[:, np.newaxis]
                solutions = [u]
            else:
                solutions = []
                for p, one, two in _pairs(s, c, first, second):
                    for ones in itertools.combinations(chosen, p):
                        v = u.copy()
                        v[:, chosen] = two[:, np.newaxis]
                        v[:, ones] = one[:, np.newaxis]
                        solutions.append(v)
            for v in solutions:
                cosines.append(v / a)
                here = np.zeros((len(v), n), np.bool_)
                here[:, chosen] = True
                free.append(here)
    return np.concatenate(cosines), np.concatenate(free)


def critical_points(a: Complex, c: complex, m: int) -> Complex:
    """Return z = exp(i x), (N, n), at all critical points x of f_0."""
    cosines, free = critical_cosines(a, c, m)
    root = np.sqrt(cosines * cosines - 1.0)
    far = np.where(np.abs(cosines + root) >= 1.0, cosines + root, cosines - root)
    parts = []
    for turned in itertools.product((False, True), repeat=len(a)):
        turn = np.array(turned)
        rows = (free | ~turn).all(axis=1)  # a fixed coordinate has one z
        z = np.where(turn, 1.0 / far[rows], far[rows])
        parts.append(np.where(free[rows], z, cosines[rows]))
    return np.concatenate(parts)


def coefficients(frequencies: NDArray[np.float64], a: Complex, c: complex) -> Complex:
    """Return the coefficient of exp(i k.x), and of exp(-i k.x), in f_0 for every wave k, (M,)."""
    there = frequencies != 0.0
    size = there.sum(axis=1)
    values = np.where(there, a / 2, 1.0).prod(axis=1)
    return np.where(size == size.max(), values, c * values)
