"""How often does ``verify`` alarm although the law holds, and what does it find?

Family-wise: complete recorded counts (and summed costs) of every family are the law. N of their draws, with
replacement, are judged as ``simcore.statistics.audit.compare`` judges them, every class of indices, all points and the
mean costs together: an alarm is a smallest p-value below 1e-4 over the number of tests. Power: the same with a law
that expects 5 % more points than there are, beside the power that ``compare`` states.

One test alone: single laws made to break tests of a mean (1 + a rare event of one to eight points, rare clusters,
Poisson, geometric, negative binomial), alarms at two-sided p-values of 1e-2 to 1e-6.

Every cell gets ``--runs`` samples, the ``WORST`` ten times as many, drawn anew. The rate's upper limit is Clopper and
Pearson's, one-sided 95 %. A sample whose mean lies within ``NEAR`` standard errors of the law's is not worked out: its
p-value is above 0.01. The kernel is the betting test compiled, one sample at a time; in every cell it is compared with
the library's own.

    python -m benchmarks.audit_level --recorded RUN... --runs 40000 --out results/audit_level
"""

from __future__ import annotations

import argparse
import json
import math
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numba import njit
from scipy import special

from simcore.statistics.audit import FALSE_ALARM, LEAST_TOTAL, classes_of, compare
from simcore.statistics.betting import HALVINGS, STEPS, tails

DRAWS = (30, 60, 100, 200)
MANY = (1000, 5000)
"""Draws for which power is measured too: with 30 to 200 few find a loss of 5 %."""
POWER_FROM = 100
"""Draws from which power is measured: with fewer a loss of 5 % is hardly ever found."""
POWERED = tuple(d for d in (*DRAWS, *MANY) if d >= POWER_FROM)
P_VALUES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
NEAR = 2.3
"""Standard errors: nearer than this no p-value is below 0.01, since the bet pays 2 sqrt(N + 1) in advance."""
WORST = 8
LOSS = 0.05
STATED = 3
"""Runs whose stated power is averaged, and whose p-values are compared with the library's."""
SEED = 7
LEAST_STEPS = np.array(STEPS)


# ---- the compiled test -------------------------------------------------------------------------------------------
@njit(cache=False)
def exponent(x, mean, reach, sign):  # type: ignore[no-untyped-def]
    """K of ``betting.log_wealth`` for one sample: stakes up to 1 / reach on sign (mean - x) > 0."""
    total = 0.0
    for value in x:
        total += sign * (mean - value)
    if total <= 0:
        return 0.0
    low, high = 0.0, (1 - 1e-12) / reach
    for _ in range(HALVINGS):
        stake, slope = 0.5 * (low + high), 0.0
        for value in x:
            gap = sign * (mean - value)
            slope += gap / (1 + stake * gap)
        if slope > 0:
            low = stake
        else:
            high = stake
    k = 0.0
    for value in x:
        k += math.log1p(low * sign * (mean - value))
    return max(k, 0.0)


@njit(cache=False)
def margin(x, mean, unit, sign):  # type: ignore[no-untyped-def]
    """Distance from the mean to the cap beyond the draws, upwards (sign 1) or downwards (-1), as ``betting.caps``."""
    largest, smallest, kinds = sign * x[0], sign * x[0], 1
    second, total, square = 0.0, 0.0, 0.0
    for value in x:
        total += sign * value
        square += value * value
        largest, smallest = max(largest, sign * value), min(smallest, sign * value)
        if kinds == 1 and value != x[0]:
            kinds, second = 2, value
        elif kinds == 2 and value != x[0] and value != second:
            kinds = 3
    middle = total / len(x)
    factor = 1.0
    if middle > smallest:
        factor = max(1.0, math.sqrt(max(square / len(x) - middle * middle, 0.0)) / (middle - smallest))
    largest, smallest = max(largest, sign * mean), min(smallest, sign * mean)
    beyond = max(unit * LEAST_STEPS[kinds - 1], factor * (largest - smallest))
    return largest + max(beyond, 1e-9 * (1 + abs(mean))) - sign * mean


@njit(cache=False)
def p_value(x, mean, unit, signed):  # type: ignore[no-untyped-def]
    """Two-sided p-value of one sample."""
    total = 0.0
    for value in x:
        total += value - mean
    if total < 0:
        k = exponent(x, mean, margin(x, mean, unit, 1.0), 1.0)
    else:
        k = exponent(x, mean, margin(x, mean, 0.0, -1.0) if signed else mean, -1.0)
    return min(1.0, 4 * math.sqrt(len(x) + 1) * math.exp(-k))


@njit(cache=False)
def alarms_of_one(values, cumulative, mean, deviation, unit, draws, runs, rng, bounds):  # type: ignore[no-untyped-def]
    """Alarms below each bound of ``runs`` samples of one law, too few and too many apart: (2, bounds)."""
    alarms = np.zeros((2, len(bounds)), np.int64)
    x = np.empty(draws)
    for _ in range(runs):
        total = 0.0
        for i in range(draws):
            x[i] = values[np.searchsorted(cumulative, rng.random(), side="right")]
            total += x[i]
        if abs(total / draws - mean) * math.sqrt(draws) < NEAR * deviation:
            continue
        p = p_value(x, mean, unit, False)
        for j in range(len(bounds)):
            alarms[int(total / draws > mean), j] += p < bounds[j]
    return alarms


@njit(cache=False)
def alarms_of_all(table, tested, units, counts, deviations, draws, runs, rng, bounds):  # type: ignore[no-untyped-def]
    """Families (of the tests in the columns of ``table``) whose smallest p is below each bound.

    tested : (T,) the law's means; the first ``counts`` columns are counts, the others excess costs of mean 0.
    """
    alarms = np.zeros(len(bounds), np.int64)
    rows, x = np.empty(draws, np.int64), np.empty(draws)
    for _ in range(runs):
        for i in range(draws):
            rows[i] = rng.integers(0, len(table))
        least = 1.0
        for t in range(table.shape[1]):
            total = 0.0
            for i in range(draws):
                x[i] = table[rows[i], t]
                total += x[i]
            if abs(total / draws - tested[t]) * math.sqrt(draws) >= NEAR * deviations[t]:
                least = min(least, p_value(x, tested[t], units[t], t >= counts))
        for j in range(len(bounds)):
            alarms[j] += least < bounds[j]
    return alarms


# ---- laws --------------------------------------------------------------------------------------------------------
def synthetic() -> dict:
    """Return laws made to break tests of a mean: (values, probabilities)."""
    laws = {}
    steps = np.arange(60.0)
    for q in (0.01, 0.03, 0.1, 0.3):
        for jump in (1, 2, 4, 8):
            laws[f"1 + {jump} Bernoulli({q})"] = (np.array([1.0, 1.0 + jump]), np.array([1 - q, q]))
        poisson = np.exp(steps * math.log(q) - q - special.gammaln(steps + 1))
        laws[f"1 + 2 Poisson({q})"] = (1 + 2 * steps, poisson)
        geometric = np.append(1 - q, q * 0.5 ** np.arange(1, 60))
        for jump in (2, 4):
            laws[f"1 + {jump} rare geometric({q})"] = (1 + jump * steps, geometric)
    for shape in (0.3, 1.0, 3.0):
        long = np.arange(300.0)
        log = special.gammaln(long + shape) - special.gammaln(shape) - special.gammaln(long + 1)
        log += shape * math.log(shape / (shape + 5)) + long * math.log(5 / (shape + 5))
        laws[f"negative binomial, mean 5, shape {shape:g}"] = (long, np.exp(log))
    return {name: (v, p / p.sum()) for name, (v, p) in laws.items()}


def family(counts: np.ndarray, costs: np.ndarray, draws: int) -> dict:
    """Return the tests of a run of ``draws`` of these recorded draws, whose own means are the law.

    table : (recorded draws, tests), counts of classes, of all points, then excess costs; ``law`` the frame for
    ``compare``.
    """
    mean, totals = counts.mean(axis=0), counts.sum(axis=0)
    cost = np.where(totals > 0, costs.sum(axis=0) / np.maximum(totals, 1), np.nan)
    classes = classes_of(mean * draws)
    if len(classes) > 1:
        classes.append(list(range(len(mean))))
    columns = [counts[:, members].sum(axis=1) for members in classes]
    for k, *more in classes:
        excess = costs[:, k] - cost[k] * counts[:, k]
        if not more and np.abs(excess).max() > 1e-9:
            columns.append(excess)
    law = pd.DataFrame({"morse_index": range(len(mean)), "mean_count": mean, "mean_cost": cost})
    return {"table": np.column_stack(columns), "counts": len(classes), "law": law} if classes else {}


def unit_of(counts: np.ndarray) -> float:
    """Return what a count changes by at least, as the audit does from its own draws."""
    return float(np.gcd.reduce(counts[counts > 0].astype(np.int64)))


# ---- cells -------------------------------------------------------------------------------------------------------
def one_cell(name: str, law: tuple, draws: int, runs: int, seed: int) -> dict:
    """Return alarms of one test alone."""
    values, probability = law
    mean = float(values @ probability)
    deviation = math.sqrt(float((values - mean) ** 2 @ probability))
    cumulative = np.cumsum(probability)
    cumulative[-1] = 1.0
    same_as_library(values[np.searchsorted(cumulative, np.random.default_rng(seed).random((20, draws)))], mean)
    args = (values, cumulative, mean, deviation, 1.0, draws, runs, np.random.default_rng(seed), np.array(P_VALUES))
    few, many = alarms_of_one(*args)
    return {
        "law": name, "draws": draws, "mean": mean, "sd": deviation, "runs": runs, "alarms": (few + many).tolist(),
        "too_few": few.tolist(),
    }  # fmt: skip


def same_as_library(samples: np.ndarray, mean: float) -> None:
    """Check the compiled p-value against ``betting.tails`` on samples of one law."""
    for x in samples:
        values, tally = np.unique(x, return_counts=True)
        low, high = tails(values, tally[None].astype(float), mean, 1.0)
        assert math.isclose(p_value(x, mean, 1.0, False), min(1.0, 2 * min(low[0], high[0])), rel_tol=1e-6), (x, mean)


def family_cell(name: str, counts: np.ndarray, costs: np.ndarray, draws: int, runs: int, seed: int) -> dict | None:
    """Return family-wise alarms of one combination, measured and stated power; None where nothing is tested."""
    made = family(counts, costs, draws)
    if not made:
        return None
    table, number = made["table"], made["counts"]
    tested, deviations = table.mean(axis=0), table.std(axis=0)
    tested[number:] = 0.0
    units = np.where(np.arange(table.shape[1]) < number, unit_of(counts), 0.0)
    bound = FALSE_ALARM / table.shape[1]
    rng = np.random.default_rng(seed)
    stated, stating = [], draws >= POWER_FROM
    for _ in range(STATED):
        rows = rng.integers(0, len(counts), draws)
        tests = compare(counts[rows], costs[rows], made["law"], np.ones(draws), power=stating)
        x = table[rows]
        ours = [p_value(np.ascontiguousarray(x[:, t]), tested[t], units[t], t >= number) for t in range(x.shape[1])]
        if len(tests) == len(ours) and math.gcd(*counts[rows].astype(int).ravel()) == units[0]:
            for test, p in zip(tests, ours, strict=True):
                assert math.isclose(test.p, p, rel_tol=1e-6) or test.p == 1.0, (name, test, p)
        stated += [max(test.power_5 for test in tests if test.power_5 == test.power_5)] if stating else []
    row: dict = {"law": name, "draws": draws, "tests": table.shape[1], "runs": runs}
    if draws in DRAWS:
        args = (
            np.ascontiguousarray(table),
            tested,
            units,
            number,
            deviations,
            draws,
            runs,
            np.random.default_rng(seed),
        )
        row["alarms"] = alarms_of_all(*args, np.array([100.0, 10.0, 1.0, 0.1]) * bound).tolist()
    losing = np.where(np.arange(len(tested)) < number, tested / (1 - LOSS), tested)
    if draws < POWER_FROM:
        return row
    few = max(200, 200_000 // draws)
    args = (np.ascontiguousarray(table), losing, units, number, deviations, draws, few, np.random.default_rng(seed))
    row |= {"power": float(alarms_of_all(*args, np.array([bound]))[0] / few), "stated": float(np.mean(stated))}
    return row


def upper(alarms: int, runs: int) -> float:
    """Return Clopper and Pearson's one-sided 95 % upper limit of a rate."""
    return float(special.betaincinv(alarms + 1, runs - alarms, 0.95))


# ---- the whole ---------------------------------------------------------------------------------------------------
def main() -> None:
    """Measure every cell and write audit_level.json and audit_level.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recorded", nargs="+", required=True, help="run directories whose draws are resampled")
    parser.add_argument("--runs", type=int, default=40_000)
    parser.add_argument("--out", default="results/audit_level")
    given = parser.parse_args()
    from simcore_analysis.samples import load_samples

    families = {
        (f"{s.label}, n = {s.n}", draws): partial(family_cell, f"{s.label}, n = {s.n}", s.counts, s.cost_sums, draws)
        for s in load_samples(given.recorded)
        for draws in (*DRAWS, *MANY)
    }
    singles = {
        (name, draws): partial(one_cell, name, law, draws)
        for name, law in synthetic().items()
        for draws in DRAWS
        if float(law[0] @ law[1]) * draws >= LEAST_TOTAL  # verify pools such an index with others
    }
    began = time.process_time()
    rows = [measure(cells, given.runs) for cells in (families, singles)]
    write(*rows, Path(given.out), time.process_time() - began)


def measure(cells: dict, runs: int) -> list[dict]:
    """Return a row a cell; the ``WORST`` are measured again with other samples, ten times as many."""
    rows: dict = {}
    for key, cell in cells.items():
        row = cell(runs, SEED + len(rows))
        if row:
            rows[key] = row
            print(row, flush=True)
    judged = [key for key, row in rows.items() if "alarms" in row]
    for key in sorted(judged, key=lambda key: rows[key]["alarms"][::-1], reverse=True)[:WORST]:
        rows[key] = cells[key](10 * runs, SEED + len(rows) + judged.index(key))
        print(rows[key], flush=True)
    return list(rows.values())


def write(families: list[dict], singles: list[dict], out: Path, seconds: float) -> None:
    """Write all rows as JSON, and what they say as Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    lists = {"p_values": P_VALUES, "families": families, "singles": singles}
    (out / "audit_level.json").write_text(json.dumps(lists).replace("}, {", "},\n {") + "\n")
    level = [row for row in families if "alarms" in row]
    limits = [upper(row["alarms"][2], row["runs"]) for row in level]
    lines = [
        "# Level and power of the audit",
        "",
        "Command: `python -m benchmarks.audit_level --recorded RUN...`, "
        f"{seconds:.0f} s of processor time; RUN: the sweeps behind the studies of `simcore reproduce`.",
        "",
        "## Families of tests, as `verify` judges them",
        "",
        f"{len(level)} cells (combination and number of draws, {DRAWS[0]} to {DRAWS[-1]}), at least "
        f"{min(row['runs'] for row in level):,} runs each, {sum(row['runs'] for row in level):,} in all. Alarms below "
        f"{FALSE_ALARM:g}: {sum(row['alarms'][2] for row in level)} in all, at most "
        f"{max(row['alarms'][2] for row in level)} in a cell; the largest upper limit (95 %) of a cell's rate is "
        f"{max(limits):.1e}, of the rate over all cells "
        f"{upper(sum(r['alarms'][2] for r in level), sum(r['runs'] for r in level)):.1e}.",
        "",
        "| worst cells | draws | tests | runs | below 1e-2 | 1e-3 | 1e-4 | upper limit at 1e-4 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in sorted(level, key=lambda row: _rates(row)[::-1], reverse=True)[:12]:
        a = row["alarms"]
        lines.append(
            f"| {row['law']} | {row['draws']} | {row['tests']} | {row['runs']:,} | {a[0]} | {a[1]} | {a[2]} | "
            f"{upper(a[2], row['runs']):.1e} |"
        )
    lines += [
        "",
        f"## Power: the law expects more points, so that {100 * LOSS:g} % are missing",
        "",
        "Measured: share of runs that alarm. Stated: what `verify` says, its best test's, averaged over "
        f"{STATED} runs.",
        "",
        "| combination | " + " | ".join(f"{d} draws" for d in POWERED) + " |",
        "|---|" + "---:|" * len(POWERED),
    ]
    for law in dict.fromkeys(row["law"] for row in families):
        shown = {
            row["draws"]: f"{row['power']:.2f} ({row['stated']:.2f})"
            for row in families
            if row["law"] == law and "power" in row
        }
        lines.append(f"| {law}, measured (stated) | " + " | ".join(shown.get(d, "") for d in POWERED) + " |")
    lines += [
        "",
        "## One test alone, laws made to break it",
        "",
        f"{len(singles)} cells; rate of alarms over the stated p-value, at most 1 where the level holds.",
        "",
        "| worst cells | mean | sd | draws | runs | " + " | ".join(f"{p:g}" for p in P_VALUES) + " |",
        "|---|---:|---:|---:|---:|" + "---:|" * len(P_VALUES),
    ]
    for row in sorted(singles, key=lambda row: _rates(row)[::-1], reverse=True)[:16]:
        ratios = [f"{rate / p:.2g}" for rate, p in zip(_rates(row), P_VALUES, strict=True)]
        lines.append(
            f"| {row['law']} | {row['mean']:.3g} | {row['sd']:.3g} | {row['draws']} | {row['runs']:,} | "
            + " | ".join(ratios) + " |"
        )  # fmt: skip
    (out / "audit_level.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _rates(row: dict) -> list[float]:
    return [alarms / row["runs"] for alarms in row["alarms"]]


if __name__ == "__main__":
    main()
