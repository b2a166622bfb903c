"""What the arc walk gets right, and what it costs: against enumerations and against exact laws.

    python benchmarks/arc_walk.py audit --out results/counts          # some 100 functions that can be enumerated
    python benchmarks/arc_walk.py law --out results/counts    # means over functions, 3-spin to n = 50, torus to 12
    python benchmarks/arc_walk.py law --out results/counts --family spherical_spin --n 50 --draws 3
    python benchmarks/arc_walk.py short --out results/counts  # the same at n = 50 with a tenth of the moves
    python benchmarks/arc_walk.py rhat --out results/counts           # R-hat of runs near the limit of round trips
    python benchmarks/arc_walk.py missed --out results/counts         # points that arcs reach and no search had found

Each function is one line of a JSON file; run again, the script skips the functions that are there, so that it may be
stopped at any time. ``seconds`` are processor time, compilation left out.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

import simcore
from simcore.info import processor, versions

AUDITED = (
    ("spherical_spin", {"p": 3}, ((8, 18), (10, 14), (12, 6), (14, 4), (16, 2))),
    ("spherical_spin", {"p": 4}, ((5, 14), (6, 10))),
    ("torus_field", {}, ((4, 20), (5, 10), (6, 2))),
    ("confined_field", {"m": 0.5}, ((4, 8), (5, 6), (6, 2))),
)
"""Family, parameters, and (n, functions) that are compared with an enumeration."""
FRESH = 100
"""First draw that is compared: those before were looked at when the rule of the first look was made."""

LAW = {
    "spherical_spin": {16: (64_000, 16), 20: (64_000, 16), 30: (112_000, 16), 40: (240_000, 16), 50: (240_000, 6)},
    "torus_field": {7: (16_000, 16), 8: (16_000, 16), 10: (16_000, 16)},
}
"""Family, n: moves and functions of a mean. Moves are fixed beforehand, so that no stopping rule enters the mean; they
make some 25 round trips or more, and an error of a function no larger than what functions differ by, or about .3."""
FULL = (40, 24)
"""From this n on walkers fill all the lanes of a tile, which is 15 % faster."""


def landscape_of(family: str, n: int, parameters: dict[str, Any]) -> Any:
    """Return the landscape of a registry name."""
    from simcore.landscapes.registry import from_dict

    return from_dict({"name": family, "n": n, **parameters})


def counted(landscape: Any, draw: int, threads: int, **settings: Any) -> dict[str, Any]:
    """Count one function by the walk; return what is kept of it."""
    began = time.process_time()
    found = simcore.estimate_counts(landscape, draw=draw, seed=1, threads=threads, **settings)
    seconds = time.process_time() - began
    ratio, error = found.diagnostics["log_saddles_over_minima"], found.diagnostics["log_saddles_over_minima_se"]
    kept = (
        "trusted", "reasons", "moves", "round_trips", "rhat", "disagreement", "irreversible", "escaped", "minima_met",
    )  # fmt: skip
    return {
        "draw": draw,
        "log_ratio": ratio,
        "log_ratio_se": error,
        "minima": float(found.counts["count"][0]),
        "total": found.total,
        "total_se": found.total_se,
        "seconds": seconds,
        "seconds_for_10_percent": seconds * (error / 0.1) ** 2,
        "milliseconds_a_move": 1e3 * seconds / found.diagnostics["moves"],
        **{name: found.diagnostics[name] for name in kept},
    }


def record(path: Path, key: str, make: Any) -> dict[str, Any]:
    """Return the entry of a function from the file, or make it and write the file again."""
    held = json.loads(path.read_text()) if path.exists() else {"machine": machine(), "functions": {}}
    if key not in held["functions"]:
        held["functions"][key] = make()
        text = json.dumps(held, indent=1, allow_nan=True, default=float)
        path.write_text(text + "\n")
        print(key, {k: v for k, v in held["functions"][key].items() if k in ("z", "log_ratio", "seconds")}, flush=True)
    return held["functions"][key]


def machine() -> dict[str, Any]:
    """Return what a time depends on."""
    return {"simcore": versions().get("simcore"), **processor()}


def audit(out: Path, threads: int) -> None:
    """Compare counts with complete enumerations of the same functions; print the z-scores of ln(saddles/minima)."""
    scores = []
    for family, parameters, cases in AUDITED:
        for n, draws in cases:
            landscape = landscape_of(family, n, parameters)
            simcore.estimate_counts(landscape, seed=1, moves=160, threads=1)  # compiles
            for draw in range(FRESH, FRESH + draws):
                words = " ".join(f"{k}={v}" for k, v in parameters.items())
                key = f"{family} n={n} {words} draw={draw}".replace("  ", " ")
                entry = record(
                    out / "against_enumeration.json", key, lambda d=draw, at=landscape: compared(at, d, threads)
                )
                scores.append(entry["z"])
    z = np.array([one for one in scores if one is not None and math.isfinite(one)])
    print(f"{len(z)} functions: mean z {z.mean():+.2f} +- {z.std(ddof=1) / math.sqrt(len(z)):.2f}, ", end="")
    print(f"rms {math.sqrt((z**2).mean()):.2f} (t of 15: 1.07), largest {abs(z).max():.2f}")


def compared(landscape: Any, draw: int, threads: int) -> dict[str, Any]:
    """Count a function by the walk and by enumeration."""
    entry = counted(landscape, draw, threads)
    began = time.process_time()
    known = simcore.enumerate_critical_points(landscape, draw=draw, seed=1, threads=threads)
    truth = np.bincount(known.points.morse_index, minlength=landscape.dimension + 1)
    saddles = truth[1:-1].sum()
    entry["complete"] = known.audit["complete"]
    entry["enumeration_seconds"] = time.process_time() - began
    entry["points"] = int(truth.sum())
    entry["true_minima"] = int(truth[0])
    entry["z"] = None
    if saddles and entry["log_ratio_se"] and known.audit["complete"]:
        entry["true_log_ratio"] = math.log(saddles / truth[0])
        entry["z"] = (entry["log_ratio"] - entry["true_log_ratio"]) / entry["log_ratio_se"]
    return entry


def law(out: Path, family: str, sizes: list[int], draws: int | None, threads: int, share: int = 1) -> None:
    """Compare means over functions with the exact law; print ln of the annealed ratio, minima and totals.

    ``share``: the moves are divided by it (a run that is too short must say so), and the file's name tells.
    """
    for n in sizes:
        landscape = landscape_of(family, n, {})
        exact = simcore.expected_counts(landscape)["mean_count"].to_numpy()
        moves, functions = LAW[family][n]
        moves, functions = moves // share, draws or functions
        walkers = FULL[1] if n >= FULL[0] else 16
        name = f"{family}.json" if share == 1 else f"{family}_short.json"
        simcore.estimate_counts(landscape, seed=1, moves=160, threads=1)  # compiles
        rows = [
            record(
                out / name,
                f"{family} n={n} draw={draw}",
                lambda d=draw, at=landscape, m=moves, w=walkers: counted(at, d, threads, moves=m, walkers=w),
            )
            for draw in range(functions)
        ]
        ratio, error = annealed(rows)
        expected = math.log(exact[1:-1].sum() / exact[0])
        minima = np.array([row["minima"] for row in rows])
        print(
            f"{family} n={n}: {functions} functions, ln ratio {ratio:.3f} +- {error:.3f} (law {expected:.3f}), minima "
            f"{minima.mean():.2f} +- {minima.std(ddof=1) / math.sqrt(functions):.2f} (law {exact[0]:.2f}), trusted "
            f"{sum(row['trusted'] for row in rows)}, "
            f"seconds for 10 % {np.median([row['seconds_for_10_percent'] for row in rows]):.1f}, ms a move "
            f"{np.median([row['milliseconds_a_move'] for row in rows]):.3f}, moves a round trip "
            f"{sum(row['moves'] for row in rows) / max(1, sum(row['round_trips'] for row in rows)):.0f}",
            flush=True,
        )


def annealed(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Return ln(mean saddles/mean minima) over functions and its standard error (delta method, between functions).

    The spread between functions holds the walks' own errors, which are independent; of few functions it may come out
    smaller than those alone, which are the least that is stated.
    """
    minima = np.array([row["minima"] for row in rows])
    saddles = minima * np.exp([row["log_ratio"] for row in rows])
    spread = saddles / saddles.mean() - minima / minima.mean()
    between = spread.std(ddof=1) if len(rows) > 1 else 0.0
    within = math.sqrt(sum(row["log_ratio_se"] ** 2 for row in rows) / len(rows))
    return math.log(saddles.mean() / minima.mean()), float(max(between, within)) / math.sqrt(len(rows))


def rhat(out: Path) -> None:
    """Record R-hat and round trips of short runs of many functions, from far too short to just long enough."""
    rows = []
    for n, trip in ((8, 40), (12, 110)):
        landscape = landscape_of("spherical_spin", n, {"p": 3})
        for trips in (2, 8, 30, 60):
            each = [
                simcore.estimate_counts(landscape, draw=draw, seed=1, moves=trips * trip, threads=1).diagnostics
                for draw in range(30)
            ]
            values = sorted(one["rhat"] for one in each)
            rows.append(
                {
                    "n": n, "moves": trips * trip, "functions": len(each),
                    "round_trips": float(np.median([one["round_trips"] or 0 for one in each])),
                    "rhat_median": float(np.median(values)), "rhat_low": values[0], "rhat_high": values[-1],
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
    (out / "rhat.json").write_text(json.dumps(rows, indent=1) + "\n")


MISSED = (
    ("torus_field", {}, ((5, 20), (6, 10), (7, 4))),
    ("confined_field", {"m": 0.5}, ((4, 10), (5, 10))),
    ("spherical_spin", {"p": 3}, ((10, 10), (12, 6))),
    ("spherical_spin", {"p": 4}, ((6, 10),)),
)
"""Family, parameters, and (n, functions) whose lists by search alone are walked on."""
MOVES_A_POINT = 3
"""Moves that each point of a list is worth, at least; 16 walkers share them and begin at the points least often hit."""


def missed(out: Path) -> None:
    """Walk on from lists that a search calls complete; record how many points arcs reach that they lack."""
    for family, parameters, cases in MISSED:
        for n, draws in cases:
            landscape = landscape_of(family, n, parameters)
            words = " ".join(f"{k}={v}" for k, v in parameters.items())
            key = f"{family} n={n} {words}".strip()
            kept = record(out / "missed.json", key, lambda at=landscape, d=draws: walked_on(at, d))
            print(key, kept, flush=True)


def walked_on(landscape: Any, draws: int) -> dict[str, Any]:
    """Return what arcs met beyond the complete lists of so many functions, and what lists and arcs cost."""
    from scipy.spatial import cKDTree

    from simcore.arcs.chains import Chains
    from simcore.arcs.rule import ARRIVED, arc_rule

    kept = {"functions": draws, "complete": 0, "points": 0, "moves": 0, "arrived": 0, "missed": 0,
            "seconds_of_searches": 0.0, "seconds_of_walks": 0.0}  # fmt: skip
    for draw in range(FRESH, FRESH + draws):
        began = time.process_time()
        found = simcore.enumerate_critical_points(landscape, draw=draw, seed=1, threads=1, prove=False)
        kept["seconds_of_searches"] += time.process_time() - began
        kept["points"] += len(found.points)
        if not found.audit["complete"]:
            continue
        kept["complete"] += 1
        began = time.process_time()
        rare = found.points.sort_values("hits", kind="stable").head(16)
        known, period = np.stack(found.points.x.to_list()), landscape.domain.period
        rule = arc_rule(landscape.scales.length, landscape.scales.gradient, landscape.dimension, period)
        begin = np.arange(16) % len(rare)
        walkers = Chains(
            landscape.draw(seed=1, draw=draw).problem, landscape.dimension, np.stack(rare.x.to_list())[begin],
            rare.morse_index.to_numpy()[begin], rare.cost.to_numpy()[begin], rule,
            np.zeros(landscape.dimension + 1), (1, draw), [landscape.stream(f"missed:{w}") for w in range(16)],
        )  # fmt: skip
        moves = walkers.advance(max(40, -(-MOVES_A_POINT * len(known) // 16)))
        there = moves.x[moves.status == ARRIVED]
        kept["moves"] += moves.status.size
        kept["arrived"] += len(there)
        if period:
            known, there = known % period, there % period
        gap, _ = cKDTree(known, boxsize=period or None).query(there)
        new = there[gap > 1e-6 * landscape.scales.length]
        kept["missed"] += len(np.unique(new.round(5), axis=0))
        kept["seconds_of_walks"] += time.process_time() - began
    return kept


def main() -> None:
    """Run the part that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("audit", "law", "short", "rhat", "missed"))
    parser.add_argument("--out", type=Path, default=Path("results/counts"))
    parser.add_argument("--family", choices=tuple(LAW), nargs="+", default=list(LAW))
    parser.add_argument("--n", type=int, nargs="+", help="sizes; all of LAW unless given")
    parser.add_argument("--draws", type=int, help="functions; those of LAW unless given")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.part == "audit":
        audit(given.out, given.threads)
    elif given.part == "rhat":
        rhat(given.out)
    elif given.part == "missed":
        missed(given.out)
    elif given.part == "short":
        law(given.out, "spherical_spin", [50], given.draws, given.threads, share=10)
    else:
        for family in given.family:
            sizes = [n for n in LAW[family] if given.n is None or n in given.n]
            law(given.out, family, sizes, given.draws, given.threads)


if __name__ == "__main__":
    main()
