"""Finite sums of waves: slow twin, Hessian-vector products, certificate's terms, useful flops."""

from __future__ import annotations

import math

import numpy as np

from simcore.arrays import plain
from simcore.backends.family import Array, Bound, Derivatives, Evaluation, Family, Terms, Without, add
from simcore.backends.problems import Waves
from simcore.steps import newton_flops

MANY = 32  # variables from which the product H v of random waves is cheaper than the compiled Hessian


def evaluate(problem: Waves, x: Array) -> Evaluation:
    """f = (mu/2)|x|^2 + sum_m c_m cos p_m + s_m sin p_m with p = W x; grad = mu x + W'(s cos p - c sin p), ..."""
    w, mu = problem.frequencies, problem.confinement
    phase = x @ w.T
    cosine, sine = np.cos(phase), np.sin(phase)
    wave = problem.cosine * cosine + problem.sine * sine
    slope = problem.sine * cosine - problem.cosine * sine
    value = wave.sum(axis=1) + 0.5 * mu * (x * x).sum(axis=1)
    gradient = slope @ w + mu * x
    hessian = -np.einsum("sm,mi,mj->sij", wave, w, w, optimize=True) + mu * np.eye(x.shape[1])
    return value, gradient, hessian


class ManyWaves:
    """Random waves of many variables: with p = W x, H v = mu v - W^T (wave * (W v))."""

    def __init__(self, problem: Waves, x: Array) -> None:
        w, self.confinement = problem.frequencies, problem.confinement
        self.w = w[None]
        phase = (self.w @ x[:, :, None])[:, :, 0]
        cosine, sine = np.cos(phase), np.sin(phase)
        self.wave = problem.cosine * cosine + problem.sine * sine
        slope = problem.sine * cosine - problem.cosine * sine
        self.value = self.wave.sum(axis=1) + 0.5 * self.confinement * (x * x).sum(axis=1)
        self.gradient = (slope[:, None, :] @ self.w)[:, 0] + self.confinement * x

    def times(self, v: Array) -> Array:
        along = self.wave * (self.w @ v[:, :, None])[:, :, 0]
        return self.confinement * v - (along[:, None, :] @ self.w)[:, 0]


def products(problem: Waves, x: Array, at_once: bool = False) -> ManyWaves | None:
    """Return H v by waves where there are ``MANY`` variables."""
    return ManyWaves(problem, x) if x.shape[1] >= MANY else None


def bounds(problem: Waves) -> Bound:
    """|D^3 f| <= sum_m A_m |w_m|^3 everywhere, A_m^2 = cosine_m^2 + sine_m^2."""
    return lambda x, at: terms(problem, x, at)


def terms(problem: Waves, x: Array, at: Derivatives) -> Terms:
    """Return the certificate's terms at x, rounding included."""
    from simcore.backends.families.wave_bounds import bound_waves

    residual, sigma = np.empty(len(x)), np.empty(len(x))
    coefficients = plain(problem.frequencies), plain(problem.cosine), plain(problem.sine)
    known = plain(at.slope), plain(at.size), plain(at.gap)
    third = bound_waves(*coefficients, float(problem.confinement), plain(x), *known, residual, sigma)
    return Terms(residual=residual, sigma=sigma, lipschitz=third, reach=math.inf, shrink=1.0)


def flops(problem: Waves) -> float:
    """M (4n + n(n+1)) + n^3/3 + 2n^2 for M waves: phases 2Mn, gradient 2Mn, packed Hessian M n(n+1), LDL^T n^3/3, two
    triangular solves 2n^2."""
    waves, n = problem.frequencies.shape
    return waves * (4.0 * n + n * (n + 1)) + newton_flops(n)


WAVES = add(
    Family(
        problem=Waves,
        evaluate=evaluate,
        products=products,
        sample_gradient=Without("no samples"),
        bounds=bounds,
        flops=flops,
        cpu="simcore.backends.cpu.waves",
        cuda="simcore.backends.cuda.waves",
        pool="simcore.backends.cuda.waves_pool",
    )
)
