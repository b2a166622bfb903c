"""The search that decomposes every Hessian: all solvers, for every landscape, batched over starts.

The compiled Newton loop factorises a Hessian; here it is diagonalised, which costs more and tells more: steps can
treat modes apart (pseudo-inverse, saddle-free), and null modes are seen as such. Levenberg-Marquardt needs no modes
but at the end. Points with a continuous symmetry, as of networks, are judged here: ``nullity`` is compared with the
dimension of the symmetry orbit.

How a start ends, in this order:

- ``not_finite``, ``left_domain`` as soon as they happen;
- *settled*: |g| below tolerance and the decrement |H^+ g| below its own. Then up to four more steps polish the point,
  and its null modes are counted: |w| <= max(zero tolerance |H|_F, twice the change of H over the last polishing step,
  rounding), extended upwards through every eigenvalue less than ``GAP`` times the previous one: without a gap an
  eigenvalue is undecided, and undecided ones are null. The change of H matters at degenerate points of higher order,
  where eigenvalues shrink together with the distance and no relative threshold could tell: where g ~ r^k, a Newton
  step takes w to (1 - 1/k)^(k-1) w, which is at most that change. ``critical`` if the
  nullity is the orbit's dimension, ``degenerate`` if it is larger, but ``left_domain`` where null modes come from
  saturated units (``draw.saturated``): there the cost still falls towards infinity, at a rate below any tolerance;
  ``max_iterations`` at a kink (``draw.kinked``), where there is no Hessian to judge by;
- Levenberg-Marquardt stops early where |Hg| < 1e-5 |H| |g| in ``patience`` steps running, or when no step helps;
- at the end ``gradient_flat`` where |Hg| < flat tolerance |H|_F |g|, else ``max_iterations``.

Row i of the outcome depends on start i alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore import steps
from simcore.backends import reference
from simcore.backends.problems import NewtonOptions, Outcome
from simcore.blas import single_threaded_blas
from simcore.formulas.outcome import CRITICAL, DEGENERATE, GRADIENT_FLAT, LEFT_DOMAIN, MAX_ITERATIONS, NOT_FINITE
from simcore.landscapes.base import Array, Draw
from simcore.search.solvers import Solver, resolve
from simcore.steps import length

GAP = 100.0
POLISH = 4
WORK = 2**26  # bytes of Hessians and eigenvectors held at a time, about
_RUNNING = -1

Evaluate = Callable[[Array], tuple[Array, Array, Array]]


def search(
    draw: Draw,
    starts: Array,
    solver: Solver | None = None,
    evaluate: Evaluate | None = None,
    options: NewtonOptions | None = None,
    walk: Callable[..., Any] | None = None,
) -> Outcome:
    """Search from each start, shape (S, n), with any solver, and return how each ended.

    draw : the function; ``draw.symmetry_dimension(x)`` is the healthy nullity at a point.
    solver : None or ``Auto`` is the landscape's own.
    evaluate : value, gradient, Hessian at points (S, n); default the reference backend's.
    options : the solver's limits; default those for the draw's landscape.
    walk : a backend's compiled ``levenberg_marquardt``; what it leaves undecided is judged here.
    """
    solver = resolve(solver, draw.landscape)
    options = solver.options(draw.landscape) if options is None else options
    starts = np.array(starts, dtype=np.float64, order="C")
    n = starts.shape[1]
    size = max(1, WORK // (8 * 4 * n * n))
    outcome = solver.walked(walk, draw.problem, starts, options) if walk is not None and len(starts) else None
    if outcome is None:
        outcome, rows = Outcome.empty(len(starts), n), np.arange(len(starts))
        outcome.x[:], outcome.iterations[:] = starts, 0
    else:
        rows = np.flatnonzero(_in_doubt(draw, outcome))
    with single_threaded_blas():
        for low in range(0, len(rows), size):
            some = rows[low : low + size]
            part = _Batch(draw, outcome.x[some], outcome.iterations[some], solver, options, evaluate).run()
            for whole, piece in zip(outcome, part, strict=True):
                whole[some] = piece  # type: ignore[index]
    return outcome


def _in_doubt(draw: Draw, outcome: Outcome) -> NDArray[np.bool_]:
    """Return which ends are to be judged by all eigenvalues: null modes to be counted, a symmetry, a kink."""
    doubt = np.asarray(outcome.status == _RUNNING)
    sure = np.flatnonzero(outcome.status == CRITICAL)
    if len(sure):
        doubt[sure] = (draw.symmetry_dimension(outcome.x[sure]) > 0) | draw.kinked(outcome.x[sure])
    return doubt


class _Points(NamedTuple):
    """Function values at some points; see ``_Batch``."""

    x: Array
    value: Array
    g: Array
    h: Array
    basis: Array | None
    finite: NDArray[np.bool_]


class _Batch:
    """Some starts of one draw, advanced together; arrays with one row a start.

    ``g`` (S, D) and ``h`` (S, D, D) are gradient and Hessian in the tangent basis ``basis`` (S, n, D); in R^n and on
    the torus that is the standard one, and ``basis`` is None.
    """

    def __init__(
        self,
        draw: Draw,
        starts: Array,
        iterations: NDArray[np.int32],
        solver: Solver,
        options: NewtonOptions,
        evaluate: Evaluate | None,
    ) -> None:
        self.draw, self.solver = draw, solver
        self.problem: Any = draw.problem
        self.options = options
        self.function = evaluate or (lambda x: reference.evaluate(self.problem, x))
        self.domain = draw.landscape.domain
        count, n = starts.shape
        tangent = self.domain.dimension
        self.x = self.domain.wrap(starts)
        self.value, self.g, self.h = np.zeros(count), np.zeros((count, tangent)), np.zeros((count, tangent, tangent))
        self.basis = None if self.domain.flat else np.zeros((count, n, tangent))
        self.status = np.full(count, _RUNNING, np.int8)
        self.iterations = iterations.copy()
        self.decrement = np.full(count, np.nan)
        self.index, self.nullity = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
        self.unresolved = np.zeros(count, int)
        self.rule, self.newton = solver.rule(options), steps.Newton(options.zero_tolerance, options.zero_floor)
        self.state = self.rule.init(self.g)

    def run(self) -> Outcome:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            everything = np.arange(len(self.x))
            self._keep(everything, self._evaluated(self.x))
            while len(rows := self._judged()):
                self._advance(rows)
            rest = np.flatnonzero((self.status != NOT_FINITE) & np.isnan(self.decrement))
            self.decrement[rest] = length(self._newton(*self._modes(rest)))
            norm = length(self.g)
        return Outcome(self.status, self.iterations, self.value, norm, self.decrement, self.index, self.nullity, self.x)

    # ---- function values -----------------------------------------------------------------------------------------
    def _evaluated(self, x: Array) -> _Points:
        value, g, h = self.function(x)
        finite = np.isfinite(value) & np.isfinite(g).all(axis=1) & np.isfinite(h).all(axis=(1, 2))
        if not finite.all():
            h[~finite] = 0.0
        if self.basis is None:
            return _Points(x, value, g, h, None, finite)
        basis = self.domain.frame(x)
        along = steps.rotated(basis.swapaxes(1, 2), g)
        return _Points(x, value, along, self.domain.tangent_hessian(x, h), basis, finite)

    def _keep(self, rows: NDArray, points: _Points, which: NDArray | slice = slice(None)) -> None:
        rows = rows[which]
        self.x[rows], self.value[rows] = points.x[which], points.value[which]
        self.g[rows], self.h[rows] = points.g[which], points.h[which]
        if self.basis is not None and points.basis is not None:
            self.basis[rows] = points.basis[which]
        self.status[rows[~points.finite[which]]] = NOT_FINITE

    def _moved(self, rows: NDArray, step: Array) -> Array:
        """Return the points reached by tangent steps, shape (rows, D)."""
        ambient = step if self.basis is None else steps.rotated(self.basis[rows], step)
        return self.domain.retract(self.x[rows] + ambient)

    def _modes(self, rows: NDArray) -> tuple[Array, Array, Array]:
        """Return eigenvalues, eigenvectors and the gradient in their basis."""
        w, q = np.linalg.eigh(self.h[rows])
        return w, q, steps.project(q, self.g[rows])

    def _newton(self, w: Array, q: Array, a: Array) -> Array:
        """The Newton step on all modes that are not null beside the largest."""
        return steps.rotated(q, self.newton.coefficients(w, a))

    # ---- verdicts ------------------------------------------------------------------------------------------------
    def _judged(self) -> NDArray:
        """Give a status to the rows that have one by now and return the others."""
        rows = np.flatnonzero(self.status == _RUNNING)
        out = np.abs(self.x[rows]).max(axis=1, initial=0.0) > self.options.region
        out |= self.domain.outside(self.x[rows])
        self.status[rows[out]] = LEFT_DOMAIN
        rows = rows[~out]
        small = rows[length(self.g[rows]) < self.options.gradient_tolerance]
        if len(small):
            modes = self._modes(small)
            step = self._newton(*modes)
            near = length(step) < self.options.decrement_tolerance
            self._polish(small[near], modes[0][near], step[near])
        rows = rows[self.status[rows] == _RUNNING]
        self._end(rows[self.iterations[rows] >= self.options.max_iterations])
        return np.flatnonzero(self.status == _RUNNING)

    def _end(self, rows: NDArray) -> None:
        """The verdict on rows that stop without having settled."""
        bent, size, norm = steps.flatness(self._here(rows))
        flat = (bent < self.options.flat_tolerance * size * norm) & (norm >= self.options.gradient_tolerance)
        self.status[rows] = np.where(flat, GRADIENT_FLAT, MAX_ITERATIONS)

    def _polish(self, rows: NDArray, w: Array, step: Array) -> None:
        """Sharpen settled points, of spectra ``w`` and Newton steps ``step``; then count null and negative modes."""
        change = np.zeros(len(rows))
        moving = np.arange(len(rows))
        for attempt in range(POLISH):
            if attempt > 0:
                modes = self._modes(rows[moving])
                w[moving], step = modes[0], self._newton(*modes)
            self.decrement[rows[moving]] = length(step)
            go = (length(step) > 1e-13 * self.draw.landscape.scales.length) | (attempt == 0)
            moving, step = moving[go], step[go]
            if not len(moving):
                break
            here = rows[moving]
            points = self._evaluated(self._moved(here, step))
            slack = 1e-15 * np.sqrt((self.h[here] ** 2).sum(axis=(1, 2)))
            better = points.finite & (length(points.g) <= 2 * length(self.g[here]) + slack)
            difference = np.sqrt(((self.h[here] - points.h) ** 2).sum(axis=(1, 2)))
            if self.basis is not None:  # bases differ from point to point: compare what does not depend on them
                difference = length(np.linalg.eigvalsh(self.h[here]) - np.linalg.eigvalsh(points.h))
            change[moving] = np.where(better, difference, change[moving])
            self._keep(here, points, better)
            moving = moving[better]
        w[moving] = np.linalg.eigvalsh(self.h[rows[moving]])  # those that moved in the last attempt
        kinked = self.draw.kinked(self.x[rows])
        self.status[rows[kinked]] = MAX_ITERATIONS  # no Hessian there, so neither index nor nullity
        rows, w, change = rows[~kinked], w[~kinked], change[~kinked]
        expected, saturated = self.draw.symmetry_dimension(self.x[rows]), self.draw.saturated(self.x[rows])
        for row, spectrum, moved, healthy, runaway in zip(rows, w, change, expected, saturated, strict=True):
            limits = self.options
            size = float(np.linalg.norm(spectrum))
            tolerance = max(limits.zero_tolerance * size, limits.zero_floor, 2 * float(moved))
            null = null_modes(spectrum, tolerance)
            self._count(row, int(null.sum()), int((spectrum[~null] < 0).sum()), int(healthy), bool(runaway))

    def _count(self, row: int, nullity: int, index: int, healthy: int, runaway: bool) -> None:
        if nullity < healthy:  # the symmetry's own null modes are not resolved yet, so the start goes on
            self.unresolved[row] += 1
            if self.unresolved[row] > 3:
                self.status[row] = MAX_ITERATIONS
        elif nullity > healthy and runaway:
            self.status[row] = LEFT_DOMAIN
        else:
            self.status[row] = CRITICAL if nullity == healthy else DEGENERATE
            self.index[row], self.nullity[row] = index, nullity

    # ---- steps ---------------------------------------------------------------------------------------------------
    def _here(self, rows: NDArray) -> steps.Here:
        return steps.Here(self.g[rows], self.h[rows])

    def _advance(self, rows: NDArray) -> None:
        """Make one step, or one trial, of each row."""
        self.iterations[rows] += 1
        state, here = tuple(part[rows] for part in self.state), self._here(rows)
        if self.domain.flat:
            here = here._replace(ahead=lambda d: self.function(self._moved(rows, d))[1])
        d, state = self.rule.step(state, 0, here)
        points = self._evaluated(self._moved(rows, d))
        made, state = self.rule.judge(state, here, d, steps.Here(points.g, points.h), points.finite)
        for part, changed in zip(self.state, state, strict=True):
            part[rows] = changed
        self._keep(rows, points, made)
        stuck = self.rule.hopeless(state)
        if stuck is not None:
            self._end(rows[stuck & (self.status[rows] == _RUNNING)])


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
