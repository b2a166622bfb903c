"""Do 95 % intervals contain the exact value in 95 % of repeated experiments?

An experiment is a small sample of functions, as a user would take it (32 draws by default): torus_field n = 2 and 3,
spherical_spin n = 4 and 6, each function enumerated completely. Of every experiment the library's own intervals are
asked whether they contain the exact value: annealed ratio of saddles to minima, fractions and mean costs of the lowest
indices, mean numbers of points, and the growth rate per dimension. The run is one sweep of experiments x draws
functions, cut into consecutive pieces: experiments share no draw.

    python benchmarks/interval_coverage.py --experiments 1000 --draws 32 --run coverage-run --out results/coverage

Binomial error of a coverage near 0.95 from 1,000 experiments: 0.7 %.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from simcore_analysis.estimates import (
    Estimate,
    annealed_ratio,
    growth_rate,
    growth_slope,
    index_fractions,
    log_means,
    mean_costs,
    mean_count,
)
from simcore_analysis.samples import Sample, load_samples, ratio_of_law
from simcore_analysis.studies.runs import SEED, compute
from simcore_analysis.writers import Column, Table

LANDSCAPES = [{"name": "torus_field", "n": [2, 3]}, {"name": "spherical_spin", "n": [4, 6], "p": 3}]
LEVEL = 0.95


def main() -> None:
    """Compute (or resume) the run, measure coverage, write coverage.md and coverage.csv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=32, help="functions an experiment")
    parser.add_argument("--run", default="coverage-run", help="directory of the sweep; resumed where it is there")
    parser.add_argument("--out", default="results/coverage")
    parser.add_argument("--judge-only", action="store_true", help="compute nothing; judge the draws that the run holds")
    given = parser.parse_args()
    run = Path(given.run)
    if not given.judge_only:
        compute(run, LANDSCAPES, draws=given.experiments * given.draws, seed=SEED)
    table = coverage_table(load_samples(run), given.experiments, given.draws)
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    command = f"python benchmarks/interval_coverage.py --experiments {given.experiments} --draws {given.draws}"
    (out / "coverage.md").write_text(f"# Coverage of the intervals\n\nCommand: `{command}`\n\n{table.markdown()}")
    (out / "coverage.csv").write_text(table.csv())
    print(table.markdown())


def coverage_table(samples: list[Sample], experiments: int, draws: int) -> Table:
    """Return how often each interval contained its exact value; with fewer draws there are fewer experiments."""
    rows = []
    for sample in samples:
        most = min(experiments, sample.draws // draws)
        for quantity, exact, estimates in quantities(sample, most, draws):
            if not any(e.high > e.low for e in estimates):
                continue  # fixed by the Euler characteristic in every draw, such as half saddles on a 2-torus
            rows.append({"landscape": sample.landscape, "n": str(sample.n), **judged(quantity, exact, estimates)})
    for name in dict.fromkeys(s.landscape for s in samples):
        family = [s for s in samples if s.landscape == name]
        sizes = ", ".join(str(s.n) for s in family)
        most = min(experiments, *(s.draws // draws for s in family))
        if len(family) < 2 or most < 2:
            continue
        rows.append({"landscape": name, "n": sizes, **growth(family, most, draws)})
    used = sum(min(experiments, s.draws // draws) * draws for s in samples)
    incomplete = sum(int((~s.complete).sum()) for s in samples)
    columns = [
        Column("landscape", "landscape"), Column("n", "n"), Column("quantity", "quantity"), Column("exact", "exact"),
        Column("experiments", "experiments"), Column("covered", "covered", places=3),
        Column("below", "below", places=3), Column("above", "above", places=3),
        Column("width", "median width / exact", digits=3), Column("one_sided", "one-sided"),
    ]  # fmt: skip
    notes = [
        f"{draws} draws an experiment, {used} functions, {incomplete} of them incomplete. "
        "Covered: share of the 95 % intervals that contain the exact value; below, above: the exact value lies there.",
        "Half-width of a 95 % binomial interval round 0.95: "
        f"{1.96 * math.sqrt(0.95 * 0.05 / experiments):.3f}. One-sided: experiments whose interval was open. "
        "A growth rate needs an error at each n: the few experiments in which one had no spread are left out.",
    ]
    return Table(columns, rows, "Coverage of nominal 95 % intervals, measured against the exact law", notes)


def quantities(sample: Sample, experiments: int, draws: int):
    """Yield (name, exact value, one Estimate an experiment) for everything that is estimated of one combination."""
    law = sample.law
    assert law is not None
    law = law.sort_values("morse_index")
    pieces = [slice(i * draws, (i + 1) * draws) for i in range(experiments)]
    ratios = [annealed_ratio(sample.saddles[p], sample.minima[p], level=LEVEL) for p in pieces]
    yield "saddles/minima", ratio_of_law(law), ratios
    fractions = [index_fractions(sample.counts[p], level=LEVEL) for p in pieces]
    costs = [mean_costs(sample.cost_sums[p], sample.counts[p], level=LEVEL) for p in pieces]
    for k in (0, 1):
        yield f"fraction of index {k}", float(law["fraction"].iloc[k]), [f[k] for f in fractions]
    for k in (0, 1):
        exact = float(law["mean_cost"].iloc[k])
        if abs(exact) > 1e-9:  # a middle index of an odd function has mean cost 0 in every draw
            yield f"mean cost of index {k}", exact, [c[k] for c in costs]
    total = sample.counts.sum(axis=1)
    yield "critical points", float(law["mean_count"].sum()), [mean_count(total[p], level=LEVEL) for p in pieces]
    yield "minima", float(law["mean_count"].iloc[0]), [mean_count(sample.minima[p], level=LEVEL) for p in pieces]


def growth(family: list[Sample], experiments: int, draws: int) -> dict:
    """Return the row of the growth rate; its exact value is the same weighted fit on the exact ratios."""
    n = [s.n for s in family]
    exact = [math.log(ratio_of_law(s.law)) for s in family if s.law is not None]
    hits, below, above, used, widths, slopes = 0, 0, 0, 0, [], []
    for i in range(experiments):
        piece = slice(i * draws, (i + 1) * draws)
        logs = [log_means([(1, s.saddles[piece]), (-1, s.minima[piece])]) for s in family]
        se = [e.se for e in logs]
        if min(se) == 0:
            continue  # every draw on the 2-torus had as many maxima as minima: no error to weigh the row by
        used += 1
        slope = growth_rate(n, [e.value for e in logs], se, degrees=[draws - 1] * len(n), level=LEVEL)
        truth = growth_slope(n, exact, se)
        hits += slope.covers(truth)
        below += truth < slope.low
        above += truth > slope.high
        widths.append((slope.high - slope.low) / truth)
        slopes.append(truth)
    return {
        "quantity": "growth rate of ln(saddles/minima)", "exact": float(np.mean(slopes)), "experiments": used,
        "covered": hits / used, "below": below / used, "above": above / used,
        "width": float(np.median(widths)), "one_sided": 0,
    }  # fmt: skip


def judged(quantity: str, exact: float, estimates: list[Estimate]) -> dict:
    """Return the row of one quantity."""
    covered = np.array([e.covers(exact) for e in estimates])
    below = np.array([exact < e.low for e in estimates]) & ~covered
    widths = [e.high - e.low for e in estimates]
    return {
        "quantity": quantity, "exact": exact, "experiments": len(estimates), "covered": float(covered.mean()),
        "below": float(below.mean()), "above": float((~covered & ~below).mean()),
        "width": float(np.median(widths) / abs(exact)), "one_sided": sum(e.sides == 1 for e in estimates),
    }  # fmt: skip


if __name__ == "__main__":
    main()
