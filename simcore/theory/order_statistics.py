"""Integrals of the count weights of GOE over the level: what every Kac-Rice law of this package reduces to.

    S_k = int exp(log_g(y)) q_k(y) dy,   with the mean and the standard deviation of y under the same weight,

q_k(y) = E_{GOE_n}[prod |l_i - y|; k below y] of ``simcore.theory.counting``. The integrands are entire and fall off
like Gaussians, so equal steps (the trapezoidal rule) converge exponentially; a first pass takes the fugacity's radius r
= 1 and further radii are added where a count that still matters has too small a share there. Whether it may matter is
judged by the log-concavity of q_k in k, which bounds an unknown weight by extrapolation from the known ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.blas import single_threaded_blas
from simcore.errors import InputError, RunError
from simcore.theory.counting import count_weights

Array = NDArray[np.float64]

ALL_INDICES_UP_TO = 50  # beyond, only the lowest and highest indices are computed one by one
LARGEST = 200
LOWEST = 6  # how many indices from either end beyond ALL_INDICES_UP_TO

_ACCURATE = 1e-7  # relative error of a weight that needs no other radius
_NEGLIGIBLE = 21.0  # ln of what may be left out of an integral (1e-9)
_BEST_FIRST = 10.0  # a count known nowhere is sought at levels whose bound is within this of the best
_MAX_PASSES = 400


class CountIntegrals(NamedTuple):
    """ln S_k, mean and standard deviation of y, and an estimate of the relative error of S_k, each (n + 1,).

    NaN for counts that were not asked for.
    """

    log_sum: Array
    mean: Array
    sd: Array
    error: Array


def check_order(what: str, n: object, largest: int = LARGEST) -> int:
    """Return n as an int; raise InputError unless it is a whole number from 1 to ``largest``."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n <= largest:
        raise InputError(f"{what} is {n!r}; the exact law takes whole numbers from 1 to {largest}")
    return int(n)


def wanted_counts(n: int) -> NDArray[np.int64]:
    """Indices 0..n that are computed one by one: all of them up to ALL_INDICES_UP_TO, else LOWEST at either end."""
    if n <= ALL_INDICES_UP_TO:
        return np.arange(n + 1)
    return np.concatenate([np.arange(LOWEST), np.arange(n + 1 - LOWEST, n + 1)])


def integrate_counts(
    n: int,
    log_g: Callable[[Array], Array],
    *,
    counts: NDArray[np.int64],
    low: float,
    high: float,
    symmetric: bool,
) -> CountIntegrals:
    """Integrate q_k against exp(log_g).

    Parameters
    ----------
    n : int
        Order of the GOE matrix.
    log_g : callable, (L,) -> (L,)
        Logarithm of the weight in y.
    counts : (c,) int
        Counts k wanted.
    low, high : float
        Range of y outside which every integrand is negligible.
    symmetric : bool
        log_g is even: then q_{n-k}(-y) = q_k(y) halves the work.

    Returns
    -------
    CountIntegrals
    """
    step = 0.28 if n > 8 else 0.4
    if symmetric:
        high = 0.0
    y = step * np.arange(np.floor(low / step), np.ceil(high / step) + 1)
    wanted = np.zeros(n + 1, dtype=bool)
    wanted[counts] = True
    if n > ALL_INDICES_UP_TO and symmetric:
        y = y[y < -2 * np.sqrt(n) + 7.5]  # measured: index LOWEST - 1 needs 6 to 7 above the edge for n = 51..200
    log_weight, error = fill(n, y, log_g(y), wanted, mirrored=symmetric)

    log_term = log_weight + log_g(y)[:, None]
    if symmetric:
        inner = slice(-2, None, -1) if y[-1] == 0 else slice(None, None, -1)
        y = np.concatenate([y, -y[inner]])
        log_term = np.concatenate([log_term, log_term[inner, ::-1]])
        error = np.concatenate([error, error[inner, ::-1]])
    shift = log_term.max(axis=0)
    known = wanted & np.isfinite(shift)
    if not known[counts].all():
        raise RunError(f"the exact law at n = {n} lost index {counts[~known[counts]]}; please report this")
    out = CountIntegrals(*(np.full(n + 1, np.nan) for _ in range(4)))
    term = np.exp(log_term[:, known] - shift[known])
    total = term.sum(axis=0)
    out.log_sum[known] = shift[known] + np.log(total * step)
    out.mean[known] = mean = term.T @ y / total
    out.sd[known] = np.sqrt((term * (y[:, None] - mean) ** 2).sum(axis=0) / total)
    out.error[known] = (term * np.where(term > 0, np.minimum(error[:, known], 1.0), 0.0)).sum(axis=0) / total
    return out


@single_threaded_blas()  # many small matrices: two threads would wait for each other
def fill(
    n: int,
    y: Array,
    log_g: Array | None,
    wanted: NDArray[np.bool_],
    *,
    mirrored: bool = False,
    distance: bool = True,
    log_r: float = 0.0,
) -> tuple[Array, Array]:
    """Return log weights and errors (levels, n + 1), adding radii until every count that matters is accurate.

    With ``log_g`` None every wanted count at every level matters; ``mirrored`` says that the levels are one half of a
    symmetric range, so that count n - k shares the integral of count k.
    """
    log_weight, error = count_weights(n, y, log_r=log_r, distance=distance)
    k = np.arange(n + 1)
    rows = np.arange(len(y))
    last = {1: np.full(len(y), log_r), -1: np.full(len(y), log_r)}  # the outermost radius tried downwards, upwards
    for _ in range(_MAX_PASSES):
        known = error < _ACCURATE
        lowest = np.where(known.any(axis=1), known.argmax(axis=1), -1)
        highest = n - known[:, ::-1].argmax(axis=1)
        down, up = _slopes(log_weight, known, lowest, highest, last)
        missing = ~known & wanted
        if log_g is not None:
            below = np.minimum(k[None, :] - lowest[:, None], 0) * down[:, :1]
            above = np.maximum(k[None, :] - highest[:, None], 0) * up[:, :1]
            edge = np.where(
                k[None, :] < lowest[:, None], log_weight[rows, lowest][:, None], log_weight[rows, highest][:, None]
            )
            bound = edge + below + above + log_g[:, None]
            sums = np.where(known, log_weight + log_g[:, None], -np.inf).max(axis=0)
            if mirrored:
                sums = np.maximum(sums, sums[::-1])
            # Counts known nowhere yet are sought where they may weigh most; that settles where else they matter.
            most = np.where(missing, bound, -np.inf).max(axis=0, initial=-np.inf)
            if mirrored:
                most = np.maximum(most, most[::-1])
            gap = (k > lowest[:, None]) & (k < highest[:, None])
            missing &= gap | (bound > np.where(np.isfinite(sums), sums - _NEGLIGIBLE, most - _BEST_FIRST))
        need_low = (missing & (k < lowest[:, None])).any(axis=1)
        need_high = (missing & (k > highest[:, None])).any(axis=1)
        inside = missing & (k > lowest[:, None]) & (k < highest[:, None])
        need_inside = inside.any(axis=1)
        if not (need_low.any() or need_high.any() or need_inside.any()):
            return log_weight, error

        def improve(need: Any, tilt: Array) -> None:
            more, more_error = count_weights(n, y[need], log_r=tilt, distance=distance)
            better = more_error < error[need]
            log_weight[need] = np.where(better, more, log_weight[need])
            error[need] = np.where(better, more_error, error[need])

        if need_inside.any():
            improve(need_inside, _between(log_weight[need_inside], known[need_inside], inside[need_inside]))
        for need, slopes, direction in ((need_low, down, 1), (need_high, up, -1)):
            if need.any():
                # The new window should reach outwards from the known counts; its half-width: sqrt(28/curvature).
                reach = 1 + 0.6 * np.sqrt(28 / np.maximum(slopes[need, 1], 0.5))
                tilt = -(slopes[need, 0] + direction * reach * slopes[need, 1])
                tilt = direction * np.minimum(direction * tilt, direction * last[direction][need] - 1.0)
                last[direction][need] = tilt
                improve(need, tilt)
    raise RunError(f"the exact law at n = {n} did not settle after {_MAX_PASSES} radii; please report this")


def _between(log_weight: Array, known: NDArray[np.bool_], inside: NDArray[np.bool_]) -> Array:
    """ln r, one a level, at which the known counts on either side of the first gap weigh the same."""
    rows, k = np.arange(len(known)), np.arange(known.shape[1])
    gap = inside.argmax(axis=1)[:, None]
    low = np.where(known & (k < gap), k, -1).max(axis=1)
    high = np.where(known & (k > gap), k, len(k)).min(axis=1)
    return -(log_weight[rows, high] - log_weight[rows, low]) / (high - low)


def _slopes(log_weight: Array, known: NDArray[np.bool_], lowest, highest, last) -> tuple[Array, Array]:
    """First difference and curvature (minus the second difference) of ln q_k at the lowest and highest known counts."""
    rows = np.arange(len(log_weight))
    n = log_weight.shape[1] - 1
    out = []
    for end, inward in ((lowest, 1), (highest, -1)):
        one, two = np.clip(end + inward, 0, n), np.clip(end + 2 * inward, 0, n)
        with np.errstate(invalid="ignore"):
            first = (log_weight[rows, one] - log_weight[rows, end]) * inward
            second = (log_weight[rows, two] - log_weight[rows, one]) * inward
        # Next to a lone known count the share at the outermost radius was below e^-14: that bounds the slope there.
        first = np.where(known[rows, one] & (one != end), first, inward * 10.0 - last[inward])
        curvature = np.where(known[rows, two] & (two != one), np.abs(second - first), 0.5)
        out.append(np.stack([first, curvature], axis=1))
    return out[0], out[1]
