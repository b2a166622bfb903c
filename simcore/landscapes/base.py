"""What every landscape is: a law over functions, and what one function, a draw, can do.

A landscape knows its law, its coefficients, its domain and its scales. It knows nothing of threads, files or
statistics.
"""

from __future__ import annotations

import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcore.arrays import real_array
from simcore.domains import Domain
from simcore.errors import InputError, unknown_name
from simcore.landscapes.memory import refuse_evaluation

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
LONGEST_SHOWN = 120
"""Characters of a parameter's value that are printed."""


@dataclass(frozen=True)
class Symmetry:
    """A map of the domain onto itself under which a draw's function keeps its value up to a sign.

    f(apply(x)) = sign f(x). With sign -1 an index-k critical point goes to one of index D - k.
    ``apply`` takes and returns points of shape (batch, n) and is an involution.
    """

    name: str
    apply: Callable[[Array], Array]
    sign: int


@dataclass(frozen=True)
class Scales:
    """Lengths and sizes that make a search's limits dimensionless.

    length : correlation length, sqrt(Var f / Var of one gradient component) for a random field.
    gradient : root mean square gradient norm at a typical point; ``tolerance`` is relative to it.
    step_cap : the automatic step cap, a length in x (inf for none); its evidence is in the landscape's docstring.
    region : max |x_i| beyond which a start has left the domain (inf on a compact domain).
    """

    length: float
    gradient: float
    step_cap: float
    region: float


def _settings(landscape: Any) -> list[tuple[str, str]]:
    """Return the fields of a landscape with their values in short: of a long array its shape, of a function its
    name."""
    found = []
    for name, value in ((f.name, getattr(landscape, f.name)) for f in fields(landscape) if f.repr):
        text = getattr(value, "__qualname__", None) or repr(value)
        if len(text) > LONGEST_SHOWN:
            shape = np.shape(value) if isinstance(value, (tuple, list, np.ndarray)) else ()
            text = f"<{' x '.join(map(str, shape))} numbers>" if shape else f"{text[: LONGEST_SHOWN - 3]}..."
        found.append((landscape.arguments.get(name, name), text))
    return found


def _in_short(landscape: Any) -> str:
    """Return Name(field=value, ...) on a few lines at most, whatever arrays the landscape holds."""
    return f"{type(landscape).__name__}({', '.join(f'{name}={text}' for name, text in _settings(landscape))})"


class Landscape(ABC):
    """A law over functions of n variables. Subclasses are frozen dataclasses, validated at construction.

    Everything that the rest of simcore asks of a landscape is declared here: what has no default must be given.
    """

    name: ClassVar[str]
    law: ClassVar[str] = ""
    """One line: the law and its normalisation; where it is empty the docstring's first line serves."""
    arguments: ClassVar[dict[str, str]] = {}
    """Fields whose argument of the constructor has another name: what ``repr`` calls them."""
    start_laws: ClassVar[tuple[str, ...]] = ()
    """Names of the laws of starting points; the first is the default."""
    parameters: ClassVar[tuple[str, ...]] = ()
    """Names that identify the law, in the order of columns."""
    list_depths: ClassVar[Mapping[str, int]] = {}
    """How deeply a parameter's own values are nested in a configuration (0 a number, 1 a list, 2 a matrix), where its
    annotation does not tell."""
    example: ClassVar[Mapping[str, Any]] = {}
    """Parameters of the example configuration, ``simcore landscapes NAME``."""
    example_method: ClassVar[str] = "newton"
    example_draws: ClassVar[int] = 100
    conformance: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Parameters of small instances, which the conformance suite runs over."""
    solver: ClassVar[str] = "newton"
    """What ``method = "auto"`` means here: the ``method`` of a solver."""
    descends: ClassVar[bool] = False
    """Whether an enumeration makes, beside each plain start, one that begins with a few gradient steps."""

    stationary: ClassVar[bool] = False
    """Whether the law is that of a stationary field in R^n, whose points in a ball the ball method counts."""

    n: int

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        if (
            "__repr__" not in cls.__dict__
        ):  # a dataclass keeps a __repr__ that is there; its own would print arrays whole
            cls.__repr__ = _in_short  # type: ignore[method-assign]

    def _repr_html_(self) -> str:
        """Show the law and the parameters in a notebook."""
        law = self.law or (type(self).__doc__ or "").partition("\n")[0]
        rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in _settings(self))
        size = f"<tr><th>variables, dimension</th><td>{self.n}, {self.dimension}</td></tr>"
        return f"<b>{type(self).__name__}</b>: {escape(law)}<table>{rows}{size}</table>"

    # ---- the law -------------------------------------------------------------------------------------------------
    @property
    def dimension(self) -> int:
        """Dimension D of the domain; the index of a critical point runs from 0 to D."""
        return self.domain.dimension

    @property
    @abstractmethod
    def domain(self) -> Domain:
        """Where x lives: ``Torus``, ``Sphere``, ``Space`` or ``Box``."""

    @property
    @abstractmethod
    def scales(self) -> Scales:
        """Lengths and sizes of the search."""

    @property
    def euler_characteristic(self) -> int | None:
        """Sum over critical points of (-1)^index for every draw; None where it is not fixed."""
        return self.domain.euler_characteristic

    @property
    def coercive(self) -> bool:
        """Whether every draw grows in all directions of R^n and its points are counted as classes modulo a finite group
        (``simcore.search.coercive``): sum of (-1)^index * orbit = 1."""
        return False

    @property
    def draws(self) -> int | None:
        """Number of different draws: 1 where nothing is random, None where there are infinitely many."""
        return None

    @property
    def to_be_enumerated(self) -> str:
        """What a list of all critical points needs, in words."""
        return "a domain that is compact or confined"

    @property
    def asymptotic(self) -> bool:
        """Whether ``expected_counts()`` is a limit's law, and ``finite_features=True`` gives this very law's."""
        return False

    def check_drawable(self) -> None:  # noqa: B027 (most laws can be drawn)
        """Raise ``InputError`` where the law is known but its functions are too large to draw."""

    # ---- cost ----------------------------------------------------------------------------------------------------
    @property
    def hessians_held(self) -> float:
        """Matrices of n x n doubles that one thread of a search holds: eight starts at once, Hessian and factors, and
        what certificates and eigenvalues take. Measured on gaussian_field, n = 1500: 20.4."""
        return 20.0

    @property
    def coefficients(self) -> float:
        """About how many multiplications one value of the function takes: the unit of the model of times."""
        return 50.0 * self.n

    @property
    def numbers(self) -> float:
        """About how many random numbers or data one function holds."""
        return self.coefficients

    @property
    def seconds_per_start(self) -> float:
        """Fixed model of a start's time, by which sweeps are cut into shards whatever the machine: 15 Newton steps at
        18 Gflop/s, each a Hessian and its factors, and what a start costs beside."""
        n = float(self.n)
        step = self.coefficients * (4.0 + n) + n**3 / 3 + 2 * n**2
        return 15 * step / 18e9 + 1e-6

    @property
    def starts_to_enumerate(self) -> float:
        """About how many starts an enumeration needs: a dozen for each of about 4^D points."""
        return 12.0 * 4.0 ** min(self.dimension, 60)

    def expected_counts(self, *, finite_features: bool = False) -> pd.DataFrame:
        """Exact law of the critical points (see ``simcore.expected_counts``); ``InputError`` where none is known."""
        raise InputError(f"no exact law is known for {self.name}; simcore theory lists those that have one")

    @abstractmethod
    def draw(self, *, seed: int, draw: int = 0) -> Draw:
        """Return function number ``draw`` of the stream ``seed``; the same pair gives the same bits everywhere."""

    # ---- starts --------------------------------------------------------------------------------------------------
    @abstractmethod
    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        """Return starting points ``first .. first + count - 1`` of a draw, shape (count, n), each a function of
        (seed, draw, its own number, law) alone."""

    def check_start_law(self, law: str | None) -> str:
        """Return the law's name, the default for None; raise ``InputError`` with the choices for an unknown one."""
        if law is None:
            return self.start_laws[0]
        if not isinstance(law, str) or law not in self.start_laws:
            raise unknown_name(f"start law of {self.name}", law, self.start_laws)
        return law

    def sources(self, law: str, first: int, count: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Return the law behind each of the starts first .. first + count - 1: codes (count,) into the names returned.

        A law that mixes several (its docstring says which) names the one that each start came from.
        """
        return np.zeros(count, np.int64), (law,)

    # ---- identity ------------------------------------------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """Return ``{"name": ..., parameter: value, ...}``, JSON-safe; ``registry.from_dict`` undoes it."""
        if self._known_as is not None:
            return dict(self._known_as)
        return {"name": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}  # type: ignore[arg-type]

    _known_as: Mapping[str, Any] | None = None

    def be_known_as(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Take the name and parameters of the factory that made this landscape, in files, columns and streams.

        For ``simcore.register``: called once, before anything has been drawn.
        """
        object.__setattr__(self, "_known_as", {"name": name, **parameters})
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "parameters", tuple(parameters))

    @cached_property
    def identity(self) -> str:
        """Canonical JSON of the law: what separates the random streams of different landscapes."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    def stream(self, purpose: str) -> int:
        """Return the 32-bit counter word of one purpose ("coefficients", "starts", ...) of this landscape.

        Different purposes, and landscapes that differ in any parameter, draw from different streams.
        """
        return zlib.crc32(f"{purpose}:{self.identity}".encode())


class Draw(ABC):
    """One function of a landscape. ``value``, ``gradient`` and ``hessian`` take x of shape (n,) or (batch, n).

    Everything that searches ask of a function is declared here. The four questions about points, x of shape (S, n),
    are put where ``degenerate_by_nature`` is True; elsewhere a null mode is a degeneracy, whatever it comes from.
    """

    landscape: Landscape
    seed: int
    number: int  # which draw
    degenerate_by_nature: ClassVar[bool] = False
    """Whether null modes are to be expected (continuous symmetries, saturation, kinks): searches then decompose every
    Hessian and compare its nullity with what is due at the point."""

    @property
    def scale(self) -> float:
        """Size of this function relative to the landscape's law: gradients and costs are judged relative to it."""
        return 1.0

    @property
    @abstractmethod
    def problem(self) -> Any:
        """Coefficients for a backend (``simcore.backends.problems``)."""

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        """Known symmetries of this very function, without the identity; together with it they form a group."""
        return ()

    def symmetry_dimension(self, x: Array) -> NDArray[np.int64]:
        """Return the dimension of the continuous symmetry's orbit through each point, the nullity due there, (S,)."""
        return np.zeros(len(x), np.int64)

    def saturated(self, x: Array) -> NDArray[np.bool_]:
        """Return whether the function is flat by saturation at each point, (S,): null modes there lead to infinity."""
        return np.zeros(len(x), bool)

    def kinked(self, x: Array) -> NDArray[np.bool_]:
        """Return whether the function has no second derivatives at each point, (S,)."""
        return np.zeros(len(x), bool)

    def canonical(self, x: Array) -> Array:
        """Return one representative of each point's symmetry orbit, shape as x: equal for copies to be merged."""
        return x

    def orbit_size(self, x: Array) -> int:
        """Return how many different images a point, shape (n,), has where ``canonical`` merges them."""
        return 1

    def value(self, x: ArrayLike) -> Any:
        """Return f(x): a float for x of shape (n,), shape (batch,) for (batch, n)."""
        return self._evaluate(x, 0)

    def gradient(self, x: ArrayLike) -> Array:
        """Return the (Riemannian) gradient in ambient coordinates, shape as x."""
        return self._evaluate(x, 1)

    def hessian(self, x: ArrayLike) -> Array:
        """Return the (Riemannian) Hessian in ambient coordinates, shape (n, n) or (batch, n, n)."""
        return self._evaluate(x, 2)

    def _evaluate(self, x: ArrayLike, order: int) -> Any:
        n = self.landscape.n
        points = real_array("x", x, f"give real numbers of shape ({n},) or (batch, {n})")
        if points.ndim not in (1, 2) or points.shape[-1] != n:
            raise InputError(f"x has shape {points.shape}; give shape ({n},) or (batch, {n})")
        refuse_evaluation(self.landscape, points.size // n)
        try:
            result = self._all_orders(np.atleast_2d(points))[order]
        except MemoryError as error:
            refuse_evaluation(self.landscape, points.size // n, error)
        if points.ndim == 2:
            return result
        return float(result[0]) if order == 0 else result[0]

    def _all_orders(self, points: Array) -> tuple[Array, Array, Array]:
        """Return value, gradient and Hessian at points of shape (batch, n): the reference backend's."""
        from simcore.backends import reference

        return reference.evaluate(self.problem, points)

    def __repr__(self) -> str:
        return f"{self.landscape!r}.draw(seed={self.seed}, draw={self.number})"

    def to_dict(self) -> dict[str, Any]:
        """Return the provenance of this function, JSON-safe: its landscape, seed and number."""
        return {"landscape": self.landscape.to_dict(), "seed": self.seed, "draw": self.number}
