"""How many eigenvalues of a GOE matrix lie below a level: weights of every count, in logarithms.

For G in GOE_n (Var G_ij = 1, Var G_ii = 2; density of the eigenvalues prod |l_i - l_j| exp(-sum l^2/4) / Z_n)

    q_k(y) = E[prod_i |l_i - y|; exactly k of the l_i are below y]      ("distance" weights)
    P_k(y) = P(exactly k of the l_i are below y)                        ("plain" weights)

Every Kac-Rice law of this package is an integral of q_k against a Gaussian in y. De Bruijn (1955): with the weight
u(x) = exp(-x^2/4) [|x - y|] [z if x < y], monic polynomials p_i and f_i = p_i u,

    sum_k z^k q_k = (n!/Z_n) Pf A(z),   A_ij = int int_{a<b} f_i(a) f_j(b) - f_j(a) f_i(b),

for odd n bordered by int f_i. The coefficients are read off by a discrete Fourier transform over z = r e^{i theta}.
Accuracy rests on two choices. (1) The p_i are orthogonalised afresh for every level y *and radius r*, under the
positive weight with z = r: then A(r) is well conditioned and the ill-conditioned change of basis is a product of norms,
kept as a sum of logarithms. (2) On a radius where counts near k dominate, coefficient k has the relative error of
rounding over its share of the sum; shares below ``FLOOR`` are not used, so another radius must supply them. Nothing is
subtracted anywhere.

Symbols: y level; r, log_r radius of the fugacity z; q number of roots of unity; share = coefficient k r^k over the sum.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, roots_legendre

from simcore.errors import InputError
from simcore.theory.pfaffian import log_pfaffian

Array = NDArray[np.float64]

FLOOR = 1e-12  # shares below this are rounding, not law
_ROOTS = 16  # roots of unity: the count at a level spreads over far fewer values
MOST_NODES = 4096  # of a panel's quadrature: matrices of 130 MB, seconds
_CHUNK = 12  # levels treated together, fewer for large n: their matrices should stay near the cache


class CountWeights(NamedTuple):
    """Log weights of each count and their relative errors, both (levels, n + 1).

    log_weight is -inf where a share is below FLOOR; error is inf there.
    """

    log_weight: Array
    error: Array


def log_normalisation(n: int) -> float:
    """Return ln Z_n, Z_n = int prod_{i<j} |l_i - l_j| exp(-sum l^2/4) dl (Mehta's integral, scaled by sqrt 2)."""
    j = np.arange(1, n + 1)
    scale = (n / 2 + n * (n - 1) / 4) * np.log(2)
    return float(scale + n / 2 * np.log(2 * np.pi) + np.sum(gammaln(1 + j / 2) - gammaln(1.5)))


def support_edge(n: int) -> float:
    """Return a radius beyond which the weighted eigenfunctions of GOE_n are below rounding."""
    return 2 * np.sqrt(n) + 14 * n ** (-1 / 6)


def count_weights(n: int, levels: ArrayLike, *, log_r: ArrayLike = 0.0, distance: bool = True) -> CountWeights:
    """Return ln q_k(y) (or ln P_k(y)) for the counts k that carry weight at radius r.

    Parameters
    ----------
    n : int
        Order of the GOE matrix, at least 1.
    levels : (L,)
        Levels y, in units where Var G_ij = 1 off the diagonal.
    log_r : () or (L,)
        Logarithm of the fugacity's radius for each level: larger values bring out higher counts.
    distance : bool
        With the factor prod |l_i - y| (q_k) or without it (P_k).

    Returns
    -------
    CountWeights
        Natural logarithms and relative errors, (L, n + 1).
    """
    y = np.atleast_1d(np.asarray(levels, dtype=float))
    radius = np.broadcast_to(np.asarray(log_r, dtype=float), y.shape)
    log_weight, error = np.empty((len(y), n + 1)), np.empty((len(y), n + 1))
    chunk = int(np.clip(32_000 // n**2, 2, _CHUNK))
    for first in range(0, len(y), chunk):
        part = slice(first, first + chunk)
        log_weight[part], error[part] = _weights_of_chunk(n, y[part], radius[part], distance)
    return CountWeights(log_weight, error)


def _weights_of_chunk(n: int, y: Array, log_r: Array, distance: bool) -> tuple[Array, Array]:
    below, above, cross, borders, log_norm = _half_line_products(n, y, log_r, distance)

    def generating(z: NDArray[np.complex128]) -> tuple[NDArray[np.complex128], Array]:
        z = z[:, :, None, None]
        skew = z * cross[:, None]
        skew += above[:, None]
        skew += z * z * below[:, None]
        if borders is not None:
            edge = borders[1][:, None] + z[..., 0] * borders[0][:, None]
            padded = np.zeros((*skew.shape[:2], n + 1, n + 1), dtype=skew.dtype)
            padded[..., :n, :n] = skew
            padded[..., :n, n] = edge
            padded[..., n, :n] = -edge
            skew = padded
        phase, log_modulus = log_pfaffian(skew)
        return phase.astype(np.complex128), log_modulus

    roots = min(_ROOTS, n + 1)
    angles = 2 * np.pi * np.arange(roots // 2 + 1) / roots
    # One small angle more: its phase gives the mean count without ambiguity, hence the window of counts.
    angles = np.append(angles, np.pi / (2 * n + 2))
    phase, log_modulus = generating(np.broadcast_to(np.exp(1j * angles), (len(y), len(angles))))
    value = phase * np.exp(log_modulus - log_modulus[:, :1]) / phase[:, :1]
    mean = np.angle(value[:, -1]) / angles[-1]
    value = value[:, :-1]

    if roots == n + 1:
        first = np.zeros(len(y), dtype=int)
    else:
        first = np.clip(np.round(mean).astype(int) - roots // 2, 0, n + 1 - roots)
    counts = first[:, None] + np.arange(roots)
    multiplicity = np.full(roots // 2 + 1, 2.0)  # conjugate pairs of roots
    multiplicity[0] = 1
    if roots % 2 == 0:
        multiplicity[-1] = 1
    waves = np.exp(-1j * counts[:, :, None] * angles[None, None, :-1])
    share = np.einsum("j,ykj,yj->yk", multiplicity, waves, value).real / roots

    good = share > FLOOR
    log_share = np.log(np.where(good, share, 1.0)) - counts * log_r[:, None]
    log_total = log_norm + log_modulus[:, 0]
    log_weight = np.full((len(y), n + 1), -np.inf)
    error = np.full((len(y), n + 1), np.inf)
    rows = np.arange(len(y))[:, None]
    log_weight[rows, counts] = np.where(good, log_share + log_total[:, None], -np.inf)
    error[rows, counts] = np.where(good, 1e-14 * np.sqrt(n) / np.where(good, share, 1.0), np.inf)
    return log_weight, error


def _half_line_products(
    n: int, y: Array, log_r: Array, distance: bool
) -> tuple[Array, Array, Array, tuple[Array, Array] | None, Array]:
    """Skew products of the orthonormalised f_i on either side of each level, and the log of the constant before Pf A.

    Returns below, above, cross (L, n, n), borders ((L, n), (L, n)) for odd n or None, log_norm (L,).
    """
    edge = max(support_edge(n), float(np.abs(y).max()) + 1.0)
    half = np.stack([(y + edge) / 2, (edge - y) / 2])  # half-lengths of the two panels
    pieces = []
    for side in (0, 1):
        nodes, weights, antisymmetric = _panel(nodes_needed(n, float(half[side].max())))
        centre = y + (half[side] if side else -half[side])
        x = centre[:, None] + half[side][:, None] * nodes
        log_u = -(x**2) / 4 + 0.5 * np.log(weights * half[side][:, None])
        if distance:
            log_u += np.log(np.abs(x - y[:, None]))
        pieces.append((x, log_u if side else log_u + log_r[:, None], weights, antisymmetric))
    split = pieces[0][0].shape[1]
    basis, log_norms = _polynomials(np.hstack([p[0] for p in pieces]), np.hstack([p[1] for p in pieces]), n)

    products, integrals = [], []
    for side, f in ((0, basis[..., :split]), (1, basis[..., split:])):
        _, _, weights, antisymmetric = pieces[side]
        products.append(half[side][:, None, None] * (f @ antisymmetric @ np.swapaxes(f, 1, 2)))
        integrals.append(f @ np.sqrt(weights) * np.sqrt(half[side])[:, None])
    left, right = integrals
    cross = left[:, :, None] * right[:, None, :]
    cross = cross - np.swapaxes(cross, 1, 2)
    log_norm = log_norms + gammaln(n + 1) - log_normalisation(n)
    return products[0], products[1], cross, (left, right) if n % 2 else None, log_norm


def _polynomials(x: Array, log_u: Array, n: int) -> tuple[Array, Array]:
    """Orthonormal polynomials times u at the nodes, (L, n, nodes), and the sum of the logs of the monic norms, (L,).

    log_u holds the logarithm of u times the root of the quadrature weight. By the three-term recurrence with computed
    products: what orthogonality rounding may cost does no harm, as leading coefficients are all that Pf A asks for.
    """
    shift = log_u.max(axis=1, keepdims=True)
    basis = np.empty((len(x), n, x.shape[1]))
    scale = np.abs(x).max()
    x = x / scale
    vector, norm = np.exp(log_u - shift), np.zeros((len(x), 1))
    log_norm = np.zeros((len(x), 1))  # of the current monic polynomial
    total = np.zeros((len(x), 1))
    for j in range(n):
        if j:
            last = basis[:, j - 1]
            vector = x * last
            if j > 1:
                vector -= norm * basis[:, j - 2]
            vector -= np.sum(vector * last, axis=1, keepdims=True) * last
            log_norm = log_norm + np.log(scale)
        norm = np.sqrt(np.sum(vector * vector, axis=1, keepdims=True))
        basis[:, j] = vector / norm
        log_norm = log_norm + np.log(norm)
        total += log_norm
    return basis, (total + n * shift)[:, 0]


def nodes_needed(n: int, half_length: float) -> int:
    """Gauss nodes that integrate products of two eigenfunctions over a panel to rounding, in round numbers."""
    needed = 30 + 1.25 * np.sqrt(n) * half_length + 3 * half_length
    if needed > MOST_NODES:
        raise InputError(
            f"the law of n = {n} at levels {half_length:.3g} away takes {needed:.0f} nodes of quadrature, {MOST_NODES} "
            "are the most; give a weaker confinement m: above 1 nearly every function has one critical point"
        )
    unit = 16 if needed < 256 else 64
    return unit * int(np.ceil(needed / unit))


@lru_cache(maxsize=64)
def _panel(count: int) -> tuple[Array, Array, Array]:
    """Gauss-Legendre nodes and weights on (-1, 1), and K with f'K g = int int_{a<b} f(a)g(b) - g(a)f(b).

    K acts on values times the square root of the weights. The inner integral is exact for the interpolating polynomial:
    int_{-1}^{x} P_k = (P_{k+1}(x) - P_{k-1}(x))/(2k+1).
    """
    nodes, weights = roots_legendre(count)
    legendre = np.polynomial.legendre.legvander(nodes, count).T
    primitive = np.empty((count, count))
    primitive[0] = nodes + 1
    primitive[1:] = (legendre[2:] - legendre[:-2]) / (2 * np.arange(1, count)[:, None] + 1)
    coefficients = legendre[:count] * weights * (2 * np.arange(count)[:, None] + 1) / 2  # values -> Legendre series
    root = np.sqrt(weights)
    integrate = root[:, None] * (primitive.T @ coefficients) / root  # row: upper end b, column: a
    return nodes, weights, integrate.T - integrate
