"""Proof that a zero of F(y) = T(y, ..., y) - y lies near a point, and that no other one does; p = 3.

Theorem (Kantorovich, for a quadratic F). Let y_0 be a point of C^n, K any matrix, and

    eta    >= |K F(y_0)|,
    delta  >= |1 - K DF(y_0)|,
    omega  >= |K (DF(y) - DF(z))| / |y - z| for all y, z.

If delta < 1 and 2 omega eta < (1 - delta)^2, F has exactly one zero within

    r = 2 eta / (1 - delta + sqrt((1 - delta)^2 - 2 omega eta))

of y_0, DF is invertible there, and every other zero is at least R = 2 (1 - delta)/omega - r away from y_0.

Proof. G(y) = y - K F(y) has DG(y) = 1 - K DF(y), so |DG(y)| <= delta + omega |y - y_0|, and on the ball of radius r,
|G(y) - y_0| <= eta + delta r + omega r^2/2 = r (r solves that equation): the ball goes into itself, and Brouwer gives a
fixed point y* = G(y*). delta < 1 makes K invertible, so F(y*) = 0. As F is quadratic, F(y) - F(z) = DF((y + z)/2)
(y - z) exactly; so if y* and z* are two zeros, 1 <= |1 - K DF((y* + z*)/2)| <= delta + omega |(y* + z*)/2 - y_0|, hence
|y* - y_0| + |z* - y_0| >= 2 (1 - delta)/omega: with |y* - y_0| <= r this is R. Since r < (1 - delta)/omega where the
discriminant is positive, no second zero is within r, and |1 - K DF(y*)| <= delta + omega r < 1: DF(y*) is invertible.

omega. |T(v, w)| <= sigma |v| |w|, sigma the largest singular value of the n x n^2 unfolding, because v w' has Frobenius
norm |v| |w| (complex v, w included: a real matrix has the same norm over C). DF(y) - DF(z) = 2 T(y - z, .), so omega =
2 sigma |K|_F. ``operator_bound`` makes sigma an upper bound that includes rounding.

Rounding, u = 2^-53; first-order terms are counted, the second-order ones are covered by the 1 % to spare below (all
sums have fewer than 10^6 terms, n <= 64). |.| of a complex vector is the Euclidean norm over its 2n real parts.

1.  T. An entry is a coefficient divided by the number of its orderings (one rounding; the scale is a power of two):
    |dT|_F <= u |T|_F. Entries below 1e-290 of the largest may be lost to underflow; that is below u |T|_F as well.
2.  A = T y. Real and imaginary part of an entry are sums of n products, fused, so n roundings on any term:
    |dA|_F <= n u |T|_F |y|  (Cauchy-Schwarz in each entry).
3.  A y. A part of an entry is a sum of 2n products in chains that are joined: at most 2n + 2 roundings on any term; the
    sum of their absolute values is at most |A_j| |y| for either part, so |d(Ay)| <= sqrt 2 (2n + 2) u |T|_F |y|^2.
4.  F = A y - y: one more rounding of the result, u (|T|_F |y|^2 + |y|). With 1 (once), 2 (n) and 3:
    |dF| <= (1 + n + sqrt 2 (2n + 2) + 1) u |T|_F |y|^2 + u |y| <= (4n + 16) u (|T|_F |y|^2 + |y|).
5.  J = 2A - 1: |dJ|_F <= 2 (n + 1) u |T|_F |y| + u (2 |T|_F |y| + sqrt n) <= (2n + 20) u (|T|_F |y| + sqrt n).
6.  The defect. K' (K transposed) is the matrix of the solutions k_c of J k_c = e_c, as they came out: any matrix will
    do. J is symmetric bit for bit, so |1 - K J|_F = |1 - J K'|_F, whose column c is e_c - J k_c; by 3 it errs by
    sqrt 2 (2n + 2) u |J|_F |k_c|, and subtracting the 1 costs u (|J|_F |k_c| + 1) at most:
    together <= (4n + 8) u |J|_F |K|_F, since |J|_F |K|_F >= |J K'|_F >= (1 - delta) sqrt n > 1/2.
7.  delta = (defect of 6) + |K|_F |dJ|_F; eta = |K|_F (|F| computed + |dF|).
8.  The norms themselves are sums of squares: relative error below 10 n^2 u < 1e-11. Every quantity is enlarged by 1 %
    (``SPARE``), every test asked for with 1 % to spare.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNIT = 2.0**-53
SPARE = 1.01


def operator_bound(unfolding: Array) -> float:
    """Return an upper bound, rounding included, on the largest singular value of a real matrix M of shape (n, m).

    The Gram matrix G = M M' is computed with an error of at most m u |M|_F^2 in Frobenius norm (Cauchy-Schwarz in each
    entry). c - G is factorised by Cholesky for a c just above the largest eigenvalue that LAPACK gives; where that
    succeeds, c - G + E is positive semidefinite for some |E| <= (n + 2) u tr(c - G + E) <= 2 (n + 2) u n c (Higham
    2002, theorem 10.3, diagonal of the factors included). So G <= c + 2 n (n + 2) u c, whatever the eigenvalue routine
    did. Where Cholesky fails the Frobenius norm serves.
    """
    n, m = unfolding.shape
    square = SPARE * float((unfolding * unfolding).sum())
    gram = unfolding @ unfolding.T
    c = 1.001 * float(np.linalg.eigvalsh(gram)[-1]) + 1e-300
    if not (math.isfinite(c) and c < square):
        return math.sqrt(square)
    try:
        np.linalg.cholesky(c * np.eye(n) - gram)
    except np.linalg.LinAlgError:
        return math.sqrt(square)
    return SPARE * math.sqrt(c * (1.0 + 2 * n * (n + 2) * UNIT) + m * UNIT * square)


def radii(points: Array, facts: Array, tensor: float, sigma: float, p: int) -> tuple[Array, Array]:
    """Return (r, R) of points (N, 2 n): exactly one zero of T y^m - y, m = p - 1, within r, every other one at least R
    away.

    ``facts`` are what ``polish`` found, ``tensor`` >= |T|_F, ``sigma`` from ``operator_bound`` of the n x n^m
    unfolding. Where nothing is proved r is infinite and R is 0. Rounding: above for p = 3. For p > 3 there are p - 2
    contractions and a last product of at most 2n + 2 roundings on any term each (sqrt 2 for the two parts), each
    contraction bounded by the norms before it: |dF| <= ((4n + 16)(p - 1)) u (|T|_F |y|^m + |y|),  |dJ|_F <= m (4n + 16)
    (p - 1) u (|T|_F |y|^(m-1) + sqrt n).
    """
    n, m = points.shape[1] // 2, p - 1
    inverse, defect, residual, size, _ = facts.T
    of_f, of_j = (4 * n + 16, 2 * n + 20) if p == 3 else ((4 * n + 16) * m, m * (4 * n + 16) * m)
    with np.errstate(all="ignore"):
        norm = SPARE * np.sqrt(np.einsum("ij,ij->i", points, points))
        error = of_f * UNIT * (tensor * norm**m + norm)
        derivative_error = of_j * UNIT * (tensor * norm ** (m - 1) + math.sqrt(n))
        eta = SPARE * inverse * (residual + error)
        delta = SPARE * (defect + (4 * n + 8) * UNIT * inverse * size + inverse * derivative_error)
        return concluded(norm, inverse, eta, delta, sigma, p)


def concluded(norm: Array, inverse: Array, eta: Array, delta: Array, sigma: float, p: int) -> tuple[Array, Array]:
    """Return (r, R) of points of length ``norm`` whose eta and delta are known; (inf, 0) where nothing is proved.

    p = 3: the theorem above. p > 3: it holds within a ball of radius rho = |y|/20. There |D^2 F| <= m (m - 1) sigma
    (|y| + rho)^(m-2), m = p - 1, so omega = that times |K|_F; the theorem's first half holds where r < rho, and as
    |1 - K DF| < 1 on the ball of radius (1 - delta)/omega, at most one zero lies in the ball of radius R = min(rho,
    (1 - delta)/omega) (G - 1 of it contracts).
    """
    m, reach = p - 1, norm / 20
    with np.errstate(all="ignore"):
        if p == 3:
            return judge(eta, delta, SPARE * 2 * sigma * inverse)
        return within(eta, delta, SPARE * m * (m - 1) * sigma * inverse * (norm + reach) ** (m - 2), reach)


def within(eta: Array, delta: Array, omega: Array, reach: Array) -> tuple[Array, Array]:
    """Return (r, R) where omega holds in a ball of radius ``reach`` alone, as in ``concluded`` for p > 3; (inf, 0)
    where nothing is proved."""
    near, _ = judge(eta, delta, omega)
    with np.errstate(all="ignore"):
        alone = np.minimum(reach / SPARE**2, (1 - delta) / (SPARE * omega))
        proved = near < alone
    return np.where(proved, near, np.inf), np.where(proved, alone, 0.0)


def judge(eta: Array, delta: Array, omega: Array) -> tuple[Array, Array]:
    """Return (r, R) of the theorem, r rounded up and R down by 1 %; (inf, 0) where it does not apply."""
    with np.errstate(all="ignore"):
        rest = (1 - delta) ** 2 - SPARE * 2 * omega * eta
        proved = (delta < 0.5) & (rest > 0) & np.isfinite(eta) & np.isfinite(omega)
        near = SPARE * 2 * eta / (1 - delta + np.sqrt(np.where(proved, rest, 1.0)))
        alone = 2 * (1 - delta) / (SPARE * omega) - near
        proved &= near < alone
    return np.where(proved, near, np.inf), np.where(proved, alone, 0.0)
