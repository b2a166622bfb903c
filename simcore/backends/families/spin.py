"""Homogeneous polynomials on the sphere: slow twin, certificate's terms, useful flops."""

from __future__ import annotations

import functools
import math
from itertools import combinations_with_replacement, permutations

import numpy as np

from simcore.backends.family import UNIT, Array, Bound, Derivatives, Evaluation, Family, Terms, Without, add
from simcore.backends.problems import Spin
from simcore.steps import newton_flops


def multiplicities(n: int, p: int) -> Array:
    """Return the number of orderings of each multiset of size p from n, in lexicographic order, as float64.

    Grown one element at a time: a multiset of size q - 1 with last element l gives those with l, l + 1, ..., n - 1
    appended. The number of orderings is multiplied by q and divided by how often the new element now occurs.
    """
    last, repeats, orderings = np.arange(n), np.ones(n), np.ones(n)
    for q in range(2, p + 1):
        children = n - last
        again = np.cumsum(children) - children  # the child that repeats the last element comes first
        grown = np.repeat(orderings * q, children)
        grown[again] /= repeats + 1
        if q < p:
            last = np.arange(len(grown)) - np.repeat(again - last, children)
            occurs = np.ones(len(grown))
            occurs[again] = repeats + 1
            repeats = occurs
        orderings = grown
    return orderings


def symmetric_tensor(problem: Spin) -> Array:
    """Return the symmetric tensor T, shape (n,) * p, with f(x) = sum T_{i1..ip} x_i1 ... x_ip."""
    tensor = np.zeros((problem.n,) * problem.p)
    for places, coefficient in zip(
        combinations_with_replacement(range(problem.n), problem.p), problem.coefficients, strict=True
    ):
        orderings = set(permutations(places))
        for ordering in orderings:
            tensor[ordering] = coefficient / len(orderings)
    return tensor


def evaluate(problem: Spin, x: Array) -> Evaluation:
    """Riemannian derivatives of a homogeneous polynomial on |x|^2 = n.

    With Euclidean gradient g and Hessian H, Hx = (p-1) g and g.x = p f; ``Domain.riemannian`` does the rest.
    """
    p = problem.p
    euclidean = symmetric_tensor(problem)[np.newaxis] * (p * (p - 1))
    hessian = np.broadcast_to(euclidean, (len(x), *euclidean.shape[1:]))
    for _ in range(p - 2):
        hessian = np.einsum("s...i,si->s...", hessian, x)
    gradient = np.einsum("sij,sj->si", hessian, x) / (p - 1)
    value = np.einsum("si,si->s", gradient, x) / p
    return value, *problem.domain.riemannian(x, gradient, hessian)


def bounds(problem: Spin) -> Bound:
    """The Lagrangian's third derivatives, by the symmetric tensor's norm; derived in ``simcore.search.certify``."""
    return lambda x, at: terms(problem, x, at)


def terms(problem: Spin, x: Array, at: Derivatives) -> Terms:
    """Return the certificate's terms at x, rounding included."""
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
    return Terms(
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


def flops(problem: Spin) -> float:
    """sum_{q=3..p} 2n C(n+q-2, q-1) + 2n^2 + 2n + n^3/3 + 4n^2: the contractions of the coefficients down to the packed
    Hessian (n^2 (n+1) for p = 3), gradient, value, LDL^T, and the solves of two right-hand sides (the gradient and
    x)."""
    n = problem.n
    contractions = sum(2.0 * n * math.comb(n + q - 2, q - 1) for q in range(3, problem.p + 1))
    return contractions + 2.0 * n * n + 2.0 * n + newton_flops(n) + 2.0 * n * n


SPIN = add(
    Family(
        problem=Spin,
        evaluate=evaluate,
        products=Without("a Hessian costs no more than a few products"),
        sample_gradient=Without("no samples"),
        bounds=bounds,
        flops=flops,
        cpu="simcore.backends.cpu.spin",
        cuda="simcore.backends.cuda.spin",
        pool="simcore.backends.cuda.spin_pool",
    )
)
