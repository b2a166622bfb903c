"""All critical points of a homogeneous polynomial on the sphere, with proof: certified zeros that fill Bezout's bound.

Theorem. Let T be a real symmetric tensor with p >= 3 indices, m = p - 1, and F(y) = T y^m - y on C^n. With w^(p-2) = 1,
w y is a zero of F where y is. The nonzero zeros thus come in classes of p - 2 (p = 3: each is a class), of which at
most ((p-1)^n - 1)/(p-2) are isolated. If that many different classes are certified, F has no other zero, and T x^p on
|x|^2 = n has exactly 2 R critical points, R being the number of classes that are real: that hold e y with y real and
e^(p-2) = 1 or -1, so that T y^m = y or -y. They are +-sqrt(n) y/|y|, and all are nondegenerate.

Proof. The n hypersurfaces T y^m = y_0^(m-1) y_i of degree m in P^n have irreducible components whose degrees sum to at
most m^n (Bezout's inequality: Fulton, *Intersection Theory*, examples 8.4.6 and 12.3.1; Heintz 1983; the number of
classes: Cartwright & Sturmfels 2013). A certified zero is isolated, DF being invertible there, so each is a component
of degree at least 1: y = 0 and p - 2 a class. When they sum to m^n they leave room for nothing: no further zero, no
curve of zeros, none at infinity (y_0 = 0). A critical point has T x^m = lambda x with real lambda; lambda = 0 would be
a zero at infinity, so y = |lambda|^(-1/(p-2)) x has T y^m = +-y, and is, or is turned into by e, a zero of F;
conversely so. For odd p the sign - is that of -y. A class equal to its own conjugate holds a real e y: if the conjugate
of y is w y, a square root of w turns y into a real vector. The tangent Hessian at x is lambda times a positive number
times that part of DF(y) which is orthogonal to y (DF(y) y = (p - 2) y, and DF is symmetric), so it is invertible.

Where the zeros come from is of no account: a path that jumps makes a duplicate, which shows as a count below the bound,
never as a false proof. F is real, so the conjugate of a certified zero is one as well: one zero of each pair is enough.

* One zero stands for its class and its conjugate: the one with 0 <= arg b.y <= pi/(p-2), b a random real unit vector.
* Real: on the edges of that sector points are made real (after a turn by e on the upper one, of T y^m = -y), and the
  real point is certified; its ball is its own conjugate, and so is the one zero in it. For even p the sign of b.y picks
  one of y and -y.
* Not real: b.y keeps off both edges by more than the radius.
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
from simcore.proof.distinct import match, separate
from simcore.proof.linear import packed
from simcore.proof.polish import polish
from simcore.proof.rational import Exact
from simcore.proof.tensor import Tables, multisets, tables, workspace
from simcore.proof.tracker import track

Array = NDArray[np.float64]
Map = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]

LEVELS = ((2e-2, 5e-2), (3e-3, 1e-2), (1e-3, 3e-3), (1e-4, 3e-4), (1e-6, 1e-5))
"""(aim, closeness) of ``track``: all paths at the first, doubtful ones again. The first three in single precision, so
that the tracker in double precision is seldom compiled; at the fourth, of 14 paths of n = 16 none arrived in single
precision, and all in double."""
SINGLE_LEVELS = 3
MOST_TRIES = 1000
ANGLE = 0.5
"""g is drawn from the arc of this length about i: near the real axis, where F's own paths are real and meet, a path
takes a third more tries (27 against 20 at n = 8)."""
SIZES = {3: 0.2, 4: 0.35}
"""Root mean square of T's entries, times n^((p-2)/2), after scaling (to a power of two): the starts are 1 in size."""
CHUNK = 4096
"""Paths that are started at a time; a thread's share."""
BLOCK = 2**15
"""Ends that are certified at a time: bounds the memory of what is computed on the way."""
FEW = 64
"""Most points of one call that are certified in rational arithmetic, some 10 ms each: more are not rounding's."""
SMALL, SHORT = 1e-5, 1e-8
"""Relative length of a Newton step after which a point is near enough to be told from others, and to be certified."""
MOST_STEPS = 7
NEARLY = 1e-4
"""Relative distance from a real line within which a point is tried as a real one."""


@dataclass
class Zeros:
    """Certified points, a row each, that stand for their classes and conjugates.

    ``path`` is the path that ended there; ``upper`` whether it ended in the class itself, not in its conjugate;
    ``line`` whether the class is real, ``points`` then holding the real point and ``sign`` that of T y^m = +-y.
    """

    points: Array
    r: Array
    alone: Array
    path: NDArray[np.int64]
    upper: NDArray[np.bool_]
    line: NDArray[np.bool_]
    sign: NDArray[np.int64]
    label: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    real: int = 0
    pairs: int = 0


def joined(parts: list[Zeros]) -> Zeros:
    """Return all zeros, not labelled yet."""
    if len(parts) == 1:
        return parts[0]
    return Zeros(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.r for part in parts]),
        np.concatenate([part.alone for part in parts]),
        np.concatenate([part.path for part in parts]),
        np.concatenate([part.upper for part in parts]),
        np.concatenate([part.line for part in parts]),
        np.concatenate([part.sign for part in parts]),
    )


def _blocks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return rows in blocks, one at least."""
    return [rows[begin : begin + BLOCK] for begin in range(0, max(len(rows), 1), BLOCK)]


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


class Homotopy:
    """The homotopy of one homogeneous polynomial; ``seed`` picks g and the random directions, which no result depends
    on."""

    def __init__(self, problem: Spin, seed: int = 0, mapped: Map | None = None) -> None:
        self.n, self.p = n, p = problem.n, problem.p
        self.map: Map = mapped or (lambda function, items: [function(item) for item in items])
        layout = _layout(n, p)
        entries = problem.coefficients / layout.orderings
        square = float((problem.coefficients * entries).sum())
        if not (np.isfinite(square) and square > 0.0):
            raise ValueError("the couplings are all zero or not finite")
        size = SIZES.get(p, 0.35) / n ** ((p - 2) / 2)
        power = int(np.round(np.log2(size / np.sqrt(square / float(n) ** p))))
        scale = 2.0**power
        entries *= scale
        self.exact = functools.cache(lambda: Exact(problem.coefficients, layout.orderings, layout.unfolding, power, p))
        self.tensor = SPARE * np.sqrt(square) * scale
        rows = entries[layout.places]
        self.double = packed(rows)
        self.single = self.double.astype(np.float32)
        self.sigma = operator_bound(entries[layout.unfolding])
        self.tables = layout.tables
        rng = np.random.default_rng([seed, n, p])
        self.g = complex(np.exp(1j * (np.pi / 2 + ANGLE * (rng.random() - 0.5))))
        self.a, self.b = rng.normal(size=2 * n), rng.normal(size=n)
        self.a /= np.linalg.norm(self.a)
        self.b /= np.linalg.norm(self.b)

    @property
    def paths(self) -> int:
        """((p-1)^n - 1)/(p-2), 2^n - 1 for p = 3."""
        return ((self.p - 1) ** self.n - 1) // (self.p - 2)

    # ---- paths --------------------------------------------------------------------------------------------------
    def starts(self, paths: NDArray[np.int64]) -> NDArray[np.complex128]:
        """Return where paths begin, (N, n): y_i^(p-2) = 1/g or y_i = 0, the first nonzero one a fixed root."""
        q, root = self.p - 1, self.g ** (-1.0 / (self.p - 2))
        roots = root * np.concatenate([[0.0], np.exp(2j * np.pi * np.arange(q - 1) / (q - 1))])
        # Paths whose first nonzero coordinate is the last but k stand together, q^k of them: a leading 1, k digits.
        powers = q ** np.arange(self.n)
        lead = np.searchsorted((powers - 1) // (q - 1), paths, "right") - 1
        numbers = paths - (powers[lead] - 1) // (q - 1) + powers[lead]
        return roots[numbers[:, np.newaxis] // powers % q]

    def follow(self, paths: NDArray[np.int64], level: int) -> tuple[NDArray[Any], NDArray[np.bool_], int]:
        """Return (ends (N, 2n), arrived (N,), tries) of paths tracked at a level; float32 ends in single precision."""
        single = level < SINGLE_LEVELS
        kind = np.float32 if single else np.float64
        coefficients = self.single if single else self.double
        ends = np.empty((len(paths), 2 * self.n), kind)
        arrived, tries = np.zeros(len(paths), np.bool_), np.zeros(len(paths), np.int64)
        aim, closeness = LEVELS[level]
        limits = aim, closeness, min(closeness, 1e-2), float(MOST_TRIES)

        def piece(begin: int) -> None:
            rows = slice(begin, min(begin + CHUNK, len(paths)))
            first = self.starts(paths[rows])
            part = ends[rows]
            part[:, : self.n], part[:, self.n :] = first.real, first.imag
            g = kind(self.g.real), kind(self.g.imag)
            space = workspace(coefficients, self.n, self.p)
            track(coefficients, self.tables, self.n, self.p, *g, limits, space, part, arrived[rows], tries[rows])

        self.map(piece, range(0, len(paths), CHUNK))
        return ends, arrived & np.isfinite(ends).all(axis=1), int(tries.sum())

    # ---- certificates ---------------------------------------------------------------------------------------------
    def polish(self, points: Array, rounds: int, enough: float = 0.0, *, certify: bool = False, sign: int = 1) -> Array:
        """Move points (N, 2n) by Newton steps towards T y^m = sign y, in place, until one is at most ``enough`` |y|;
        return the facts (N, 5)."""
        facts = np.empty((len(points), 5))
        coefficients = sign * self.double

        def piece(begin: int) -> None:
            rows = slice(begin, begin + CHUNK)
            space = workspace(coefficients, self.n, self.p)
            room = points[rows], facts[rows]
            polish(coefficients, self.tables, self.n, self.p, rounds, enough, certify, space, *room)

        self.map(piece, range(0, len(points), CHUNK))
        return facts

    def certify(self, points: Array, rounds: int, sign: int = 1) -> tuple[Array, Array]:
        """Move points (N, 2n) by Newton steps until one is short, in place; return (r, R)."""
        facts = self.polish(points, rounds, SHORT, certify=True, sign=sign)
        r, alone = radii(points, facts, self.tensor, self.sigma, self.p)
        lost = np.flatnonzero(np.isinf(r))
        if 0 < len(lost) <= FEW:
            again = points[lost]
            r[lost], alone[lost] = self.exact().certify(again, self.sigma, sign)
            points[lost] = again
        return r, alone

    def turned(self, points: Array) -> tuple[Array, Array, NDArray[np.bool_], NDArray[np.int64]]:
        """Return approximate points turned into the sector, the same made nearly real where they lie near an edge,
        whether they were conjugated, and the sign of T y^m = +-y of the nearly real ones, 0 for the others."""
        n, q = self.n, self.p - 2
        if q > 1:
            y = points[:, :n] + 1j * points[:, n:]
            turns = np.round(np.angle(y @ self.b) * q / (2 * np.pi))
            turn = np.exp(-2j * np.pi * turns / q) if q > 2 else np.where(turns % 2 == 0, 1.0, -1.0) + 0j
            y *= turn[:, np.newaxis]
            points = np.hstack([y.real, y.imag])
        down = points[:, n:] @ self.b < 0
        points = points.copy()
        points[:, n:] *= np.where(down, -1.0, 1.0)[:, np.newaxis]
        size = NEARLY * _norms(points)
        sign = (_norms(points[:, n:]) < size).astype(np.int64)
        moved = points.copy()
        if q > 1:  # the other edge: a turn by -pi/q makes real points of T y^m = -y, for odd q by pi - pi/q of y
            back = np.exp(1j * np.pi * (q - 1) / q) if q % 2 else (-1j if q == 2 else np.exp(-1j * np.pi / q))
            y = (points[:, :n] + 1j * points[:, n:]) * back
            near = np.linalg.norm(y.imag, axis=1) < size
            sign[near] = 1 if q % 2 else -1
            moved[near, :n], moved[near, n:] = y[near].real, y[near].imag
            if q % 2 == 0:
                moved[(sign != 0) & (moved[:, :n] @ self.b < 0)] *= -1
        return points, moved, down, sign

    def settle(self, points: Array, path: NDArray[np.int64]) -> Zeros:
        """Return the certified classes near points (N, 2n)."""
        n = self.n
        self.polish(points, MOST_STEPS, SMALL)
        finite = np.isfinite(points).all(axis=1)
        turned, moved, down, sign = self.turned(points[finite])
        points = moved.copy()
        points[sign != 0, n:] = 0.0
        path, r, alone = path[finite], np.full(len(points), np.inf), np.zeros(len(points))

        for way in (1, -1):
            rows = np.flatnonzero(sign >= 0 if way > 0 else sign < 0)
            if len(rows):
                again = points[rows]
                r[rows], alone[rows] = self.certify(again, MOST_STEPS, way)
                points[rows] = again
        line = (sign != 0) & np.isfinite(r) & (points[:, n:] == 0.0).all(axis=1)
        if self.p % 2 == 0:
            line &= points[:, :n] @ self.b > SPARE * r + 2 * n * UNIT * _norms(points)
        # A real zero so far off that the point may belong to another one: a pair beside the real line comes first.
        rows = np.flatnonzero((sign != 0) & ~(line & (2 * _norms(points - moved) < alone)))
        if len(rows):
            again = turned[rows]
            found, lonely = self.certify(again, MOST_STEPS)
            better = ~line[rows] | (np.isfinite(found) & self._inside(again, found))
            rows = rows[better]
            points[rows], r[rows], alone[rows], line[rows] = again[better], found[better], lonely[better], False
        sign[~line] = 1
        kept = np.flatnonzero(np.isfinite(r) & (line | self._inside(points, r)) & (_norms(points) > SPARE * r))
        return Zeros(points[kept], r[kept], alone[kept], path[kept], (line | ~down)[kept], line[kept], sign[kept])

    def _inside(self, points: Array, r: Array) -> NDArray[np.bool_]:
        """Whether b.y of points keeps off both edges of the sector by more than r."""
        n, q = self.n, self.p - 2
        up = points[:, n:] @ self.b
        margin = SPARE * r + 8 * n * UNIT * _norms(points)
        if q == 1:
            return up > margin
        upper = (points[:, :n] @ self.b + 1j * up) * np.exp(-1j * np.pi / q)
        return (up > margin) & (upper.imag < -margin)

    def label(self, zeros: Zeros) -> None:
        """Number the zeros proved different, and count the real ones and the pairs."""
        zeros.label = np.full(len(zeros.r), -1)
        if not len(zeros.r):
            return
        projection = zeros.points @ self.a
        most = (199 * len(zeros.r)) // 200
        cut = max(1e-9, float(np.partition(zeros.r, most)[most]))
        fine = np.flatnonzero(zeros.r <= cut)
        order = fine[np.argsort(projection[fine], kind="stable")]
        wide = np.flatnonzero(zeros.r > cut)
        rounding = 2 * (4 * self.n + 8) * UNIT * float(_norms(zeros.points).max())
        count = separate(zeros.points, zeros.r, zeros.alone, order, projection, wide, cut, rounding, zeros.label)
        last = np.empty(count + 1, np.int64)
        last[zeros.label] = np.arange(len(zeros.label))
        zeros.real = int(zeros.line[last[:count]].sum())
        zeros.pairs = count - zeros.real

    # ---- the count ------------------------------------------------------------------------------------------------
    def missing(self, zeros: Zeros) -> int:
        """How many zeros are not accounted for."""
        return self.paths - zeros.real - 2 * zeros.pairs

    def run(self) -> Count:
        """Track all paths, the doubtful ones again and again more closely, until the zeros fill the bound."""
        every = np.arange(self.paths)
        ends, arrived, tries = self.follow(every, 0)
        low = self._lower(ends)
        first = np.flatnonzero(arrived & ~low)
        zeros = joined([self.settle(ends[rows].astype(np.float64), rows) for rows in _blocks(first)])
        self.label(zeros)
        retracked = 0
        if self.missing(zeros):
            rest = np.flatnonzero(arrived & low)
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
                fresh = self.settle(again[there].astype(np.float64), doubtful[there])
                old = ~np.isin(zeros.path, fresh.path)  # what was certified stays, but counts for no path any more
                zeros.path[~old] = -1
                zeros = joined([zeros, fresh])
                self.label(zeros)
        origin = 1 if self.p == 3 else 0
        certified = origin + zeros.real + 2 * zeros.pairs
        real = np.flatnonzero((zeros.label >= 0) & zeros.line)
        real = real[np.unique(zeros.label[real], return_index=True)[1]]
        return Count(
            origin + self.paths, certified, self.paths, retracked, tries, zeros.points[real, : self.n], zeros.r[real]
        )

    def _lower(self, ends: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether ends lie clearly in the conjugate of a class's sector."""
        n, q = self.n, self.p - 2
        b = self.b.astype(ends.dtype)
        slack = 1e-3 * np.sqrt(np.einsum("ij,ij->i", ends, ends)) + 1e-5
        if q == 1:
            return ends[:, n:] @ b < -slack * 0.1
        along = ends[:, :n] @ b + 1j * (ends[:, n:] @ b)
        angle = np.angle(along)
        angle -= np.round(angle * q / (2 * np.pi)) * (2 * np.pi / q)
        return (np.abs(along) * np.sin(angle) < -slack) & (angle > -np.pi / q + 0.05)

    def _add_unmatched(
        self, zeros: Zeros, ends: NDArray[Any], paths: NDArray[np.int64]
    ) -> tuple[Zeros, NDArray[np.int64]]:
        """Certify those ends on the lower side whose conjugates are not among the zeros yet.

        Also return, for each path, the row of the zero it ended at: row 0 on the upper side, row 1 on the lower.
        """
        projection = zeros.points @ self.a
        order = np.argsort(projection, kind="stable")
        line = projection[order]
        found = np.full(len(ends), -1)
        for rows in _blocks(np.arange(len(ends))):
            points = ends[rows].astype(np.float64)
            self.polish(points, MOST_STEPS, SMALL)
            finite = np.flatnonzero(np.isfinite(points).all(axis=1))
            _, turned, _, _ = self.turned(points[finite])
            matched = np.full(len(finite), -1)
            match(turned, 1e-6, zeros.points, line, order, turned @ self.a, matched)
            found[rows[finite]] = matched
        alone, known = np.flatnonzero(found < 0), found >= 0
        owner = np.full((2, self.paths), -1)
        owner[1, paths[known]] = found[known]  # a row of zeros: labels may change, rows do not
        if len(alone):
            zeros = joined([zeros, self.settle(ends[alone].astype(np.float64), paths[alone])])
            self.label(zeros)
        return zeros, owner

    def _doubtful(self, zeros: Zeros, owner: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the paths that failed, whose end is not certified, or that share their end with another path."""
        label = np.full((2, self.paths), -1)
        ended = np.flatnonzero(owner[1] >= 0)
        row = owner[1, ended]
        label[np.where(zeros.line[row], 0, 1), ended] = zeros.label[row]  # a real class is its own conjugate
        known = np.flatnonzero((zeros.path >= 0) & (zeros.label >= 0))
        label[np.where(zeros.upper[known], 0, 1), zeros.path[known]] = zeros.label[known]
        sound = np.zeros(self.paths, np.bool_)
        for side in label:
            there = np.flatnonzero(side >= 0)
            times = np.bincount(side[there], minlength=1)
            sound[there[times[side[there]] == 1]] = True
        return np.flatnonzero(~sound)


def _norms(points: Array) -> Array:
    """Return |x| of every row."""
    lengths: Array = np.sqrt(np.einsum("ij,ij->i", points, points))
    return lengths


@dataclass(frozen=True)
class _Layout:
    """Where the entries of a symmetric tensor stand: ``orderings`` of each multiset of p; the multiset of (s, l) for
    multisets s of p - 1 and all l, ``places``; that of all tuples, ``unfolding`` (n, n^(p-1)); ``tables``."""

    orderings: Array
    places: NDArray[np.int64]
    unfolding: NDArray[np.int64]
    tables: Tables | None


@functools.lru_cache(maxsize=16)
def _layout(n: int, p: int) -> _Layout:
    weights = n ** np.arange(p - 1, dtype=np.int64)[::-1]
    rows = np.array(multisets(n, p - 1), np.int64) @ weights
    places = rows[:, np.newaxis] * n + np.arange(n)
    unfolding = multiset_ranks(n, p, np.arange(n**p)).reshape(n, -1)
    return _Layout(
        multiplicities(n, p),
        multiset_ranks(n, p, places.ravel()).reshape(places.shape),
        unfolding,
        tables(n, p),
    )
