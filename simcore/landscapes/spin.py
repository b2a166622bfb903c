"""The spherical p-spin model: a random homogeneous polynomial of degree p on the sphere |x|^2 = n.

Symbols: J couplings; a *multiset* i1 <= ... <= ip stands for all its orderings, p!/(product of the factorials of the
multiplicities) in number; its coefficient is the sum of their couplings.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcore import validate
from simcore.arrays import real_array
from simcore.backends.families.spin import multiplicities
from simcore.backends.problems import Spin
from simcore.domains import Sphere
from simcore.errors import InputError
from simcore.landscapes.base import Array, Draw, Landscape, Scales, Symmetry
from simcore.landscapes.starts import sphere
from simcore.landscapes.step_caps import sphere_step_cap

if TYPE_CHECKING:
    import pandas as pd

LARGEST_DEGREE = 512  # beyond it n^(p-1) leaves the range of a double for every n >= 4
SMALLEST_COUPLING = 1e-100
MOST_COUPLINGS = 2**31  # 16 GiB of coefficients
_DENSE_ENTRIES = 2**20  # a full tensor up to this size is kept for f.value and its siblings
_CHUNK = 2**20


@dataclass(frozen=True)
class SphericalSpin(Landscape):
    """Spherical p-spin energy per spin, f = H/n on |x|^2 = n in R^n.

    H(x) = n^{-(p-1)/2} sum J_{i1..ip} x_i1 ... x_ip over all *ordered* tuples, J independent N(0, 1). Its covariance is
    n (x.y/n)^p, so Cov(f(x), f(y)) = (x.y/n)^p / n. Gradient and Hessian are Riemannian: tangential, in ambient
    coordinates; the radial direction is in neither index nor nullity, and the index runs from 0 to n - 1. At a
    point, in the tangent space, Var f = 1/n, Cov(grad) = p/n^2, Cov(f, H_ij) = -p/n^2 d_ij and
    Cov(H_ij, H_kl) = (p (p-1) (d_ik d_jl + d_il d_jk) + p^2 d_ij d_kl) / n^3.

    Parameters
    ----------
    n : int
        Number of spins, at least 2: the sphere has dimension n - 1.
    p : int
        Degree, at least 2 (and at most 512).

    Notes
    -----
    Start laws: "uniform" on the sphere.

    Search: ``method = "auto"`` is Newton's method on the sphere (step in the tangent space, back to the sphere by
    scaling) with the step cap ``sphere_step_cap(n, p)`` sqrt(n). Length sqrt(n/p), gradient scale sqrt((n-1) p)/n.
    No outside. From n = 7 on half of the starts of an enumeration that searches begin with a few gradient
    steps: in many dimensions uniform starts hardly ever reach minima and maxima (``simcore.search.enumerate``).

    Symmetries: f(-x) = (-1)^p f(x).

    Raises ``InputError`` for values out of range; a draw also when it has more than 2^31 coefficients.

    Source: Crisanti & Sommers (1992); Auffinger, Ben Arous & Cerny (2013).
    """

    name: ClassVar[str] = "spherical_spin"
    law: ClassVar[str] = (
        "f = H/n on |x|^2 = n, H = n^{-(p-1)/2} sum J x_i1...x_ip, J iid N(0,1) over all ordered tuples"
    )
    start_laws: ClassVar[tuple[str, ...]] = ("uniform",)
    parameters: ClassVar[tuple[str, ...]] = ("n", "p")
    example: ClassVar[dict[str, Any]] = {"n": [4, 6, 8, 10], "p": 3}
    example_method: ClassVar[str] = "enumerate"

    n: int
    p: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", validate.whole("n", self.n, 2))
        object.__setattr__(self, "p", validate.whole("p", self.p, 2, LARGEST_DEGREE))

    @cached_property
    def domain(self) -> Sphere:  # type: ignore[override]
        return Sphere(self.n)

    @property
    def couplings(self) -> int:
        """Number C(n + p - 1, p) of independent coefficients, one a multiset."""
        return math.comb(self.n + self.p - 1, self.p)

    @property
    def coefficients(self) -> float:
        # in logarithms: an example of any n and p has a model
        n, p = float(self.n), float(self.p)
        return math.exp(min(math.lgamma(n + p) - math.lgamma(p + 1) - math.lgamma(n), 600.0))

    @property
    def descends(self) -> bool:  # type: ignore[override]
        """From n = 7 on. Measured, time of a search that descends over one that does not, p = 3: n = 3 to 6 1.12 to
        1.27, n = 7 0.98, n = 8 0.82; p = 4, n = 6 1.17; p = 2, n = 8 0.90, n = 16 0.03."""
        return self.n >= 7

    @property
    def starts_to_enumerate(self) -> float:
        """Four dozen for each of about (p - 1)^D points: basins differ more than elsewhere."""
        return 48.0 * max(2.0, float(min(self.p, 99)) - 1) ** min(self.dimension, 60)

    @cached_property
    def scales(self) -> Scales:  # type: ignore[override]
        length = math.sqrt(self.n / self.p)
        gradient = math.sqrt((self.n - 1) * self.p) / self.n
        return Scales(length, gradient, sphere_step_cap(self.n, self.p) * math.sqrt(self.n), math.inf)

    def expected_counts(self, *, finite_features: bool = False) -> pd.DataFrame:
        """Return the exact law; there are no features, so ``finite_features`` raises ``InputError``."""
        if finite_features:
            raise InputError("spherical_spin is not a sum of random features; leave finite_features out")
        from simcore.theory.spin import spherical_spin_law

        return spherical_spin_law(self.n, self.p)

    def draw(self, *, seed: int, draw: int = 0) -> SpinDraw:
        seed, draw = validate.address(seed, draw)
        self.check_drawable()
        return SpinDraw(self, seed, draw)

    def check_drawable(self) -> None:
        if self.couplings > MOST_COUPLINGS:
            raise InputError(
                f"spherical_spin with n={self.n}, p={self.p} has {self.couplings} coefficients, "
                f"{self.couplings / 2**27:.0f} GiB; draw at most {MOST_COUPLINGS}"
            )

    @classmethod
    def from_couplings(cls, couplings: ArrayLike) -> SpinDraw:
        """Return the draw whose couplings are a tensor of the user's.

        Parameters
        ----------
        couplings : array of shape (n,) * p, p >= 2, n >= 2
            J, not necessarily symmetric: H = n^{-(p-1)/2} sum J_{i1..ip} x_i1 ... x_ip over all ordered tuples, and
            f = H/n as for every draw. Couplings J_ijk of distinct indices i < j < k alone are another model: put
            them in place, zeros elsewhere.

        Raises
        ------
        InputError
            If the sides differ, p < 2, n < 2, an entry is not a finite real number, or the largest is, in size, not
            between 1e-100 and 1e100 (all zeros are taken).
        """
        tensor = np.array(real_array("couplings", couplings, "give an array of real numbers of shape (n,) * p"))
        if tensor.ndim < 2 or len(set(tensor.shape)) != 1:
            raise InputError(
                f"couplings have shape {tensor.shape}; give a tensor with p >= 2 equal sides, shape (n,) * p"
            )
        finite = np.isfinite(tensor)
        if not finite.all():
            where = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise InputError(f"coupling {where} is {tensor[where]}; give finite numbers")
        largest = float(np.abs(tensor).max(initial=0.0))
        if largest > 0 and not SMALLEST_COUPLING <= largest <= 1 / SMALLEST_COUPLING:
            raise InputError(
                f"the largest coupling is {largest:.3g} in size; rescale them to between {SMALLEST_COUPLING:g} and "
                f"{1 / SMALLEST_COUPLING:g}, where squares stay within the range of a double"
            )
        draw = cls(n=tensor.shape[0], p=tensor.ndim).draw(seed=0)
        draw.couplings = tensor
        return draw

    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        name = self.check_start_law(law)
        return sphere(self.stream(f"starts:{name}"), seed, draw, first, count, self.n, math.sqrt(self.n))


class SpinDraw(Draw):
    """One p-spin energy; ``couplings`` is the user's tensor where there is one, else None."""

    def __init__(self, landscape: SphericalSpin, seed: int, number: int) -> None:
        self.landscape: Any = landscape
        self.seed, self.number = seed, number
        self.couplings: Array | None = None

    @cached_property
    def problem(self) -> Spin:  # type: ignore[override]
        n, p = self.landscape.n, self.landscape.p
        # 1/(n sqrt(n^(p-1))): square roots round correctly everywhere, powers do not
        scale = 1.0 / (n * math.sqrt(float(n ** (p - 1))))
        if self.couplings is not None:
            return Spin(n, p, sum_over_orderings(self.couplings) * scale)
        from simcore.formulas.random import normals

        coefficients = normals(
            self.seed, self.landscape.stream("coefficients"), self.number, 0, self.landscape.couplings
        )
        coefficients *= _root_multiplicities(n, p)
        coefficients *= scale
        return Spin(n, p, coefficients)

    @cached_property
    def scale(self) -> float:
        """Size of the user's couplings relative to the law's: root mean square of the symmetrised entries. 1 for a
        random draw, and where all couplings vanish."""
        if self.couplings is None:
            return 1.0
        n, p, coefficients = self.problem
        mean_square = float((coefficients**2 / multiplicities(n, p)).mean())
        return n * math.sqrt(mean_square * float(n ** (p - 1))) or 1.0

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        return (Symmetry("antipode", np.negative, (-1) ** self.landscape.p),)

    def __repr__(self) -> str:
        if self.couplings is None:
            return super().__repr__()
        return f"SphericalSpin.from_couplings(<tensor of shape {self.couplings.shape}>)"

    def to_dict(self) -> dict[str, Any]:
        """Return the provenance; couplings of the user's by their SHA-256 (float64, row-major) in place of a seed."""
        if self.couplings is None:
            return super().to_dict()
        digest = hashlib.sha256(np.ascontiguousarray(self.couplings).tobytes()).hexdigest()
        return {"landscape": self.landscape.to_dict(), "couplings_sha256": digest}

    @cached_property
    def _tensor(self) -> Array:
        """The symmetric tensor T with f(x) = sum T_{i1..ip} x_i1 ... x_ip, shape (n,) * p."""
        n, p, coefficients = self.problem
        each = coefficients / multiplicities(n, p)
        flat = np.empty(n**p)
        for low in range(0, n**p, _CHUNK):
            tuples = np.arange(low, min(low + _CHUNK, n**p))
            flat[low : low + _CHUNK] = each[multiset_ranks(n, p, tuples)]
        return flat.reshape((n,) * p)

    def _all_orders(self, points: Array) -> tuple[Array, Array, Array]:
        n, p = self.landscape.n, self.landscape.p
        value, gradient = np.empty(len(points)), np.empty((len(points), n))
        hessian = np.empty((len(points), n, n))
        for i, x in enumerate(points):
            if n**p > _DENSE_ENTRIES:
                value[i], gradient[i], hessian[i] = packed_derivatives(self.problem.coefficients, n, p, x)
                continue
            contracted = self._tensor
            for _ in range(p - 2):
                contracted = contracted @ x
            hessian[i] = p * (p - 1) * contracted
            gradient[i] = hessian[i] @ x / (p - 1)
            value[i] = gradient[i] @ x / p
        return value, *self.landscape.domain.riemannian(points, gradient, hessian)


def packed_derivatives(coefficients: Array, n: int, p: int, x: Array) -> tuple[float, Array, Array]:
    """Return value, Euclidean gradient and Hessian at x from the coefficients as they stand, without n^p numbers.

    Multisets that begin with i stand together and make a polynomial q_i of degree p - 1 in x_i, ..., x_{n-1}, so
    f = sum_i x_i q_i: its Hessian gathers x_i Hess q_i + e_i (grad q_i)' + (grad q_i) e_i'. Degree 2 is a triangle.
    """
    if p == 2:
        triangle = np.zeros((n, n))
        triangle[np.triu_indices(n)] = coefficients
        hessian = triangle + triangle.T
        gradient = hessian @ x
        return 0.5 * float(gradient @ x), gradient, hessian
    value, gradient, hessian = 0.0, np.zeros(n), np.zeros((n, n))
    done = 0
    for i in range(n):
        size = math.comb(n - i + p - 2, p - 1)
        q, slope, curvature = packed_derivatives(coefficients[done : done + size], n - i, p - 1, x[i:])
        done += size
        value += x[i] * q
        gradient[i] += q
        gradient[i:] += x[i] * slope
        hessian[i:, i:] += x[i] * curvature
        hessian[i, i:] += slope
        hessian[i:, i] += slope
    return value, gradient, hessian


def _root_multiplicities(n: int, p: int) -> Array:
    if math.comb(n + p - 1, p) <= _CHUNK:
        return _small_roots(n, p)
    roots = multiplicities(n, p)
    return np.sqrt(roots, out=roots)


@lru_cache(maxsize=16)
def _small_roots(n: int, p: int) -> Array:
    roots = np.sqrt(multiplicities(n, p))
    roots.flags.writeable = False
    return roots


def multiset_ranks(n: int, p: int, tuples: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each ordered tuple's multiset in lexicographic order.

    ``tuples`` are places in a row-major tensor of shape (n,) * p. The multisets that agree with i1 <= ... <= ip before
    element q and have a smaller one there number C(n - i_{q-1} + p - q, p - q + 1) - C(n - i_q + p - q, p - q + 1),
    i_0 = 0.
    """
    sorted_places = np.sort(np.stack(np.unravel_index(tuples, (n,) * p)), axis=0)
    ranks = np.zeros(len(tuples), dtype=np.int64)
    previous = np.zeros(len(tuples), dtype=np.int64)
    for q in range(1, p + 1):
        tail = np.array([math.comb(n - i + p - q, p - q + 1) for i in range(n)], dtype=np.int64)
        ranks += tail[previous] - tail[sorted_places[q - 1]]
        previous = sorted_places[q - 1]
    return ranks


def sum_over_orderings(tensor: Array) -> Array:
    """Return the coefficient of each multiset of a tensor of shape (n,) * p: the sum over its distinct orderings."""
    n, p = tensor.shape[0], tensor.ndim
    flat = tensor.reshape(-1)
    total = np.zeros(math.comb(n + p - 1, p))
    for low in range(0, flat.size, _CHUNK):
        part = flat[low : low + _CHUNK]
        np.add.at(total, multiset_ranks(n, p, np.arange(low, low + len(part))), part)
    return total
