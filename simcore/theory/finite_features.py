"""Critical points of a field of finitely many random waves, free or in a parabola: the law at its number of features.

Law. f(x) = sum_m sqrt(1/M) (a_m cos w_m.x + b_m sin w_m.x), a, b, w standard normal. Given the frequencies W (M, n) it
is a stationary Gaussian field; at a point the gradient has covariance Sigma = W'W/M and is independent of (f, H).
Kac-Rice:

    d_k = (2 pi)^{-n/2} E_W[ det(Sigma)^{-1/2} E|det H| 1(index H = k) ].

With whitened frequencies w~ = Sigma^{-1/2} w, H = Sigma^{1/2} H~ Sigma^{1/2} has the index of H~. The rows of a
Gaussian matrix are independent of its W'W after whitening (polar decomposition: a uniform frame times an independent
Wishart root), so

    d_k = (2 pi)^{-n/2} E[det(Sigma)^{1/2}] E|det H~| 1(index H~ = k),
    E[det(Sigma)^{1/2}] = (2/M)^{n/2} prod_{i<n} Gamma((M - i + 1)/2) / Gamma((M - i)/2)      (Wishart),

and H~ = -f I + R, f ~ N(0, 1), R independent of f with covariance (1/M) sum w~ w~ w~ w~ - I I. As M grows R tends to a
GOE matrix. Each sampled R is tied to a GOE matrix by the optimal transport map between the two Gaussian laws, so that
the exact law of infinitely many features serves as a control variate for counts and costs.

In a parabola, (mu/2)|x|^2 + f, the gradient vanishes where grad f = -mu x. Integrated over x its density gives mu^-n
whatever Sigma is, and

    N_k = mu^{-n} E_W[ E|det(mu I + H)| 1(index = k) ],   H = -f Sigma + R,

with R of covariance (1/M) sum w w w w - Sigma Sigma; mu I breaks the rotation that whitening rests on, so frequencies
are sampled as they are. There |x|^2 mu^2 = |grad f|^2 ~ N(0, Sigma) squared, independent of H given W: the cost f +
|grad f|^2/(2 mu) has the mean f + tr Sigma/(2 mu) and the variance tr Sigma^2/(2 mu^2).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from simcore.blas import single_threaded_blas
from simcore.errors import InputError, unknown_name
from simcore.theory.confined import confined_field_law
from simcore.theory.gaussian import gaussian_field_law, torus_moments

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

LARGEST_N = 20
_SEED = 20_061_113  # fixed: the same law is printed every time
_CLUSTER = 504  # Hessians for each sampled set of frequencies
_SEEN = 20  # sets of frequencies in which an index must occur for an estimate of it
_WIDER = 1.4  # proposals for f are wider than its exact law at an index, so that weights stay bounded


def finite_features_law(
    n: int, features: int, frequencies: str = "random", *, frequency_draws: int | None = None
) -> pd.DataFrame:
    """Return the law of the critical points of ``GaussianField(n, features, frequencies)`` at its number of features.

    Parameters
    ----------
    n : int
        Dimension, 1..20.
    features : int
        Number of waves M, at least n (fewer leave the gradient's covariance singular). Not used with "isotropic".
    frequencies : str
        "random" (standard normal), or "isotropic": then the law of infinitely many features is exact for counts, with
        the variance of the cost that belongs to it.
    frequency_draws : int, optional
        Sets of frequencies to sample, 504 Hessians each; default 2000 (n <= 8: relative standard errors of the counts
        well below 0.3 %, a few seconds).

    Returns
    -------
    DataFrame
        Columns ``index, mean_count, mean_count_se, fraction, mean_cost, sd_cost``; counts are per unit volume. Standard
        errors are Monte Carlo's, between sets of frequencies; the seed is fixed. The law is symmetric under k -> n - k
        with f -> -f, and so are the estimates.

    Raises
    ------
    InputError
        If n, features, frequencies or frequency_draws is out of range.
    """
    if frequencies == "isotropic":
        return _isotropic(_checked(n, LARGEST_N, LARGEST_N)[0])
    if frequencies != "random":
        raise unknown_name("frequencies", frequencies, ("random", "isotropic"))
    n, features = _checked(n, features, LARGEST_N)
    return _random(n, features, _checked_draws(frequency_draws)).copy()


def confined_finite_features_law(
    n: int, m: float, features: int, *, frequency_draws: int | None = None
) -> pd.DataFrame:
    """Return the law of the critical points of ``ConfinedField(n, m, features, frequencies="random")``.

    Parameters, columns and errors as for ``finite_features_law``; m > 0 is the confinement, mu = m sqrt(n), and counts
    are per draw. Indices so rare that no sampled Hessian has them keep the law of infinitely many features, with a
    standard error as large.
    """
    n, features = _checked(n, features, LARGEST_N)
    return _confined(n, float(m), features, _checked_draws(frequency_draws)).copy()


def _checked(n: int, features: int, largest: int) -> tuple[int, int]:
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n <= largest:
        raise InputError(f"n is {n!r}; the law at a finite number of features takes n from 1 to {largest}")
    if isinstance(features, bool) or not isinstance(features, (int, np.integer)) or features < n:
        raise InputError(f"features is {features!r}; the law takes a whole number, at least n = {n}")
    return int(n), int(features)


def _checked_draws(draws: int | None) -> int:
    draws = 2000 if draws is None else draws
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 100:
        raise InputError(f"frequency_draws is {draws!r}; give a whole number, at least 100 for a standard error")
    return int(draws)


def _isotropic(n: int) -> pd.DataFrame:
    frame = gaussian_field_law(n)[["morse_index", "mean_count", "fraction", "mean_cost", "sd_cost"]]
    variance = 1 / (3 * torus_moments(n)[0])  # B(0) when |B'(0)| = B''(0) = 1
    frame["sd_cost"] = np.sqrt(frame["sd_cost"] ** 2 + variance - 1)
    frame.insert(2, "mean_count_se", 0.0)
    return frame


@lru_cache(maxsize=32)
@single_threaded_blas()
def _random(n: int, features: int, draws: int) -> pd.DataFrame:
    # Per set of frequencies: means of |det| 1(index = k) times 1, f, f^2, for the field and for its control.
    field, control = np.empty((draws, 3, n + 1)), np.empty((draws, 3, n + 1))
    exact = gaussian_field_law(n)
    density = exact["mean_count"].to_numpy() * (2 * np.pi) ** (n / 2)
    mean, sd = exact["mean_cost"].to_numpy(), exact["sd_cost"].to_numpy()
    for draw in range(draws):
        random = np.random.default_rng([_SEED, n, features, draw])
        frame, _ = np.linalg.qr(random.standard_normal((features, n)))
        frame *= np.sqrt(features)  # whitened frequencies: a uniform frame, up to a rotation that changes no index
        sums = _one_set(random, frame, mean, _WIDER * sd, 0.0)
        field[draw], control[draw] = (_mirrored(part) for part in sums)
    i = np.arange(n)
    log_root = n / 2 * np.log(2 / features) + np.sum(gammaln((features - i + 1) / 2) - gammaln((features - i) / 2))
    scale = float(np.exp(log_root)) * (2 * np.pi) ** (-n / 2)
    known = np.stack([density, density * mean, density * (sd**2 + mean**2)])
    frame = _law(scale, field, control, known)
    frame.attrs.update(unit="per unit volume", dimension=n, complete=True, n=n, features=features)
    return frame


@lru_cache(maxsize=32)
@single_threaded_blas()
def _confined(n: int, m: float, features: int, draws: int) -> pd.DataFrame:
    field, control = np.empty((draws, 3, n + 1)), np.empty((draws, 3, n + 1))
    exact = confined_field_law(n, m)
    mu = m * np.sqrt(n)
    weight = exact["mean_count"].to_numpy() * mu**n
    mean, sd = exact["mean_cost"].to_numpy(), exact["sd_cost"].to_numpy()
    kinetic, spread = n / (2 * mu), n / (2 * mu**2)  # of |grad f|^2/(2 mu) in the limit
    centre, width = mean - kinetic, np.sqrt(np.maximum(sd**2 - spread, 1e-12))
    for draw in range(draws):
        random = np.random.default_rng([_SEED, n, features, draw])
        waves = random.standard_normal((features, n))
        second = waves.T @ waves / features
        sums = _one_set(random, waves, centre, _WIDER * width, mu)
        field[draw] = _with_kinetic(sums[0], np.trace(second) / (2 * mu), np.sum(second**2) / (2 * mu**2))
        control[draw] = _with_kinetic(sums[1], kinetic, spread)
    known = np.stack([weight, weight * mean, weight * (sd**2 + mean**2)])
    frame = _law(float(mu**-n), field, control, known)
    frame.attrs.update(unit="per draw", dimension=n, complete=True, n=n, m=m, mu=mu, features=features)
    return frame


def _with_kinetic(sums: Array, mean: float, variance: float) -> Array:
    """Moments (1, c, c^2) of c = f + an independent term of known mean and variance, from those of f; (3, n + 1)."""
    one, first, second = sums
    return np.stack([one, first + mean * one, second + 2 * mean * first + (mean**2 + variance) * one])


def _law(scale: float, field: Array, control: Array, known: Array) -> pd.DataFrame:
    """The law from sums (draws, 3, n + 1) of the field and of its control, with expectation ``known`` (3, n + 1)."""
    import pandas as pd

    draws = len(field)
    centred = control - control.mean(axis=0)
    slope = (centred * (field - field.mean(axis=0))).sum(axis=0) / np.maximum((centred**2).sum(axis=0), 1e-300)
    adjusted = field - slope * (control - known)
    estimate, error = adjusted.mean(axis=0), adjusted[:, 0].std(axis=0, ddof=1) / np.sqrt(draws)
    # Where Hessians of an index are hardly sampled, neither an estimate nor its error can be trusted.
    rare = ((field[:, 0] > 0).sum(axis=0) < _SEEN) | (estimate[0] <= 0)
    estimate, error = np.where(rare, known, estimate), np.where(rare, known[0], error)
    mean_cost = estimate[1] / estimate[0]
    frame = pd.DataFrame(
        {
            "morse_index": np.arange(field.shape[2]),
            "mean_count": scale * estimate[0],
            "mean_count_se": scale * error,
            "fraction": estimate[0] / estimate[0].sum(),
            "mean_cost": mean_cost,
            "sd_cost": np.sqrt(np.maximum(estimate[2] / estimate[0] - mean_cost**2, 0.0)),
        }
    )
    frame.attrs.update(
        total=float(frame["mean_count"].sum()),
        total_se=float(scale * adjusted[:, 0].sum(axis=1).std(ddof=1) / np.sqrt(draws)),
        frequency_draws=draws,
    )
    return frame


def _one_set(random: np.random.Generator, waves: Array, centre: Array, width: Array, mu: float) -> tuple[Array, Array]:
    """Means over one set of frequencies (M, n) of |det(mu I + H)| 1(index = k) times 1, f, f^2: field, control.

    Each is (3, n + 1). f is drawn from equal shares of normal laws around the exact mean at each index, and weighted
    back to N(0, 1): else minima, which need f far below 0, would hardly be seen.
    """
    features, n = waves.shape
    row, column = np.triu_indices(n)
    # Off-diagonal entries times sqrt 2: then the GOE's covariance is 2 I, and the transport map is a plain matrix root.
    weight = np.where(row == column, 1.0, np.sqrt(2.0))
    products = waves[:, row] * waves[:, column] * weight
    second = products.mean(axis=0)  # Sigma; the identity where the waves are whitened
    covariance = products.T @ products / features - np.outer(second, second)
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0) / 2)) @ vectors.T

    component = np.arange(_CLUSTER) % (n + 1)
    f = centre[component] + width[component] * random.standard_normal(_CLUSTER)
    proposal = (np.exp(-(((f[:, None] - centre) / width) ** 2) / 2) / width).mean(axis=1)
    goe = np.sqrt(2.0) * random.standard_normal((_CLUSTER, len(row)))
    powers = np.stack([np.ones(_CLUSTER), f, f * f]) * (np.exp(-(f**2) / 2) / proposal)
    identity = (row == column).astype(float)
    shifted = mu * identity - f[:, None] * second
    return (
        _weighted(goe @ root / weight + shifted / weight, powers, row, column, n),
        _weighted(goe / weight + (mu - f)[:, None] * identity, powers, row, column, n),
    )


def _weighted(entries: Array, powers: Array, row, column, n: int) -> Array:
    hessian = np.empty((n, n, len(entries)))
    hessian[row, column] = hessian[column, row] = entries.T
    size, index = np.ones(len(entries)), np.zeros(len(entries), dtype=np.int64)
    for j in range(n):  # unpivoted elimination, all Hessians at once: |det| and, by Sylvester's law, the index
        pivot = hessian[j, j]
        size *= np.abs(pivot)
        index += pivot < 0
        if j + 1 < n:
            factor = hessian[j + 1 :, j] / pivot
            hessian[j + 1 :, j + 1 :] -= factor[:, None] * hessian[j, j + 1 :][None]
    return np.stack([np.bincount(index, weights=size * power, minlength=n + 1) for power in powers]) / len(entries)


def _mirrored(sums: Array) -> Array:
    """The symmetry of a free field, k -> n - k with f -> -f."""
    return (sums + sums[:, ::-1] * np.array([1.0, -1.0, 1.0])[:, None]) / 2
