"""How often does the audit's test alarm although the law holds, and what does it find?

For recorded counts of every family (their own mean is the law, so that it holds exactly) and for laws made to break
tests (1 + a rare event of one to eight points, Poisson and geometric clusters, overdispersed counts), 30 to 200 draws
are resampled, seeded, and judged by ``simcore.statistics.betting`` at the p-values that matter: 1e-2 .. 1e-5,
two-sided. The bound on the rate is Clopper and Pearson's one-sided 95 % limit. A family-wise rate is at most the sum
over its tests.

    python -m benchmarks.audit_level --recorded coverage-run --runs 100000 --out results/audit_level
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
from scipy import special

from simcore.statistics.betting import tails

DRAWS = (30, 60, 100, 200)
P_VALUES = (1e-2, 1e-3, 1e-4, 1e-5)
LEAST_TOTAL = 50.0


def main() -> None:
    """Measure the level of every cell and write audit_level.json and audit_level.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recorded", nargs="*", default=[], help="run directories whose counts are resampled")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--out", default="results/audit_level")
    given = parser.parse_args()
    laws = synthetic()
    if given.recorded:
        from simcore_analysis.samples import load_samples

        laws = {**recorded({f"{s.label}, n = {s.n}": s.counts for s in load_samples(given.recorded)}), **laws}
    write(measure(laws, given.runs), given.runs, Path(given.out))


def recorded(counts: dict[str, np.ndarray]) -> dict:
    """Return the laws (values, probabilities, unit) of every index and of all points of recorded counts."""
    laws = {}
    for name, table in counts.items():
        unit = float(np.gcd.reduce(table[table > 0].astype(int)))
        columns = {f"index {k}": table[:, k] for k in range(table.shape[1])} | {"all points": table.sum(axis=1)}
        for what, x in columns.items():
            values, number = np.unique(x, return_counts=True)
            laws[f"{name}, {what}"] = (values, number / number.sum(), unit)
    return laws


def synthetic() -> dict:
    """Return laws made to break tests of a mean."""
    laws = {}
    steps = np.arange(60.0)
    for q in (0.01, 0.03, 0.1, 0.3):
        for jump in (1, 2, 4, 8):
            laws[f"1 + {jump} Bernoulli({q})"] = (np.array([1.0, 1.0 + jump]), np.array([1 - q, q]), 1.0)
        poisson = np.exp(steps * math.log(q) - q - special.gammaln(steps + 1))
        laws[f"1 + 2 Poisson({q})"] = (1 + 2 * steps, poisson, 1.0)
        geometric = np.append(1 - q, q * 0.5 ** np.arange(1, 60))
        for jump in (2, 4):
            laws[f"1 + {jump} rare geometric({q})"] = (1 + jump * steps, geometric, 1.0)
    for shape in (0.3, 1.0, 3.0):
        long = np.arange(300.0)
        log = special.gammaln(long + shape) - special.gammaln(shape) - special.gammaln(long + 1)
        log += shape * math.log(shape / (shape + 5)) + long * math.log(5 / (shape + 5))
        laws[f"negative binomial, mean 5, shape {shape:g}"] = (long, np.exp(log), 1.0)
    return {name: (v, p / p.sum(), unit) for name, (v, p, unit) in laws.items()}


def measure(laws: dict, runs: int) -> list[dict]:
    """Return a row a (law, draws): alarms at each p-value."""
    rng = np.random.default_rng(7)
    rows = []
    for name, (values, probability, unit) in laws.items():
        mean = float(values @ probability)
        spread = math.sqrt(float((values - mean) ** 2 @ probability))
        for draws in DRAWS:
            if mean * draws < LEAST_TOTAL or spread == 0:
                continue  # verify pools such an index with others
            alarms = np.zeros(len(P_VALUES), int)
            for first in range(0, runs, 25_000):
                size = min(25_000, runs - first)
                tallies = rng.multinomial(draws, probability, size=size).astype(float)
                far = np.abs(tallies @ values / draws - mean) > 2.3 * spread / math.sqrt(draws)
                if far.any():
                    low, high = tails(values, tallies[far], mean, unit)
                    alarms += [(2 * np.minimum(low, high) < p).sum() for p in P_VALUES]
            rows.append({"law": name, "draws": draws, "mean": mean, "alarms": alarms.tolist()})
    return rows


def upper(alarms: int, runs: int) -> float:
    """Return Clopper and Pearson's one-sided 95 % upper limit of a rate."""
    return float(special.betaincinv(alarms + 1, runs - alarms, 0.95))


def write(rows: list[dict], runs: int, out: Path) -> None:
    """Write the rows as JSON and the worst of them as Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "audit_level.json").write_text(json.dumps({"runs": runs, "p_values": P_VALUES, "cells": rows}) + "\n")
    total = runs * len(rows)
    lines = [
        "# Level of the audit's test",
        "",
        "Command: `python -m benchmarks.audit_level`",
        "",
        f"{len(rows)} cells (law and number of draws, 30 to 200), {runs:,} runs each, two-sided.",
        "",
        "| p below | most alarms in a cell | its rate, upper 95 % limit | cells above p | rate over all cells |",
        "|---|---:|---:|---:|---:|",
    ]
    for j, p in enumerate(P_VALUES):
        worst = max(row["alarms"][j] for row in rows)
        above = sum(row["alarms"][j] > p * runs for row in rows)
        mean = sum(row["alarms"][j] for row in rows) / total
        lines.append(f"| {p:g} | {worst} | {upper(worst, runs):.1e} | {above} | {mean:.1e} |")
    lines += ["", "Worst cells (alarms at p < 1e-3, 1e-4, 1e-5):", ""]
    for row in sorted(rows, key=lambda row: row["alarms"][::-1], reverse=True)[:12]:
        lines.append(f"- {row['law']}, {row['draws']} draws: {row['alarms'][1:]}")
    (out / "audit_level.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
