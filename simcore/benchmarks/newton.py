"""``simcore bench newton``: the Newton iteration, its distance from the machine's limit, and what others need for it.

An iteration is what the search repeats: value, gradient, packed Hessian, factorisation, Newton step, index. It is timed
in the production loop, with tolerances of 0, so that every start makes the same number of them; its useful flops are
``flops.newton_iteration``. ``points_per_second`` is the whole search with the landscape's own solver, from starts to
outcomes (refill, acceptance, statuses, index and nullity): starts that ended at a critical point, by the second. It is
what the root finders among the peers are compared with. ``rows_per_second`` is ``find_critical_points`` on top of it:
duplicates merged, points certified, a row a start.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from simcore import backends
from simcore.backends.problems import Waves
from simcore.benchmarks import flops, peers
from simcore.benchmarks.ceiling import Ceiling
from simcore.benchmarks.first_call import compile_seconds
from simcore.benchmarks.micro_kernel import micro_kernel
from simcore.benchmarks.settings import Settings
from simcore.benchmarks.timing import Timing, alternate, amount_for, clock_of, confined_to, seconds
from simcore.errors import InputError
from simcore.formulas.outcome import CRITICAL
from simcore.search.solvers import Newton

TILE = 24  # starts that the cpu kernel advances together
STEPS = 20  # Newton steps a start in the timed loop
SEED = 1
TARGET = 0.4  # seconds a timed run
OCCUPANCY = 20 * TILE  # starts a thread that keep a search's tiles full until near its end
LONGEST_SEARCH = 6.0  # seconds a timed search, where the dimension is so large that this is fewer starts
MOST_STARTS = 40 * OCCUPANCY
DEVICE_STARTS = 2**17  # keep a pool of 16384 full for eight rounds


def measure(settings: Settings) -> dict[str, Any]:
    """Return the measurement as a JSON-safe mapping with the fields of PRODUCT's ``bench``."""
    from simcore.landscapes import registry
    from simcore.search.find import find_critical_points
    from simcore.search.search import Search
    from simcore.search.target import Target

    table = settings.table("gaussian_field", 10)
    if table["name"] in ("mlp", "convolutional_network", "recurrent_network"):
        raise InputError(f"{table['name']} is searched by Levenberg-Marquardt, not by this loop; use bench network")
    landscape = registry.from_dict(table)
    backend = backends.get(settings.backend)
    threads = settings.threads
    device = backend.status() if settings.backend == "cuda" else None
    on_device = device is not None and not device["simulator"]
    clock = time.perf_counter if on_device else clock_of(threads)
    draw = landscape.draw(seed=SEED, draw=0)
    problem = draw.problem
    options = Newton().options(landscape)
    endless = options._replace(
        gradient_tolerance=0.0, decrement_tolerance=0.0, max_iterations=STEPS, region=math.inf, flat_tolerance=0.0
    )

    with confined_to(threads), ThreadPoolExecutor(threads) as pool:
        most = DEVICE_STARTS if on_device else MOST_STARTS
        pool_of_starts = landscape.starts(seed=SEED, draw=0, first=0, count=most)

        def iterate(count: int) -> int:
            """Run all steps from the first ``count`` starts and return how many iterations were made."""
            share = -(-count // threads // TILE) * TILE
            parts = [pool_of_starts[i : min(i + share, count)] for i in range(0, count, share)]
            done = list(pool.map(lambda part: backend.newton(problem, part, endless), parts))
            return sum(int(outcome.iterations.sum()) + len(outcome.iterations) for outcome in done)

        iterate(TILE * threads)  # compiles, or loads what is compiled
        count = amount_for(iterate, TILE * threads, TARGET, most, clock)
        iterations = iterate(count)
        target = Target.of(Search.of(landscape, seed=SEED, backend=settings.backend), draw)
        ended: list[Any] = []

        def search(count: int) -> None:
            share = -(-count // threads // TILE) * TILE if count >= TILE * threads else -(-count // threads)
            parts = [pool_of_starts[i : min(i + share, count)] for i in range(0, count, share)]
            ended[:] = [outcome.status for outcome in pool.map(target.newton, parts)]

        def rows() -> None:
            find_critical_points(draw, starts=searched, backend=settings.backend, threads=threads)

        search(threads)
        each = seconds(lambda: search(threads), clock)
        if TILE * each > 5 * LONGEST_SEARCH:  # large networks: a tile of starts would take minutes
            searched = threads * max(1, int(LONGEST_SEARCH / each))
        else:
            searched = amount_for(search, TILE * threads, LONGEST_SEARCH, max(OCCUPANCY * threads, count), clock)
        find_critical_points(draw, starts=min(TILE, searched), backend=settings.backend, threads=threads)
        starts = pool_of_starts[:searched]
        calls: dict[str, Any] = {"iterate": lambda: iterate(count), "search": lambda: search(searched), "rows": rows}
        if settings.backend == "cpu":
            multiply, useful_of_product = micro_kernel()
            calls["micro_kernel"] = multiply
        contest = None
        if settings.peers:
            contest = Contest(peers.Problem(problem, starts, options.step_cap), threads, settings.backend == "cuda")
            contest.prepare(1e-8 * options.gradient_tolerance / Newton().tolerance)
            calls.update(contest.calls)
        with Ceiling(threads) as ceiling:
            times = alternate(calls, settings.repeats, ceiling.measure, clock)
            rates, best = ceiling.rates, ceiling.best

    critical = int((np.concatenate(ended) == CRITICAL).sum())
    useful = flops.newton_iteration(problem)
    result: dict[str, Any] = {
        "case": "newton",
        **{key if key != "name" else "landscape": value for key, value in table.items()},
        "threads": threads,
        "backend": settings.backend,
        "starts": count,
        "iterations": iterations,
        **microseconds(times["iterate"], iterations),
        "useful_flops": useful,
        "useful_gflops": None if useful is None else useful * iterations / times["iterate"].median / 1e9,
        "dgemm_gflops": best,
        "dgemm_by_core_type": rates,
        "dgemm_fraction": None,
        "points_per_second": critical / times["search"].median,
        "rows_per_second": searched / times["rows"].median,
        "critical_share": critical / searched,
        "search_starts": searched,
        "compile_seconds": compile_seconds(table, settings.backend),
        "runs": settings.repeats,
    }
    if useful is not None:
        result["dgemm_fraction"] = result["useful_gflops"] / best
    if settings.backend == "cpu":
        result["micro_kernel_gflops"] = useful_of_product / times["micro_kernel"].median / 1e9
    if device is not None:
        result |= _on_device(device, problem, result["useful_gflops"])
    if contest is not None:
        result["peers"] = contest.results(times, result)
        result["not_installed"] = contest.missing
    return result


def _on_device(status: dict[str, Any], problem: Any, useful_gflops: float | None) -> dict[str, Any]:
    """Return the device's name and its own ceiling: cuBLAS on a product of the Hessian's shape for many starts."""
    from simcore.backends.cuda.probes import dgemm_gflops

    n = problem.dimension
    best = dgemm_gflops(n * (n + 1) // 2, len(problem.frequencies) if isinstance(problem, Waves) else n)
    found = {"device": status["devices"][0]["name"] if status["devices"] else "simulator", "device_dgemm_gflops": best}
    if useful_gflops is not None and best is not None:
        found["device_dgemm_fraction"] = useful_gflops / best
    return found


def microseconds(timing: Timing, iterations: int) -> dict[str, float]:
    """Return the time of one iteration with its spread."""
    scale = 1e6 / iterations
    return {
        "us_per_start_iteration": timing.median * scale,
        "us_low": timing.low * scale,
        "us_high": timing.high * scale,
    }


class Contest:
    """The peers on the same function and starts; each gets as many of the starts as it can do in about a second."""

    BATCH = 480  # starts of a batched peer: more would only leave its caches
    DEVICE_BATCH = 2**13  # on a device: fills it

    def __init__(self, given: peers.Problem, threads: int, on_device: bool, judge: Callable[[Any], int] = len) -> None:
        """``judge`` says how many of the ends of a root finder's starts count as found."""
        self._given, self._threads, self._on_device, self._judge = given, threads, on_device, judge
        present, self.missing = peers.installed(on_device)
        self._names = [name for name in present if peers.supports(name, given.problem)]
        self.calls: dict[str, Any] = {}
        self._starts: dict[str, int] = {}
        self._found: dict[str, int] = {}

    def prepare(self, tolerance: float) -> None:
        """Compile and warm every peer and choose its number of starts."""
        for name in self._names:
            if name in peers.ROOT_FINDERS:
                find = peers.root_finder(name, self._given, tolerance)
                count = amount_for(find, peers.TOGETHER.get(name, 4), 1.0, len(self._given.starts))
                self._found[name] = self._judge(find(count))
                self.calls[name] = lambda find=find, count=count: find(count)
            else:
                batch = self.DEVICE_BATCH if self._on_device and name in peers.BATCHED else self.BATCH
                count = 8 if name == "numpy loop" else min(batch, len(self._given.starts))
                call = self._call(name, count)
                call()
                elapsed = seconds(call)
                if name == "numpy loop":
                    count = int(np.clip(8 * 0.5 / max(elapsed, 1e-6), 8, len(self._given.starts)))
                    call = self._call(name, count)
                elif elapsed > 2.0:  # a second call, since the first compiled
                    count = max(8, int(count / elapsed))
                    call = self._call(name, count)
                    call()
                self.calls[name] = call
            self._starts[name] = count

    def _call(self, name: str, count: int) -> Any:
        given = self._given._replace(starts=self._given.starts[:count])
        return peers.iteration(name, given, self._threads, self._on_device)

    def results(self, times: dict[str, Timing], ours: dict[str, Any]) -> list[dict[str, Any]]:
        """Return each peer's figure and how many times simcore is faster."""
        rows: list[dict[str, Any]] = []
        for name in self._names:
            count, timing = self._starts[name], times[name]
            row: dict[str, Any] = {"name": name, "starts": count}
            if name in peers.ROOT_FINDERS:
                found = self._found[name]
                row["converged_share"] = found / count
                row["points_per_second"] = found / timing.median
                row["ratio"] = ours["points_per_second"] * timing.median / found if found else None
            else:
                # As for simcore, the evaluation that the final index needs is counted.
                row.update(microseconds(timing, count * (peers.ITERATIONS + 1)))
                row["ratio"] = row["us_per_start_iteration"] / ours["us_per_start_iteration"]
            rows.append(row)
        return rows
