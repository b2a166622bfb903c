"""Timing that a busy machine disturbs as little as possible: alternating runs, medians, spread, fixed processors.

One thread is timed by the processor time of its process, which other processes' turns do not lengthen; several threads,
and whole commands, by the wall clock. On an idle machine the two agree.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

Clock = Callable[[], float]


class Timing(NamedTuple):
    """Times of one call, in seconds."""

    median: float
    low: float  # fastest run
    high: float  # slowest run
    runs: int


def clock_of(threads: int) -> Clock:
    """Return the clock for work in this process by a number of threads: processor time for one, else wall time."""
    return time.process_time if threads == 1 else time.perf_counter


def seconds(call: Callable[[], Any], clock: Clock = time.perf_counter) -> float:
    """Return the time of one call."""
    begin = clock()
    call()
    return clock() - begin


def alternate(
    calls: Mapping[str, Callable[[], Any]],
    repeats: int,
    between: Callable[[], Any] | None = None,
    clock: Clock = time.perf_counter,
) -> dict[str, Timing]:
    """Time several calls ``repeats`` times each, one round of all after the other.

    A round spreads every disturbance of the machine over all contestants; ``between`` runs once a round, for what
    measures itself (the ceiling's child processes).
    """
    runs: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            runs[name].append(seconds(call, clock))
        if between is not None:
            between()
    return {name: Timing(statistics.median(t), min(t), max(t), len(t)) for name, t in runs.items()}


def amount_for(
    call: Callable[[int], Any], first: int, target: float, most: int, clock: Clock = time.perf_counter
) -> int:
    """Return how much work, a multiple of ``first``, makes ``call(amount)`` take about ``target`` seconds.

    On a busy machine the wall clock would settle for too little work, of which what a call does once is a large part.
    """
    amount = first
    while True:
        elapsed = seconds(partial(call, amount), clock)
        if elapsed >= target / 2 or amount >= most:
            return amount
        growth = max(2, min(10, int(target / max(elapsed, 1e-9))))
        amount = min(most // first * first, amount * growth)


@contextlib.contextmanager
def confined_to(threads: int) -> Iterator[None]:
    """Keep this process, what it starts and their libraries on as many processors as they have threads.

    Every contestant then has the same machine, also those whose thread pools cannot be set from outside.
    """
    with contextlib.ExitStack() as stack:
        if hasattr(os, "sched_setaffinity"):
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, sorted(before)[-threads:])
            stack.callback(os.sched_setaffinity, 0, before)
        with contextlib.suppress(ImportError):  # without threadpoolctl the processors above are the only limit
            from threadpoolctl import threadpool_limits

            stack.enter_context(threadpool_limits(threads))
        yield
