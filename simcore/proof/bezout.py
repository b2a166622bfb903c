"""All critical points of a 3-spin energy, with proof: certified zeros that fill Bezout's bound.

Theorem. Let T be a real symmetric tensor with three indices and F(y) = T(y, y) - y on C^n. If 2^n different zeros of F
(y = 0 is one) are certified, then F has no other zero, and the energy T(x, x, x) on the sphere |x|^2 = n has exactly 2
R critical points, R being the number of real ones among the nonzero zeros: +-sqrt(n) y/|y|. All of them are
nondegenerate.

Proof. The n quadrics T(y, y)_i = y_0 y_i in P^n have irreducible components whose degrees sum to at most 2^n (Bezout's
inequality: Fulton, *Intersection Theory*, example 8.4.6 and 12.3.1; Heintz 1983). A certified zero is isolated, DF
being invertible there, so each is a component of degree at least 1, and 2^n of them leave room for nothing: no further
zero, no curve of zeros, none at infinity (y_0 = 0). A critical point has T(x, x) = lambda x with real lambda; lambda =
0 would be a zero at infinity, so y = x/lambda is a real nonzero zero of F, and conversely. The tangent Hessian at x is
lambda times that part of DF(y) which is orthogonal to y (DF(y) y = y, and DF is symmetric), so it is invertible.

Where the zeros come from is of no account: a path that jumps makes a duplicate, which shows as a count below 2^n, never
as a false proof. F is real, so the conjugate of a certified zero is one as well: one zero of each pair is enough.

* Real: the imaginary part is set to zero and the point certified again; its ball is its own conjugate, and so is the
  one zero in it.
* Not real: |b.Im y| exceeds the radius, b a random unit vector; the member with b.Im y > 0 stands for the pair.
* Different, and different from 0: ``simcore.proof.distinct``; |y| > r.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Spin
from simcore.landscapes.spin import multiplicities, multiset_ranks
from simcore.proof.certificate import SPARE, UNIT, operator_bound, radii
from simcore.proof.cubic import polish, track
from simcore.proof.distinct import match, separate
from simcore.proof.linear import packed

Array = NDArray[np.float64]
Map = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]

LEVELS = ((2e-2, 5e-2), (3e-3, 1e-2), (1e-3, 3e-3), (1e-4, 3e-4), (1e-6, 1e-5))
"""(aim, closeness) of ``cubic.track``; the first two in single precision. All paths at the first, doubtful ones
again."""
SINGLE_LEVELS = 2
MOST_TRIES = 4000
SIZE = 0.2
"""Root mean square of T's entries, times sqrt n, after scaling (to a power of two): the starts are 1/g in size."""
CHUNK = 4096
"""Paths that are started at a time; a thread's share."""


@dataclass
class Zeros:
    """Certified points, a row each: the upper member of a pair, or a real point.

    ``path`` is the path that ended there; ``upper`` whether it ended at the point itself, not at its conjugate.
    """

    points: Array
    r: Array
    alone: Array
    path: NDArray[np.int64]
    upper: NDArray[np.bool_]
    label: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    real: int = 0
    pairs: int = 0

    def join(self, other: Zeros) -> Zeros:
        """Return both, not labelled yet."""
        return Zeros(
            np.concatenate([self.points, other.points]),
            np.concatenate([self.r, other.r]),
            np.concatenate([self.alone, other.alone]),
            np.concatenate([self.path, other.path]),
            np.concatenate([self.upper, other.upper]),
        )


@dataclass(frozen=True)
class Count:
    """What the homotopy found: ``certified`` different zeros of ``bound``, 0 included; ``real`` (R, n) the real
    ones."""

    bound: int
    certified: int
    paths: int
    retracked: int
    tries: int
    real: Array
    radius: Array

    @property
    def proved(self) -> bool:
        """Whether the zeros fill the bound."""
        return self.certified == self.bound


class Cubic:
    """The homotopy of one 3-spin energy; ``seed`` picks g and the random directions, which no result depends on."""

    def __init__(self, problem: Spin, seed: int = 0, mapped: Map | None = None) -> None:
        self.n = n = problem.n
        self.map: Map = mapped or (lambda function, items: [function(item) for item in items])
        orderings, places = _layout(n)
        entries = problem.coefficients / orderings
        square = float((problem.coefficients * entries).sum())
        if not (np.isfinite(square) and square > 0.0):
            raise ValueError("the couplings are all zero or not finite")
        scale = 2.0 ** np.round(np.log2(SIZE / np.sqrt(n) / np.sqrt(square / n**3)))
        entries *= scale
        self.tensor = SPARE * np.sqrt(square) * scale
        rows = entries[places]
        self.double = packed(2.0 * rows)
        self.single = self.double.astype(np.float32)
        self.sigma = operator_bound(rows[_pairs(n)].reshape(n, n * n))
        rng = np.random.default_rng([seed, n, 3])
        self.g = complex(np.exp(2j * np.pi * rng.random()))
        self.a, self.b = rng.normal(size=2 * n), rng.normal(size=n)
        self.a /= np.linalg.norm(self.a)
        self.b /= np.linalg.norm(self.b)

    @property
    def paths(self) -> int:
        """2^n - 1."""
        return 2**self.n - 1

    # ---- paths --------------------------------------------------------------------------------------------------
    def follow(self, paths: NDArray[np.int64], level: int) -> tuple[NDArray[Any], NDArray[np.bool_], int]:
        """Return (ends (N, 2n), arrived (N,), tries) of paths tracked at a level; float32 ends from the first two."""
        single = level < SINGLE_LEVELS
        kind = np.float32 if single else np.float64
        ends = np.empty((len(paths), 2 * self.n), kind)
        arrived = np.empty(len(paths), np.bool_)

        def piece(begin: int) -> int:
            rows = slice(begin, min(begin + CHUNK, len(paths)))
            bits = ((paths[rows, np.newaxis] + 1) >> np.arange(self.n)) & 1
            part = np.empty((len(bits), 2 * self.n), kind)
            part[:, : self.n] = bits * self.g.real
            part[:, self.n :] = bits * -self.g.imag
            status, tries = np.ones(len(part), np.int64), np.zeros(len(part), np.int64)
            aim, closeness = LEVELS[level]
            coefficients = self.single if single else self.double
            for second, final in ((False, closeness), (True, min(closeness, 1e-2))):
                limits = (aim, closeness, final, float(MOST_TRIES))
                track(coefficients, self.n, second, self.g.real, self.g.imag, limits, part, status, tries)
            ends[rows], arrived[rows] = part, (status == 1) & np.isfinite(part).all(axis=1)
            return int(tries.sum())

        return ends, arrived, sum(self.map(piece, range(0, len(paths), CHUNK)))

    # ---- certificates ---------------------------------------------------------------------------------------------
    def certify(self, points: Array, rounds: int) -> tuple[Array, Array, Array]:
        """Move points (N, 2n) by Newton steps, in place; return (r, R, length of the last step)."""
        facts = np.empty((len(points), 5))

        def piece(begin: int) -> None:
            rows = slice(begin, begin + CHUNK)
            polish(self.double, self.n, rounds, True, points[rows], facts[rows])

        self.map(piece, range(0, len(points), CHUNK))
        r, alone = radii(points, facts, self.tensor, self.sigma)
        return r, alone, facts[:, 4]

    def settle(self, points: Array, path: NDArray[np.int64], upper: NDArray[np.bool_]) -> Zeros:
        """Return the certified zeros near points (N, 2n): near-real ones made real, the others on the upper side."""
        n = self.n
        r, alone, step = self.certify(points, 2)
        size = np.linalg.norm(points, axis=1)
        slow = np.flatnonzero(~(step < 1e-11 * size) & np.isfinite(size))
        if len(slow):
            again = points[slow]
            r[slow], alone[slow], _ = self.certify(again, 7)
            points[slow] = again
            size = np.linalg.norm(points, axis=1)
        imaginary = np.linalg.norm(points[:, n:], axis=1)
        near = np.flatnonzero(np.isfinite(r) & (imaginary < np.minimum(alone, 1e-4 * size)))
        if len(near):
            again = points[near]
            again[:, n:] = 0.0
            found, lonely, _ = self.certify(again, 1)
            good = np.isfinite(found) & (again[:, n:] == 0.0).all(axis=1)
            points[near[good]], r[near[good]], alone[near[good]] = again[good], found[good], lonely[good]
            imaginary[near[good]] = 0.0
        side = points[:, n:] @ self.b
        apart = np.abs(side) > 1.01 * r + 2 * n * UNIT * imaginary
        kept = np.flatnonzero(np.isfinite(r) & ((imaginary == 0.0) | apart) & (size > 1.01 * r))
        lower = kept[side[kept] < 0.0]
        points[lower, n:] *= -1.0
        upper = upper.copy()
        upper[lower] = ~upper[lower]
        if len(kept) == len(points):
            return Zeros(points, r, alone, path, upper)
        return Zeros(points[kept], r[kept], alone[kept], path[kept], upper[kept])

    def label(self, zeros: Zeros) -> None:
        """Number the zeros proved different, and count the real ones and the pairs."""
        zeros.label = np.full(len(zeros.r), -1)
        if not len(zeros.r):
            return
        projection = zeros.points @ self.a
        cut = max(1e-9, float(np.quantile(zeros.r, 0.995)))
        fine = np.flatnonzero(zeros.r <= cut)
        order = fine[np.argsort(projection[fine], kind="stable")]
        wide = np.flatnonzero(zeros.r > cut)
        rounding = 2 * (4 * self.n + 8) * UNIT * float(np.linalg.norm(zeros.points, axis=1).max())
        count = separate(zeros.points, zeros.r, zeros.alone, order, projection, wide, cut, rounding, zeros.label)
        first = np.unique(zeros.label, return_index=True)[1][-count:]
        zeros.real = int((zeros.points[first, self.n :] == 0.0).all(axis=1).sum())
        zeros.pairs = count - zeros.real

    # ---- the count ------------------------------------------------------------------------------------------------
    def missing(self, zeros: Zeros) -> int:
        """How many zeros are not accounted for."""
        return self.paths - zeros.real - 2 * zeros.pairs

    def run(self) -> Count:
        """Track all paths, the doubtful ones again and again more closely, until the zeros fill the bound."""
        n = self.n
        every = np.arange(self.paths)
        ends, arrived, tries = self.follow(every, 0)
        side = ends[:, n:] @ self.b.astype(np.float32)
        slack = 1e-3 * np.sqrt(np.einsum("ij,ij->i", ends[:, n:], ends[:, n:])) + 1e-5
        first = np.flatnonzero(arrived & ~(side < -slack))
        zeros = self.settle(ends[first].astype(np.float64), first, np.ones(len(first), np.bool_))
        self.label(zeros)
        retracked = 0
        if self.missing(zeros):
            rest = np.flatnonzero(arrived & (side < -slack))
            zeros, owner = self._add_unmatched(zeros, ends[rest], rest)
            del ends
            for level in range(1, len(LEVELS)):
                if not self.missing(zeros):
                    break
                doubtful = self._doubtful(zeros, owner)
                if level > 1 and len(doubtful) > max(100, self.paths // 20):
                    break  # so many do not jump: zeros are missing, double, or at infinity
                retracked += len(doubtful)
                again, came, more = self.follow(doubtful, level)
                tries += more
                there = np.flatnonzero(came)
                owner[:, doubtful] = -1
                ours = np.ones(len(there), np.bool_)
                fresh = self.settle(again[there].astype(np.float64), doubtful[there], ours)
                old = ~np.isin(zeros.path, fresh.path)  # what was certified stays, but counts for no path any more
                zeros.path[~old] = -1
                zeros = zeros.join(fresh)
                self.label(zeros)
        certified = 1 + zeros.real + 2 * zeros.pairs
        real = np.flatnonzero((zeros.label >= 0) & (zeros.points[:, n:] == 0.0).all(axis=1))
        real = real[np.unique(zeros.label[real], return_index=True)[1]]
        return Count(2**n, certified, self.paths, retracked, tries, zeros.points[real, :n], zeros.r[real])

    def _add_unmatched(
        self, zeros: Zeros, ends: NDArray[Any], paths: NDArray[np.int64]
    ) -> tuple[Zeros, NDArray[np.int64]]:
        """Certify those ends on the lower side whose conjugates are not among the zeros yet.

        Also return, for each path, the label of the zero it ended at: row 0 on the upper side, row 1 on the lower.
        """
        n = self.n
        points = ends.astype(np.float64)
        polish(self.double, n, 2, False, points, np.empty((len(points), 5)))
        points[:, n:] *= -1.0
        found = np.full(len(points), -1)
        projection = zeros.points @ self.a
        order = np.argsort(projection, kind="stable")
        finite = np.flatnonzero(np.isfinite(points).all(axis=1))
        matched = np.full(len(finite), -1)
        match(points[finite], 1e-6, zeros.points, projection[order], order, points[finite] @ self.a, matched)
        found[finite] = matched
        alone = np.flatnonzero(found < 0)
        known = found >= 0
        owner = np.full((2, self.paths), -1)
        owner[1, paths[known]] = found[known]  # a row of zeros: labels may change, rows do not
        if len(alone):
            zeros = zeros.join(self.settle(points[alone], paths[alone], np.zeros(len(alone), np.bool_)))
            self.label(zeros)
        return zeros, owner

    def _doubtful(self, zeros: Zeros, owner: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the paths that failed, whose end is not certified, or that share their end with another path."""
        label = np.full((2, self.paths), -1)
        rows = owner[1] >= 0
        label[1, rows] = zeros.label[owner[1, rows]]
        known = np.flatnonzero((zeros.path >= 0) & (zeros.label >= 0))
        label[np.where(zeros.upper[known], 0, 1), zeros.path[known]] = zeros.label[known]
        sound = np.zeros(self.paths, np.bool_)
        for side in label:
            there = np.flatnonzero(side >= 0)
            times = np.bincount(side[there], minlength=1)
            sound[there[times[side[there]] == 1]] = True
        return np.flatnonzero(~sound)


@functools.lru_cache(maxsize=16)
def _layout(n: int) -> tuple[Array, NDArray[np.int64]]:
    """Return the orderings of each multiset of three from n, and the multiset of (j, k, l) for pairs k <= j and all
    l."""
    j, k = np.tril_indices(n)
    places = (j[:, np.newaxis] * n + k[:, np.newaxis]) * n + np.arange(n)
    return multiplicities(n, 3), multiset_ranks(n, 3, places.ravel()).reshape(places.shape)


@functools.lru_cache(maxsize=16)
def _pairs(n: int) -> NDArray[np.int64]:
    """Return the packed place of (j, k), shape (n, n)."""
    j, k = np.indices((n, n))
    high, low = np.maximum(j, k), np.minimum(j, k)
    return high * (high + 1) // 2 + low
