"""Which proof a function has, when it is cheap, and what it found.

``automatic`` is the table of ``docs/proof.md``: where a proof is faster than the search that it replaces, or adds
little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Spin
from simcore.proof.bezout import Cubic, Map
from simcore.proof.eigen import eigenvectors

Array = NDArray[np.float64]

LARGEST_CUBIC = 22
"""Spins up to which paths of the 3-spin homotopy are followed at all: memory doubles with each, 1 GB at 20."""
CHEAP_CUBIC = 14
"""Spins up to which the 3-spin proof is cheaper than the search without one."""


@dataclass(frozen=True)
class Proof:
    """What an attempt at a proof found.

    method : "bezout", "eigenvectors", "exclusion".
    bound : most isolated zeros (or eigenvectors, or boxes with a point) there can be.
    certified : how many were certified.
    work : paths followed, or boxes examined.
    retracked : paths followed more than once.
    proved : whether nothing can be missing.
    x : (K, n), the critical points, one of each pair x, -x.
    """

    method: str
    bound: int
    certified: int
    work: int
    retracked: int
    proved: bool
    x: Array

    def mapping(self) -> dict[str, Any]:
        """Return the audit's entry ``proof``."""
        work = "boxes" if self.method == "exclusion" else "paths"
        return {
            "method": self.method,
            "bound": self.bound,
            "certified": self.certified,
            work: self.work,
            "retracked": self.retracked,
        }


def method(problem: Any) -> str | None:
    """Return the method that can prove a problem's list of critical points complete; None where there is none."""
    if type(problem) is Spin:
        if problem.p == 2:
            return "eigenvectors"
        if problem.p == 3 and problem.n <= LARGEST_CUBIC:
            return "bezout"
    return None


def automatic(problem: Any) -> bool:
    """Whether ``prove="auto"`` asks for a proof."""
    found = method(problem)
    return found == "eigenvectors" or (found == "bezout" and problem.n <= CHEAP_CUBIC)


def on_the_sphere(problem: Spin, mapped: Map | None = None) -> Proof | None:
    """Prove a homogeneous polynomial's list by ``eigenvectors`` or ``bezout``; None where it is no polynomial at
    all."""
    root = np.sqrt(problem.n)
    if not (np.isfinite(problem.coefficients).all() and problem.coefficients.any()):
        return None
    if problem.p == 2:
        vectors, _, alone = eigenvectors(problem)
        return Proof("eigenvectors", problem.n, alone, 0, 0, alone == problem.n, root * vectors)
    count = Cubic(problem, mapped=mapped).run()
    x = root * count.real / np.linalg.norm(count.real, axis=1, keepdims=True)
    return Proof("bezout", count.bound, count.certified, count.paths, count.retracked, count.proved, x)
