"""Proof, point by point, that a critical point is there, is the only one nearby, and has the recorded index.

Theorem (Newton-Kantorovich with a symmetric Jacobian). Let F be the gradient of a C^3 function on R^N, y_0 a point, and

    sigma   a lower bound on the smallest |eigenvalue| of DF(y_0),
    eta     an upper bound on |DF(y_0)^-1 F(y_0)|; here |F(y_0)| / sigma,
    L       a Lipschitz constant of DF on the ball of radius rho round y_0.

If h = L eta / sigma <= 1/2, put  t = 2 eta / (1 + sqrt(1 - 2h))  and  T = (1 + sqrt(1 - 2h)) sigma / L.  If t <= rho, F
has a zero y* with |y* - y_0| <= t, and no other within min(T, rho) of y_0 (Kantorovich & Akilov 1982, chapter XVIII;
Ortega 1968). By Weyl's inequality no eigenvalue of DF changes sign within sigma / L >= t of y_0: DF(y*) has the
inertia of DF(y_0), so the index at the critical point is the number of negative eigenvalues counted at y_0.

Waves.  F = grad f on R^n. |D^3 f| <= sum_m A_m |w_m|^3 = L everywhere, A_m^2 = cosine_m^2 + sine_m^2; rho is infinite.

Sphere. Critical points of a homogeneous f of degree p on |x|^2 = n are zeros of the gradient of the Lagrangian
    Lag(x, nu) = f(x) - (nu/s) (|x|^2 - n)/2   on R^{n+1},   with nu = s lambda, lambda = x.grad f / |x|^2.
With T the symmetric tensor of f and |T| its Frobenius norm, on |x| <= sqrt n + rho:
    |D^3 Lag| <= p(p-1)(p-2) |T| (sqrt n + rho)^{p-3} + (2/sqrt 3)/s = L,
since D^3 Lag[(a,b),(a,b),(a,b)] = D^3 f[a,a,a] - 3 (b/s)|a|^2 and a symmetric form attains its norm on the diagonal. By
Euler's relation x.grad f = p f, the Hessian of Lag at the point is, in a basis of the tangent space, x/|x| and nu,
    [ Hess, (p-1) g/|x|, 0 ;  ., (p-2) lambda, -|x|/s ;  0, -|x|/s, 0 ],
with the Riemannian g and Hess: its smallest |eigenvalue| is at least min(sigma_tangent, (sqrt(c^2 + 4b^2) - |c|)/2) -
(p-1)|g|/|x| with c = (p-2) lambda, b = |x|/s, and its inertia is that of Hess and one of each sign. A critical
point x' within d of x_0 has |lambda' - lambda| <= p(p+2) |T| r^{p-3} d (r between 0.9 and 1.1 sqrt n), so uniqueness in
(x, nu) gives uniqueness in x in a ball smaller by sqrt(1 + (s p(p+2) |T| r^{p-3})^2). The scale s balances the
terms: 1/s = p(p-1) |T| n^{(p-3)/2}.

Small networks: ``simcore.backends.families.network_bounds``; every family's bounds stand in its module there.

Rounding. Gradient and Hessian at y_0 are sums of products; an entry errs by at most (K + c) u times the sum of the
absolute values of its terms, K the number of terms, or the sum of the lengths of nested sums (Higham 2002, sections 3.1
and 3.5), for any order of summation; u = 2^-53. Phases w.x + phi carry an error of (n + 3) u (|w|_1 max|x_i| + 4), phi
in [-pi, pi] and rounded factors included, amplitudes and sin and cos one of 4u each. sigma comes from Sturm counts at
+-s after a tridiagonalisation (the CPU backend; no eigenvalue in (-s, s))
or from eigenvalues; either is taken to be backward stable with 10 n u |H|_F. These bounds enlarge |g| and lower sigma
before the test. What could still break a proof: a backend whose sin, cos or eigenvalues err by more than that; the
arithmetic of this test itself is not rounded outwards, but the inequalities are asked for with 1 % to spare.

A row is ``certified`` when the test holds, t is at most PRECISION correlation lengths (a proof of a point nearby but
not *here* does not count) and the inertia gives the recorded index.

Disjoint balls. Let y_0, z_0 be certified and their critical points y*, z* differ. Then |y* - z*| >= T - t for either's
T and t, so balls of radius (T - t)/2 - t round y_0 and z_0 are disjoint; each holds exactly one critical point. The
critical points do differ: where the recorded indices differ the proofs of the index say so, and where they agree
``simcore.search.distinct`` keeps two points only if they are more than t + t apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simcore.arrays import plain
from simcore.backends import families
from simcore.backends.families import Without
from simcore.backends.family import Bound, Derivatives
from simcore.compilation import jit
from simcore.search.distinct import FLOOR, short_way
from simcore.search.spectrum import CHUNK
from simcore.search.target import Target

Array = NDArray[np.float64]

PRECISION = FLOOR / 2
"""Largest distance, in correlation lengths, from a certified row to its critical point."""

SPARE = 1.01


@dataclass(frozen=True)
class Certificate:
    """What was proved at each of K points.

    certified : (K,) bool.
    existence : (K,) float64, distance within which the critical point lies; inf where not certified.
    uniqueness : (K,) float64, no other critical point is closer than this; 0 where not certified.
    radius : (K,) float64, balls of this radius are disjoint and hold one critical point each; 0 where not certified.
    """

    x: Array
    period: float
    certified: NDArray[np.bool_]
    existence: Array
    uniqueness: Array

    @property
    def radius(self) -> Array:
        known = self.certified
        radius = np.zeros(len(known))
        radius[known] = np.maximum((self.uniqueness[known] - self.existence[known]) / 2 - self.existence[known], 0.0)
        return radius

    def covers(self, x: Array, labels: NDArray) -> NDArray[np.bool_]:
        """Whether points x of shape (S, n) lie where the certificate of the point they belong to holds."""
        covered = np.empty(len(x), np.bool_)
        labels = np.ascontiguousarray(labels, np.int64)
        _cover(plain(x), labels, plain(self.x), self.period, plain(self.uniqueness), covered)
        return covered


def derivatives_at(target: Target, x: Array) -> Derivatives:
    """Return what the test needs at points x of shape (K, n), by the backend's Sturm counts, else by eigenvalues."""
    compiled = target.search.backend.gaps(target.problem, x)
    if compiled is not None:
        return Derivatives(*compiled)
    parts = []
    for begin in range(0, max(len(x), 1), CHUNK):
        here = x[begin : begin + CHUNK]
        value, gradient, hessian = target.evaluate(here)
        eigenvalues = np.linalg.eigvalsh(target.domain.tangent_hessian(here, hessian))
        size = np.linalg.norm(eigenvalues, axis=1)
        negative, gap = (eigenvalues < 0).sum(axis=1), np.abs(eigenvalues).min(axis=1, initial=np.inf)
        parts.append((value, np.linalg.norm(gradient, axis=1), size, negative, gap))
    return Derivatives(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def certify(target: Target, x: Array, index: NDArray) -> Certificate:
    """Test points x of shape (K, n) with recorded indices; a problem without a bound on D^3 f gets no certificates."""
    if bound_of(target) is None or len(x) == 0:
        return _nothing(x, target.domain.period)
    return prove(target, x, index, derivatives_at(target, x))


def bound_of(target: Target) -> Bound | None:
    """Return the bound that the family of the target's function has, None where it has none."""
    bounds = families.of(target.problem).bounds
    return None if isinstance(bounds, Without) else bounds(target.problem)


def prove(target: Target, x: Array, index: NDArray, at: Derivatives) -> Certificate:
    """As ``certify``, of derivatives known already."""
    landscape, bound = target.search.landscape, bound_of(target)
    if bound is None:
        return _nothing(x, landscape.domain.period)
    terms = bound(x, at)
    certified = np.empty(len(x), np.bool_)
    existence, uniqueness = np.empty(len(x)), np.empty(len(x))
    _judge(
        terms.residual,
        terms.sigma,
        plain(np.broadcast_to(terms.lipschitz, len(x))),
        (terms.reach, terms.shrink, PRECISION * landscape.scales.length),
        np.ascontiguousarray(at.negative, np.int64),
        np.ascontiguousarray(index, np.int64),
        certified,
        existence,
        uniqueness,
    )
    return Certificate(x, landscape.domain.period, certified, existence, uniqueness)


@jit
def _judge(residual, sigma, lipschitz, limits, negative, index, certified, existence, uniqueness):
    """The test of the theorem, row by row; ``limits`` = (rho, shrink, largest t)."""
    reach, shrink, furthest = limits
    for k in range(residual.size):
        eta = residual[k] / sigma[k]
        h = lipschitz[k] * eta / sigma[k]
        rest = 1.0 - 2.0 * h
        root = math.sqrt(rest) if rest > 0.0 else 0.0
        near = SPARE * 2.0 * eta / (1.0 + root)
        alone = min((1.0 + root) * sigma[k] / max(lipschitz[k], 1e-300), reach) / (SPARE * shrink)
        certified[k] = (
            sigma[k] > 0.0 and SPARE * h <= 0.5 and near <= furthest and near < alone and negative[k] == index[k]
        )
        existence[k] = near if certified[k] else math.inf
        uniqueness[k] = alone if certified[k] else 0.0


@jit
def _cover(x, labels, centres, period, uniqueness, covered):
    """Whether each row lies closer to its point than any other critical point; nothing does at a radius of 0."""
    for row in range(x.shape[0]):
        k = labels[row]
        square = 0.0
        for i in range(x.shape[1]):
            gap = short_way(x[row, i] - centres[k, i], period)
            square += gap * gap
        covered[row] = math.sqrt(square) < uniqueness[k]


def _nothing(x: Array, period: float) -> Certificate:
    return Certificate(x, period, np.zeros(len(x), np.bool_), np.full(len(x), np.inf), np.zeros(len(x)))
