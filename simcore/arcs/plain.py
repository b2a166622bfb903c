"""The arc walk in plain NumPy, one walker a generator: the readable twin of ``walk.py``, and the way for functions that
have no compiled kernel.

A generator yields the point at which it wants the function and is sent (value, tangent gradient, tangent Hessian,
tangent basis) there; ``advance`` runs all walkers side by side, so that one call of a backend serves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.arcs.rule import (
    ARRIVED,
    ESCAPED,
    IRREVERSIBLE,
    POLISHES,
    REVERSIBLE,
    SETTLED,
    SHRUNK,
    TOO_MANY_STEPS,
    TURN,
    UNSETTLED,
    Rule,
)
from simcore.domains import Domain
from simcore.formulas.random import normals, uniforms

Array = NDArray[np.float64]


class Local(NamedTuple):
    """The function near a point, in tangent coordinates."""

    value: float
    gradient: Array  # (D,)
    hessian: Array  # (D, D)
    basis: Array  # (n, D)


class Move(NamedTuple):
    """What became of one move; a failed one proposes to stay."""

    status: int
    index: int  # type: ignore[assignment]  # (a tuple has a method index) of what was proposed
    accepted: bool
    cost: float  # of what was proposed
    x: Array  # proposed point (n,), not a number where the arc failed


class State(NamedTuple):
    """Where a walker is."""

    x: Array
    index: int  # type: ignore[assignment]
    cost: float


Asking = Generator[Array, Local, Any]


def tilted(domain: Domain, x: Array, local: Local, s: float, u: Array) -> tuple[Array, Array, Array]:
    """Return tangent u, gradient and Hessian of f(x) - s u.x; on the sphere the multiplier adds s (u.x)/n."""
    along = local.basis.T @ u
    curvature = 0.0 if domain.flat else s * (u @ x) / len(x)
    return along, local.gradient - s * along, local.hessian + curvature * np.eye(len(along))


def arc(domain: Domain, c: Array, u: Array, rule: Rule) -> Asking:
    """Follow the arc of u from the critical point c; return (status, end, index, value) when s is back at 0."""
    failed = (np.full(len(c), np.nan), -1, np.nan)
    local = yield c
    along, _, hessian = tilted(domain, c, local, 0.0, u)
    v = _solve(hessian, along)
    rate = 1.0 / float(np.linalg.norm(v))
    tangent = local.basis @ v * rate
    x, h, past = c, rule.first, 0.0
    s: Any = 0.0
    old_tangent, old_rate = tangent, rate
    refused = False
    for _ in range(int(rule.steps)):
        bend = 0.5 * h * h / past if past > 0.0 and not refused else 0.0
        step = 0.0 if refused else h
        guess = _moved(domain, x, step * tangent + bend * (tangent - old_tangent))
        s_guess = s + step * rate + bend * (rate - old_rate)
        local = yield guess
        along, residual, hessian = tilted(domain, guess, local, s_guess, u)
        v, w = _solve(hessian, np.column_stack([along, residual])).T
        t = local.basis.T @ tangent
        ds = (t @ w) / (t @ v)
        correction = ds * v - w
        length, turn = float(np.linalg.norm(correction)), float(np.linalg.norm(v) / abs(t @ v)) - 1.0
        new_s, new_rate = s_guess + ds, float(np.sign(t @ v) / np.linalg.norm(v))
        right = length < rule.tolerance * h and turn < TURN and zeros_of(s, rate, new_s, new_rate, h) <= 1
        if not refused and not right:
            h, refused = 0.5 * h, True
            if h <= 1e-5 * rule.first:
                return SHRUNK, *failed
            continue
        if refused and not length < 0.5 * rule.first:
            return SHRUNK, *failed
        before, x_before = s, x
        x, s = _moved(domain, guess, local.basis @ correction), new_s
        old_tangent, old_rate = tangent, rate
        rate = new_rate
        tangent = local.basis @ v * rate
        past = 0.0 if refused else h
        if not abs(s) < rule.largest or domain.outside(x):
            return ESCAPED, *failed
        if not refused and s <= 0.0:
            q = zero_of(before, old_rate, s, rate, h)
            old, old_slope, slope = hermite(q)
            way = old * (x_before - x) + h * (old_slope * old_tangent + slope * tangent)
            begin = _moved(domain, x, way)
            return (yield from settle(domain, begin, h, rule))
        if not refused:
            strain = max(length / (h * rule.tolerance), turn / TURN, 1e-4)
            h = min(rule.longest, h * min(2.0, max(0.5, 0.7 / np.sqrt(strain))))
        refused = False
    return TOO_MANY_STEPS, *failed


def hermite(q: float) -> tuple[float, float, float]:
    """Return the weights at 0 <= q <= 1 of the cubic a + old (b - a) + h (old_slope b' + slope a'): b at 0, a at 1."""
    return (1.0 + 2.0 * q) * (1.0 - q) ** 2, q * (1.0 - q) ** 2, q * q * (q - 1.0)


def zeros_of(s: float, rate: float, new_s: float, new_rate: float, h: float) -> int:
    """Return the sign changes of the Bernstein coefficients of the cubic s over a step h: its zeros, at most."""
    signs = [False, s + h * rate / 3.0 < 0.0, new_s - h * new_rate / 3.0 < 0.0, new_s <= 0.0]
    return sum(a != b for a, b in pairwise(signs))


def zero_of(s: float, rate: float, new_s: float, new_rate: float, h: float) -> float:
    """Return the zero in (0, 1) of a cubic with one sign change, new_s <= 0, to 2^-20; one that begins at 0 has left
    it."""
    low, high = 0.0, 1.0
    for _ in range(20):
        q = 0.5 * (low + high)
        old, old_slope, slope = hermite(q)
        above = new_s + old * (s - new_s) + h * (old_slope * rate + slope * new_rate) > 0.0
        low, high = (q, high) if above else (low, q)
    return high


def settle(domain: Domain, x: Array, h: float, rule: Rule) -> Asking:
    """Take Newton's steps for f from x to a critical point no further than the last step h; return as ``arc``."""
    moved = 0.0
    for _ in range(POLISHES):
        local = yield x
        step = _solve(local.hessian, local.gradient)
        length = float(np.linalg.norm(step))
        moved += length
        if not moved <= h + 0.1 * rule.first:
            break
        x = _moved(domain, x, -local.basis @ step)
        if length < SETTLED * rule.unit and not domain.outside(x):
            index = int((np.linalg.eigvalsh(local.hessian) < 0).sum())
            return ARRIVED, x, index, local.value
    return UNSETTLED, np.full(len(x), np.nan), -1, np.nan


def _solve(matrix: Array, right: Array) -> Array:
    """Return the solution, not a number where the matrix is singular: the step is then refused."""
    try:
        return np.asarray(np.linalg.solve(matrix, right), np.float64)
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)


def _moved(domain: Domain, x: Array, step: Array) -> Array:
    """Return the point that a step leads to: scaled back to the sphere; not wrapped on a torus, where the arc is to be
    followed back."""
    return x + step if domain.flat else domain.retract(x + step)


def walker(
    domain: Domain, state: State, moves: range, log_weight: Array, rule: Rule, address: tuple[int, int, int]
) -> Asking:
    """Make the moves with these numbers; return (state, list of Move).

    ``address`` = (seed, stream, draw): a move's random numbers are those of the item of its number, u first, then the
    uniform that decides on acceptance.
    """
    done: list[Move] = []
    x, index, cost = state
    n = len(x)
    for number in moves:
        u = rule.sigma * normals(*address, number, n)
        status, end, new, value = yield from arc(domain, x, u, rule)
        if status == ARRIVED:
            back, there, _, _ = yield from arc(domain, end, u, rule)
            astray = (new - index) % 2 == 0
            if astray or back != ARRIVED or not np.linalg.norm(there - x) < REVERSIBLE * rule.unit:
                status = IRREVERSIBLE
        if status != ARRIVED:
            done.append(Move(status, index, False, cost, np.full(n, np.nan)))
            continue
        end = domain.wrap(end)
        chance = uniforms(*address, number, n + n % 2 + 1)[-1]
        accepted = bool(np.log(chance) < log_weight[new] - log_weight[index])
        done.append(Move(status, new, accepted, value, end))
        if accepted:
            x, index, cost = end, new, value
    return State(x, index, cost), done


def advance(
    evaluate: Callable[[Array], tuple[Array, Array, Array]], domain: Domain, walkers: Sequence[Asking]
) -> list[tuple[State, list[Move]]]:
    """Run walkers side by side to their ends; ``evaluate`` gives value, gradient and Hessian at points (S, n)."""
    results: list[Any] = [None] * len(walkers)
    asked = {i: next(each) for i, each in enumerate(walkers)}
    while asked:
        order = list(asked)
        points = np.ascontiguousarray([asked[i] for i in order])
        values, gradients, hessians = evaluate(points)
        frames = domain.frame(points)
        for row, i in enumerate(order):
            basis = frames[row]
            local = Local(float(values[row]), basis.T @ gradients[row], basis.T @ hessians[row] @ basis, basis)
            try:
                asked[i] = walkers[i].send(local)
            except StopIteration as end:
                results[i] = end.value
                del asked[i]
    return results
