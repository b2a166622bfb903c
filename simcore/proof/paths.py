"""An unbiased count of one function's critical points beyond enumeration, from random paths of its homotopy.

The homotopy of ``simcore.proof.tracker`` is a bijection between its N = 2^n - 1 starts and the nonzero complex zeros of
F(y) = T(y, y) - y, so K starts drawn without replacement give a uniform sample of K zeros: no basins, no chain. If z_i
is what zero i contributes to a count (2 for a real one, which stands for the critical points +-sqrt(n) y/|y|; to the
count of index k, the number of the two that have it), then

    count = N mean(z),    se = N sqrt(s^2/K (1 - K/N)),    s^2 the variance of z over the sample

(simple random sampling: Cochran, *Sampling Techniques*, 1977, section 2.6); where no zero of the sample contributes, or
every one alike, s^2 is that of a share of (k + 1/2)/(K + 1), lest the error be 0. Intervals are those of Clopper &
Pearson (1934) for the share of zeros that contribute, shrunk about the estimate by sqrt(1 - K/N). For odd p a point and
its mirror are one species, so the counts of k and D - k are equal exactly.

What could bias it: a path that jumps to another zero makes that zero count twice. Repeated ends are tracked again, but
in a sparse sample repeats are rare even where jumps are not; so a subsample is tracked again much more closely, and the
share of its paths that end elsewhere is reported (``jumped``) with its upper 95 % bound (``jump_rate``). A jump still
lands on a zero, so the bias is at most about that rate. A run is trusted where the bound is below half the relative
error, or below 2 %, at most one path in a thousand could not be followed and ``REAL`` real zeros were met; and where
all paths were followed, to as many different zeros: then no error of sampling is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends import cpu
from simcore.backends.problems import Spin
from simcore.errors import InputError
from simcore.landscapes.base import Draw
from simcore.progress import current, share
from simcore.proof.bezout import LEVELS, Homotopy
from simcore.validate import positive, whole

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

PATHS = 20_000
"""Paths where neither a number nor an error is given."""
MOST_PATHS = 400_000
RETRACKED = 2_000
"""Paths of the sample that are tracked again more closely."""
LARGEST = 40
REAL = 20
"""Real zeros that a sample must have met for its error to be trusted: 22 % of the count."""
CLOSER = 2
"""Level of ``bezout.LEVELS`` of the closer look."""
BATCH = 8_192


def count_by_paths(
    draw: Draw,
    *,
    seed: int = 0,
    target_error: float | None = None,
    paths: int | None = None,
    max_paths: int | None = None,
    threads: int | None = None,
) -> tuple[pd.DataFrame, float, float, pd.DataFrame, dict[str, Any]]:
    """Count the critical points of a 3-spin function by random paths.

    Parameters
    ----------
    draw : Draw
        Its problem must be a homogeneous polynomial of degree 3 on the sphere, n <= 40.
    seed : int
        Which paths; with the draw it determines the result.
    target_error : float
        Relative standard error of the total at which to stop; default: after ``paths``.
    paths, max_paths : int
        How many paths; the most, where ``target_error`` decides. All of them give the exact count.

    Returns
    -------
    counts : DataFrame, a row an index 0 .. n - 1
        ``morse_index, count, se, low, high, log_ratio, log_ratio_se``.
    total, total_se : float
    minima : DataFrame
        ``cost, arrivals, known, x`` of the distinct minima met, as by the walk; no path is followed twice, so each was
        arrived at once.
    diagnostics : dict
        ``method``; ``trusted``, ``reasons`` where not; ``paths`` of ``all_paths``; ``real`` zeros met; ``lost`` paths
        that could not be followed; ``repeats``; ``retracked``, ``jumped``, ``jump_rate``.

    Raises
    ------
    InputError
        For another kind of function, and for arguments out of range.
    """
    check_paths(draw)
    problem, meter = draw.problem, current()

    def mapped(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return share(function, items, threads or 1)

    solver = Homotopy(problem, mapped=mapped)
    wanted, limit = _limits(solver.paths, target_error, paths, max_paths)
    rng = np.random.default_rng([seed, draw.number, problem.n, 1934])
    order = rng.choice(solver.paths, size=limit, replace=False)
    sample = _Sample(solver)
    while True:
        meter.plan(wanted, "paths")
        sample.extend(order[len(sample.paths) : wanted])
        total, error = sample.estimate(sample.real * 2.0, 2.0)
        if (
            target_error is None
            or len(sample.paths) >= limit
            or (error <= target_error * total and sample.real.sum() >= REAL)
        ):
            break
        wanted = min(2 * wanted, limit)
    diagnostics = sample.diagnostics(rng, total, error)
    counts, minima = _tables(problem, sample)
    return counts, total, error, minima, diagnostics


def check_paths(draw: Draw) -> None:
    """Raise ``InputError`` where a function has no homotopy to sample."""
    problem = draw.problem
    if type(problem) is not Spin or problem.p != 3 or problem.n > LARGEST or not problem.coefficients.any():
        raise InputError(
            f"method 'paths' follows a homotopy for 3-spin functions with n <= {LARGEST}; {draw!r} is none, use 'walk'"
        )


def _limits(every: int, target_error: float | None, paths: int | None, max_paths: int | None) -> tuple[int, int]:
    """Return (paths of the first look, most paths)."""
    most = min(every, MOST_PATHS if max_paths is None else whole("max_moves", max_paths, 2))
    if target_error is None:
        number = min(every, whole("moves", PATHS if paths is None else paths, 2))
        return number, number
    positive("target_error", target_error)
    return min(most, whole("moves", 1024 if paths is None else paths, 2)), most


class _Sample:
    """The paths followed so far and where they ended."""

    def __init__(self, solver: Homotopy) -> None:
        n = solver.n
        self.solver = solver
        self.paths = np.empty(0, np.int64)
        self.ends = np.empty((0, 2 * n))  # polished; NaN where a path was lost
        self.real = np.empty(0, np.bool_)

    def extend(self, paths: NDArray[np.int64]) -> None:
        """Follow more paths."""
        for begin in range(0, len(paths), BATCH):
            part = paths[begin : begin + BATCH]
            ends = self._ends(part, 0)
            for level in range(1, len(LEVELS)):
                lost = np.flatnonzero(np.isnan(ends[:, 0]))
                if not len(lost):
                    break
                ends[lost] = self._ends(part[lost], level)
            self._add(part, ends)
            current().step(len(part))
        again = self._repeated()
        if len(again):
            self.ends[again] = self._ends(self.paths[again], CLOSER)
            self.real[again] = self._made_real(self.ends, again)

    def _ends(self, paths: NDArray[np.int64], level: int) -> Array:
        """Return polished ends (N, 2n), NaN where a path did not arrive at a zero."""
        solver = self.solver
        raw, arrived, _ = solver.follow(paths, level)
        ends = raw.astype(np.float64)
        ends[~arrived] = 0.0
        facts = solver.polish(ends, 3)
        good = arrived & (facts[:, 4] <= 1e-7 * np.linalg.norm(ends, axis=1))
        ends[~good] = np.nan
        return ends

    def _add(self, paths: NDArray[np.int64], ends: Array) -> None:
        first = len(self.paths)
        self.paths = np.concatenate([self.paths, paths])
        self.ends = np.concatenate([self.ends, ends])
        rows = np.arange(first, len(self.paths))
        self.real = np.concatenate([self.real, self._made_real(self.ends, rows)])

    def _made_real(self, ends: Array, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Certify near-real ends as real, in place; return which of the rows are."""
        n, solver = self.solver.n, self.solver
        imaginary = np.linalg.norm(ends[rows, n:], axis=1)
        near = rows[imaginary < 1e-5 * np.linalg.norm(ends[rows], axis=1)]
        real = np.zeros(len(ends), np.bool_)
        if len(near):
            zeros = solver.settle(ends[near].copy(), near)
            found = zeros.line
            ends[zeros.path[found]] = zeros.points[found]
            real[zeros.path[found]] = True
        return real[rows]

    def _repeated(self) -> NDArray[np.int64]:
        """Return the rows whose end is another row's too."""
        line = self.ends @ self.solver.a
        order = np.argsort(line)  # NaN last
        scale = 1e-8 * np.linalg.norm(self.ends[order[:-1]], axis=1)
        close = np.flatnonzero(np.diff(line[order]) <= scale)
        same = np.linalg.norm(self.ends[order[close]] - self.ends[order[close + 1]], axis=1) <= 1e-6 * np.linalg.norm(
            self.ends[order[close]], axis=1
        )
        return np.unique(np.concatenate([order[close[same]], order[close[same] + 1]]))

    def estimate(self, z: NDArray[Any], weight: float = 0.0) -> tuple[float, float]:
        """Return (total, standard error) over all zeros of a contribution z known on the sample, ``weight`` of one
        zero."""
        every, known = float(self.solver.paths), ~np.isnan(self.ends[:, 0])
        z = z[known]
        if len(z) < 2:
            return float("nan"), float("nan")
        rest, square = max(1.0 - len(z) / every, 0.0), float(z.var(ddof=1))
        if square == 0.0:
            share = (float((z > 0).sum()) + 0.5) / (len(z) + 1)
            square = weight**2 * share * (1 - share)
        return every * float(z.mean()), every * math.sqrt(square / len(z) * rest)

    def diagnostics(self, rng: np.random.Generator, total: float, error: float) -> dict[str, Any]:
        """Return what the trust in the sample rests on, after a closer look at some of its paths."""
        known = np.flatnonzero(~np.isnan(self.ends[:, 0]))
        chosen = rng.choice(known, size=min(RETRACKED, len(known)), replace=False)
        again = self._ends(self.paths[chosen], CLOSER)
        gap = np.linalg.norm(again - self.ends[chosen], axis=1)
        jumped = int((~(gap <= 1e-6 * np.linalg.norm(self.ends[chosen], axis=1))).sum())
        from scipy.stats import beta

        rate = 1.0 if jumped >= len(chosen) else float(beta.ppf(0.95, jumped + 1, len(chosen) - jumped))
        lost = len(self.paths) - len(known)
        relative = error / total if total > 0 else math.inf
        real, repeats = int(self.real.sum()), len(self._repeated())
        reasons = []
        if len(self.paths) < self.solver.paths or lost or repeats:
            if real < REAL:
                reasons.append(f"{real} real zeros met, fewer than {REAL}")
            if lost > 1e-3 * len(self.paths):
                reasons.append(f"{lost} of {len(self.paths)} paths could not be followed")
            if rate >= max(0.02, relative / 2):
                reasons.append(f"up to {rate:.1%} of the paths may have jumped to another zero (95 %)")
        return {
            "method": "paths",
            "trusted": not reasons,
            "reasons": reasons,
            "paths": len(self.paths),
            "all_paths": self.solver.paths,
            "real": real,
            "lost": lost,
            "repeats": repeats,
            "retracked": len(chosen),
            "jumped": jumped,
            "jump_rate": rate,
        }


def _tables(problem: Spin, sample: _Sample) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the counts by index and the minima met."""
    import pandas as pd
    from scipy.stats import beta

    n, rows = problem.n, np.flatnonzero(sample.real)
    y = sample.ends[rows, :n]
    x = math.sqrt(n) * y / np.linalg.norm(y, axis=1, keepdims=True)
    found = cpu.gaps(problem, x)
    assert found is not None
    value, negative = found[0], found[3]
    contribution = np.zeros((n, len(sample.paths)))
    for index in (negative, n - 1 - negative):
        contribution[index, rows] += 1.0
    known = ~np.isnan(sample.ends[:, 0])
    size, every = int(known.sum()), float(sample.solver.paths)
    shrink = math.sqrt(max(1.0 - size / every, 0.0))
    base = sample.estimate(contribution[0])[0]
    table = []
    for k in range(n):
        z = contribution[k]
        weight = 2.0 if k == n - 1 - k else 1.0
        count, error = sample.estimate(z, weight)
        times = int((z > 0).sum())
        low = 0.0 if times == 0 else float(beta.ppf(0.025, times, size - times + 1))
        high = 1.0 if times >= size else float(beta.ppf(0.975, times + 1, size - times))
        low, high = (count + shrink * (every * weight * share - count) for share in (low, high))
        ratio, ratio_error = float("nan"), float("nan")
        if base > 0 and count > 0:
            ratio = math.log(count / base)
            ratio_error = sample.estimate(every / count * z - every / base * contribution[0])[1] / every
        table.append((k, count, error, low, high, ratio, ratio_error))
    counts = pd.DataFrame(table, columns=["morse_index", "count", "se", "low", "high", "log_ratio", "log_ratio_se"])
    low_points = [(value[i], x[i]) for i in np.flatnonzero(negative == 0)]
    low_points += [(-value[i], -x[i]) for i in np.flatnonzero(negative == n - 1)]
    low_points.sort(key=lambda one: one[0])
    minima = pd.DataFrame(
        {
            "cost": np.array([cost for cost, _ in low_points], float),
            "arrivals": np.ones(len(low_points), np.int64),
            "known": np.zeros(len(low_points), np.bool_),
            "x": [point for _, point in low_points],
        }
    )
    return counts.astype({"morse_index": np.int32}), minima
