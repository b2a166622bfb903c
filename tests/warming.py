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


def _networks() -> None:
    import simcore
    from simcore.landscapes import registry

    table = registry.get_class("mlp").conformance[0]
    landscape = registry.from_dict({"name": "mlp", **table})
    simcore.find_critical_points(landscape, starts=2)
    simcore.trajectory(landscape, method="gradient_descent", step_size=0.1, steps=1, starts=2)


def _search(landscape: str, *sizes: int) -> None:
    import simcore

    simcore.find_critical_points(getattr(simcore, landscape)(*sizes), starts=2)


def _proof(landscape: str, *sizes: int) -> None:
    import simcore

    simcore.enumerate_critical_points(getattr(simcore, landscape)(*sizes), starts=64, prove=True)


def _counts(landscape: str, *sizes: int) -> None:
    import simcore

    simcore.estimate_counts(getattr(simcore, landscape)(*sizes), moves=64, walkers=2)


JOBS: dict[str, Callable[[], None]] = {
    "networks": _networks,
    "waves": lambda: _search("TorusField", 2),
    "spins": lambda: _search("SphericalSpin", 4, 3),
    "counts of waves": lambda: _counts("TorusField", 2),
    "proofs of spins": lambda: _proof("SphericalSpin", 4, 3),
    "counts of spins": lambda: _counts("SphericalSpin", 4, 3),
    "proofs of waves": lambda: _proof("TorusField", 2),
}
"""In the order in which they are claimed: what others build upon before these, the longest first."""


def warm(claims: Path) -> None:
    """Do the jobs that no other process has claimed in a directory."""
    for name, job in JOBS.items():
        with contextlib.suppress(FileExistsError):
            (claims / f"warmed {name}").touch(exist_ok=False)
            with contextlib.suppress(Exception):  # what fails here fails in a test, which says why
                job()
