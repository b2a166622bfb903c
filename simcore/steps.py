"""Every rule by which a point moves, once: searches, trajectories and laws of starts take their steps from here.

A rule is a frozen record of its parameters. ``init`` makes the state of S points, a tuple of arrays with a row a point;
``step`` turns the state and what is known *here* (gradient g, Hessian H) into the step d, shape (S, n), and the next
state; ``judge`` says, where a trial is evaluated before it is made, which are taken. Row i of everything depends on
row i of the input alone. The points then move by ``domain.retract(x + d)``.

Most rules of Newton's family work in the Hessian's eigenbasis: with H = Q diag(w) Q' and a = Q' g they give
coefficients c, (S, D), of d = Q c, shortened to a cap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = tuple[Array, ...]
Mask = NDArray[np.bool_]

NULL = 1e-10
"""Eigenvalues within this fraction of the largest are null."""


def _itself(v: Array) -> Array:
    return v


class Here(NamedTuple):
    """What a rule knows of the function at S points.

    gradient : (S, n). hessian : (S, n, n), for rules that say ``second``.
    tangent : (S, n) -> (S, n), the tangential part of vectors at the points; the identity in flat space.
    ahead : d -> the gradient where steps d lead, (S, n), in flat space; None elsewhere.
    """

    gradient: Array
    hessian: Array | None = None
    tangent: Callable[[Array], Array] = _itself
    ahead: Callable[[Array], Array] | None = None


def newton_flops(n: float) -> float:
    """Return the useful flops of a Newton step of n unknowns, H at hand: LDL' n^3/3, two triangular solves 2 n^2."""
    return n**3 / 3 + 2 * n**2


@dataclass(frozen=True)
class Rule:
    """What all rules are; a rule without memory that makes every step needs ``step`` alone."""

    second: ClassVar[bool] = False
    """Whether the Hessian is needed."""

    def init(self, x: Array) -> State:
        """Return the state before the first step of points x, shape (S, n)."""
        return ()

    def step(self, state: State, number: int, here: Here) -> tuple[Array, State]:
        """Return step ``number``, from 0, shape (S, n), and the state after it."""
        raise NotImplementedError

    def judge(self, state: State, here: Here, d: Array, there: Here, finite: Mask) -> tuple[Mask, State]:
        """Return which of the steps d to ``there`` are made, (S,), and the state after that; ``finite`` says where
        the function is a number there."""
        return np.ones(len(d), np.bool_), state

    def hopeless(self, state: State) -> Mask | None:
        """Return which points no further step can help, (S,); None for none of them."""
        return None


@dataclass(frozen=True)
class Descent(Rule):
    """d <- momentum d - step_size g (Polyak 1964); on the sphere the old d is projected on the tangent space first."""

    step_size: float
    momentum: float = 0.0

    def init(self, x: Array) -> State:
        return (np.zeros_like(x),) if self.momentum else ()

    def step(self, state: State, number: int, here: Here) -> tuple[Array, State]:
        if not state:
            return -self.step_size * here.gradient, state
        velocity = self.momentum * here.tangent(state[0]) - self.step_size * here.gradient
        return velocity, (velocity,)


@dataclass(frozen=True)
class Adam(Rule):
    """Kingma & Ba (2015), algorithm 1, by ambient coordinates; on the sphere the step is projected."""

    step_size: float
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def init(self, x: Array) -> State:
        return np.zeros_like(x), np.zeros_like(x)

    def step(self, state: State, number: int, here: Here) -> tuple[Array, State]:
        (one, two), g = self.betas, here.gradient
        # 1 - beta of the decimals that were given: in doubles 1 - 0.9 is not 0.1
        new_one, new_two = (float(1 - Fraction(repr(float(beta)))) for beta in self.betas)
        first, square = one * state[0] + new_one * g, two * state[1] + new_two * g**2
        mean, scale = first / (1 - one ** (number + 1)), square / (1 - two ** (number + 1))
        return here.tangent(-self.step_size * (mean / (np.sqrt(scale) + self.epsilon))), (first, square)


# ---- in the eigenbasis -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Modal(Rule):
    """A rule in the Hessian's eigenbasis, ``coefficients``; NaN where gradient or Hessian are not finite."""

    second: ClassVar[bool] = True
    step_size: float = field(default=1.0, kw_only=True)
    cap: float = field(default=math.inf, kw_only=True)

    def coefficients(self, w: Array, a: Array) -> Array:
        """Return c, (S, D), of eigenvalues w, ascending, and a = Q' g, both (S, D)."""
        raise NotImplementedError

    def step(self, state: State, number: int, here: Here) -> tuple[Array, State]:
        g, hessian = here.gradient, np.asarray(here.hessian)
        finite = np.asarray(np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(g).all(axis=1))
        w, q = np.linalg.eigh(np.where(finite[:, None, None], hessian, 0.0))
        c = self.coefficients(w, project(q, np.where(finite[:, None], g, 0.0)))
        d = rotated(q, capped(self.step_size * c, self.cap))
        return np.where(finite[:, None], here.tangent(d), np.nan), state


@dataclass(frozen=True)
class Newton(Modal):
    """c = -a/w on the modes with |w| > cutoff max|w| and |w| > floor, 0 on the others: d = -H^+ g."""

    cutoff: float = NULL
    floor: float = 0.0

    def coefficients(self, w: Array, a: Array) -> Array:
        seen = np.abs(w) > np.maximum(self.cutoff * largest(w), self.floor)
        return np.where(seen, -a / np.where(seen, w, 1.0), 0.0)


@dataclass(frozen=True)
class SaddleFree(Modal):
    """c = -a / max(|w|, floor max|w|), with the sign turned on the ``index`` lowest modes, which are climbed.

    Dauphin et al. (2014); eigenvector following: Cerjan & Miller (1981), Wales (1994).
    """

    index: int = 0
    floor: float = 1e-4

    @property
    def constants(self) -> tuple[float, ...]:
        """The constants of the compiled walk, in its order: every step is made, and none is called flat."""
        return (1.0, math.inf, 0.0, math.inf, *[0.0] * 7, self.floor, float(self.index))

    def coefficients(self, w: Array, a: Array) -> Array:
        c: Any = -a / np.maximum(np.abs(w), self.floor * largest(w))
        c[:, : self.index] *= -1.0
        return c


# ---- Levenberg-Marquardt -----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class LevenbergMarquardt(Rule):
    """d = -(H^2 + mu)^-1 H g, the least-squares step of min |g|^2; a trial's gain decides on it and on the next mu.

    Gain: the fall of |g|^2 over the linear model's. In flat space with geodesic acceleration: with k the second
    derivative of g along d, by one more gradient at x + d/10, the parabola d + a/2, a = -(H^2 + mu)^-1 H k, is walked
    where 2|a| <= acceleration |d|. State: mu (below 0 before the first step), flat steps in a row, trials rejected in a
    row, and the model's |g + Hd|^2.

    ``constants`` are those of the compiled walk (``simcore.backends.cpu.marquardt``), which follows the same rule.
    Source: Levenberg (1944), Marquardt (1963); Transtrum & Sethna, arXiv:1201.5885, equation 15.
    """

    second: ClassVar[bool] = True
    FLAT: ClassVar[float] = 1e-5
    """|Hg| below this times |H|_F |g| counts as flat: far stricter than the verdict's tolerance."""
    REJECTED: ClassVar[int] = 30
    """Trials in a row without gain after which no step helps."""
    ACCELERATION: ClassVar[float] = 0.75
    FALLING: ClassVar[float] = 0.1
    """Factor of the damping after a good trial."""
    RISING: ClassVar[float] = 4.0
    """Factor of the damping after a bad trial."""
    AHEAD: ClassVar[float] = 0.1
    """Part of the step after which the gradient is asked for the second derivative along it."""
    GAINS: ClassVar[tuple[float, float, float]] = (1e-3, 0.25, 0.75)
    """Least gain of a trial that is made; below the second the damping is doubled, above the third it falls."""

    damping: float = 1e-4
    patience: int = 3
    cap: float = math.inf
    tolerance: float = 0.0
    """|g| below which nothing is called flat."""

    @property
    def constants(self) -> tuple[float, ...]:
        """The constants of a compiled walk, in its order."""
        own = (self.damping, self.patience, self.FLAT, self.REJECTED, self.ACCELERATION, self.FALLING, self.RISING)
        return (*own, self.AHEAD, *self.GAINS, 0.0, 0.0)

    def init(self, x: Array) -> State:
        return np.full(len(x), -1.0), np.zeros(len(x)), np.zeros(len(x)), np.zeros(len(x))

    def step(self, state: State, number: int, here: Here) -> tuple[Array, State]:
        g, h = here.gradient, np.asarray(here.hessian)
        mu = np.where(state[0] < 0, self.damping * (h * h).sum(axis=(1, 2)), state[0])
        d = damped(h, g, mu)
        if self.cap < math.inf:
            d = capped(d, self.cap)
        along = rotated(h, d)
        model = ((g + along) ** 2).sum(axis=1)
        if here.ahead is not None:
            k = 2 / self.AHEAD * ((here.ahead(self.AHEAD * d) - g) / self.AHEAD - along)
            k[~np.isfinite(k).all(axis=1)] = np.inf
            a = damped(h, k, mu)
            walked = 2 * length(a) <= self.ACCELERATION * length(d)
            d = d + np.where(walked[:, None], 0.5 * a, 0.0)
        return d, (mu, *state[1:3], model)

    def judge(self, state: State, here: Here, d: Array, there: Here, finite: Mask) -> tuple[Mask, State]:
        g, (mu, flat, rejected, model) = here.gradient, state
        enough, poor, rich = self.GAINS
        before, after = (g * g).sum(axis=1), (there.gradient * there.gradient).sum(axis=1)
        gain = (before - after) / np.maximum(before - model, 1e-300)
        good = finite & (after < before) & (gain > enough)
        factor = np.where(~good, self.RISING, np.where(gain > rich, self.FALLING, np.where(gain < poor, 2.0, 1.0)))
        bent, size, slope = flatness(there)
        stuck = (bent < self.FLAT * slope * size) & (slope >= self.tolerance)
        flat = np.where(good, np.where(stuck, flat + 1, 0), flat)
        return good, (np.maximum(mu * factor, 1e-30), flat, np.where(good, 0, rejected + 1), model)

    def hopeless(self, state: State) -> Mask:
        return np.asarray((state[1] >= self.patience) | (state[2] >= self.REJECTED))


# ---- linear algebra, start by start ------------------------------------------------------------------------------
def largest(w: Array) -> Array:
    """Return max |w| of each start, shape (S, 1), at least the smallest positive float."""
    return np.maximum(np.abs(w).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)


def damped(h: Array, g: Array, damping: Array) -> Array:
    """Return the step -(H^2 + damping)^-1 H g, shape (S, D), damping of shape (S,): -Re (H + i sqrt(damping))^-1 g.

    The complex solve costs a quarter of a diagonalisation, and its error grows with the condition of H, not of H^2.
    """
    d = np.arange(h.shape[1])
    shifted = h.astype(np.complex128)
    shifted[:, d, d] += 1j * np.sqrt(np.maximum(damping, 1e-300))[:, None]
    step: Any = -np.linalg.solve(shifted, g[:, :, None])[:, :, 0].real
    return step


def capped(c: Array, cap: float) -> Array:
    """Return c shortened to length ``cap`` where it is longer."""
    if cap == math.inf:
        return c
    size = length(c)[:, None]
    return np.where(size > cap, c * (cap / np.where(size > 0, size, 1.0)), c)


def length(rows: Array) -> Array:
    """Return the Euclidean norm of each row."""
    return np.sqrt((rows * rows).sum(axis=1))


def flatness(at: Here) -> tuple[Array, Array, Array]:
    """Return |Hg|, |H|_F and |g| at each point: |Hg| is small beside their product where g lies in H's near-kernel."""
    g, h = at.gradient, np.asarray(at.hessian)
    return length(rotated(h, g)), np.sqrt((h * h).sum(axis=(1, 2))), length(g)


def rotated(q: Array, c: Array) -> Array:
    """Return Q c, shape (S, n), start by start."""
    return (q @ c[:, :, None])[:, :, 0]


def project(q: Array, g: Array) -> Array:
    """Return Q^T g, shape (S, D), start by start."""
    return (g[:, None, :] @ q)[:, 0]
