"""The coin-flip picture: every Hessian eigenvalue takes its sign from a fair coin.

P(index = k) = C(D, k) / 2^D, so P(all positive) = 2^-D and saddles/minima = 2^D - 2. It is the picture that textbooks
draw, not the law of critical points: exact at D <= 2, a third too many minima for a Gaussian field at n = 8.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from simcore.theory.frames import law_frame
from simcore.theory.order_statistics import check_order

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 100_000


def coin_flip_law(n: int) -> pd.DataFrame:
    """Return the binomial law of the number of heads among n fair coins.

    Parameters
    ----------
    n : int
        Number of eigenvalues, 1..100,000; all indices are listed.

    Returns
    -------
    DataFrame
        As ``simcore.theory.frames.law_frame``: ``fraction`` is the probability and equals ``mean_count``
        (``attrs["unit"]`` is "probability"); costs do not exist (NaN).

    Raises
    ------
    InputError
        If n is out of range.
    """
    n = check_order("n", n, LARGEST)
    k = np.arange(n + 1)
    nothing = np.full(n + 1, np.nan)
    if n <= 1000:
        log_choose = np.array([math.log(math.comb(n, int(i))) for i in k])
    else:
        log_choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return law_frame(
        index=k,
        dimension=n,
        log_mean_count=log_choose - n * math.log(2),
        log_total=0.0,
        mean_cost=nothing,
        sd_cost=nothing,
        unit="probability",
        relative_error=1e-12 if n <= 1000 else 1e-9,
        law={"n": n},
    )
