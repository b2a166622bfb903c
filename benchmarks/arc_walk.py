"""What the arc walk gets right, and what it costs: against enumerations and against exact laws.

    python benchmarks/arc_walk.py audit --out results/counts          # some 100 functions that can be enumerated
    python benchmarks/arc_walk.py law --out results/counts --family spherical_spin --n 20 30 --draws 4
    python benchmarks/arc_walk.py law --out results/counts --family spherical_spin --n 50 --draws 3 --threads 2
    python benchmarks/arc_walk.py rhat --out results/counts           # R-hat of runs near the limit of round trips

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
    ("spherical_spin", {"p": 3}, ((8, 24), (10, 16), (12, 10))),
    ("spherical_spin", {"p": 4}, ((5, 8), (6, 6))),
    ("torus_field", {}, ((4, 16), (5, 8))),
    ("confined_field", {"m": 0.5}, ((4, 12),)),
)
"""Family, parameters, and (n, functions) that are compared with an enumeration."""


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
    kept = ("trusted", "moves", "round_trips", "rhat", "disagreement", "irreversible", "escaped", "minima_met")
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
            for draw in range(draws):
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


def law(out: Path, family: str, sizes: list[int], draws: int, threads: int, moves: int | None) -> None:
    """Compare means over functions with the exact law; print ln of the annealed ratio, minima and totals."""
    settings = {} if moves is None else {"moves": moves}
    for n in sizes:
        landscape = landscape_of(family, n, {})
        exact = simcore.expected_counts(landscape)["mean_count"].to_numpy()
        simcore.estimate_counts(landscape, seed=1, moves=160, threads=1)  # compiles
        rows = []
        for draw in range(draws):
            key = f"{family} n={n} draw={draw}"
            name = f"{family}.json" if moves is None else f"{family}_{moves}_moves.json"
            rows.append(record(out / name, key, lambda d=draw, at=landscape: counted(at, d, threads, **settings)))
        saddles = np.array([row["minima"] * math.exp(row["log_ratio"]) for row in rows])
        minima = np.array([row["minima"] for row in rows])
        ratio = math.log(saddles.mean() / minima.mean())
        spread = saddles / saddles.mean() - minima / minima.mean()
        error = spread.std(ddof=1) / math.sqrt(draws) if draws > 1 else math.nan
        expected = math.log(exact[1:-1].sum() / exact[0])
        print(
            f"{family} n={n}: {draws} functions, ln ratio {ratio:.3f} +- {error:.3f} (law {expected:.3f}), minima "
            f"{minima.mean():.2f} (law {exact[0]:.2f}), "
            f"seconds for 10 % {np.median([row['seconds_for_10_percent'] for row in rows]):.1f}"
        )


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


def main() -> None:
    """Run the part that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("audit", "law", "rhat"))
    parser.add_argument("--out", type=Path, default=Path("results/counts"))
    parser.add_argument("--family", default="spherical_spin")
    parser.add_argument("--n", type=int, nargs="+", default=[20])
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--moves", type=int)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.part == "audit":
        audit(given.out, given.threads)
    elif given.part == "rhat":
        rhat(given.out)
    else:
        law(given.out, given.family, given.n, given.draws, given.threads, given.moves)


if __name__ == "__main__":
    main()
