"""Critical points of isotropic Gaussian fields and of the torus field: the exact Kac-Rice law of every index.

Law. For covariance C(r) = exp(-r^2/2) in R^n the Hessian given f = y is G - y I with G in GOE_n, f ~ N(0, 1), and the
gradient ~ N(0, I) is independent of both. Kac-Rice (Fyodorov 2004, PRL 92, 240601; Bray and Dean 2007, PRL 98, 150201;
Cheng and Schwartzman 2018, Bernoulli 24, 3422) gives the density of critical points of index k per unit volume,

    d_k = (2 pi)^{-n/2} int phi(y) E_{GOE_n}[prod |l_i - y|; exactly k of the l_i below y] dy,

and the value of f at them is distributed as y under that weight.

Any isotropic field, C(r) = B(r^2/2): the same fractions; densities times (B''(0)/|B'(0)|)^{n/2}; with
kappa = |B'(0)|/sqrt(B''(0)), E[f|k] is kappa times the table's and var(f|k) = kappa^2 var + B(0) - kappa^2.

The torus field has unit variance and l2 = E[k_1^2], l22 = E[k_1^2 k_2^2] = l2/3 over its frequencies k, that is
|B'(0)| = l2 and B''(0) = l22: the law depends on the covariance only through its derivatives up to the fourth at 0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from simcore.theory.counting import support_edge
from simcore.theory.frames import law_frame
from simcore.theory.goe import log_gaussian_total
from simcore.theory.order_statistics import CountIntegrals, check_order, integrate_counts, wanted_counts

if TYPE_CHECKING:
    import pandas as pd


def gaussian_field_law(n: int) -> pd.DataFrame:
    """Return the law of the critical points of the Gaussian field with covariance exp(-r^2/2) on R^n.

    Parameters
    ----------
    n : int
        Dimension, 1..200: every index up to n = 50, beyond that the six lowest and the six highest.

    Returns
    -------
    DataFrame
        Columns and attributes as in ``simcore.theory.frames.law_frame``; counts are densities per unit volume.

    Raises
    ------
    InputError
        If n is out of range.
    """
    n = check_order("n", n)
    integrals, log_total = _unit_field(n)
    k = wanted_counts(n)
    log_constant = -(n + 1) / 2 * np.log(2 * np.pi)
    return law_frame(
        index=k,
        dimension=n,
        log_mean_count=integrals.log_sum[k] + log_constant,
        log_total=log_total + log_constant,
        mean_cost=integrals.mean[k],
        sd_cost=integrals.sd[k],
        unit="per unit volume",
        relative_error=integrals.error[k].max(),
        law={"n": n},
    )


def torus_field_law(n: int) -> pd.DataFrame:
    """Return the law of the critical points of ``TorusField(n)`` on the whole torus (0, 2 pi)^n, a draw.

    Mean counts are d_k (2 pi)^n (l22/l2)^{n/2} = d_k (2 pi)^n 3^{-n/2}; fractions are the isotropic Gaussian field's.

    Parameters
    ----------
    n : int
        Dimension, 1..200: every index up to n = 50, beyond that the six lowest and the six highest.

    Returns
    -------
    DataFrame
        Columns and attributes as in ``simcore.theory.frames.law_frame``; counts are per draw.

    Raises
    ------
    InputError
        If n is out of range.
    """
    n = check_order("n", n)
    integrals, log_total = _unit_field(n)
    l2, l22 = torus_moments(n)
    k = wanted_counts(n)
    log_constant = -(n + 1) / 2 * np.log(2 * np.pi) + n * np.log(2 * np.pi) + n / 2 * np.log(l22 / l2)
    kappa = l2 / np.sqrt(l22)
    # kappa^2 may exceed B(0) = 1; the sum is still a variance. At n = 1 it is that of a Rayleigh variable.
    variance = kappa**2 * integrals.sd[k] ** 2 + 1 - kappa**2
    return law_frame(
        index=k,
        dimension=n,
        log_mean_count=integrals.log_sum[k] + log_constant,
        log_total=log_total + log_constant,
        mean_cost=kappa * integrals.mean[k],
        sd_cost=np.sqrt(variance),
        unit="per draw",
        relative_error=integrals.error[k].max(),
        law={"n": n, "l2": l2, "l22": l22, "kappa": kappa},
    )


def torus_moments(n: int) -> tuple[float, float]:
    """Return l2 = E[k_1^2] and l22 = E[k_1^2 k_2^2] over the frequencies of the torus field, weights summing to 1.

    A frequency of type m has m entries +-1 and zeros elsewhere: its type has l2 = l4 = m/n and l22 = m(m-1)/(n(n-1)).
    The two neighbouring types m <= (n+2)/3 < m+1 are weighted so that l4 = 3 l22, which makes the Hessian's law
    isotropic; for n = 1 there is no second coordinate and l22 stands for l4/3.
    """
    m, remainder = divmod(n + 2, 3)
    if remainder == 0:
        l2 = m / n
    else:

        def excess(m: int) -> float:  # n (l4 - 3 l22) of type m: positive for the lower type, negative for the upper
            return m * (1 - 3 * (m - 1) / (n - 1))

        lower = excess(m + 1) / (excess(m + 1) - excess(m))
        l2 = (lower * m + (1 - lower) * (m + 1)) / n
    return l2, l2 / 3


@lru_cache(maxsize=256)
def _unit_field(n: int) -> tuple[CountIntegrals, float]:
    edge = support_edge(n) - 1
    integrals = integrate_counts(
        n, lambda y: -(y**2) / 2, counts=wanted_counts(n), low=-edge, high=edge, symmetric=True
    )
    return integrals, log_gaussian_total(n, 0.5)
