"""An enumeration whose points come with a proof that there are no others (``simcore.proof``).

The points are a homotopy's, and ordinary starts, where asked for, only measure how often Newton's method ends at each;
or they are a search's, and boxes exclude all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Spin, Waves
from simcore.errors import InputError
from simcore.formulas.outcome import STATUSES
from simcore.landscapes.base import Draw, Landscape
from simcore.progress import current
from simcore.proof import prove as proofs
from simcore.proof.paths import check_paths
from simcore.search.audit import chao1, coverage, euler_sum
from simcore.search.certify import certify, derivatives_at
from simcore.search.frames import polished
from simcore.search.points import Points
from simcore.search.rounds import AT_ONCE, block
from simcore.search.target import Target, Workers

Array = NDArray[np.float64]

MANY = 1e6
"""Coefficients up to which a function is drawn to see what it allows."""


def check_prove(prove: bool | str) -> bool | str:
    """Return ``prove`` after checking that it is True, False or "auto"."""
    if prove is True or prove is False or (isinstance(prove, str) and prove == "auto"):
        return prove
    raise InputError(f"prove is {prove!r}; give True, False or 'auto'")


def wanted(draw: Draw, prove: bool | str, starts: int) -> bool:
    """Whether a proof is to be tried; ``InputError`` where one is asked for and no method exists, and where there are
    neither starts nor a proof. A draw whose critical points are by its own word not all isolated has none."""
    problem, name = draw.problem, draw.landscape.name
    found = None if draw.degenerate_by_nature else proofs.method(problem)
    if prove is True and found is None:
        raise InputError(
            f"prove is True, but no method proves a list of {name} with these parameters complete (docs/proof.md has "
            "the table); use prove='auto'"
        )
    tried = found is not None and (prove is True or (prove == "auto" and proofs.automatic(problem)))
    if starts == 0 and not tried:
        remedy = " or prove=True" if found is not None else ""
        raise InputError(
            f"starts is 0, but without a proof the list of {name} with these parameters comes from starts; give at "
            f"least 1{remedy}"
        )
    return tried


def check_asked(landscape: Landscape, search: Mapping[str, Any]) -> None:
    """Refuse a table [search] that asks for a proof, or for paths, where there are none; of a function of many
    coefficients, which would have to be drawn for it, its first shard will."""
    proof = search["method"] == "enumerate" and (search["prove"] is True or search["starts"] == 0)
    if not (proof or search["method"] == "paths") or landscape.coefficients > MANY:
        return
    draw = landscape.draw(seed=0, draw=0)
    try:
        if proof:
            wanted(draw, search["prove"], search["starts"])
        else:
            check_paths(draw)
    except InputError as error:
        text = str(error).replace("is True", "is true").replace("=True", " = true").replace("='auto'", ' = "auto"')
        raise InputError(f"search.{text}" if proof else f"search.method: {text}") from None


def follows(target: Target) -> bool:
    """Whether the draw's points come from paths of a homotopy (or an eigensolver), in place of a search."""
    return proofs.method(target.problem) != "exclusion"


def proved_points(target: Target, workers: Workers) -> tuple[Points | None, proofs.Proof | None]:
    """Return the points that a homotopy finds with their proof; no points where the proof fails."""
    problem = target.problem
    if not isinstance(problem, Spin | Waves):
        return None, None
    current().say("following the paths of the homotopy")
    if isinstance(problem, Spin):
        proof = proofs.on_the_sphere(problem, workers.map)
    else:
        proof = proofs.on_the_torus(problem, workers.map)
    if proof is None or not proof.proved:
        return None, proof
    x = proof.x
    at = derivatives_at(target, x)
    index = np.asarray(at.negative, np.int64)
    order = np.argsort(at.value, kind="stable")
    x, value, index = x[order], at.value[order], index[order]
    orbit = np.arange(len(x))
    if isinstance(problem, Spin):
        sign, dimension = 1 if problem.p % 2 == 0 else -1, target.search.landscape.dimension
        x, value, orbit = np.concatenate([x, -x]), np.concatenate([value, sign * value]), np.tile(orbit, 2)
        index = np.concatenate([index, index if sign > 0 else dimension - index])
    points = Points(target, workers)
    return (points if points.add_known(x, index, value, orbit) else None), proof


def by_exclusion(target: Target, points: Points, workers: Workers) -> proofs.Proof:
    """Try to prove by boxes that the points found are all critical points of a sum of waves."""
    assert isinstance(target.problem, Waves)
    x = polished(target, points.table.x)
    certificate = certify(target, x, points.table.index)
    current().say(f"{len(x):,} points; excluding all others by boxes")
    return proofs.by_exclusion(target.problem, x, certificate.existence, workers.map)


def count_hits(target: Target, points: Points, starts: int, workers: Workers) -> bool:
    """Search from ordinary starts 0 .. starts - 1 and count where they end; return whether all ends were known."""
    before = len(points)
    for begin in range(0, starts, AT_ONCE):
        many = min(AT_ONCE, starts - begin)
        outcome = workers.outcomes(partial(block, target.ordinary, begin), many, target.search.block)
        points.add_ordinary(outcome, begin)
    return len(points) == before


def audit(
    points: Points, proof: proofs.Proof, starts: int, certified: NDArray[np.bool_], euler: int | None
) -> dict[str, Any]:
    """Return the audit of a proved enumeration, with the keys of every other one."""
    leaders = points.orbit == np.arange(len(points))
    hits = np.bincount(points.orbit, weights=points.hits, minlength=len(points)).astype(np.int64)[leaders]
    return {
        "distinct": len(points),
        "orbits": len(hits),
        "starts": starts,
        "descended_starts": 0,
        "singletons": int((hits == 1).sum()),
        "least_hits": int(hits.min()) if len(hits) else 0,
        "coverage": coverage(hits),
        "chao1": chao1(hits),
        "complete": True,
        "proved": True,
        "proof": proof.mapping(),
        "certified_fraction": float(certified.mean()) if len(certified) else float("nan"),
        "targeted_starts": 0,
        "targeted_points": 0,
        "rounds": 1 if starts else 0,
        "broken_images": points.broken,
        **{name: int(count) for name, count in zip(STATUSES, points.statuses, strict=True)},
        "saturation": [[starts, int((hits > 0).sum())]] if starts else [],
        "euler_sum": euler_sum(points.table.index),
        "euler_expected": euler,
    }
