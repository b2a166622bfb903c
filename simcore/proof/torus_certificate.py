"""Proof that a critical point of a sum of waves lies near a complex point of the torus, and what is known of it.

F(v) = sum_k k (P_k z^k - Q_k z^-k), z_j = exp(v_j): the gradient in v = i x of a sum of M waves, m non-zero entries +-1
at most in each k (``simcore.proof.torus_tracker``). A point is given by z, in doubles; v_0 = log z is exact, and never
computed. The theorem of ``simcore.proof.certificate`` holds in a ball |v - v_0| <= rho: with W = sum |P_k z^k| + |Q_k
z^-k| at z and |k| <= sqrt m, there |D^2 F| <= m^(3/2) W exp(sqrt m rho), so omega = that times |K|_F.

Rounding, u = 2^-53; second-order terms are covered by the 1 % to spare.

1.  A product of complex numbers errs by at most 3u of itself: 2u (|a_r b_r| + |a_i b_i|) in the real part, alike in the
    other, and either bracket is at most |a| |b|. 1/z errs by 4u: three roundings of 1/|z|^2, one of the product.
2.  P_k z^k: m products, 3m u; Q_k z^-k: m inverses as well, 7m u. D_k and S_k, their difference and sum, one more. The
    coefficients at t = 0 are exact: halves of the wave's, scaled by a power of two.
3.  Sums over waves, one fused step each, add M u times the sum of absolute values (of both parts: Minkowski). With
    |k| <= sqrt m, |k k'|_F <= m:  |dF| <= (M + 7m + 2) u sqrt m W,   |dH|_F <= (M + 7m + 2) u m W.
4.  K is what the solver gave, any matrix will do; 1 - H K errs by (4n + 8) u |H|_F |K|_F, as in
    ``simcore.proof.certificate``, 6.
5.  Nothing overflows or is lost while 1e-40 <= |z_j| <= 1e40: other points are not certified.

*On the torus.* Coefficients of a real function have Q_k = conj P_k, so with z* its mirror image 1/conj z* is a zero, at
-conj v*. Let L = |Re v_0| = |log|z||. The image of the one zero within r of v_0 lies within r + 2L of v_0; where that
is below R, beyond which the next zero is, it is the same: |z*_j| = 1, z* is a point of the torus. Where L > r it is
none. log|z| is computed with an error of at most 8u (1 + |log|z_j||) a coordinate.

*Different ones.* v is known up to multiples of 2 pi i, so points are compared on a product of n spheres: X_j = (2 Re
z_j, 2 Im z_j, |z_j|^2 - 1)/(1 + |z_j|^2), for which |dX_j| = s_j |dv_j|, s_j = 2 |z_j|/(1 + |z_j|^2) <= 1 (the map is
conformal: Mercator's). Zeros within r of v_0 have images within r of X(v_0): balls that do not meet there hold
different zeros. Conversely, s_j is the cosine of the latitude and changes by at most the arc: an arc a on the spheres
is at most a/(s - a) long in v, s the least s_j; so no other zero's image is nearer to X(v_0) than s R/(1 + R), less
what chord and arc differ by, below 5 % for chords below 1. X is computed with an error below 16u a coordinate.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simcore.proof.certificate import SPARE, UNIT, within

Array = NDArray[np.float64]

REACH = 0.1
"""rho."""
LARGEST_LOG = 40 * math.log(10)


def wave_radii(facts: Array, n: int, waves: int, most: int) -> tuple[Array, Array]:
    """Return (r, R) in v: exactly one zero within r of a point, every other one at least R away.

    ``facts`` are those of ``polish_waves``; ``most`` non-zero entries a frequency. (inf, 0) where nothing is proved.
    """
    inverse, defect, residual, size, _, mass = facts.T
    rounding = (waves + 7 * most + 2) * UNIT * mass
    with np.errstate(all="ignore"):
        eta = SPARE * inverse * (residual + math.sqrt(most) * rounding)
        delta = SPARE * (defect + (4 * n + 8) * UNIT * inverse * size + inverse * most * rounding)
        omega = SPARE * inverse * most**1.5 * math.exp(math.sqrt(most) * REACH) * mass
        return within(eta, delta, omega, np.full(len(facts), REACH))


def logarithms(points: Array) -> tuple[Array, Array]:
    """Return (log|z| (N, n), bound on its error, a vector's length (N,)) of points (N, 2 n), real parts first."""
    n = points.shape[1] // 2
    with np.errstate(all="ignore"):
        size: Array = np.log(np.hypot(points[:, :n], points[:, n:]))
    return size, 8 * UNIT * (math.sqrt(n) + np.linalg.norm(size, axis=1))


def on_the_torus(points: Array, r: Array, alone: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return (proved to be a point of the torus, proved to be none) of certified points (N, 2 n)."""
    size, error = logarithms(points)
    away = np.linalg.norm(size, axis=1)
    with np.errstate(all="ignore"):
        return SPARE * (r + 2 * (away + error)) < alone, away > SPARE * (r + error)


def on_spheres(points: Array, r: Array, alone: Array) -> tuple[Array, Array, Array]:
    """Return (X (N, 3 n), radius within which the zero's image lies, that within which no other one's does)."""
    n = points.shape[1] // 2
    x, y = points[:, :n], points[:, n:]
    square = x * x + y * y
    whole = 1.0 + square
    images = np.hstack([2 * x / whole, 2 * y / whole, (square - 1.0) / whole])
    least = (2 * np.sqrt(square) / whole).min(axis=1)
    error = 16 * math.sqrt(3 * n) * UNIT
    return images, r + error, np.maximum(0.9 * least * alone / (1.0 + alone) - error, 0.0)
