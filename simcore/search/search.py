"""The one record of a search: made and checked once at the surface, and carried from there to the kernel."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any

from simcore import backends
from simcore.backends import Backend
from simcore.backends.problems import NewtonOptions
from simcore.errors import InputError, instance_wanted
from simcore.info import usable_processors
from simcore.landscapes.base import Draw, Landscape
from simcore.landscapes.memory import require_memory
from simcore.search.solvers import Newton, RegularisedNewton, Solver, resolve
from simcore.validate import COUNTERS, MOST_THREADS, SEEDS, whole


@dataclass(frozen=True)
class Search:
    """How draws of one landscape are searched, and what is wanted of them; ``Search.of`` makes and checks it.

    solver, options : the solver that runs, never ``Auto``, and its limits on this landscape.
    start_law : as given; ``law`` is the name of the law that it means.
    positions, spectrum : whether rows get the columns ``x`` and ``eigenvalues``.
    threads : at least 1; rows do not depend on it.
    """

    landscape: Landscape
    seed: int
    solver: Solver
    options: NewtonOptions
    backend: Backend
    start_law: str | None
    positions: bool
    spectrum: bool
    threads: int

    @classmethod
    def of(
        cls,
        landscape: Landscape,
        *,
        seed: int | None = None,
        solver: Solver | None = None,
        backend: str = "cpu",
        start_law: str | None = None,
        positions: bool = False,
        spectrum: bool = False,
        threads: int | None = None,
    ) -> Search:
        """Check what all searches share; ``InputError`` names what is wrong with the first bad argument."""
        if solver is not None and not isinstance(solver, Solver):
            raise instance_wanted("solver", solver, "simcore.Newton(tolerance=1e-10)")
        require_memory(landscape)
        engine = backends.get(backend)
        chosen = resolve(solver, landscape)
        if backend == "cuda" and isinstance(chosen, RegularisedNewton) and chosen is not solver:
            chosen = Newton(**{f.name: getattr(solver, f.name) for f in fields(Newton)} if solver is not None else {})
        landscape.check_start_law(start_law)
        return cls(
            landscape,
            whole("seed", 0 if seed is None else seed, 0, SEEDS - 1),
            chosen,
            chosen.options(landscape),
            engine,
            start_law,
            positions,
            spectrum,
            thread_count(threads),
        )

    @property
    def law(self) -> str:
        """Name of the law of starts: the landscape's first where none was given."""
        return self.landscape.check_start_law(self.start_law)

    @property
    def block(self) -> int:
        """Starts that a thread takes at once at least: a few tiles of the CPU's, or what the backend states."""
        return self.backend.BLOCK


def split_target(
    target: Landscape | Draw, seed: int | None, **draw_arguments: Any
) -> tuple[Landscape, Draw | None, int | None]:
    """Return (landscape, draw or None, seed) of what a user gave.

    A draw is searched from starts of its own seed unless another is given; it refuses the arguments that choose draws.
    """
    if isinstance(target, Landscape):
        return target, None, seed
    if not isinstance(target, Draw):
        example = f"{target.__name__}(...)" if isinstance(target, type) else "a landscape or one of its draws"
        raise instance_wanted("the target", target, example)
    for name, value in draw_arguments.items():
        if value is not None:
            raise InputError(f"{name}={value!r} was given together with one draw; leave it out, or give the landscape")
    return target.landscape, target, target.seed if seed is None else seed


def check_draws(landscape: Landscape, first: int, draws: int, name: str = "first draw") -> tuple[int, int]:
    """Return (first, draws) after checking that the landscape has such draws; ``name`` is what ``first`` is called."""
    first = whole(name, first, 0, COUNTERS - 1)
    limit = COUNTERS if landscape.draws is None else landscape.draws
    draws = whole("draws", draws, 1)
    if first + draws > limit:
        raise InputError(
            f"draws {first} to {first + draws - 1} were asked for; {landscape.name} has draws 0 to {limit - 1}"
        )
    return first, draws


def thread_count(threads: int | None) -> int:
    """Return the number of threads: the one given, else NUMBA_NUM_THREADS, else the processors this process may use."""
    if threads is not None:
        return whole("threads", threads, 1, MOST_THREADS)
    named = os.environ.get("NUMBA_NUM_THREADS", "")
    if named.isdigit() and int(named) > 0:
        return int(named)
    return usable_processors()
