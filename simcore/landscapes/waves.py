"""Sums of random waves: on the torus, in R^n, and in R^n with a confining parabola.

    f(x) = (mu/2) |x|^2 + sum_m sqrt(w_m) (a_m cos w_m.x + b_m sin w_m.x),   a, b standard normal.

With covariance C of the wave part, l2 = Var d_i f, l22 = Cov(d_ii f, d_jj f): value, gradient and Hessian at a point
have Cov(f, H_ij) = -l2 d_ij and, where the frequencies are isotropic to fourth order,
Cov(H_ij, H_kl) = l22 (d_ij d_kl + d_ik d_jl + d_il d_jk); the gradient is independent of both.

The automatic step caps of a search are in ``simcore.landscapes.step_caps``, with the measurements behind them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from simcore import validate
from simcore.backends.problems import Waves
from simcore.domains import ConfinedSpace, Space, Torus
from simcore.errors import InputError
from simcore.landscapes.base import Array, Draw, Landscape, Scales, Symmetry
from simcore.landscapes.frequencies import (
    haar_rotation,
    half_period_symmetries,
    isotropic_frequencies,
    log_wave_count,
    rotate,
    second_moment,
    wave_count,
)
from simcore.landscapes.starts import ball, box, normal
from simcore.landscapes.step_caps import confined_step_cap, torus_step_cap, wave_step_cap

if TYPE_CHECKING:
    import pandas as pd

SAMPLED_TORUS_DIMENSIONS = 12
ISOTROPIC_DIMENSIONS = 8


class WaveDraw(Draw):
    """One sum of waves; ``problem`` holds its frequencies and amplitudes."""

    def __init__(self, landscape: _WaveLandscape, seed: int, number: int) -> None:
        self.landscape: Any = landscape
        self.seed, self.number = seed, number

    @cached_property
    def problem(self) -> Waves:  # type: ignore[override]
        return self.landscape._waves(self.seed, self.number)

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        return self.landscape._symmetries

    @property
    def critical_radius(self) -> float:
        """Radius round the origin that holds every critical point of this very function; inf without confinement.

        At a critical point mu x = -grad V. In direction u, u.grad V = sum_m A_m (u.w_m) sin(...) with the amplitude
        A_m, so by Cauchy and Schwarz |grad V| <= sqrt(sum_m A_m * largest eigenvalue of sum_m A_m w_m w_m'). It is a
        proof and therefore loose; ``ConfinedField.critical_radius`` is the radius that matters.
        """
        waves = self.problem
        if waves.confinement == 0.0:
            return math.inf
        amplitude = np.hypot(waves.cosine, waves.sine)
        second = (amplitude[:, None] * waves.frequencies).T @ waves.frequencies
        return float(np.sqrt(amplitude.sum() * np.linalg.eigvalsh(second)[-1])) / waves.confinement


class _WaveLandscape(Landscape):
    """What the three fields share."""

    def draw(self, *, seed: int, draw: int = 0) -> WaveDraw:
        return WaveDraw(self, *validate.address(seed, draw))

    def _waves(self, seed: int, draw: int) -> Waves:
        raise NotImplementedError

    @property
    def _symmetries(self) -> tuple[Symmetry, ...]:
        return ()

    def _amplitudes(self, seed: int, draw: int, weights: Array) -> tuple[Array, Array]:
        """Return sqrt(weight) a and sqrt(weight) b with standard normal a, b."""
        from simcore.formulas.random import normals

        count = len(weights)
        coefficients = normals(seed, self.stream("coefficients"), draw, 0, 2 * count)
        root = np.sqrt(weights)
        return coefficients[:count] * root, coefficients[count:] * root

    def _free_waves(self, seed: int, draw: int, features: int, frequencies: str, confinement: float) -> Waves:
        """Return waves in R^n whose gradient and Hessian have the covariances of exp(-r^2/2)."""
        from simcore.formulas.random import normals

        n, stream = self.n, self.stream("frequencies")
        if frequencies == "random":
            w = normals(seed, stream, draw, 0, features * n).reshape(features, n)
            weights = np.full(features, 1.0 / features)
        else:
            integer, share = isotropic_frequencies(n)
            rotation = haar_rotation(normals(seed, stream, draw, 0, n * n).reshape(n, n))
            w = rotate(integer, rotation, math.sqrt(3.0))
            weights = share * _isotropic_variance(n)
        cosine, sine = self._amplitudes(seed, draw, weights)
        return Waves(w, cosine, sine, confinement, 0.0)


@dataclass(frozen=True)
class TorusField(_WaveLandscape):
    """Periodic Gaussian field on (0, 2 pi)^n with unit variance, isotropic to fourth order.

    f(x) = sum_k sqrt(w_k) (a_k cos k.x + b_k sin k.x), a, b standard normal, with the integer frequencies k and
    weights w of ``frequencies.isotropic_frequencies``. The index law of its critical points is *exactly* that of every
    isotropic Gaussian field, at its finite number of waves. Per coordinate Var d_i f = l2 = E[k_1^2] and
    Cov(d_ii f, d_jj f) = l22 = l2/3.

    Parameters
    ----------
    n : int
        Dimension, at least 1. The law is known for any n; drawing needs n <= 12 (16,632 waves there).

    Notes
    -----
    Start laws: "uniform" on (0, 2 pi)^n.

    Search: ``method = "auto"`` is Newton's method with the step cap of ``torus_step_cap`` in units of the length
    1/sqrt(l2). Gradient scale sqrt(n l2). The domain has no outside: coordinates are wrapped into [0, 2 pi).

    Symmetries: for n = 1, 4, 7, 10 there is one type of frequency, m = (n+2)/3 entries +-1, and f(x + pi) =
    (-1)^m f(x), all coordinates moved. No other translation by 0 or pi per coordinate is a symmetry, and none at all
    for other n: that is the solution of k.s = const mod 2 over all frequencies.

    Raises ``InputError`` for a wrong n, and on drawing for n > 12.

    Source: frequencies derived in ``simcore.landscapes.frequencies``; law: Fyodorov (2004), Cheng & Schwartzman (2018).
    """

    name: ClassVar[str] = "torus_field"
    law: ClassVar[str] = "periodic Gaussian field on (0, 2 pi)^n, unit variance, isotropic to fourth order"
    start_laws: ClassVar[tuple[str, ...]] = ("uniform",)
    parameters: ClassVar[tuple[str, ...]] = ("n",)
    example: ClassVar[dict[str, Any]] = {"n": [1, 2, 3, 4]}
    example_method: ClassVar[str] = "enumerate"

    n: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", validate.whole("n", self.n, 1))

    @cached_property
    def domain(self) -> Torus:  # type: ignore[override]
        return Torus(self.n)

    @property
    def waves(self) -> int:
        """Number of waves of a draw."""
        return wave_count(self.n)

    @cached_property
    def scales(self) -> Scales:  # type: ignore[override]
        l2 = float(second_moment(self.n))
        length = 1.0 / math.sqrt(l2)
        return Scales(length, math.sqrt(self.n * l2), torus_step_cap(self.n) * length, math.inf)

    def expected_counts(self, *, finite_features: bool = False) -> pd.DataFrame:
        """Return the exact law; a torus field's number of waves is part of it, so ``finite_features`` changes nothing
        but the column ``mean_count_se``, which is 0."""
        from simcore.theory.gaussian import torus_field_law

        return _with_no_error(torus_field_law(self.n), finite_features)

    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        name = self.check_start_law(law)
        return box(
            self.stream(f"starts:{name}"), seed, draw, first, count, np.zeros(self.n), np.full(self.n, 2 * np.pi)
        )

    @property
    def coefficients(self) -> float:
        if self.n > 100:
            return self.n * math.exp(min(log_wave_count(self.n), 600.0))
        return float(self.n * self.waves)

    def draw(self, *, seed: int, draw: int = 0) -> WaveDraw:
        self.check_drawable()
        return super().draw(seed=seed, draw=draw)

    def check_drawable(self) -> None:
        if self.n > SAMPLED_TORUS_DIMENSIONS:
            digits = log_wave_count(self.n) / math.log(10)
            count = self.waves if digits < 18 else f"about 10^{digits:.0f}"
            raise InputError(
                f"torus_field with n={self.n} has {count} waves; "
                f"draw n <= {SAMPLED_TORUS_DIMENSIONS}, or use gaussian_field"
            )

    def _waves(self, seed: int, draw: int) -> Waves:
        frequencies, weights = isotropic_frequencies(self.n)
        cosine, sine = self._amplitudes(seed, draw, weights)
        return Waves(frequencies.astype(np.float64), cosine, sine, 0.0, 2 * np.pi)

    @cached_property
    def _symmetries(self) -> tuple[Symmetry, ...]:  # type: ignore[override]
        if self.n > SAMPLED_TORUS_DIMENSIONS:
            return ()
        found = half_period_symmetries(isotropic_frequencies(self.n)[0])
        return tuple(_translation(np.pi * np.array(s, dtype=np.float64), sign) for s, sign in found)


@dataclass(frozen=True)
class GaussianField(_WaveLandscape):
    """Random waves in R^n whose covariance tends to exp(-r^2/2) as the number of features grows.

    f(x) = sum_m sqrt(1/M) (a_m cos w_m.x + b_m sin w_m.x), a, b, w standard normal, all drawn afresh in each draw. The
    covariance at any M, over draws, is exactly exp(-r^2/2); but given its frequencies a draw is only nearly isotropic,
    so the density of critical points is a few per cent below the field's (``expected_counts(finite_features=True)``).

    With ``frequencies="isotropic"`` the waves are the torus field's set, rotated by a Haar-random orthogonal matrix
    in each draw and scaled by sqrt(3), with variance 1/(3 l2) in place of 1: gradient and Hessian at a point, and
    their covariance with f, are exactly those of exp(-r^2/2), so that densities, index counts and mean costs are
    exact at finite M. The variance of f is v = 1/(3 l2) = 1/3, 5/9, 2/3, 2/3, 20/27, 7/9, 7/9, 22/27 for n = 1..8,
    not 1: the part of f that its Hessian does not fix is smaller, and only ``sd_cost`` feels it (its square is the
    field's plus v - 1). For n = 1 this is the single wave with frequency sqrt(3) and variance 1/3, where f = -f''/3:
    (f', f'') is exact, f is the regression of the field's f on f''.

    Parameters
    ----------
    n : int
        Dimension, at least 1.
    features : int
        Number M of waves, at least 1. With isotropic frequencies the set fixes it: whatever is given is replaced by the
        set's number, 1, 4, 9, 12, 60, 110, 140, 784 for n = 1..8.
    frequencies : "random" or "isotropic"
        The latter for n <= 8.

    Notes
    -----
    Start laws: "box" uniform on [0, 5]^n; "normal" standard normal round the origin; "ball" uniform in the ball of
    radius 2 round the origin. The field is stationary, so the place does not matter, only the extent.

    Search: ``method = "auto"`` is Newton's method with the step cap of ``wave_step_cap``, ``RegularisedNewton`` from
    n = 25 on (with the backend ``cuda`` Newton's method for every n); length 1, gradient scale sqrt(n), region
    max |x_i| <= 10^4.

    Raises ``InputError`` for values out of range and for isotropic frequencies with n > 8.

    Source: random features: Rahimi & Recht (2007); law: Fyodorov (2004), Bray & Dean (2007).
    """

    stationary: ClassVar[bool] = True
    name: ClassVar[str] = "gaussian_field"
    law: ClassVar[str] = "Gaussian field on R^n of M random waves, covariance exp(-r^2/2) over draws"
    start_laws: ClassVar[tuple[str, ...]] = ("box", "normal", "ball")
    parameters: ClassVar[tuple[str, ...]] = ("n", "features", "frequencies")
    example: ClassVar[dict[str, Any]] = {"n": [2, 5, 10], "features": 1024}

    n: int
    features: int = 1024
    frequencies: str = "random"

    def __post_init__(self) -> None:
        _check_free(self)

    @cached_property
    def domain(self) -> Space:  # type: ignore[override]
        return Space(self.n)

    @property
    def asymptotic(self) -> bool:
        return self.frequencies == "random"

    @property
    def coefficients(self) -> float:
        return float(self.n) * self.features

    @property
    def solver(self) -> str:  # type: ignore[override]
        return _automatic_solver(self.n)

    @cached_property
    def scales(self) -> Scales:  # type: ignore[override]
        return Scales(1.0, math.sqrt(self.n), wave_step_cap(self.n), 1e4)

    def expected_counts(self, *, finite_features: bool = False) -> pd.DataFrame:
        from simcore.theory.finite_features import finite_features_law
        from simcore.theory.gaussian import gaussian_field_law

        if self.frequencies == "isotropic":
            return _with_no_error(
                _with_variance(gaussian_field_law(self.n), _isotropic_variance(self.n)), finite_features
            )
        return finite_features_law(self.n, self.features) if finite_features else gaussian_field_law(self.n)

    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        name = self.check_start_law(law)
        place = (self.stream(f"starts:{name}"), seed, draw, first, count)
        if name == "box":
            return box(*place, np.zeros(self.n), np.full(self.n, 5.0))
        return normal(*place, self.n, 1.0) if name == "normal" else ball(*place, self.n, 2.0)

    def _waves(self, seed: int, draw: int) -> Waves:
        return self._free_waves(seed, draw, self.features, self.frequencies, 0.0)


@dataclass(frozen=True)
class ConfinedField(_WaveLandscape):
    """A Gaussian field in a parabola: f(x) = (mu/2) |x|^2 + V(x) with V a ``GaussianField`` and mu = m sqrt(n).

    For m < 1 the number of critical points grows exponentially with n, for m > 1 there is one minimum and little else
    (topology trivialisation, Fyodorov 2004). The mean counts depend on V only through the laws of its gradient and
    Hessian at a point, so isotropic frequencies are exact at finite size, with Var V as ``GaussianField`` states.

    Where critical points are: there mu x = -grad V(x), and by the Kac-Rice formula, grad V(x) ~ N(0, I) being
    independent of the Hessian, the mean density of critical points is proportional to exp(-mu^2 |x|^2 / 2): x at a
    critical point is N(0, I/mu^2), for every index. The mean number outside radius r is therefore N_tot P(chi_n > mu
    r); see ``critical_radius``.

    Parameters
    ----------
    n : int
        Dimension, at least 1.
    m : float
        Confinement relative to the transition, mu = m sqrt(n); above 0.
    features, frequencies
        As for ``GaussianField``; isotropic frequencies (the default) for n <= 8.

    Notes
    -----
    Start laws: "normal" with standard deviation 1/mu per coordinate, the mean density of the critical points (measured
    at m = 0.5: 0.8/mu to 1/mu find all points of a draw with the fewest evaluations, 1.3/mu needs half as many again,
    2/mu three times as many); "ball" uniform in the ball of radius ``critical_radius()``.

    Search: ``method = "auto"`` is Newton's method with the step cap of ``confined_step_cap``; length 1, gradient scale
    sqrt(2 n) (half of it from mu x), region max |x_i| <= 2 ``critical_radius()``.

    Raises ``InputError`` for values out of range and for isotropic frequencies with n > 8.

    Source: Fyodorov (2004); Fyodorov & Williams (2007).
    """

    name: ClassVar[str] = "confined_field"
    law: ClassVar[str] = "(mu/2)|x|^2 + Gaussian field of waves on R^n, mu = m sqrt(n)"
    start_laws: ClassVar[tuple[str, ...]] = ("normal", "ball")
    parameters: ClassVar[tuple[str, ...]] = ("n", "m", "features", "frequencies")
    example: ClassVar[dict[str, Any]] = {"n": 2, "m": [0.5, 1.0]}
    example_method: ClassVar[str] = "enumerate"

    n: int
    m: float
    features: int = 1024
    frequencies: str = "isotropic"

    def __post_init__(self) -> None:
        object.__setattr__(self, "m", validate.positive("m", self.m))
        _check_free(self)

    @cached_property
    def domain(self) -> ConfinedSpace:  # type: ignore[override]
        return ConfinedSpace(self.n)

    @property
    def confinement(self) -> float:
        """mu = m sqrt(n)."""
        return self.m * math.sqrt(self.n)

    @property
    def asymptotic(self) -> bool:
        return self.frequencies == "random"

    @property
    def coefficients(self) -> float:
        return float(self.n) * self.features

    def critical_radius(self, probability: float = 1e-12) -> float:
        """Return a radius round the origin that holds all critical points of a draw but with ``probability``.

        The mean number outside is N_tot P(chi_n > mu r) (class docstring), P(chi_n > sqrt(n) + u) <= exp(-u^2/2)
        because |z| is a 1-Lipschitz function of the normal z, and N_tot = mu^-n E|det(mu I + Hess V)| is at most about
        (1 + (n + 2)/mu^2)^{n/2}: a determinant squared is below (|A|_F^2/n)^n, and E|A|_F^2 = n (mu^2 + n + 2). The
        law's N_tot is below that estimate wherever it was computed (a test holds the comparison).
        """
        mu, n = self.confinement, self.n
        log_total = 0.5 * n * math.log1p((n + 2) / mu**2)
        return (math.sqrt(n) + math.sqrt(2 * (log_total - math.log(probability)))) / mu

    @cached_property
    def scales(self) -> Scales:  # type: ignore[override]
        return Scales(1.0, math.sqrt(2 * self.n), confined_step_cap(self.n), 2 * self.critical_radius())

    def expected_counts(self, *, finite_features: bool = False) -> pd.DataFrame:
        from simcore.theory.confined import confined_field_law
        from simcore.theory.finite_features import confined_finite_features_law

        if self.frequencies == "isotropic":
            return _with_no_error(
                _with_variance(confined_field_law(self.n, self.m), _isotropic_variance(self.n)), finite_features
            )
        if finite_features:
            return confined_finite_features_law(self.n, self.m, self.features)
        return confined_field_law(self.n, self.m)

    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        name = self.check_start_law(law)
        place = (self.stream(f"starts:{name}"), seed, draw, first, count)
        if name == "normal":
            return normal(*place, self.n, 1.0 / self.confinement)
        return ball(*place, self.n, self.critical_radius())

    def _waves(self, seed: int, draw: int) -> Waves:
        return self._free_waves(seed, draw, self.features, self.frequencies, self.confinement)


def _automatic_solver(n: int) -> str:
    """Plain Newton below n = 25, where Hessians are cheap; measured per critical point: 0.9 x at 20, 1.5 x at 30."""
    return "newton" if n < 25 else "regularised_newton"


def _check_free(landscape: Any) -> None:
    """Validate and canonicalise n, features and frequencies of a field in R^n."""
    kind = validate.choice("frequencies", landscape.frequencies, ("random", "isotropic"))
    advice = "" if kind == "random" else "; use frequencies='random' beyond it"
    n = validate.whole("n", landscape.n, 1, None if kind == "random" else ISOTROPIC_DIMENSIONS, advice=advice)
    features = validate.whole("features", landscape.features, 1)
    object.__setattr__(landscape, "n", n)
    object.__setattr__(landscape, "features", features if kind == "random" else wave_count(n))


def _isotropic_variance(n: int) -> float:
    """Variance 1/(3 l2) of the waves with isotropic frequencies in R^n."""
    return float(1 / (3 * second_moment(n)))


def _with_variance(law: pd.DataFrame, variance: float) -> pd.DataFrame:
    """Return a law of unit variance corrected for the field's own: the part of f independent of its Hessian changes."""
    law = law.copy()
    law["sd_cost"] = np.sqrt(np.maximum(law["sd_cost"] ** 2 + (variance - 1.0), 0.0))
    return law


def _with_no_error(law: pd.DataFrame, wanted: bool) -> pd.DataFrame:
    return law.assign(mean_count_se=0.0) if wanted else law


def _translation(shift: Array, sign: int) -> Symmetry:
    torus = Torus(len(shift))

    def apply(x: Array) -> Array:
        return torus.wrap(x + shift)

    return Symmetry("translation by pi", apply, sign)
