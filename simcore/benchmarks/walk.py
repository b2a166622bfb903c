"""``simcore bench walk``: moves of the arc walk, and what a count of one function costs.

A run counts the critical points of several draws by ``estimate_counts`` with a fixed number of moves, as a user's call
does: beginnings, weights, moves and the estimate. Milliseconds a move are there and back; moves a round trip, from a
minimum to the most frequent index and back, say how long the walk's memory is; and the seconds for a standard error of
a tenth on ln(saddles/minima) follow from the error reached, which falls as one over the square root of the moves.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

from simcore.benchmarks.settings import Settings
from simcore.benchmarks.timing import clock_of, confined_to, seconds

SEED = 1
WALKERS = 16
MOVES_A_WALKER = (500, 4)
"""Moves of a walker in a run: at least, and times n^2."""


def measure(settings: Settings) -> dict[str, Any]:
    """Return the measurement as a JSON-safe mapping."""
    from simcore.counts.estimate import estimate_counts
    from simcore.landscapes import registry

    table = settings.table("spherical_spin", 12)
    landscape = registry.from_dict(table)
    clock = clock_of(settings.threads)
    least, rate = MOVES_A_WALKER
    moves = WALKERS * max(least, rate * landscape.dimension**2)
    found: list[dict[str, Any]] = []

    def count(draw: int, moves: int = moves) -> None:
        found.append(
            estimate_counts(
                landscape, draw=draw, seed=SEED, moves=moves, walkers=WALKERS, threads=settings.threads
            ).diagnostics
        )

    with confined_to(settings.threads):
        count(0, 10 * WALKERS)  # compiles, or loads what is compiled
        found.clear()
        times = [seconds(partial(count, draw), clock) for draw in range(settings.repeats)]
    made = [each["moves"] for each in found]
    errors = [each["log_saddles_over_minima_se"] for each in found]
    trips = sum(each["round_trips"] or 0 for each in found)
    a_move = [1e3 * t / m for t, m in zip(times, made, strict=True)]
    return {
        "case": "walk",
        **{key if key != "name" else "landscape": value for key, value in table.items()},
        "threads": settings.threads,
        "backend": "cpu",
        "walkers": WALKERS,
        "draws": len(times),
        "moves": sum(made),
        "ms_per_move": statistics.median(a_move),
        "ms_low": min(a_move),
        "ms_high": max(a_move),
        "evaluations_per_move": sum(each["evaluations"] for each in found) / sum(made),
        "moves_per_round_trip": sum(made) / trips if trips else None,
        "seconds_for_10_percent": statistics.median(
            t * (error / 0.1) ** 2 for t, error in zip(times, errors, strict=True)
        ),
        "irreversible": statistics.mean(each["irreversible"] for each in found),
        "trusted": sum(bool(each["trusted"]) for each in found),
    }
