"""``simcore bench enumerate``: all critical points of one function, by the audited multi-start search; ``simcore bench
prove``: the same with a proof.

A run enumerates several draws of a compact landscape; the figure is the median over draws of the wall time of one. No
useful flops are defined: what is needed is the points. With ``--peers`` PHCpack (the Debian package ``phcpack``), where
it is installed, solves the polynomial system of the first draw of a spin model by homotopy continuation.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import tempfile
from functools import partial
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np

from simcore.backends.problems import Spin
from simcore.benchmarks.first_call import compile_seconds
from simcore.benchmarks.settings import Settings
from simcore.benchmarks.timing import clock_of, confined_to, seconds

SEED = 1
DRAWS_A_REPEAT = 4
PATIENCE = 1800  # seconds for PHCpack


def measure(settings: Settings) -> dict[str, Any]:
    """Return the measurement as a JSON-safe mapping."""
    from simcore.landscapes import registry
    from simcore.search.enumerate import enumerate_critical_points

    table = settings.table("spherical_spin", 8)
    landscape = registry.from_dict(table)
    clock = clock_of(settings.threads)
    audits: list[dict[str, Any]] = []

    def enumerate_one(draw: int) -> None:
        result = enumerate_critical_points(
            landscape, draw=draw, seed=SEED, backend=settings.backend, threads=settings.threads, prove=False
        )
        audits.append(result.audit)

    with confined_to(settings.threads):
        enumerate_one(0)  # compiles, or loads what is compiled
        audits.clear()
        times = [seconds(partial(enumerate_one, draw), clock) for draw in range(DRAWS_A_REPEAT * settings.repeats)]
        found = [int(audit["distinct"]) for audit in audits]
        complete = sum(bool(audit["complete"]) for audit in audits)
        first = statistics.median(seconds(partial(enumerate_one, 0), clock) for _ in range(settings.repeats))
    median = statistics.median(times)
    result: dict[str, Any] = {
        "case": "enumerate",
        **{key if key != "name" else "landscape": value for key, value in table.items()},
        "threads": settings.threads,
        "backend": settings.backend,
        "draws": len(times),
        "complete": complete,
        "ms_per_draw": median * 1e3,
        "ms_low": min(times) * 1e3,
        "ms_high": max(times) * 1e3,
        "critical_points": sum(found),
        "points_per_second": sum(found) / sum(times),
        "compile_seconds": compile_seconds(table, settings.backend),
    }
    if settings.peers:
        problem = landscape.draw(seed=SEED, draw=0).problem
        result["peers"], result["not_installed"] = _phcpack(problem, first, found[0])
    return result


def proof(settings: Settings) -> dict[str, Any]:
    """Return the measurement of ``bench prove``: whole calls without ordinary starts, and the search beside them.

    Every draw is listed twice, one after the other: with a proof (``starts=0, prove=True``) and by the search without
    one (``prove=False``). Both figures are medians over draws, and so is their ratio.
    """
    from simcore.landscapes import registry
    from simcore.search.enumerate import enumerate_critical_points

    table = settings.table("spherical_spin", 8)
    landscape = registry.from_dict(table)
    clock = clock_of(settings.threads)
    common: dict[str, Any] = {"seed": SEED, "backend": settings.backend, "threads": settings.threads}
    audits: list[dict[str, Any]] = []

    def listed(draw: int, **options: Any) -> None:
        audits.append(enumerate_critical_points(landscape, draw=draw, **common, **options).audit)

    ours, others = [], []
    with confined_to(settings.threads):
        listed(0, prove=True, starts=0)
        listed(0, prove=False)
        audits.clear()
        for draw in range(DRAWS_A_REPEAT * settings.repeats):
            ours.append(seconds(partial(listed, draw, prove=True, starts=0), clock))
            others.append(seconds(partial(listed, draw, prove=False), clock))
        proofs, searches = audits[::2], audits[1::2]
        again = [seconds(partial(listed, 0, prove=True, starts=0), clock) for _ in range(settings.repeats)]
    result: dict[str, Any] = {
        "case": "prove",
        **{key if key != "name" else "landscape": value for key, value in table.items()},
        "threads": settings.threads,
        "backend": settings.backend,
        "draws": len(ours),
        "proved": sum(bool(audit["proved"]) for audit in proofs),
        "same_number": sum(a["distinct"] == b["distinct"] for a, b in zip(proofs, searches, strict=True)),
        "method": (proofs[0]["proof"] or {}).get("method"),
        "bound": (proofs[0]["proof"] or {}).get("bound"),
        "retracked": sum((audit["proof"] or {}).get("retracked", 0) for audit in proofs),
        "ms_per_draw": statistics.median(ours) * 1e3,
        "ms_low": min(ours) * 1e3,
        "ms_high": max(ours) * 1e3,
        "search_ms_per_draw": statistics.median(others) * 1e3,
        "faster_than_search": statistics.median(b / a for a, b in zip(ours, others, strict=True)),
        "critical_points": sum(int(audit["distinct"]) for audit in proofs),
    }
    if settings.peers:
        problem = landscape.draw(seed=SEED, draw=0).problem
        result["peers"], result["not_installed"] = _phcpack(
            problem, statistics.median(again), int(proofs[0]["distinct"])
        )
    return result


def _phcpack(problem: Any, ours: float, distinct: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Return PHCpack's time for one draw and the ratio to ours, or its name among what is not installed."""
    if not isinstance(problem, Spin):
        return [], []
    if shutil.which("phc") is None:
        return [], ["phcpack"]
    with tempfile.TemporaryDirectory() as folder:
        system, answer = Path(folder) / "system", Path(folder) / "answer"
        system.write_text(polynomial_system(problem))
        command = ["phc", "-b", str(system), str(answer)]
        before = _processor_seconds_of_children()
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return [{"name": "phcpack", "gave_up_after_seconds": PATIENCE, "ratio": None}], []
        elapsed = _processor_seconds_of_children() - before
        real = 2 * real_solutions(answer.read_text()) if problem.p % 2 else real_solutions(answer.read_text())
    row = {
        "name": "phcpack",
        "seconds": elapsed,
        "points": real,
        "same_number": real == distinct,
        "ratio": elapsed / ours,
    }
    return [row], []


def _processor_seconds_of_children() -> float:
    """Return the processor time of all finished child processes: PHCpack runs on one thread."""
    times = os.times()
    return times.children_user + times.children_system


def polynomial_system(problem: Spin) -> str:
    """Return grad f = x in PHCpack's notation: n equations of degree p - 1, one solution a critical point.

    For degree p a critical point x on the sphere with multiplier mu = g.x/n gives the solution y = mu^{-1/(p-2)} x of
    grad f(y) = y; with p odd x and -x give the same y, so that the real solutions y != 0 are half the critical points.
    """
    n, p = problem.n, problem.p
    terms: list[list[str]] = [[] for _ in range(n)]
    for places, coefficient in zip(combinations_with_replacement(range(n), p), problem.coefficients, strict=True):
        powers = np.bincount(places, minlength=n)
        for i in np.flatnonzero(powers):
            reduced = powers.copy()
            reduced[i] -= 1
            monomial = "*".join(f"x{j}^{reduced[j]}" for j in np.flatnonzero(reduced))
            terms[i].append(f"{coefficient * powers[i]:+.17e}*{monomial}")
    return f"{n}\n" + "".join(f"{' '.join(terms[i])} - x{i};\n" for i in range(n))


def real_solutions(answer: str) -> int:
    """Return how many solutions in PHCpack's answer are real and not zero."""
    number = r"[-+]?\d\.\d+E[-+]\d+"
    block = re.compile(rf"^\s*x\d+\s*:\s*({number})\s+({number})\s*$", re.MULTILINE)
    solutions = re.split(r"^solution \d+", answer.partition("THE SOLUTIONS")[2], flags=re.MULTILINE)[1:]
    count = 0
    for solution in solutions:
        values = np.array([[float(re_), float(im)] for re_, im in block.findall(solution)])
        if len(values) and np.abs(values[:, 1]).max() < 1e-8 and np.abs(values[:, 0]).max() > 1e-8:
            count += 1
    return count
