"""Complete enumerations of 3-spin functions of many spins: starts, processor time, and whether the audit is complete.

    python -m benchmarks.many_spins --draws 12:4 14:4 16:4 18:3 20:1

Rows that the file holds already are kept: ask for more draws, and only those are searched.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd

import simcore

SEED = 1
KEPT = ["distinct", "starts", "least_hits", "euler_sum", "complete", "certified_fraction", "targeted_points"]


def enumerated(n: int, draw: int) -> dict[str, object]:
    """Enumerate one function with the default settings on one thread."""
    begin = time.process_time()
    found = simcore.enumerate_critical_points(simcore.SphericalSpin(n), draw=draw, seed=SEED, threads=1)
    return {"n": n, "draw": draw, "seconds": round(time.process_time() - begin, 2)} | {k: found.audit[k] for k in KEPT}


def table(rows: pd.DataFrame) -> str:
    """Return a Markdown table, a row a number of spins."""
    lines = [
        f"3-spin functions, seed {SEED}, default settings, one thread; seconds of processor time without compilation.",
        "",
        "| n | draws | complete | points a draw | exact mean | starts | seconds | least hits | certified |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for n, part in rows.groupby("n"):
        exact = simcore.expected_counts(simcore.SphericalSpin(int(n)))["mean_count"].sum()  # type: ignore[arg-type]
        lines.append(
            f"| {n} | {len(part)} | {int(part['complete'].sum())} | {part['distinct'].mean():.0f} | {exact:.0f} | "
            f"{part['starts'].median():.0f} | {part['seconds'].median():.1f} | {part['least_hits'].min()} | "
            f"{part['certified_fraction'].mean():.4f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", nargs="+", required=True, help="n:draws, several")
    parser.add_argument("--out", type=Path, default=Path("results/many_spins"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "draws.csv"
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    simcore.enumerate_critical_points(simcore.SphericalSpin(12), draw=3, seed=SEED, threads=1)  # compiles
    for text in options.draws:
        n, draws = (int(part) for part in text.split(":"))
        done = {(row["n"], row["draw"]) for row in rows}
        rows += [enumerated(n, draw) for draw in range(draws) if (n, draw) not in done]
        frame = pd.DataFrame(rows).sort_values(["n", "draw"])
        frame.to_csv(path, index=False)
        (options.out / "table.md").write_text(table(frame))


if __name__ == "__main__":
    main()
