"""Do intervals hold their level with 10, 20, 40 and 100 draws?

Recorded: complete enumerations (balls in R^n) of every family, hundreds to thousands of draws a combination. An
experiment resamples N of them (with replacement, seeded), so that the truth is known exactly: the recorded mean, ratio
or slope. Of every cell the script says how often nominal 95 % and 99.5 % intervals cover it, how long the median
interval is against one that knows the true spread (2 z sigma / sqrt N), and in how many experiments the draws cannot
tell. In a cell where more than half cannot, no coverage is given.

Ten thousand experiments a cell are made at once: the rule of ``simcore.statistics.intervals`` is written here for
arrays, and checked against the library's own intervals in every cell.

    python -m benchmarks.interval_coverage --run coverage-run --out results/coverage

Binomial error of a coverage near 0.95 from 10,000 experiments: 0.22 %.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
from scipy import special
from simcore_analysis.estimates import growth_rate
from simcore_analysis.samples import Sample, load_samples
from simcore_analysis.studies.runs import compute
from simcore_analysis.writers import Column, Table

from simcore.statistics import intervals
from simcore.statistics.estimate import LEAST_DIFFERENT, LEAST_DRAWS

RUNS: dict = {
    "small": {
        "landscapes": [
            {"name": "torus_field", "n": [2, 3, 4]},
            {"name": "spherical_spin", "n": [3, 4, 6], "p": 3},
            {"name": "spherical_spin", "n": [4, 5], "p": 4},
            {"name": "confined_field", "n": 3, "m": [0.7, 1.0, 1.5, 2.0]},
            {"name": "confined_field", "n": 5, "m": [1.3, 2.0]},
        ],
        "draws": 2000,
    },
    "balls": {"landscapes": [{"name": "gaussian_field", "n": [2, 3]}], "draws": 1000, "method": "ball"},
    "large": {
        "landscapes": [
            {"name": "torus_field", "n": 5},
            {"name": "spherical_spin", "n": 8, "p": 3},
            {"name": "confined_field", "n": 8, "m": 2.0},
        ],
        "draws": 400,
    },
}
"""Recorded runs: a folder each."""
SIZES = (10, 20, 40, 100)
LEVELS = (0.95, 0.995)
SEED = 11
CHECKED = 60
"""Experiments of a cell whose interval the library makes too, as the check."""


def main() -> None:
    """Compute (or resume) the recorded run, measure coverage, write coverage.md and coverage.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--run", default="coverage-run", help="directory of the sweeps; resumed where they are there")
    parser.add_argument("--recorded", nargs="*", default=[], help="compute nothing; resample the draws of these runs")
    parser.add_argument("--out", default="results/coverage")
    given = parser.parse_args()
    runs = [Path(path) for path in given.recorded]
    runs = runs or [compute(Path(given.run) / name, seed=SEED, **plan) for name, plan in RUNS.items()]
    rows = measure([s for s in load_samples(runs) if s.dimension > 1], given.experiments)
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "coverage.json").write_text(json.dumps(rows, indent=1) + "\n")
    command = "python -m benchmarks.interval_coverage"
    if given.recorded:
        command += " --recorded RUN...`, RUN the sweeps behind the studies of `simcore reproduce"
    text = f"# Coverage of the intervals\n\nCommand: `{command}`\n\n" + table(rows).markdown()
    (out / "coverage.md").write_text(text)
    print(text)


def measure(samples: list[Sample], experiments: int) -> list[dict]:
    """Return a row a (combination, quantity, N)."""
    rng = np.random.default_rng(SEED)
    rows = []
    for sample in samples:
        total = sample.counts.sum(axis=1)
        one = np.ones(sample.draws)
        quantities = [("saddles/minima", sample.saddles, sample.minima), ("minima", sample.minima, one)]
        quantities += [("critical points", total, one)]
        quantities += costs_of(sample)
        for name, s, m in quantities:
            for n in SIZES:
                rows.append(
                    {"combination": title(sample), "quantity": name, "N": n, **cell(rng, name, s, m, n, experiments)}
                )
    for family in families(samples):
        for n in SIZES:
            names = ", ".join(str(s.n) for s in family)
            label = f"{family[0].label}, n = {names}"
            rows.append(
                {"combination": label, "quantity": "growth rate", "N": n, **growth(rng, family, n, experiments)}
            )
    return rows


def costs_of(sample: Sample) -> list[tuple]:
    """Return the mean costs of the two lowest indices, but for a middle one whose costs cancel in every draw."""
    return [
        (f"mean cost of index {k}", sample.cost_sums[:, k], sample.counts[:, k])
        for k in (0, 1)
        if np.abs(sample.cost_sums[:, k]).max() > 1e-9
    ]


def cell(rng: np.random.Generator, name: str, s, m, n: int, experiments: int) -> dict:
    """Return coverage, median length and share of "cannot tell" of one quantity."""
    cost, ratio = name.startswith("mean cost"), name == "saddles/minima"
    if cost:
        s, m = s[m > 0], m[m > 0]  # the draws that show the index
    if len(s) < 100 or not m.any():
        return {"told": 0.0}
    truth = s.mean() / m.mean()
    picks = rng.integers(0, len(s), (experiments, n))
    a, b = s[picks], m[picks]
    told = different(a, b) >= LEAST_DIFFERENT
    effective = b.sum(axis=1) ** 2 / (b**2).sum(axis=1) if cost else np.full(experiments, float(n))
    told &= effective >= LEAST_DRAWS * (1 - 1e-9)
    if ratio:
        told &= (np.ptp(a, axis=1) > 0) & (np.ptp(b, axis=1) > 0) if n < intervals.FROZEN_DRAWS else True
    row: dict = {"told": float(told.mean())}
    if row["told"] < 0.5:
        return row
    spread = (s - truth * m).std() / m.mean()
    a, b, degrees = a[told], b[told], effective[told] - 1
    rare = np.zeros(len(a), bool)
    if ratio:  # rare kinds have an interval of their own
        rare = np.minimum((a > 0).sum(axis=1), (b > 0).sum(axis=1)) < intervals.RARE_DRAWS
    for level in LEVELS:
        low, high = linear(a, b, level, degrees) if cost else cubed(a, b, level)
        for i in np.flatnonzero(rare):
            e = interval(name, a[i], b[i], level)
            low[i], high[i] = e.low, e.high
        for i in range(min(CHECKED, len(a))):
            e = interval(name, a[i], b[i], level)
            assert np.allclose((low[i], high[i]), (e.low, e.high), rtol=1e-9), f"{name}, {n} draws: {e}, {low[i]}"
        ideal = 2 * float(special.ndtri((1 + level) / 2)) * spread / math.sqrt(n)
        key = f"{100 * level:g}"
        row[f"covered_{key}"] = float(((low <= truth) & (truth <= high)).mean())
        row[f"length_{key}"] = float(np.median(high - low)) / ideal
    return row


def interval(name: str, s, m, level: float):
    """Return the library's own interval."""
    if name == "saddles/minima":
        return intervals.annealed_ratio(s, m, level=level)
    return (
        intervals.signed_ratio(s, m, level=level)
        if name.startswith("mean cost")
        else intervals.mean_count(s, level=level)
    )


def cubed(s, m, level: float):
    """Return the ends of the intervals of ratios of means, or of means over a constant, a row an experiment."""
    value = s.mean(axis=1) / m.mean(axis=1)
    e = s / s.mean(axis=1, keepdims=True) - m / m.mean(axis=1, keepdims=True)
    down, up = reaches(e, level, e.shape[1] - 1, 1.0, 0.0)
    return value * np.maximum(1 - down / 3, 0) ** 3, value * (1 + up / 3) ** 3


def linear(s, m, level: float, degrees):
    """Return the ends of the intervals of mean costs."""
    value = s.mean(axis=1) / m.mean(axis=1)
    e = (s - value[:, None] * m) / m.mean(axis=1, keepdims=True)
    down, up = reaches(e, level, degrees, intervals.UNSEEN, math.sqrt(6 / e.shape[1]))
    return value - down, value + up


def reaches(e, level: float, degrees, factor: float, doubt: float):
    """Return how far down and up the mean of each row's deviations may lie (module's docstring of ``intervals``)."""
    n = e.shape[1]
    s = np.maximum(e.std(axis=1, ddof=1), 1e-150)
    g = n**2 / ((n - 1) * (n - 2)) * (((e - e.mean(axis=1, keepdims=True)) / s[:, None]) ** 3).mean(axis=1)
    return tuple(s * reach(factor * (doubt + sign * g), level, degrees, n) for sign in (-1, 1))


def reach(g, level: float, degrees, n: int):
    """Return the reach w(g) for arrays."""
    tau = special.stdtrit(np.maximum(degrees, 1.0), (1 + level) / 2) / math.sqrt(n)
    bend = g * tau**2 / (3 * (1 + tau**2))
    return np.maximum(tau, bend + np.hypot(tau, bend) + g / (6 * n))


def different(a, b):
    """Return how many draws of each row differ from its most common pair."""
    pair = np.sort(a + math.pi * 1e3 * b, axis=1)
    longest = run = np.ones(len(pair), int)
    for j in range(1, pair.shape[1]):
        run = np.where(pair[:, j] == pair[:, j - 1], run + 1, 1)
        longest = np.maximum(longest, run)
    return pair.shape[1] - longest


def growth(rng: np.random.Generator, family: list[Sample], n: int, experiments: int) -> dict:
    """Return the same for the growth rate of ln(saddles/minima) over a family's dimensions."""
    dimension = np.array([s.n for s in family], float)
    told = np.ones(experiments, bool)
    log, error, third, exact, spread = [], [], [], [], []
    for sample in family:
        s, m = sample.saddles, sample.minima
        picks = rng.integers(0, len(s), (experiments, n))
        a, b = s[picks], m[picks]
        told &= (different(a, b) >= LEAST_DIFFERENT) & (b.mean(axis=1) > 0) & (a.mean(axis=1) > 0)
        top, bottom = np.maximum(a.mean(axis=1), 1e-9), np.maximum(b.mean(axis=1), 1e-9)
        e = a / top[:, None] - b / bottom[:, None]
        log.append(np.log(top / bottom))
        error.append(np.maximum(e.std(axis=1, ddof=1) / math.sqrt(n), 1e-9))
        third.append((e**3).mean(axis=1) / ((n - 1) * (n - 2)))
        exact.append(math.log(s.mean() / m.mean()))
        spread.append((s / s.mean() - m / m.mean()).std() / math.sqrt(n))
    row: dict = {"told": float(told.mean())}
    if row["told"] < 0.5:
        return row
    y, se, k3 = (np.array(part).T[told] for part in (log, error, third))
    w = 1 / se**2
    centred = dimension - (w * dimension).sum(axis=1, keepdims=True) / w.sum(axis=1, keepdims=True)
    c = w * centred / (w * centred**2).sum(axis=1, keepdims=True)
    slope, size = (c * y).sum(axis=1), np.sqrt(((c * se) ** 2).sum(axis=1))
    g = (c**3 * k3).sum(axis=1) / size**3 * math.sqrt(n)
    w = 1 / np.array(spread) ** 2
    ideal = 1 / math.sqrt((w * (dimension - np.average(dimension, weights=w)) ** 2).sum())
    truth = c @ np.array(exact)
    for level in LEVELS:
        down, up = (math.sqrt(n) * size * reach(sign * g, level, n - 1, n) for sign in (-1, 1))
        for i in range(min(CHECKED, len(y))):
            e = growth_rate(
                dimension, y[i], se[i], degrees=[n - 1] * len(family), skewness=k3[i] / se[i] ** 3, level=level
            )
            assert np.allclose((slope[i] - down[i], slope[i] + up[i]), (e.low, e.high), rtol=1e-9)
        key = f"{100 * level:g}"
        row[f"covered_{key}"] = float(((slope - down <= truth) & (truth <= slope + up)).mean())
        row[f"length_{key}"] = float(np.median(down + up) / (2 * special.ndtri((1 + level) / 2)) / ideal)
    return row


def families(samples: list[Sample]) -> list[list[Sample]]:
    """Return the combinations that differ in n alone, where there are several."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.label, []).append(sample)
    return [group for group in groups.values() if len(group) > 1]


def title(sample: Sample) -> str:
    """Return a combination in words."""
    return f"{sample.label}, n = {sample.n}"


def table(rows: list[dict]) -> Table:
    """Return the rows as a table, with the worst cells in its notes."""
    keys = [("covered_95", "covered, 95 %"), ("length_95", "length"), ("covered_99.5", "covered, 99.5 %")]
    columns = [Column("combination", "combination"), Column("quantity", "quantity"), Column("N", "draws")]
    columns += [Column("told", "told", places=3), *(Column(k, h, places=3) for k, h in keys)]
    columns += [Column("length_99.5", "length", places=3)]
    judged = [row for row in rows if "covered_95" in row]
    low = [r for r in judged if r["covered_95"] < 0.94 or r["covered_99.5"] < 0.99]
    long = [r for r in judged if max(r["length_95"], r["length_99.5"]) > 1.5]

    def named(found: list[dict]) -> str:
        return "; ".join(f"{r['combination']}, {r['quantity']}, {r['N']} draws" for r in found) or "none"

    notes = [
        "Told: share of experiments in which the draws tell; where it is below one half the cell says cannot tell, and "
        "no coverage is given. Covered: of those that tell. Length: median, over that of one that knows the spread.",
        f"Of {len(rows)} cells {len(judged)} tell. Covered below 94 % or 99 %: {named(low)}. "
        f"Longer than 1.5: {named(long)}.",
    ]
    return Table(columns, rows, "Coverage of nominal 95 % and 99.5 % intervals, resampled recorded draws", notes)


if __name__ == "__main__":
    main()
