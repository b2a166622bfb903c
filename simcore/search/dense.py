"""The search that decomposes every Hessian: all solvers, for every landscape, batched over starts.

The compiled Newton loop factorises a Hessian; here it is diagonalised, which costs more and tells more: steps can treat
modes apart (pseudo-inverse, saddle-free, Levenberg-Marquardt), and null modes are seen as such. Points with a
continuous symmetry, as of networks, are judged here: ``nullity`` is compared with the dimension of the symmetry orbit.

How a start ends, in this order:

- ``not_finite``, ``left_domain`` as soon as they happen;
- *settled*: |g| below tolerance and the decrement |H^+ g| below its own. Then up to four more steps polish the point,
  and its null modes are counted: |w| <= max(zero tolerance |H|_F, the change of H over the last polishing step,
  rounding), extended upwards through every eigenvalue less than ``GAP`` times the previous one: without a gap an
  eigenvalue is undecided, and undecided ones are null. The change of H matters at degenerate points of higher order,
  where eigenvalues shrink together with the distance and no relative threshold could tell. ``critical`` if the
  nullity is the orbit's dimension, ``degenerate`` if it is larger, but ``left_domain`` where null modes come from
  saturated units (``draw.saturated``): there the cost still falls towards infinity, at a rate below any tolerance;
- Levenberg-Marquardt stops early where |Hg| < 1e-5 |H| |g| in ``patience`` steps running, or when no step helps;
- at the end ``gradient_flat`` where |Hg| < flat tolerance |H|_F |g|, else ``max_iterations``.

Row i of the outcome depends on start i alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends import eigensteps, geometry, reference
from simcore.backends.blas import single_threaded_blas
from simcore.backends.problems import NewtonOptions, Outcome
from simcore.formulas.outcome import CRITICAL, DEGENERATE, GRADIENT_FLAT, LEFT_DOMAIN, MAX_ITERATIONS, NOT_FINITE
from simcore.landscapes.base import Array, Draw
from simcore.search.solvers import LevenbergMarquardt, PseudoInverseNewton, SaddleFreeNewton, Solver, resolve

GAP = 100.0
FLAT_EARLY = 1e-5  # Levenberg-Marquardt gives up here; far stricter than the verdict's tolerance
POLISH = 4
WORK = 2**26  # bytes of Hessians and eigenvectors held at a time, about
_RUNNING = -1

Evaluate = Callable[[Array], tuple[Array, Array, Array]]


def search(draw: Draw, starts: Array, solver: Solver | None = None, evaluate: Evaluate | None = None) -> Outcome:
    """Search from each start, shape (S, n), with any solver, and return how each ended.

    draw : the function; where it has ``symmetry_dimension(x)`` that is the healthy nullity at a point, else 0.
    solver : None or ``Auto`` is the landscape's own.
    evaluate : value, gradient, Hessian at points (S, n); default the reference backend's.
    """
    solver = resolve(solver, draw.landscape)
    starts = np.array(starts, dtype=np.float64, order="C")
    n = starts.shape[1]
    size = max(1, WORK // (8 * 4 * n * n))
    outcome = Outcome.empty(len(starts), n)
    with single_threaded_blas():
        for low in range(0, len(starts), size):
            part = _Batch(draw, starts[low : low + size], solver, evaluate).run()
            for whole, piece in zip(outcome, part, strict=True):
                whole[low : low + size] = piece  # type: ignore[index]
    return outcome


class _Batch:
    """Some starts of one draw, advanced together; arrays with one row a start."""

    def __init__(self, draw: Draw, starts: Array, solver: Solver, evaluate: Evaluate | None) -> None:
        self.draw, self.solver = draw, solver
        self.problem: Any = draw.problem
        self.options: NewtonOptions = solver.options(draw.landscape)
        self.function = evaluate or (lambda x: reference.evaluate(self.problem, x))
        self.sphere = geometry.on_sphere(self.problem)
        self.period = getattr(self.problem, "period", 0.0)
        count, n = starts.shape
        tangent = n - 1 if self.sphere else n
        self.x = geometry.wrap(starts, self.period)
        self.value, self.w = np.zeros(count), np.zeros((count, tangent))
        self.q, self.a = np.zeros((count, n, tangent)), np.zeros((count, tangent))
        self.status = np.full(count, _RUNNING, np.int8)
        self.iterations = np.zeros(count, np.int32)
        self.index, self.nullity = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
        self.settled = np.zeros(count, np.int32)  # evaluations running with a small gradient and a long step
        self.damping, self.flat, self.rejected = np.full(count, -1.0), np.zeros(count, int), np.zeros(count, int)

    def run(self) -> Outcome:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._store(np.arange(len(self.x)), self.x)
            for iteration in range(self.options.max_iterations + 1):
                rows = self._judged(iteration == self.options.max_iterations)
                if not len(rows):
                    break
                self._advance(rows)
            return Outcome(
                self.status,
                self.iterations,
                self.value,
                self._norm(),
                self._decrement(),
                self.index,
                self.nullity,
                self.x,
            )

    # ---- function values -----------------------------------------------------------------------------------------
    def _decompose(self, x: Array) -> tuple[Array, Array, Array, Array, NDArray[np.bool_]]:
        """Return value, eigenvalues, eigenvectors (ambient), gradient in their basis, and which rows are finite."""
        value, gradient, hessian = self.function(x)
        finite = np.isfinite(value) & np.isfinite(gradient).all(axis=1) & np.isfinite(hessian).all(axis=(1, 2))
        hessian[~finite] = 0.0
        if not self.sphere:
            w, q = np.linalg.eigh(hessian)
        else:
            basis = np.array([geometry.tangent_basis(self.problem, point) for point in x]).reshape(*x.shape, -1)
            w, inner = np.linalg.eigh(basis.swapaxes(1, 2) @ hessian @ basis)
            q = basis @ inner
        return value, w, q, eigensteps.project(q, np.where(np.isfinite(gradient), gradient, np.inf)), finite

    def _store(self, rows: NDArray, x: Array) -> None:
        value, w, q, a, finite = self._decompose(x)
        self._keep(rows, x, value, w, q, a, finite)

    def _keep(self, rows: NDArray, x: Array, value: Array, w: Array, q: Array, a: Array, finite: NDArray) -> None:
        self.x[rows], self.value[rows], self.w[rows], self.q[rows], self.a[rows] = x, value, w, q, a
        self.status[rows[~finite]] = NOT_FINITE

    def _moved(self, rows: NDArray, c: Array) -> Array:
        x = self.x[rows] + eigensteps.rotated(self.q[rows], c)
        if self.sphere:
            x = x * np.sqrt(x.shape[1] / (x * x).sum(axis=1, keepdims=True))
        return geometry.wrap(x, self.period)

    def _norm(self) -> Array:
        return np.sqrt((self.a * self.a).sum(axis=1))

    def _frobenius(self, rows: NDArray) -> Array:
        return np.sqrt((self.w[rows] ** 2).sum(axis=1))

    def _newton(self, rows: NDArray) -> Array:
        """The Newton step on all modes that are not null beside the largest."""
        return eigensteps.pseudo_inverse(self.w[rows], self.a[rows], self.options.zero_tolerance)

    def _decrement(self) -> Array:
        c = self._newton(np.arange(len(self.x)))
        return np.where(self.status == NOT_FINITE, np.nan, np.sqrt((c * c).sum(axis=1)))

    # ---- verdicts ------------------------------------------------------------------------------------------------
    def _judged(self, last: bool) -> NDArray:
        """Give a status to the rows that have one by now and return the others."""
        rows = np.flatnonzero(self.status == _RUNNING)
        out = np.abs(self.x[rows]).max(axis=1, initial=0.0) > self.options.region
        out |= np.array([geometry.outside(self.problem, point) for point in self.x[rows]], bool)
        self.status[rows[out]] = LEFT_DOMAIN
        rows = rows[~out]
        norm, c = np.sqrt((self.a[rows] ** 2).sum(axis=1)), self._newton(rows)
        small = norm < self.options.gradient_tolerance
        near = np.sqrt((c * c).sum(axis=1)) < self.options.decrement_tolerance
        done = rows[small & near]
        if len(done):
            self._polish(done)
        if last:
            rest = rows[~(small & near)]
            self._end(rest)
        return np.flatnonzero(self.status == _RUNNING)

    def _end(self, rows: NDArray) -> None:
        """The verdict on rows that stop without having settled."""
        w, a = self.w[rows], self.a[rows]
        norm = np.sqrt((a * a).sum(axis=1))
        bent = np.sqrt(((w * a) ** 2).sum(axis=1))
        flat = bent < self.options.flat_tolerance * self._frobenius(rows) * norm
        flat &= norm >= self.options.gradient_tolerance
        self.status[rows] = np.where(flat, GRADIENT_FLAT, MAX_ITERATIONS)

    def _polish(self, rows: NDArray) -> None:
        """Sharpen settled points, then count their null and negative modes."""
        change = np.zeros(len(rows))
        for _ in range(POLISH):
            c = self._newton(rows)
            step = np.sqrt((c * c).sum(axis=1))
            moving = np.flatnonzero((step > 1e-13 * self.draw.landscape.scales.length) | (change == 0))
            moving = moving[step[moving] > 0]
            if not len(moving):
                break
            here = rows[moving]
            x = self._moved(here, c[moving])
            value, w, q, a, finite = self._decompose(x)
            before = self._frobenius(here)
            difference = np.sqrt(((self._hessian(here) - (q * w[:, None, :]) @ q.swapaxes(1, 2)) ** 2).sum(axis=(1, 2)))
            better = finite & (
                np.sqrt((a * a).sum(axis=1)) <= 2 * np.sqrt((self.a[here] ** 2).sum(axis=1)) + 1e-15 * before
            )
            change[moving] = np.where(better, difference, change[moving])
            kept = np.flatnonzero(better)
            self._keep(here[kept], x[kept], value[kept], w[kept], q[kept], a[kept], finite[kept])
        expected, saturated = self._of_draw("symmetry_dimension", rows), self._of_draw("saturated", rows)
        for row, moved, healthy, runaway in zip(rows, change, expected, saturated, strict=True):
            w = self.w[row]
            null = null_modes(w, max(self.options.zero_tolerance * float(np.linalg.norm(w)), float(moved)))
            self.nullity[row] = null.sum()
            self.index[row] = (w[~null] < 0).sum()
            if self.nullity[row] == healthy:
                self.status[row] = CRITICAL
            elif self.nullity[row] > healthy:
                self.status[row] = LEFT_DOMAIN if runaway else DEGENERATE
                if runaway:
                    self.index[row] = self.nullity[row] = -1
            else:
                self._unsettled(row)

    def _unsettled(self, row: int) -> None:
        """Fewer null modes than the symmetry demands: the point is not resolved yet, so it goes on."""
        self.index[row] = self.nullity[row] = -1
        self.settled[row] += 1
        if self.settled[row] > 3:
            self.status[row] = MAX_ITERATIONS

    def _hessian(self, rows: NDArray) -> Array:
        return (self.q[rows] * self.w[rows][:, None, :]) @ self.q[rows].swapaxes(1, 2)

    def _of_draw(self, name: str, rows: NDArray) -> NDArray:
        """What the draw says about these points; 0 where it says nothing."""
        method = getattr(self.draw, name, None)
        return np.zeros(len(rows), np.int64) if method is None else method(self.x[rows])

    # ---- steps ---------------------------------------------------------------------------------------------------
    def _advance(self, rows: NDArray) -> None:
        solver, w, a = self.solver, self.w[rows], self.a[rows]
        if isinstance(solver, LevenbergMarquardt):
            self._levenberg_marquardt(rows, solver)
            return
        if isinstance(solver, SaddleFreeNewton):
            c = eigensteps.saddle_free(w, a, solver.index, solver.floor)
        else:
            cutoff = solver.cutoff if isinstance(solver, PseudoInverseNewton) else self.options.zero_tolerance
            c = eigensteps.pseudo_inverse(w, a, cutoff)
        self.iterations[rows] += 1
        self._store(rows, self._moved(rows, eigensteps.capped(c, self.options.step_cap)))

    def _levenberg_marquardt(self, rows: NDArray, solver: LevenbergMarquardt) -> None:
        """One trial step each; the gain in |g|^2 over the linear model's decides on it and on the next damping."""
        w, a = self.w[rows], self.a[rows]
        fresh = self.damping[rows] < 0
        self.damping[rows] = np.where(fresh, solver.damping * eigensteps.largest(w)[:, 0] ** 2, self.damping[rows])
        mu = self.damping[rows]
        c = eigensteps.levenberg_marquardt(w, a, mu)
        if solver.step_cap != "auto":
            c = eigensteps.capped(c, self.options.step_cap)
        x = self._moved(rows, c)
        value, new_w, new_q, new_a, finite = self._decompose(x)
        before, after = (a * a).sum(axis=1), (new_a * new_a).sum(axis=1)
        predicted = before - ((a + w * c) ** 2).sum(axis=1)
        gain = (before - after) / np.maximum(predicted, 1e-300)
        good = finite & (after < before) & (gain > 1e-3)
        kept = np.flatnonzero(good)
        self._keep(rows[kept], x[kept], value[kept], new_w[kept], new_q[kept], new_a[kept], finite[kept])
        self.iterations[rows] += 1
        factor = np.where(~good, 4.0, np.where(gain > 0.75, 0.1, np.where(gain < 0.25, 2.0, 1.0)))
        self.damping[rows] = np.maximum(mu * factor, 1e-30)
        self.rejected[rows] = np.where(good, 0, self.rejected[rows] + 1)
        w, a = self.w[rows], self.a[rows]
        bent = np.sqrt(((w * a) ** 2).sum(axis=1))
        norm = np.sqrt((a * a).sum(axis=1))
        flat = (bent < FLAT_EARLY * norm * eigensteps.largest(w)[:, 0]) & (norm >= self.options.gradient_tolerance)
        self.flat[rows] = np.where(good, np.where(flat, self.flat[rows] + 1, 0), self.flat[rows])
        self._end(rows[(self.flat[rows] >= solver.patience) | (self.rejected[rows] >= 30)])


def null_modes(w: Array, tolerance: float) -> NDArray[np.bool_]:
    """Return which of the eigenvalues w, shape (D,), are null or undecided.

    Null: |w| <= tolerance. Undecided: less than ``GAP`` above the largest null one, or above rounding where none is.
    """
    size = np.abs(w)
    order = np.argsort(size, kind="stable")
    rounding = 4 * len(w) * float(np.finfo(np.float64).eps) * float(np.linalg.norm(w))
    floor, count = rounding, 0
    for place in order:
        if size[place] > tolerance and (size[place] > GAP * floor):
            break
        floor = max(floor, float(size[place]))
        count += 1
    null = np.zeros(len(w), bool)
    null[order[:count]] = True
    return null
