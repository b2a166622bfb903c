"""The slow twin of regularised Newton with chord steps: ``simcore.backends.cpu.regularised``, one start at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends import reference
from simcore.backends.geometry import move, wrap
from simcore.backends.problems import DESCENT_FROM, SINGLE_FROM, NewtonOptions, Outcome, Waves
from simcore.formulas.outcome import CRITICAL, DEGENERATE, LEFT_DOMAIN, NOT_FINITE

Array = NDArray[np.float64]


def search(problem: Waves, starts: Array, options: NewtonOptions, length: float) -> Outcome:
    """Run every start, shape (S, n); ``length`` is the correlation length."""
    outcome = Outcome.empty(len(starts), starts.shape[1])
    for row, start in enumerate(starts):
        for field, value in zip(outcome, _one(problem, start, options, length), strict=True):
            field[row] = value  # type: ignore[index]
    return outcome


def _one(problem: Waves, start: Array, options: NewtonOptions, length: float) -> tuple[Any, ...]:
    """Return status, iterations, cost, |g|, decrement, index, nullity and x of one start."""
    x, done = wrap(np.array(start, dtype=np.float64), problem.period), 0
    if len(x) >= DESCENT_FROM:
        x = descend(problem, x, options)
    if len(x) >= SINGLE_FROM:
        x, done = _steps(problem, x, 0, options, length, early=True)
    x, done = _steps(problem, x, done, options, length, early=False)
    status, _, *row = reference.newton_one(problem, x, options._replace(max_iterations=0))
    return status, done, *row


def descend(problem: Waves, x: Array, options: NewtonOptions) -> Array:
    """Return where descent from x in Krylov spaces ends; see ``simcore.backends.cpu.krylov``."""
    gradient, hessian = (part[0] for part in reference.evaluate(problem, x[np.newaxis])[1:])
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
        x = move(problem, x, step(high))
        gradient, hessian = (part[0] for part in reference.evaluate(problem, x[np.newaxis])[1:])
        if not np.linalg.norm(gradient) < 0.8 * before or np.abs(x).max() > options.region:
            break
    return x


def _steps(
    problem: Waves, x: Array, done: int, options: NewtonOptions, length: float, *, early: bool
) -> tuple[Array, int]:
    """Return where the steps end and how many Hessians they took in all; ``early``: with Hessians of float32."""
    verdict = options._replace(max_iterations=0)
    last = None
    while True:
        if not early:
            status = reference.newton_one(problem, x, verdict)[0]
            if status in (CRITICAL, DEGENERATE, NOT_FINITE, LEFT_DOMAIN) or done == options.max_iterations:
                return x, done
        done += 1
        home = x
        _, gradient, hessian = (part[0] for part in reference.evaluate(problem, x[np.newaxis]))
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
        x = move(problem, x, d)
        before = now = float(np.linalg.norm(gradient))
        typical = float(np.linalg.norm(eigenvalues)) / np.sqrt(len(x))
        for _ in range(3):
            gradient = reference.evaluate(problem, x[np.newaxis])[1][0]
            now = float(np.linalg.norm(gradient))
            if not now >= options.gradient_tolerance:
                break
            stiffening = 0.25 * np.linalg.norm(x - home) * typical / length
            x = move(problem, x, step(gradient, max(shift, stiffening)))
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
