"""Backends: the same search on different machinery. ``get`` imports one by name, and nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

from simcore.backends.problems import Array, NewtonOptions, Outcome
from simcore.errors import unknown_name

NAMES = ("cpu", "cuda", "reference")
MEANT = {"gpu": "cuda", "nvidia": "cuda", "device": "cuda", "numba": "cpu", "numpy": "reference", "python": "reference"}
"""Other words for a backend, for messages."""


@runtime_checkable
class Backend(Protocol):
    """What a backend, a module, offers: everything that others call.

    ``problem`` is one of the named tuples of the families (``simcore.backends.families``), points x and starts have
    shape (S, n). Derivatives are ambient and, on the sphere, Riemannian (tangential, embedded in ambient coordinates).
    Row i of a result depends on row i of the input alone. A function that answers None has nothing of its own for that
    problem, and its caller goes the way that is open to every problem, by ``evaluate``.
    """

    NAME: str
    BLOCK: int
    """Starts that a thread should hand over at once at least: enough to keep the machinery busy."""

    def require(self) -> None:
        """Raise a one-line error where this backend can't compute on this machine."""
        ...

    def status(self) -> dict[str, Any]:
        """Return whether it computes here (``available``), and on what."""
        ...

    def evaluate(self, problem: Any, x: Array) -> tuple[Array, Array, Array]:
        """Return value (S,), gradient (S, n) and Hessian (S, n, n); every problem is evaluated."""
        ...

    def newton(self, problem: Any, starts: Array, options: NewtonOptions) -> Outcome:
        """Run capped Newton from each start; every problem is searched, or refused by ``InputError``."""
        ...

    def regularised_newton(self, problem: Any, starts: Array, options: NewtonOptions, length: float) -> Outcome | None:
        """Run regularised Newton from each start; ``length`` is the correlation length."""
        ...

    def levenberg_marquardt(
        self, problem: Any, starts: Array, options: NewtonOptions, rule: tuple[float, ...]
    ) -> Any | None:
        """Walk by Levenberg-Marquardt, or saddle-free Newton where ``rule`` is its, from each start as far as compiled
        code can; see ``simcore.backends.cpu``."""
        ...

    def gaps(self, problem: Any, x: Array) -> Any | None:
        """Return what certificates ask for at x: value, |gradient|, |Hessian|_F, index and a lower bound on the
        smallest |eigenvalue|, all (S,)."""
        ...

    def flow(self, problem: Any, x: Array, way: Array, steps: int, longest: float) -> Array | None:
        """Return where gradient steps lead, down (way -1) or up (way 1, shape (S,)), none longer than ``longest``."""
        ...


def get(name: str) -> Backend:
    """Return the backend of that name, a module; ``InputError`` with the choices for an unknown name."""
    if not isinstance(name, str) or name not in NAMES:
        raise unknown_name("backend", name, NAMES, MEANT)
    return cast("Backend", import_module(f"simcore.backends.{name}"))
