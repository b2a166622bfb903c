"""The slow, readable twin of every backend: plain NumPy, one start at a time.

Nothing here is clever. Derivatives are the families' slow twins, from their definitions; the Hessian's index comes
from its eigenvalues, and the loop is the algorithm of ``simcore.search`` in its shortest form. The compiled backends
are tested against it on the same draws and starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends import families
from simcore.backends.problems import DESCENT_FROM, SINGLE_FROM, NewtonOptions, Outcome, Waves
from simcore.formulas.outcome import CRITICAL, DEGENERATE, GRADIENT_FLAT, LEFT_DOMAIN, MAX_ITERATIONS, NOT_FINITE
from simcore.formulas.verdict import SETTLED

Array = NDArray[np.float64]
Evaluation = tuple[Array, Array, Array]


NAME = "reference"
BLOCK = 96


# ---- value, gradient, Hessian -------------------------------------------------------------------------------------
def evaluate(problem: Any, x: Array) -> Evaluation:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n) at points x of shape (S, n), by the family's slow twin.

    Ambient coordinates; on the sphere gradient and Hessian are Riemannian (tangential, with zeros along x).
    """
    return families.of(problem).evaluate(problem, np.asarray(x, dtype=np.float64))


# ---- the search ---------------------------------------------------------------------------------------------------
def newton(problem: Any, starts: Array, options: NewtonOptions) -> Outcome:
    """Run capped Newton from each start, shape (S, n); see ``Newton`` for the step and PRODUCT's statuses."""
    outcome = Outcome.empty(len(starts), starts.shape[1])
    for row, start in enumerate(starts):
        for field, value in zip(outcome, _newton_one(problem, start, options), strict=True):
            field[row] = value  # type: ignore[index]
    return outcome


def _newton_one(problem: Any, x: Array, options: NewtonOptions) -> tuple[Any, ...]:
    """Return status, iterations, cost, |g|, decrement, index, nullity and x of one start."""
    domain = problem.domain
    x = domain.wrap(np.array(x, dtype=np.float64))
    settled = 0  # evaluations with a small gradient but a long Newton step: a null direction
    for iteration in range(options.max_iterations + 1):
        value, gradient, hessian = (part[0] for part in evaluate(problem, x[np.newaxis]))
        grad_norm = float(np.linalg.norm(gradient))
        if not (np.isfinite(value) and np.isfinite(grad_norm) and np.isfinite(hessian).all()):
            return NOT_FINITE, iteration, value, grad_norm, np.nan, -1, -1, x
        if np.abs(x).max() > options.region or domain.outside(x):
            return LEFT_DOMAIN, iteration, value, grad_norm, np.nan, -1, -1, x

        basis = domain.frame(x[np.newaxis])[0]
        tangent_hessian = basis.T @ hessian @ basis
        eigenvalues, vectors = np.linalg.eigh(tangent_hessian)
        tangent_gradient = basis.T @ gradient
        scale = float(np.linalg.norm(tangent_hessian))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton_step = -vectors @ np.nan_to_num((vectors.T @ tangent_gradient) / eigenvalues, posinf=0, neginf=0)
        decrement = float(np.linalg.norm(newton_step))
        zero = max(options.zero_tolerance * scale, options.zero_floor)
        index = int((eigenvalues < -zero).sum())
        nullity = int((np.abs(eigenvalues) <= zero).sum())

        small = grad_norm < options.gradient_tolerance
        settled += small and decrement >= options.decrement_tolerance
        last = iteration == options.max_iterations or settled == SETTLED
        if small and (decrement < options.decrement_tolerance or (last and nullity > 0)):
            status = CRITICAL if nullity == 0 else DEGENERATE
            return status, iteration, value, grad_norm, decrement, index, nullity, x
        if last:
            flat = np.linalg.norm(tangent_hessian @ tangent_gradient) < options.flat_tolerance * scale * grad_norm
            status = GRADIENT_FLAT if flat and not small else MAX_ITERATIONS
            return status, iteration, value, grad_norm, decrement, -1, -1, x

        length = min(1.0, options.step_cap / decrement) if decrement > 0 else 1.0
        x = domain.retract(x + basis @ newton_step * length)
    raise AssertionError("unreachable: the last iteration returns")


def require() -> None:
    """Raise nothing: this backend computes wherever simcore is installed."""


def status() -> dict[str, Any]:
    """Return ``{"available": True}``."""
    return {"available": True}


def levenberg_marquardt(problem: Any, starts: Array, options: NewtonOptions, rule: tuple[float, ...]) -> None:
    """Return None: the walk of ``simcore.search.dense`` is plain already."""


def gaps(problem: Any, x: Array) -> None:
    """Return None: certificates take all eigenvalues."""


def flow(problem: Any, x: Array, way: Array, steps: int, longest: float) -> None:
    """Return None: the steps of ``simcore.search.targeted`` are plain already."""


# ---- regularised Newton, the twin of simcore.backends.cpu.krylov and .regularised ------------------------------------
def regularised_newton(problem: Any, starts: Array, options: NewtonOptions, length: float) -> Outcome | None:
    """Run regularised Newton with chord steps from each start, shape (S, n); ``length`` is the correlation length.

    None for problems that are no sums of waves.
    """
    if not isinstance(problem, Waves):
        return None
    outcome = Outcome.empty(len(starts), starts.shape[1])
    for row, start in enumerate(starts):
        for field, value in zip(outcome, _regularised_one(problem, start, options, length), strict=True):
            field[row] = value  # type: ignore[index]
    return outcome


def _regularised_one(problem: Waves, start: Array, options: NewtonOptions, length: float) -> tuple[Any, ...]:
    """Return status, iterations, cost, |g|, decrement, index, nullity and x of one start."""
    x, done = problem.domain.wrap(np.array(start, dtype=np.float64)), 0
    if len(x) >= DESCENT_FROM:
        x = descend(problem, x, options)
    if len(x) >= SINGLE_FROM:
        x, done = _regularised_steps(problem, x, 0, options, length, early=True)
    x, done = _regularised_steps(problem, x, done, options, length, early=False)
    status, _, *row = _newton_one(problem, x, options._replace(max_iterations=0))
    return status, done, *row


def descend(problem: Waves, x: Array, options: NewtonOptions) -> Array:
    """Return where descent from x in Krylov spaces ends; see ``simcore.backends.cpu.krylov``."""
    gradient, hessian = (part[0] for part in evaluate(problem, x[np.newaxis])[1:])
    for _ in range(15):
        before = float(np.linalg.norm(gradient))
        if not np.isfinite(before):
            break
        order = min(10, len(x))
        krylov = np.empty((len(x), order))
        krylov[:, 0] = gradient / before
        for j in range(1, order):
            v = hessian @ krylov[:, j - 1]
            for _ in range(2):
                v = v - krylov[:, :j] @ (krylov[:, :j].T @ v)
            krylov[:, j] = v / np.linalg.norm(v)
        u, w, vt = np.linalg.svd(hessian @ krylov, full_matrices=False)

        def step(s: float, along: Array = u.T @ gradient, w: Array = w, back: Array = krylov @ vt.T) -> Array:
            return -back @ (w / (w * w + s) * along)

        cap, high = 2.5 * options.step_cap, float(np.linalg.norm(w * (u.T @ gradient))) / (2.5 * options.step_cap)
        low = 1e-14 * high
        if np.linalg.norm(step(low)) <= cap:
            high = low
        else:
            for _ in range(14):
                middle = np.sqrt(low * high)
                low, high = (middle, high) if np.linalg.norm(step(middle)) > cap else (low, middle)
        x = problem.domain.retract(x + step(high))
        gradient, hessian = (part[0] for part in evaluate(problem, x[np.newaxis])[1:])
        if not np.linalg.norm(gradient) < 0.8 * before or np.abs(x).max() > options.region:
            break
    return x


def _regularised_steps(
    problem: Waves, x: Array, done: int, options: NewtonOptions, length: float, *, early: bool
) -> tuple[Array, int]:
    """Return where the steps end and how many Hessians they took in all; ``early``: with Hessians of float32."""
    verdict = options._replace(max_iterations=0)
    last = None
    while True:
        if not early:
            status = _newton_one(problem, x, verdict)[0]
            if status in (CRITICAL, DEGENERATE, NOT_FINITE, LEFT_DOMAIN) or done == options.max_iterations:
                return x, done
        done += 1
        home = x
        _, gradient, hessian = (part[0] for part in evaluate(problem, x[np.newaxis]))
        if early:
            hessian = hessian.astype(np.float32).astype(np.float64)
        if not np.isfinite(hessian).all():
            return x, done
        eigenvalues, vectors = np.linalg.eigh(hessian)

        def step(gradient: Array, shift: float, w: Array = eigenvalues, v: Array = vectors) -> Array:
            return -v @ (w / (w * w + shift * shift) * (v.T @ gradient))

        exact = 1e-10 * float(np.linalg.norm(eigenvalues))
        shift = _held_back(step, gradient, options.step_cap, exact)
        d = step(gradient, shift)
        held = shift > exact
        if held and last is not None:
            soft = (vectors.T @ last) * (16 * shift**2 / (eigenvalues**2 + 16 * shift**2))
            soft = vectors @ soft / np.linalg.norm(soft)
            d = d - 2 * min(float(d @ soft), 0.0) * soft
        x = problem.domain.retract(x + d)
        before = now = float(np.linalg.norm(gradient))
        typical = float(np.linalg.norm(eigenvalues)) / np.sqrt(len(x))
        for _ in range(3):
            gradient = evaluate(problem, x[np.newaxis])[1][0]
            now = float(np.linalg.norm(gradient))
            if not now >= options.gradient_tolerance:
                break
            stiffening = 0.25 * np.linalg.norm(x - home) * typical / length
            x = problem.domain.retract(x + step(gradient, max(shift, stiffening)))
        last = x - home
        stalled = before < 1e-5 * typical * length and not now < 0.5 * before
        gone = done == options.max_iterations or np.abs(x).max() > options.region
        if early and (now < options.gradient_tolerance or stalled or gone):
            return x, done


def _held_back(step: Callable[..., Array], gradient: Array, cap: float, exact: float) -> float:
    """Return the shift at which a step is as long as the cap, or ``exact`` where the Newton step is shorter."""
    if np.linalg.norm(step(gradient, exact)) <= cap:
        return exact
    high = float(np.linalg.norm(gradient)) / (2 * cap)
    low = 1e-7 * high
    for _ in range(12):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if np.linalg.norm(step(gradient, middle)) > cap else (low, middle)
    return high
