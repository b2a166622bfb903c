"""Kernels that many tests need, compiled once for all processes of a parallel run.

The processes of pytest-xdist begin together on an empty cache, and each would compile the same kernels, which is most
of what the tests cost. So before the first test they share out the jobs below: a job belongs to the process that is
first to claim its name. xdist hands out tests when all processes have collected, so each finds the others' kernels in
the cache of compiled code.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

WORTH_IT = 1000
"""Tests from which on a run needs nearly all kernels."""


def _search(name: str, **parameters: object) -> None:
    import simcore
    from simcore.landscapes import registry

    simcore.find_critical_points(registry.from_dict({"name": name, **parameters}), draws=1, starts=2)


def _network(name: str) -> None:
    from simcore.landscapes import registry

    _search(name, **registry.get_class(name).conformance[0])


def _enumeration(landscape: str, *sizes: int) -> None:
    import simcore

    simcore.enumerate_critical_points(getattr(simcore, landscape)(*sizes), starts=64, prove=True)


def _counts(landscape: str, *sizes: int) -> None:
    import simcore

    simcore.estimate_counts(getattr(simcore, landscape)(*sizes), moves=64, walkers=2)


JOBS: dict[str, Callable[[], None]] = {
    "waves": lambda: _search("torus_field", n=2),
    "spins": lambda: _search("spherical_spin", n=4, p=3),
    "perceptron": lambda: _network("mlp"),
    "convolution": lambda: _network("convolutional_network"),
    "spins proved": lambda: _enumeration("SphericalSpin", 4, 3),
    "waves proved": lambda: _enumeration("TorusField", 2),
    "spins counted": lambda: _counts("SphericalSpin", 4, 3),
    "waves counted": lambda: _counts("TorusField", 2),
}
"""In the order in which they are claimed: what others build upon first, then the longest."""


def warm(claims: Path) -> None:
    """Do the jobs that no other process has claimed in a directory."""
    for name, job in JOBS.items():
        with contextlib.suppress(FileExistsError):
            (claims / f"warmed {name}").touch(exist_ok=False)
            with contextlib.suppress(Exception):  # what fails here fails in a test, which says why
                job()
