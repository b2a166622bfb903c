"""Critical points of a Gaussian field in a parabola: topology trivialisation, at finite n.

Law. f(x) = (mu/2)|x|^2 + V(x) on R^n, mu = m sqrt(n), V Gaussian with covariance exp(-r^2/2). Kac-Rice (Fyodorov 2004,
PRL 92, 240601; Fyodorov and Williams 2007, J. Stat. Phys. 129, 1081), with y + mu = V at the critical point:

    N_k = mu^{-n} int phi(y + mu) E_{GOE_n}[prod |l_i - y|; exactly k of the l_i below y] dy,   sum_k (-1)^k N_k = 1.

There grad V = -mu x, and grad V ~ N(0, I) is independent of V and of the Hessian, so |x|^2 is a chi-square over mu^2:
E[f|k] = E[y + mu|k] + n/(2 mu), and the variance gains n/(2 mu^2).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from simcore.errors import InputError
from simcore.theory.counting import nodes_needed
from simcore.theory.frames import CONVERGED, law_frame
from simcore.theory.goe import log_gaussian_total
from simcore.theory.order_statistics import ALL_INDICES_UP_TO, LOWEST, CountIntegrals, check_order, integrate_counts

if TYPE_CHECKING:
    import pandas as pd


def confined_field_law(n: int, m: float) -> pd.DataFrame:
    """Return the law of the critical points of ``ConfinedField(n, m)``.

    Parameters
    ----------
    n : int
        Dimension, 1..200: every index up to n = 50, beyond that the six lowest.
    m : float
        Strength of the confinement, mu = m sqrt(n); positive. Many critical points below 1, one above, for large n.

    Returns
    -------
    DataFrame
        Columns and attributes as in ``simcore.theory.frames.law_frame``; counts are per draw.

    Raises
    ------
    InputError
        If n or m is out of range.
    """
    n = check_order("n", n)
    if isinstance(m, bool) or not isinstance(m, (int, float, np.number)) or not (1e-100 < m < 1e100):
        raise InputError(f"m is {m!r}; the strength of the confinement is a positive number, from 1e-100 to 1e100")
    m = float(m)
    integrals, log_total = _integrals(n, m)
    mu = m * math.sqrt(n)
    k = np.arange(n + 1 if n <= ALL_INDICES_UP_TO else LOWEST)
    log_constant = -0.5 * math.log(2 * math.pi) - n * math.log(mu)
    return law_frame(
        index=k,
        dimension=n,
        log_mean_count=integrals.log_sum[k] + log_constant,
        log_total=log_total + log_constant,
        mean_cost=integrals.mean[k] + mu + n / (2 * mu),
        sd_cost=np.sqrt(integrals.sd[k] ** 2 + n / (2 * mu**2)),
        unit="per draw",
        relative_error=integrals.error[k].max(),
        law={"n": n, "m": m, "mu": mu},
    )


@lru_cache(maxsize=256)
def _integrals(n: int, m: float) -> tuple[CountIntegrals, float]:
    mu = m * math.sqrt(n)
    # Far to the left q_0 grows like |y|^n: its integrand peaks there where y (y + mu) = n.
    low = -(mu / 2 + math.sqrt(mu**2 / 4 + n)) - 10
    nodes_needed(n, -low)  # refuses what would not fit
    whole = n <= ALL_INDICES_UP_TO
    integrals = integrate_counts(
        n,
        lambda y: -((y + mu) ** 2) / 2,
        counts=np.arange(n + 1 if whole else LOWEST),
        low=low,
        high=2 * math.sqrt(n) + 9 if whole else -2 * math.sqrt(n) + 7.5,
        symmetric=False,
    )
    listed = np.logaddexp.reduce(integrals.log_sum[: n + 1 if whole else LOWEST])
    # Strong confinement: higher indices are rounding, and the density of GOE_{n+1} at mu, exp(-mu^2/4), underflows.
    if whole or integrals.log_sum[LOWEST - 1] < listed - CONVERGED:
        return integrals, float(listed)
    return integrals, log_gaussian_total(n, 0.5, mu) - mu**2 / 2
