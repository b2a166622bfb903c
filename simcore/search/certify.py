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

Small networks: ``simcore.search.network_bounds``.

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

import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Spin, Waves
from simcore.compilation import jit
from simcore.landscapes.spin import multiplicities
from simcore.search import network_bounds
from simcore.search.distinct import FLOOR, short_way
from simcore.search.spectrum import CHUNK
from simcore.search.target import Target

Array = NDArray[np.float64]

PRECISION = FLOOR / 2
"""Largest distance, in correlation lengths, from a certified row to its critical point."""

UNIT = 2.0**-53
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
        _cover(_plain(x), labels, _plain(self.x), self.period, _plain(self.uniqueness), covered)
        return covered


@dataclass(frozen=True)
class _Terms:
    """The theorem's quantities at K points, rounding included.

    |F| and sigma (K,), L, rho, and by how much a ball in (x, nu) shrinks to one in x.
    """

    residual: Array
    sigma: Array
    lipschitz: Array | float
    reach: float
    shrink: float


class Derivatives(NamedTuple):
    """What the test needs to know at K points: f, |gradient|, |Hessian|_F, its number of negative eigenvalues, and a
    lower bound on the smallest |eigenvalue|; arrays of shape (K,)."""

    value: Array
    slope: Array
    size: Array
    negative: NDArray[Any]
    gap: Array


def derivatives_at(target: Target, x: Array) -> Derivatives:
    """Return what the test needs at points x of shape (K, n), by the backend's Sturm counts, else by eigenvalues."""
    compiled = target.settings.backend.gaps(target.problem, x)
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
    known = isinstance(target.problem, (Waves, Spin)) or network_bounds.bounded(target.problem)
    if not known or len(x) == 0:
        return _nothing(x, target.domain.period)
    return prove(target, x, index, derivatives_at(target, x))


def prove(target: Target, x: Array, index: NDArray, at: Derivatives) -> Certificate:
    """As ``certify``, of derivatives known already."""
    landscape = target.settings.landscape
    if isinstance(target.problem, Spin):
        terms = _spin_terms(target.problem, x, at)
    elif isinstance(target.problem, Waves):
        terms = _wave_terms(target.problem, x, at)
    elif network_bounds.bounded(target.problem):
        terms = _network_terms(target.problem, x, at)
    else:
        return _nothing(x, landscape.domain.period)
    certified = np.empty(len(x), np.bool_)
    existence, uniqueness = np.empty(len(x)), np.empty(len(x))
    _judge(
        terms.residual,
        terms.sigma,
        _plain(np.broadcast_to(terms.lipschitz, len(x))),
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


def _plain(values: Array) -> Array:
    """Return contiguous, writable float64 values: one compiled signature for all callers."""
    return np.require(values, np.float64, ["C", "W"])


def _nothing(x: Array, period: float) -> Certificate:
    return Certificate(x, period, np.zeros(len(x), np.bool_), np.full(len(x), np.inf), np.zeros(len(x)))


def _wave_terms(problem: Waves, x: Array, at: Derivatives) -> _Terms:
    residual, sigma = np.empty(len(x)), np.empty(len(x))
    coefficients = _plain(problem.frequencies), _plain(problem.cosine), _plain(problem.sine)
    known = _plain(at.slope), _plain(at.size), _plain(at.gap)
    third = _bound_waves(*coefficients, float(problem.confinement), _plain(x), *known, residual, sigma)
    return _Terms(residual=residual, sigma=sigma, lipschitz=third, reach=math.inf, shrink=1.0)


@jit
def _bound_waves(frequencies, cosine, sine, confinement, x, slope, size, gap, residual, sigma):
    """Set the bounds on |F| and sigma of every row, rounding included; return the bound on |D^3 f|."""
    waves, n = frequencies.shape
    first, second, third, longest = 0.0, 0.0, 0.0, 0.0  # sums of A |w|^k, the largest |w|_1
    for m in range(waves):
        square, total = 0.0, 0.0
        for i in range(n):
            square += frequencies[m, i] ** 2
            total += abs(frequencies[m, i])
        amplitude, norm = math.hypot(cosine[m], sine[m]), math.sqrt(square)
        first += amplitude * norm
        second += amplitude * square
        third += amplitude * square * norm
        longest = max(longest, total)
    for k in range(x.shape[0]):
        extent, square = 0.0, 0.0
        for i in range(n):
            extent = max(extent, abs(x[k, i]))
            square += x[k, i] ** 2
        # Relative error of one term of a sum over waves, times sqrt 2 since |c| + |s| <= sqrt 2 A.
        relative = math.sqrt(2.0) * UNIT * (waves + 16 + (n + 3) * (longest * extent + 4))
        bend = 4 * UNIT * abs(confinement)
        residual[k] = slope[k] + (relative * first + bend * math.sqrt(square))
        sigma[k] = gap[k] - 10 * n * UNIT * size[k] - (relative * second + bend * math.sqrt(n))
    return third


def _network_terms(problem: Any, x: Array, at: Derivatives) -> _Terms:
    found = network_bounds.bounds(problem, x)
    return _Terms(
        residual=at.slope + found.gradient,
        sigma=at.gap - 10 * x.shape[1] * UNIT * at.size - found.hessian,
        lipschitz=found.lipschitz,
        reach=network_bounds.REACH,
        shrink=1.0,
    )


def _spin_terms(problem: Spin, x: Array, at: Derivatives) -> _Terms:
    n, p = problem.n, problem.p
    root = math.sqrt(n)
    tensor = math.sqrt(float((problem.coefficients**2 / _orderings(n, p)).sum()))
    reach = 0.1 * root
    inverse_scale = p * (p - 1) * tensor * root ** (p - 3)
    third = p * (p - 1) * (p - 2) * tensor * (root + reach) ** (p - 3)
    # A Hessian entry is a sum over the monomials of degree p - 2 (or p - 2 nested sums over n), the gradient one over n
    # more; projecting to the tangent space costs a few more sums of the same size.
    relative = 2 * UNIT * (math.comb(n + p - 3, p - 2) + (p + 4) * n + 4 * p + 20)
    gradient_error = relative * p * tensor * root ** (p - 1)
    hessian_error = 2 * relative * p * (p - 1) * tensor * root ** (p - 2)
    slope = at.slope + gradient_error
    off_sphere = np.abs((x * x).sum(axis=1) - n) + 2 * n * (n + 2) * UNIT
    radial, border = (p - 2) * p * np.abs(at.value) / n, root * inverse_scale
    normal = (np.sqrt(radial**2 + 4 * border**2) - radial) / 2
    change = p * (p + 2) * tensor * (0.9 * root if p < 3 else 1.1 * root) ** (p - 3)
    return _Terms(
        residual=np.hypot(slope, off_sphere * inverse_scale / 2),
        sigma=np.minimum(at.gap - 10 * n * UNIT * at.size - hessian_error, 0.99 * normal)
        - (p - 1) * 1.01 * slope / root,
        lipschitz=third + 2 / math.sqrt(3) * inverse_scale,
        reach=reach,
        shrink=math.hypot(1.0, change / max(inverse_scale, 1e-300)),
    )


@functools.lru_cache(maxsize=8)
def _orderings(n: int, p: int) -> Array:
    """Number of orderings of each multiset, in the order of ``Spin.coefficients``."""
    return multiplicities(n, p)
