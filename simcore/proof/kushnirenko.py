"""All critical points of a sum of waves on the torus, with proof: certified zeros that fill Kushnirenko's bound.

Theorem. Let f(x) = sum_k C_k cos k.x + S_k sin k.x, all k integer with entries -1, 0, 1, at most m of them not 0, and z
= exp(i x), coordinate by coordinate. The equations grad f = 0 are n Laurent polynomials in z; at most

    B = 2^n sum_{k<m} A(n, k)        (A Eulerian numbers: 2, 8, 40, 192, 2976, 23040 for the torus field, n = 1 .. 6)

of their zeros with all z_j complex and not 0 are isolated. If B different ones at which the Hessian is invertible are
certified, there is no other zero, and no curve of zeros either: those with all |z_j| = 1 are all critical points of f
on the torus, and none is degenerate.

Proof. Let A = {k, -k} with r + 1 elements, phi(z) = (z^k)_A in P^r, and X the closure of phi's image, a toric variety
of dimension n. z and z' have the same image where z^(k-l) = z'^(k-l) for all k, l in A: phi covers its image, an open
set of X, I times without branching, I the index in Z^n of the lattice that the differences of A span, and I deg X = n!
vol(hull of A) (Kushnirenko 1976; Gelfand, Kapranov & Zelevinsky, *Discriminants, Resultants and Multidimensional
Determinants*, 1994, chapter 5). Each component of the gradient is linear in the z^k, so the zeros are what phi maps to
the intersection of X with n hyperplanes. The irreducible components of that intersection, of whatever dimension, have
degrees that sum to at most deg X (Bezout's inequality: Fulton, *Intersection Theory*, example 12.3.1). An isolated zero
has an isolated image, a component of degree 1, and I zeros at most have the same: there are at most I deg X = n! vol of
them. This is at most B: the hull lies in {|x_j| <= 1, sum |x_j| <= m}, which is 2^n copies of {0 <= x_j <= 1, sum x_j
<= m}, of volume sum_{k<m} A(n, k)/n! each (Laplace). So B certified zeros, isolated as the Hessian is invertible there,
have deg X images; these are all components, in (C*)^n and at its infinity, and all zeros over them are counted.

Paths lead to the zeros from those of a sum with the same waves that is solved in closed form
(``simcore.proof.torus_start``), with the gamma trick. Where zeros come from is of no account, as in
``simcore.proof.bezout``; certificates are those of ``simcore.proof.torus_certificate``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Waves
from simcore.proof.bezout import BLOCK, LEVELS, MOST_TRIES, SINGLE_LEVELS, Count
from simcore.proof.distinct import separate
from simcore.proof.torus_certificate import LARGEST_LOG, logarithms, on_spheres, on_the_torus, wave_radii
from simcore.proof.torus_start import coefficients, critical_points
from simcore.proof.torus_tracker import polish_waves, tables, track_waves, workspace

Array = NDArray[np.float64]
Map = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]

CHUNK = 1024
"""Paths that are started at a time; a thread's share."""


def bound(n: int, m: int) -> int:
    """Return 2^n sum_{k<m} A(n, k)."""
    eulerian = [1]
    for size in range(2, n + 1):
        before = [*eulerian, 0]
        eulerian = [(k + 1) * before[k] + (size - k) * before[k - 1] * (k > 0) for k in range(size)]
    return 2**n * sum(eulerian[:m])


def solvable(frequencies: Array) -> bool:
    """Whether the paths of ``torus_start`` lead to all zeros of a sum of these waves: m <= 3, and no type but m, m -
    1."""
    if not (np.isin(frequencies, (-1.0, 0.0, 1.0)).all() and len(frequencies)):
        return False
    types = (frequencies != 0.0).sum(axis=1)
    return bool(1 <= types.max() <= 3 and types.min() >= max(types.max() - 1, 1))


@functools.lru_cache(maxsize=8)
def _beginning(n: int, m: int, alone: bool, seed: int) -> tuple[NDArray[np.complex128], complex, Array]:
    """Return (a, c, zeros (B, 2 n)) of the sum that paths begin at: |a| = 1, c = 0 where all waves are of type m."""
    rng = np.random.default_rng([seed, n, m])
    a = np.exp(2j * np.pi * rng.random(n))
    c = 0j if alone else complex(0.5 * np.exp(2j * np.pi * rng.random()))
    z = critical_points(a, c, m)
    zeros = np.hstack([z.real, z.imag])
    zeros.flags.writeable = False
    return a, c, zeros


@dataclass
class Zeros:
    """Certified zeros z (N, 2 n), their radii in log z, whether they lie on the torus, and the paths that ended
    there."""

    points: Array
    r: Array
    alone: Array
    real: NDArray[np.bool_]
    path: NDArray[np.int64]


class TorusHomotopy:
    """The homotopy of one sum of waves on the torus; ``seed`` picks where paths begin and the random directions, which
    no result depends on."""

    def __init__(self, problem: Waves, seed: int = 0, mapped: Map | None = None) -> None:
        frequencies = problem.frequencies
        if not solvable(frequencies):
            raise ValueError("paths are known for waves with one to three entries +-1, of two neighbouring types")
        self.n: int = frequencies.shape[1]
        self.map: Map = mapped or (lambda function, items: [function(item) for item in items])
        types = (frequencies != 0.0).sum(axis=1)
        self.m, self.waves = int(types.max()), len(frequencies)
        self.tables = tables(frequencies)
        a, c, self.begin = _beginning(self.n, self.m, bool((types == self.m).all()), seed)
        rng = np.random.default_rng([seed, self.n])
        ours = 0.5 * (problem.cosine - 1j * problem.sine)
        size = math.sqrt(float((np.abs(ours) ** 2).mean()))
        if not (math.isfinite(size) and size > 0.0):
            raise ValueError("the amplitudes are all zero or not finite")
        ours = ours * 2.0 ** -round(math.log2(size))
        first = coefficients(frequencies, a, c)
        first *= np.exp(2j * np.pi * rng.random()) / math.sqrt(float((np.abs(first) ** 2).mean()))
        self.between = _columns(first, first, ours - first, ours.conj() - first)
        self.ours = _columns(ours, ours.conj(), 0 * ours, 0 * ours)
        self.v, self.a = _direction(rng, self.n), _direction(rng, 3 * self.n)

    @property
    def paths(self) -> int:
        """B."""
        return bound(self.n, self.m)

    def follow(self, paths: NDArray[np.int64], level: int) -> tuple[Array, NDArray[np.bool_], int]:
        """Return (ends (N, 2n), arrived (N,), tries) of paths tracked at a level of ``bezout.LEVELS``."""
        kind: type = np.float32 if level < SINGLE_LEVELS else np.float64
        C: NDArray[Any] = self.between.astype(kind)
        v: NDArray[Any] = self.v.astype(kind)
        ends: NDArray[Any] = self.begin[paths].astype(kind)
        arrived, tries = np.zeros(len(paths), np.bool_), np.zeros(len(paths), np.int64)
        aim, closeness = LEVELS[level]
        limits = aim, closeness, min(closeness, 1e-2), float(MOST_TRIES)

        def piece(begin: int) -> None:
            rows = slice(begin, begin + CHUNK)
            space = workspace(kind, self.n, self.waves)
            track_waves(C, self.tables, self.n, v, limits, space, ends[rows], arrived[rows], tries[rows])

        self.map(piece, range(0, len(paths), CHUNK))
        return ends.astype(np.float64), arrived & np.isfinite(ends).all(axis=1), int(tries.sum())

    def certify(self, points: Array, rounds: int) -> tuple[Array, Array, Array]:
        """Move points (N, 2n) by Newton steps, in place; return (r, R, length of the last step)."""
        facts = np.empty((len(points), 6))

        def piece(begin: int) -> None:
            rows = slice(begin, begin + CHUNK)
            space = workspace(np.float64, self.n, self.waves)
            polish_waves(self.ours, self.tables, self.n, self.v, rounds, space, points[rows], facts[rows])

        self.map(piece, range(0, len(points), CHUNK))
        r, alone = wave_radii(facts, self.n, self.waves, self.m)
        r[~(np.abs(logarithms(points)[0]) <= LARGEST_LOG).all(axis=1)] = np.inf
        return r, alone, facts[:, 4]

    def settle(self, points: Array, path: NDArray[np.int64]) -> Zeros:
        """Return the certified zeros near points (N, 2n) of which it is known whether they lie on the torus."""
        r, alone, last = self.certify(points, 3)
        slow = np.flatnonzero(~(last < 1e-10) & np.isfinite(points).all(axis=1))
        if len(slow):
            again = points[slow]
            r[slow], alone[slow], _ = self.certify(again, 5)
            points[slow] = again
        on, off = on_the_torus(points, r, alone)
        kept = np.flatnonzero(np.isfinite(r) & (on ^ off))
        return Zeros(points[kept], r[kept], alone[kept], on[kept], path[kept])

    def label(self, zeros: Zeros) -> tuple[int, NDArray[np.int64]]:
        """Return (how many of the zeros are proved different, their numbers; the same or -1 for any other)."""
        labels = np.full(len(zeros.r), -1)
        if not len(zeros.r):
            return 0, labels
        images, r, alone = on_spheres(zeros.points, zeros.r, zeros.alone)
        projection = images @ self.a
        most = (199 * len(r)) // 200
        cut = max(1e-9, float(np.partition(r, most)[most]))
        fine, wide = np.flatnonzero(r <= cut), np.flatnonzero(r > cut)
        order = fine[np.argsort(projection[fine], kind="stable")]
        rounding = 1e-14 * self.n
        return separate(images, r, alone, order, projection, wide, cut, rounding, labels), labels

    def run(self) -> Count:
        """Follow all paths, the doubtful ones again and again more closely, until the zeros fill the bound."""
        doubtful = np.arange(self.paths)
        zeros, retracked, tries = _nothing(self.n), 0, 0
        for level in range(len(LEVELS)):
            if level > 1 and len(doubtful) > max(100, self.paths // 20):
                break  # so many do not jump: zeros are missing, double, or at infinity
            retracked += len(doubtful) if level else 0
            ends, arrived, more = self.follow(doubtful, level)
            tries += more
            there = np.flatnonzero(arrived)
            for begin in range(0, max(len(there), 1), BLOCK):
                rows = there[begin : begin + BLOCK]
                zeros = _joined(zeros, self.settle(ends[rows], doubtful[rows]))
            certified, labels = self.label(zeros)
            if certified == self.paths:
                break
            doubtful = self._doubtful(zeros, labels)
        real = np.flatnonzero((labels >= 0) & zeros.real)
        real = real[np.unique(labels[real], return_index=True)[1]]
        z = zeros.points[real]
        x = np.arctan2(z[:, self.n :], z[:, : self.n]) % (2 * np.pi)
        return Count(self.paths, certified, self.paths, retracked, tries, x, zeros.r[real])

    def _doubtful(self, zeros: Zeros, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the paths that failed, whose end is not certified, or that share their end with another path."""
        known = np.flatnonzero((labels >= 0) & (zeros.path >= 0))
        times = np.bincount(labels[known], minlength=1)
        sound = np.zeros(self.paths, np.bool_)
        sound[zeros.path[known[times[labels[known]] == 1]]] = True
        return np.flatnonzero(~sound)


def _direction(rng: np.random.Generator, n: int) -> Array:
    """Return a random unit vector."""
    x: Array = rng.normal(size=n)
    return x / np.linalg.norm(x)


def _columns(*parts: NDArray[Any]) -> Array:
    """Return coefficients as ``torus_tracker`` reads them: for every wave both parts of P, Q, P' and Q'."""
    return np.ascontiguousarray(np.stack(parts, axis=1).view(np.float64).ravel())


def _nothing(n: int) -> Zeros:
    """Return no zeros."""
    none = np.empty(0)
    return Zeros(np.empty((0, 2 * n)), none, none, none.astype(np.bool_), none.astype(np.int64))


def _joined(old: Zeros, new: Zeros) -> Zeros:
    """Return all zeros; those of paths followed again stay, but count for no path any more."""
    old.path[np.isin(old.path, new.path)] = -1
    columns = ("points", "r", "alone", "real", "path")
    return Zeros(*(np.concatenate([getattr(old, name), getattr(new, name)]) for name in columns))
