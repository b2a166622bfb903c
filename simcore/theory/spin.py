"""Critical points of the spherical p-spin model: the exact law of every index at finite N.

Law. H(x) = N^{-(p-1)/2} sum J_{i1..ip} x_i1 ... x_ip on |x|^2 = N, J iid N(0, 1) over all ordered tuples; u = H/N. At a
critical point the Riemannian Hessian is a GOE matrix of order N - 1 shifted by a multiple of u, which makes the mean
number of index k (Auffinger, Ben Arous and Cerny 2013, CPAM 66, 165, theorem 2.1)

    N_k = 2 sqrt(2/p) (p-1)^{N/2} E_{GOE_N}[exp(-((p-2)/(4p)) l_{k+1}^2)],   l_1 <= ... <= l_N,

with u distributed as l_{k+1} sqrt((p-1)/(p N)) under that weight. Both x and -x are counted. The density of l_{k+1} is
N Z_{N-1}/Z_N exp(-y^2/4) q_k(y), q_k as in ``simcore.theory.counting`` for GOE_{N-1}.

Distinct-index couplings (i < j < k only) are another model with other counts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from simcore.errors import InputError, shown
from simcore.theory.counting import log_normalisation, support_edge
from simcore.theory.frames import law_frame
from simcore.theory.goe import log_gaussian_total
from simcore.theory.order_statistics import CountIntegrals, check_order, integrate_counts, wanted_counts

if TYPE_CHECKING:
    import pandas as pd


def spherical_spin_law(n: int, p: int = 3) -> pd.DataFrame:
    """Return the law of the critical points of ``SphericalSpin(n, p)``, both x and -x counted.

    Parameters
    ----------
    n : int
        Number of spins N, 1..200; the index runs from 0 to D = n - 1. Every index up to D = 50, beyond that the six
        lowest and the six highest.
    p : int
        Order of the interaction, at least 2.

    Returns
    -------
    DataFrame
        Columns and attributes as in ``simcore.theory.frames.law_frame``; counts are per draw, costs are u = H/n.

    Raises
    ------
    InputError
        If n or p is out of range.
    """
    n = check_order("n", n)
    if isinstance(p, bool) or not isinstance(p, (int, np.integer)) or not 2 <= p <= 2**31:
        raise InputError(f"p is {shown(p)}; the order of a p-spin model is a whole number from 2 to 2^31")
    p = int(p)
    if n == 1:  # the sphere is two points, x = +-1, each critical: f(x) = +-J, and J is standard normal
        one = np.zeros(1)
        return law_frame(
            index=np.zeros(1, np.int64),
            dimension=0,
            log_mean_count=one + np.log(2),
            log_total=float(np.log(2)),
            mean_cost=one,
            sd_cost=one + 1,
            unit="per draw",
            relative_error=0.0,
            law={"n": n, "p": p},
        )
    integrals, log_total = _integrals(n, p)
    k = wanted_counts(n - 1)
    log_constant = (
        np.log(2)
        + 0.5 * np.log(2 / p)
        + n / 2 * np.log(p - 1)
        + np.log(n)
        + log_normalisation(n - 1)
        - log_normalisation(n)
    )
    scale = np.sqrt((p - 1) / (p * n))
    return law_frame(
        index=k,
        dimension=n - 1,
        log_mean_count=integrals.log_sum[k] + log_constant,
        log_total=log_total + log_constant,
        mean_cost=scale * integrals.mean[k],
        sd_cost=scale * integrals.sd[k],
        unit="per draw",
        relative_error=integrals.error[k].max(),
        law={"n": n, "p": p},
    )


@lru_cache(maxsize=256)
def _integrals(n: int, p: int) -> tuple[CountIntegrals, float]:
    a = (p - 1) / (2 * p)  # 1/4 of the density of l_{k+1} and (p-2)/(4p) of the weight
    edge = support_edge(n) - 1
    integrals = integrate_counts(
        n - 1, lambda y: -a * y**2, counts=wanted_counts(n - 1), low=-edge, high=edge, symmetric=True
    )
    return integrals, log_gaussian_total(n - 1, a)
