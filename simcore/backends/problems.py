"""What a backend is given: the coefficients of one function, as plain arrays.

A landscape's draw turns into one of these named tuples; a backend dispatches on its type and knows nothing of
classes, configuration or files. Every backend (reference, cpu, cuda) accepts every type listed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.domains import Domain, Space, Sphere, Torus, shared

Array = NDArray[np.float64]

DESCENT_FROM = 40
"""Variables from which regularised Newton begins with descent in Krylov spaces (slower at 24, faster at 50)."""
SINGLE_FROM = 25
"""Variables from which its Hessians are summed in single precision until the gradient is small."""


class Waves(NamedTuple):
    """A finite sum of waves, with an optional quadratic confinement.

    f(x) = (confinement/2) |x|^2 + sum_m cosine_m cos(w_m . x) + sine_m sin(w_m . x),  x in R^n.

    ``frequencies`` has shape (M, n); ``cosine`` and ``sine`` have shape (M,) and hold the weights already.
    ``period`` is 2 pi on a torus (coordinates are wrapped into [0, period)) and 0.0 in R^n.
    """

    frequencies: Array
    cosine: Array
    sine: Array
    confinement: float
    period: float

    @property
    def domain(self) -> Domain:
        """The torus where there is a period, else R^n."""
        return shared(Torus if self.period else Space, self.frequencies.shape[1])

    @property
    def dimension(self) -> int:
        """Dimension of the tangent space, n."""
        return self.frequencies.shape[1]


class Spin(NamedTuple):
    """A homogeneous polynomial of degree p restricted to the sphere |x|^2 = n in R^n.

    f(x) = sum over multisets i1 <= ... <= ip of coefficients_i x_i1 ... x_ip. The multisets stand in
    lexicographic order (``itertools.combinations_with_replacement(range(n), p)``), so ``coefficients`` has shape
    (C(n+p-1, p),) and holds the multiplicity and normalisation factors already.
    """

    n: int
    p: int
    coefficients: Array

    @property
    def domain(self) -> Sphere:
        """The sphere |x|^2 = n."""
        return shared(Sphere, self.n)

    @property
    def dimension(self) -> int:
        """Dimension of the sphere, n - 1."""
        return self.n - 1


class NewtonOptions(NamedTuple):
    """Limits of one Newton search, all absolute: the landscape's scales are already multiplied in."""

    step_cap: float  # longest step, a length in x; inf for none
    gradient_tolerance: float  # accept when |g| is below it ...
    decrement_tolerance: float  # ... and |H^-1 g| is below it
    max_iterations: int
    region: float  # left_domain when max |x_i| exceeds it; inf for none
    zero_tolerance: float  # eigenvalues within zero_tolerance * |H|_F are null
    flat_tolerance: float  # gradient_flat when |Hg| < flat_tolerance * |H|_F |g| at the end
    zero_floor: float = 0.0  # eigenvalues within it are null however small |H|_F is: a Hessian that is rounding alone


class Outcome(NamedTuple):
    """How each of S starts ended; every array has length S (``x`` has shape (S, n))."""

    status: NDArray[np.int8]  # codes of simcore.formulas.outcome
    iterations: NDArray[np.int32]
    cost: Array
    grad_norm: Array
    decrement: Array  # |H^-1 g| at the last point: the distance to the critical point, to first order
    index: NDArray[np.int32]  # type: ignore[assignment]  # (a tuple has a method index) -1 where undefined
    nullity: NDArray[np.int32]
    x: Array

    @classmethod
    def empty(cls, starts: int, n: int) -> Outcome:
        """Return arrays for a number of starts, uninitialised."""
        integer: Any = np.int32
        return cls(
            np.empty(starts, np.int8),
            np.empty(starts, integer),
            np.empty(starts),
            np.empty(starts),
            np.empty(starts),
            np.empty(starts, integer),
            np.empty(starts, integer),
            np.empty((starts, n)),
        )


BATCH = 24
"""Points that a library's batched functions get at a time: always as many, so that no row depends on the number."""


class Custom(NamedTuple):
    """A user's own function: callables of one point x of shape (n,) and of the draw's ``arrays``.

    ``value(x, *arrays)`` returns a float, ``gradient`` shape (n,), ``hessian`` shape (n, n): Euclidean derivatives,
    which ``simcore.backends.custom.evaluate`` makes Riemannian on the ``domain``. ``batch(x, *arrays)``, where there is
    one, gives all three at points x of shape (``BATCH``, n), and is called instead.
    """

    value: Callable[..., Any]
    gradient: Callable[..., Any]
    hessian: Callable[..., Any]
    domain: Domain
    arrays: tuple[Any, ...] = ()
    batch: Callable[..., tuple[Any, Any, Any]] | None = None

    @property
    def dimension(self) -> int:
        """Dimension of the tangent space."""
        return self.domain.dimension
