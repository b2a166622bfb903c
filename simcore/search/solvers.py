"""Settings of the solvers: the Python mirror of the ``[solver]`` table of a configuration file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from simcore import steps
from simcore.backends import Backend
from simcore.backends.problems import Array, NewtonOptions, Outcome
from simcore.errors import InputError, unknown_name
from simcore.landscapes.base import Draw, Landscape
from simcore.validate import whole

MOST_ITERATIONS = 2**31 - 1  # rows count them in int32
TILE = 24
"""Starts that the CPU kernel advances together: blocks are multiples of it."""

Walk = Callable[[Any, Array, NewtonOptions, tuple[float, ...]], Outcome | None]
"""A backend's compiled ``levenberg_marquardt``."""


@dataclass(frozen=True, kw_only=True)
class Solver:
    """Settings that all solvers share; see ``Newton``."""

    method: ClassVar[str]
    step_cap: float | str = "auto"
    tolerance: float = 1e-10
    max_iterations: int = 200

    def __post_init__(self) -> None:
        cap = self.step_cap
        if isinstance(cap, str):
            if cap != "auto":
                raise InputError(f"step_cap is {cap!r}; give 'auto' or a positive length")
        elif isinstance(cap, bool) or not isinstance(cap, (int, float)) or not cap > 0:
            raise InputError(f"step_cap is {cap!r}; give 'auto' or a positive length")
        if (
            isinstance(self.tolerance, bool)
            or not isinstance(self.tolerance, (int, float))
            or not 0 < self.tolerance < 1
        ):
            raise InputError(f"tolerance is {self.tolerance!r}; give a number between 0 and 1, such as 1e-10")
        object.__setattr__(self, "max_iterations", whole("max_iterations", self.max_iterations, 1, MOST_ITERATIONS))

    def options(self, landscape: Landscape) -> NewtonOptions:
        """Return the absolute limits for one landscape."""
        scales = landscape.scales
        # On the sphere a Hessian is a difference, Euclidean less radial: where it vanishes, the terms' rounding stays.
        floor = 0.0 if landscape.domain.flat else steps.NULL * scales.gradient / scales.length
        return NewtonOptions(
            step_cap=float(scales.step_cap if self.step_cap == "auto" else self.step_cap),
            gradient_tolerance=self.tolerance * scales.gradient,
            decrement_tolerance=1e-6 * scales.length,
            max_iterations=self.max_iterations,
            region=scales.region,
            zero_tolerance=steps.NULL,
            flat_tolerance=1e-3,
            zero_floor=floor,
        )

    def rule(self, options: NewtonOptions) -> steps.Rule:
        """Return the rule of the searches that decompose every Hessian; here Newton's on all modes that are not null.

        Gradients and Hessians are given to it in a basis of the tangent space.
        """
        return steps.Newton(options.zero_tolerance, options.zero_floor, cap=options.step_cap)

    def compiled(
        self, backend: Backend, draw: Draw, problem: Any, starts: Array, options: NewtonOptions
    ) -> Outcome | None:
        """Return how the backend's own loop for this solver ends from starts (S, n), ``problem`` being the draw's; None
        where it has none."""
        return None

    def walked(self, walk: Walk, problem: Any, starts: Array, options: NewtonOptions) -> Outcome | None:
        """Return as much of the outcome as a compiled walk decides; None for solvers that have none."""
        return None

    def block(self, backend: Backend) -> int:
        """Return how many starts a thread takes at once at least: few, where decomposed Hessians make them dear."""
        return TILE

    def to_dict(self) -> dict[str, Any]:
        """Return the ``[solver]`` table, JSON-safe; ``solver_from_dict`` undoes it."""
        return {"method": self.method, **{k: ("inf" if v == math.inf else v) for k, v in asdict(self).items()}}


@dataclass(frozen=True, kw_only=True)
class Newton(Solver):
    """Newton's method with a cap on the step and no line search: x <- x - min(1, cap/|d|) d, d = H^-1 g.

    The cap keeps a start near home where one soft mode makes the full step long; line searches on |g| are not used,
    since they stop at minima of |g| that are not critical points. It ends at critical points of every index.

    Parameters
    ----------
    step_cap : "auto" or float
        Longest step, a length in x; "auto" is the landscape's measured rule, ``inf`` none.
    tolerance : float
        Between 0 and 1: a point is accepted when its gradient norm is below ``tolerance`` times the landscape's
        gradient scale (and its Newton decrement below 1e-6 correlation lengths).
    max_iterations : int
        At least 1: steps after which a start is given up, and says so.

    Raises ``InputError`` for a value out of range. Source: Newton's method for grad f = 0; on the sphere Absil,
    Mahony & Sepulchre (2008), *Optimization Algorithms on Matrix Manifolds*, chapter 6.
    """

    method: ClassVar[str] = "newton"

    def compiled(
        self, backend: Backend, draw: Draw, problem: Any, starts: Array, options: NewtonOptions
    ) -> Outcome | None:
        return None if draw.degenerate_by_nature else backend.newton(problem, starts, options)

    def block(self, backend: Backend) -> int:
        return max(20 * TILE, backend.BLOCK)  # enough to keep the kernel's tiles full


@dataclass(frozen=True, kw_only=True)
class RegularisedNewton(Solver):
    """Newton's method for sums of waves in many variables: each Hessian serves a regularised step and several chords.

    The step is d = -(H^2 + s^2)^-1 H g with |d| = cap (s = 0 where the Newton step is shorter), with momentum along
    the soft modes; then chord steps with the same factors and new gradients. An iteration is one Hessian. From n = 40
    on it begins with descent without a Hessian, from n = 25 on it sums Hessians in single precision until the gradient
    is small; what a row records is judged in double precision. At n = 50 and 100 it needs a quarter of plain Newton's
    Hessians per critical point (docs/performance.md). The automatic cap is 2.2
    correlation lengths / sqrt(n). For landscapes that are sums of waves, on the backends cpu and reference.

    Parameters and errors as for ``Newton``; ``max_iterations`` counts Hessians. Source: derived and measured here.
    """

    method: ClassVar[str] = "regularised_newton"
    max_iterations: int = 40

    def options(self, landscape: Landscape) -> NewtonOptions:
        """Return the absolute limits for one landscape."""
        options = super().options(landscape)
        if self.step_cap == "auto":
            return options._replace(step_cap=2.2 * landscape.scales.length / math.sqrt(landscape.n))
        return options

    def compiled(
        self, backend: Backend, draw: Draw, problem: Any, starts: Array, options: NewtonOptions
    ) -> Outcome | None:
        found = backend.regularised_newton(problem, starts, options, draw.landscape.scales.length)
        if found is None:
            raise InputError(
                f"solver method {self.method!r} is for sums of waves on the backends cpu and reference; use 'newton' "
                f"for {draw.landscape.name} on {backend.NAME}"
            )
        return found

    def block(self, backend: Backend) -> int:
        return 4 * TILE


@dataclass(frozen=True, kw_only=True)
class Auto(Solver):
    """The landscape's own choice, stated in its docstring under "auto": Newton for random functions.

    Parameters and errors as for ``Newton``; those left at their defaults take the chosen solver's own.
    """

    method: ClassVar[str] = "auto"


@dataclass(frozen=True, kw_only=True)
class PseudoInverseNewton(Solver):
    """Newton's method on the modes that the Hessian can see: d = sum over |w| > cutoff max|w| of (v.g / w) v.

    For functions whose symmetries make critical points non-isolated, such as linear networks.

    Parameters
    ----------
    cutoff : float
        Between 0 and 1: eigenvalues below this fraction of the largest are left out of a step (not of the verdict).
    step_cap, tolerance, max_iterations
        As for ``Newton``; so are the errors.
    """

    method: ClassVar[str] = "pseudo_inverse_newton"
    cutoff: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction("cutoff", self.cutoff)

    def rule(self, options: NewtonOptions) -> steps.Rule:
        return steps.Newton(self.cutoff, options.zero_floor, cap=options.step_cap)


@dataclass(frozen=True, kw_only=True)
class LevenbergMarquardt(Solver):
    """Levenberg-Marquardt on the gradient: d = -H g / (H^2 + mu), mu raised and lowered by the gain in |g|^2.

    It ends at critical points of any index, or at a minimum of |g| that is not critical (a *gradient-flat* point:
    g in the near-kernel of H), where it stops early: after ``patience`` steps in a row with |Hg| < 1e-5 |H| |g|.

    Parameters
    ----------
    damping : float
        Between 0 and 1: the first mu, as a fraction of |H|_F^2.
    patience : int
        At least 1.
    step_cap, tolerance, max_iterations
        As for ``Newton``, but ``step_cap="auto"`` is none; so are the errors.

    Source: Levenberg (1944), Marquardt (1963), applied to the least-squares problem min |grad f|^2.
    """

    method: ClassVar[str] = "levenberg_marquardt"
    damping: float = 1e-4
    patience: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction("damping", self.damping)
        if isinstance(self.patience, bool) or not isinstance(self.patience, int) or self.patience < 1:
            raise InputError(f"patience is {self.patience!r}; give a whole number of at least 1")

    def rule(self, options: NewtonOptions) -> steps.LevenbergMarquardt:
        cap = math.inf if self.step_cap == "auto" else options.step_cap
        return steps.LevenbergMarquardt(self.damping, self.patience, cap, options.gradient_tolerance)

    def walked(self, walk: Walk, problem: Any, starts: Array, options: NewtonOptions) -> Outcome | None:
        rule = self.rule(options)
        return walk(problem, starts, options._replace(step_cap=rule.cap), rule.constants)


@dataclass(frozen=True, kw_only=True)
class SaddleFreeNewton(Solver):
    """Saddle-free Newton: d = -|H|^-1 g, |eigenvalues| raised to ``floor`` times the largest (Dauphin et al. 2014).

    With ``index=k`` the k lowest modes are climbed instead: eigenvector following towards saddles of index k, which
    finds minima and low saddles in many dimensions where plain Newton's starts never end (docs/counting.md). Such hits
    are no counts.

    Parameters
    ----------
    index : int
        At least 0; 0 descends to minima.
    floor : float
        Between 0 and 1.
    step_cap, tolerance, max_iterations
        As for ``Newton``; so are the errors.

    Source: Dauphin et al. (2014); eigenvector following: Cerjan & Miller (1981), Wales (1994).
    """

    method: ClassVar[str] = "saddle_free_newton"
    index: int = 0
    floor: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction("floor", self.floor)
        if isinstance(self.index, bool) or not isinstance(self.index, int) or self.index < 0:
            raise InputError(f"index is {self.index!r}; give a whole number of at least 0")

    def rule(self, options: NewtonOptions) -> steps.SaddleFree:
        return steps.SaddleFree(self.index, self.floor, cap=options.step_cap)

    def walked(self, walk: Walk, problem: Any, starts: Array, options: NewtonOptions) -> Outcome | None:
        return walk(problem, starts, options, self.rule(options).constants)


def _fraction(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise InputError(f"{name} is {value!r}; give a number between 0 and 1")


SOLVERS: dict[str, type[Solver]] = {}
"""The solvers by the ``method`` of a ``[solver]`` table."""


def add(kind: type[Solver]) -> type[Solver]:
    """Make a solver a method of ``[solver]`` tables; return it, so that it serves as a decorator."""
    SOLVERS[kind.method] = kind
    return kind


for _kind in (Auto, Newton, RegularisedNewton, PseudoInverseNewton, LevenbergMarquardt, SaddleFreeNewton):
    add(_kind)


def solver_from_dict(table: dict[str, Any]) -> Solver:
    """Return the solver of a ``[solver]`` table; ``method = "auto"`` (the default) waits for ``resolve``.

    Raises ``InputError`` naming an unknown method or key, with the choices.
    """
    settings = dict(table)
    method = settings.pop("method", "auto")
    if method not in SOLVERS:
        raise unknown_name("solver method", method, SOLVERS)
    kind = SOLVERS[method]
    known = [f.name for f in fields(kind)]
    for key in settings:
        if key not in known:
            raise unknown_name("key of [solver]", key, ["method", *known])
    if settings.get("step_cap") == "inf":
        settings["step_cap"] = math.inf
    return kind(**settings)


def resolve(solver: Solver | None, landscape: Landscape) -> Solver:
    """Return the solver that runs: for None and ``Auto`` it is ``landscape.solver``.

    Settings that differ from ``Auto``'s defaults are handed on; the others take the chosen solver's own defaults.
    """
    if solver is None:
        solver = Auto()
    if isinstance(solver, SaddleFreeNewton) and solver.index > landscape.dimension:
        raise InputError(
            f"index is {solver.index}, but {landscape.name} has {landscape.dimension} dimensions here; give an index "
            f"from 0 to {landscape.dimension}"
        )
    if not isinstance(solver, Auto):
        return solver
    kind = SOLVERS[landscape.solver]
    return kind(**{f.name: getattr(solver, f.name) for f in fields(Auto) if getattr(solver, f.name) != f.default})
