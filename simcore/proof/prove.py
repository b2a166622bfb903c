"""Which proof a function has, when it is cheap, and what it found.

``automatic`` is the table of ``docs/proof.md``: where a proof is faster than the search that it replaces, or adds
little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Spin, Waves
from simcore.proof.bezout import Homotopy, Map
from simcore.proof.boxes import prove_by_boxes, work
from simcore.proof.eigen import eigenvectors
from simcore.proof.kushnirenko import TorusHomotopy, solvable

Array = NDArray[np.float64]

LARGEST = (math.log(3**11 / 2), 22 * math.log(2))
"""Logarithm of the number of classes up to which paths are followed at all, p > 3 and p = 3: n = 22 for p = 3 (memory
doubles with each, 1 GB at 20), n = 11 for p = 4."""
CHEAP = (math.log(3**8 / 2), 14 * math.log(2))
"""That up to which the proof is cheaper than the search without one, or nearly so: n = 14 for p = 3, n = 8 for p =
4."""


MOST_COORDINATES = 5
"""Coordinates up to which boxes are tried: millions of them on a torus with n = 5."""
FOLLOWED = (5, 6)
"""Dimensions of the torus in which paths are followed instead: 2,976 and 23,040."""
CHEAP_WORK, MOST_WORK = 1e6, 1e9
"""``boxes.work`` up to which boxes are cheap whatever the number of waves (random frequencies with n = 1, or few
features), and up to which they are tried at all."""
FEW_WAVES = 64
"""Waves up to which confined fields to n = 3 are always tried: the isotropic sets have 1, 4 and 9."""
CHEAP_BOXES, MOST_BOXES = 1_000_000, 40_000_000
"""Boxes after which an attempt is given up."""


@dataclass(frozen=True)
class Proof:
    """What an attempt at a proof found.

    method : "bezout", "eigenvectors", "exclusion", "kushnirenko".
    bound : most isolated zeros (or eigenvectors, or boxes with a point) there can be.
    certified : how many were certified.
    work : paths followed, or boxes examined.
    retracked : paths followed more than once.
    proved : whether nothing can be missing.
    x : (K, n), the critical points, on the sphere one of each pair x, -x.
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


def log_classes(problem: Spin) -> float:
    """Return a little more than the logarithm of the number of paths, ((p-1)^n - 1)/(p-2)."""
    return problem.n * math.log(problem.p - 1) - math.log(problem.p - 2)


def method(problem: Any) -> str | None:
    """Return the method that can prove a problem's list of critical points complete; None where there is none."""
    if type(problem) is Spin:
        if problem.p == 2:
            return "eigenvectors"
        if log_classes(problem) <= LARGEST[problem.p == 3]:
            return "bezout"
    torus = type(problem) is Waves and problem.period == 2 * np.pi and problem.confinement == 0.0
    if torus and problem.dimension in FOLLOWED and solvable(problem.frequencies):
        return "kushnirenko"
    bounded = type(problem) is Waves and (problem.period > 0.0 or problem.confinement > 0.0)
    if bounded and problem.dimension <= MOST_COORDINATES and work(problem) <= MOST_WORK:
        return "exclusion"
    return None


def automatic(problem: Any) -> bool:
    """Whether ``prove="auto"`` asks for a proof."""
    found = method(problem)
    if found == "exclusion":
        if problem.period > 0.0:
            return problem.dimension <= 4
        return problem.dimension <= 3 and (len(problem.cosine) <= FEW_WAVES or work(problem) <= CHEAP_WORK)
    return found == "eigenvectors" or (found == "bezout" and log_classes(problem) <= CHEAP[problem.p == 3])


def on_the_sphere(problem: Spin, mapped: Map | None = None) -> Proof | None:
    """Prove a homogeneous polynomial's list by ``eigenvectors`` or ``bezout``; None where it is no polynomial at
    all."""
    root = np.sqrt(problem.n)
    if not (np.isfinite(problem.coefficients).all() and problem.coefficients.any()):
        return None
    if problem.p == 2:
        vectors, _, alone = eigenvectors(problem)
        return Proof("eigenvectors", problem.n, alone, 0, 0, alone == problem.n, root * vectors)
    count = Homotopy(problem, mapped=mapped).run()
    x = root * count.real / np.linalg.norm(count.real, axis=1, keepdims=True)
    return Proof("bezout", count.bound, count.certified, count.paths, count.retracked, count.proved, x)


def on_the_torus(problem: Waves, mapped: Map | None = None) -> Proof | None:
    """Prove the list of a sum of waves on the torus by ``kushnirenko``; None where it has no finite amplitudes."""
    amplitudes = np.concatenate([problem.cosine, problem.sine])
    if not (np.isfinite(amplitudes).all() and amplitudes.any()):
        return None
    count = TorusHomotopy(problem, mapped=mapped).run()
    return Proof("kushnirenko", count.bound, count.certified, count.paths, count.retracked, count.proved, count.real)


def by_exclusion(problem: Waves, known: Array, near: Array, mapped: Map | None = None) -> Proof:
    """Prove by boxes that certified points ``known`` (K, n), each within ``near`` of its critical point, are all."""
    most = CHEAP_BOXES if automatic(problem) else MOST_BOXES
    certified = int(np.isfinite(near).sum())
    if certified < len(near):
        return Proof("exclusion", len(near), certified, 0, 0, False, known)
    proved, boxes = prove_by_boxes(problem, known, near, most, mapped)
    return Proof("exclusion", len(near), certified, boxes, 0, proved, known)
