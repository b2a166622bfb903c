"""Do intervals hold their level with 10, 20, 40 and 100 draws?

Recorded: complete enumerations (balls in R^n) of every family, hundreds to thousands of draws a combination. An
experiment resamples N of them (with replacement, seeded), so that the truth is known exactly: the recorded mean, ratio
or slope. Of every cell the script says how often nominal 95 % and 99.5 % intervals cover it, how long the median
interval is against one that knows the true spread (2 z sigma / sqrt N), and in how many experiments the draws cannot
tell. In a cell where more than half cannot, no coverage is given.

Ten thousand experiments a cell are made at once: whether the truth is inside needs no ends (Fieller), so the rule of
``simcore.statistics.intervals`` is written here for arrays, and checked against the library's own intervals in every
cell.

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
from simcore_analysis.estimates import growth_slope
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
"""Experiments of a cell whose interval the library makes too: for the median length, and as the check."""


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
    for level in LEVELS:
        inside = covered(a - truth * b, level, effective - 1)
        some = np.flatnonzero(told)[:CHECKED]
        made = [interval(name, a[i], b[i], level) for i in some]
        if ratio:  # rare kinds have an interval of their own: judge those by the library alone
            rare = np.minimum((a[some] > 0).sum(axis=1), (b[some] > 0).sum(axis=1)) < intervals.RARE_DRAWS
        else:
            rare = np.zeros(len(some), bool)
        for e, i, odd in zip(made, some, rare, strict=True):
            assert odd or e.covers(truth) == inside[i], f"{name}, {n} draws: {e}, {truth}, {inside[i]}"
        ideal = 2 * float(special.ndtri((1 + level) / 2)) * spread / math.sqrt(n)
        key = f"{100 * level:g}"
        row[f"covered_{key}"] = float(inside[told].mean())
        row[f"length_{key}"] = float(np.median([e.high - e.low for e in made])) / ideal
    return row


def interval(name: str, s, m, level: float):
    """Return the library's own interval."""
    if name == "saddles/minima":
        return intervals.annealed_ratio(s, m, level=level)
    return intervals.signed_ratio(s, m, level=level) if name.startswith("mean cost") else intervals.mean(s, level=level)


def covered(x, level: float, degrees):
    """Return whether the interval of each row's mean contains 0 (module's docstring of ``intervals``)."""
    n = x.shape[1]
    mean, s = x.mean(axis=1), np.maximum(x.std(axis=1, ddof=1), 1e-150)
    g = n**2 / ((n - 1) * (n - 2)) * ((x - mean[:, None]) ** 3).mean(axis=1) / s**3
    tau = special.stdtrit(np.maximum(degrees, 1.0), (1 + level) / 2) / math.sqrt(n)
    bend = np.where(mean > 0, -g, g) * tau**2 / (2 * (1 + tau**2))
    reach = np.maximum(tau, bend + np.hypot(tau, bend) + np.where(mean > 0, -g, g) / (6 * n))
    return np.abs(mean) <= reach * s


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
    log, error, told = [], [], np.ones(experiments, bool)
    exact, spread = [], []
    for sample in family:
        s, m = sample.saddles, sample.minima
        picks = rng.integers(0, len(s), (experiments, n))
        a, b = s[picks], m[picks]
        told &= (different(a, b) >= LEAST_DIFFERENT) & (b.mean(axis=1) > 0) & (a.mean(axis=1) > 0)
        top, bottom = np.maximum(a.mean(axis=1), 1e-9), np.maximum(b.mean(axis=1), 1e-9)
        log.append(np.log(top / bottom))
        error.append(np.maximum((a / top[:, None] - b / bottom[:, None]).std(axis=1, ddof=1) / math.sqrt(n), 1e-9))
        exact.append(math.log(s.mean() / m.mean()))
        spread.append((s / s.mean() - m / m.mean()).std() / math.sqrt(n))
    row: dict = {"told": float(told.mean())}
    if row["told"] < 0.5:
        return row
    y, se = np.array(log).T, np.array(error).T
    w = 1 / se**2
    centred = dimension - (w * dimension).sum(axis=1, keepdims=True) / w.sum(axis=1, keepdims=True)
    c = w * centred / (w * centred**2).sum(axis=1, keepdims=True)
    off, size = (c * (y - np.array(exact))).sum(axis=1), np.sqrt(((c * se) ** 2).sum(axis=1))
    assert math.isclose(growth_slope(dimension, y[0], se[0]), float(c[0] @ y[0]), rel_tol=1e-9)
    w = 1 / np.array(spread) ** 2
    ideal = 1 / math.sqrt((w * (dimension - np.average(dimension, weights=w)) ** 2).sum())
    for level in LEVELS:
        t = intervals.student(level, n - 1)
        key = f"{100 * level:g}"
        row[f"covered_{key}"] = float((np.abs(off) <= t * size)[told].mean())
        row[f"length_{key}"] = float(np.median(t * size[told]) / float(special.ndtri((1 + level) / 2)) / ideal)
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
