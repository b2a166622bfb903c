"""``simcore bench network``: the step of the search that networks get, and their derivatives.

A step is a trial of Levenberg-Marquardt, accepted or refused: the Hessian and its reduction at a new point, the trial's
gradients. It is timed in ``simcore.search.dense.search``, which every search of a network calls, with tolerances of
0, so that no start ends early. Apart stands ``us_per_hessian``: value, gradient and Hessian of one start by
``backend.evaluate``, of which the useful flops are counted (``flops.network_hessian``), so many starts a call as have
8 MB of Hessians: more would time the system, which hands fresh memory to each call. ``points_per_second`` is the whole
search, from starts to outcomes: starts that ended at a critical point, by the second. A peer has found a point
where simcore's verdict on its end is ``critical`` too.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from simcore import backends
from simcore.benchmarks import flops, peers
from simcore.benchmarks.ceiling import Ceiling
from simcore.benchmarks.first_call import compile_seconds
from simcore.benchmarks.newton import Contest, microseconds
from simcore.benchmarks.settings import Settings
from simcore.benchmarks.timing import alternate, amount_for, clock_of, confined_to
from simcore.formulas.outcome import CRITICAL
from simcore.search import dense
from simcore.search.solvers import LevenbergMarquardt

SEED = 1
STEPS = 20  # trials a start in the timed walk
TARGET = 0.4  # seconds a timed run
LONGEST_SEARCH = 6.0
LEAST, MOST = 8, 960
ENTRIES = 2**20  # of Hessians a call


def measure(settings: Settings) -> dict[str, Any]:
    """Return the measurement as a JSON-safe mapping with the fields of PRODUCT's ``bench``."""
    from simcore.landscapes import registry
    from simcore.search.search import Search
    from simcore.search.target import Target

    table = settings.network()
    landscape = registry.from_dict(table)
    backend, threads = backends.get(settings.backend), settings.threads
    clock = time.perf_counter if settings.backend == "cuda" else clock_of(threads)
    draw = landscape.draw(seed=SEED, draw=0)
    problem, pool_of_starts = draw.problem, landscape.starts(seed=SEED, draw=0, first=0, count=MOST)
    solver = LevenbergMarquardt(max_iterations=STEPS, patience=10**6)
    endless = solver.options(landscape)._replace(gradient_tolerance=0.0, decrement_tolerance=0.0, region=math.inf)
    walk = backend.levenberg_marquardt
    target = Target.of(Search.of(landscape, seed=SEED, backend=settings.backend), draw)
    ended: list[Any] = []

    with confined_to(threads), ThreadPoolExecutor(threads) as pool:

        def parts(count: int) -> list[Any]:
            share = -(-count // threads // LEAST) * LEAST if count >= LEAST * threads else max(1, count // threads)
            return [pool_of_starts[i : min(i + share, count)] for i in range(0, count, share)]

        def trials(count: int) -> int:
            """Make all trials from the first ``count`` starts and return how many that were."""
            step = lambda part: dense.search(draw, part, solver, target.evaluate, endless, walk)  # noqa: E731
            return sum(int(outcome.iterations.sum()) for outcome in pool.map(step, parts(count)))

        together = min(MOST, max(1, ENTRIES // landscape.n**2 // (LEAST * threads)) * LEAST * threads)

        def hessians(count: int) -> None:
            for _ in range(count // together):
                list(pool.map(lambda part: backend.evaluate(problem, part), parts(together)))

        def search(count: int) -> None:
            ended[:] = [outcome.status for outcome in pool.map(target.newton, parts(count))]

        def critical(ends: np.ndarray) -> int:
            """Return at how many of a peer's ends simcore's own verdict is ``critical``."""
            there = target.search.options._replace(max_iterations=0)
            ends = ends[np.isfinite(ends).all(axis=1)]
            return int((dense.search(draw, ends, solver, target.evaluate, there).status == CRITICAL).sum())

        for call in (trials, search):
            call(LEAST * threads)  # compiles, or loads what is compiled
        hessians(together)
        walked = amount_for(trials, LEAST * threads, TARGET, MOST, clock)
        evaluated = amount_for(hessians, together, TARGET, 100 * MOST, clock)
        searched = amount_for(search, LEAST * threads, LONGEST_SEARCH, MOST, clock)
        made = trials(walked)
        calls: dict[str, Any] = {
            "trials": lambda: trials(walked),
            "hessians": lambda: hessians(evaluated),
            "search": lambda: search(searched),
        }
        contest = None
        if settings.peers:
            given = peers.Problem(problem, pool_of_starts[:searched], math.inf)
            contest = Contest(given, threads, False, critical)
            contest.prepare(target.search.options.gradient_tolerance)
            calls.update(contest.calls)
        with Ceiling(threads) as ceiling:
            times = alternate(calls, settings.repeats, ceiling.measure, clock)
            rates, best = ceiling.rates, ceiling.best

    useful = flops.network_hessian(problem)
    hessian = microseconds(times["hessians"], evaluated)
    result: dict[str, Any] = {
        "case": "network",
        "landscape": table["name"],
        **{name: table[name] for name in ("widths", "activation", "loss")},
        "parameters": landscape.n,
        "samples": len(problem.inputs),
        "threads": threads,
        "backend": settings.backend,
        **microseconds(times["trials"], made),
        "us_per_hessian": hessian["us_per_start_iteration"],
        "us_per_hessian_low": hessian["us_low"],
        "us_per_hessian_high": hessian["us_high"],
        "useful_flops": useful,
        "useful_gflops": useful / hessian["us_per_start_iteration"] / 1e3,
        "dgemm_gflops": best,
        "dgemm_by_core_type": rates,
        "dgemm_fraction": useful / hessian["us_per_start_iteration"] / 1e3 / best,
        "points_per_second": int((np.concatenate(ended) == CRITICAL).sum()) / times["search"].median,
        "critical_share": float((np.concatenate(ended) == CRITICAL).mean()),
        "search_starts": searched,
        "compile_seconds": compile_seconds(table, settings.backend),
        "runs": settings.repeats,
    }
    if contest is not None:
        result["peers"] = contest.results(times, result)
        result["not_installed"] = contest.missing
    return result
