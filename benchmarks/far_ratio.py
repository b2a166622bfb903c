"""The picture of README: saddles per minimum from n = 2 to 50, counted where points can be listed and beyond.

    python benchmarks/far_ratio.py docs/far_ratio.svg

Nothing is computed here but the laws. Points come from files, and a size that no file holds is not drawn:
results/demo/table.csv (``simcore demo``: functions whose points are listed, and what raw Newton hits would say) and
results/counts/spherical_spin.json, torus_field.json (``benchmarks/arc_walk.py law``: counted by the arc walk).
"""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import numpy as np
from arc_walk import annealed
from simcore_analysis import canvas
from simcore_analysis.studies.ratio_growth import exact_log_ratio, goe_ratio
from simcore_analysis.tables import coin_flip_ratio

RESULTS = Path(__file__).resolve().parents[1] / "results"
LARGEST = 50
FAMILIES = {"spherical_spin": "spherical 3-spin", "torus_field": "Gaussian field on a torus"}
SIZES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50)


def listed(family):
    """Return n, ln ratio, its standard error, ln of the ratio of hits, and whether all lists are proved."""
    with open(RESULTS / "demo" / "table.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["landscape"] == family]
    kept = [row for row in rows if float(row["ratio_distinct"]) > 0]
    n = np.array([int(row["n"]) for row in kept])
    ratio, error, hits = (
        np.array([float(row[name] or "nan") for row in kept])
        for name in ("ratio_distinct", "ratio_distinct_se", "ratio_hits")
    )
    proved = np.array([row["proved"] == row["functions"] for row in kept])
    return n, np.log(ratio), error / ratio, np.log(hits), proved


def walked(family):
    """Return {n: (ln of the annealed ratio, its standard error, functions)} of the walks that are trusted."""
    path = RESULTS / "counts" / f"{family}.json"
    found = {}
    for key, row in (json.loads(path.read_text())["functions"] if path.exists() else {}).items():
        if row["trusted"]:
            found.setdefault(int(key.split("n=")[1].split()[0]), []).append(row)
    return {n: (*annealed(rows), len(rows)) for n, rows in sorted(found.items())}


def panel(axis, family):
    """Draw one family, ln(ratio) in decades."""
    p = 3 if family == "spherical_spin" else None
    sizes = [n for n in SIZES if n - (p is not None) >= 2]
    decade = math.log(10)
    exact = [exact_log_ratio(family, n, p) / decade for n in sizes]
    axis.plot(sizes, exact, **canvas.EXACT, label="exact law")
    dimension = [n - (p is not None) for n in sizes]
    axis.plot(sizes, [math.log10(coin_flip_ratio(d)) for d in dimension], **canvas.COIN, label="coin flips, $2^D-2$")
    goe = [(n, goe_ratio(d)) for n, d in zip(sizes, dimension, strict=True) if d <= 20]
    axis.plot([n for n, _ in goe], [math.log10(r) for _, r in goe], **canvas.GOE, label="plain GOE matrices")
    n, log, error, hits, _ = listed(family)
    axis.plot(n, hits / decade, "x", color="#999999", markersize=5, label="raw Newton hits")
    axis.errorbar(n, log / decade, yerr=1.96 * error / decade, **canvas.DISTINCT, label="all points listed")
    points = walked(family)
    if points:
        values, errors, _ = (np.array(column) for column in zip(*points.values(), strict=True))
        axis.errorbar(
            list(points), values / decade, yerr=1.96 * errors / decade, **canvas.WALKED, markersize=5, capsize=2,
            label="arc walk", zorder=5,
        )  # fmt: skip
    axis.set(xscale="log", xlabel="dimension $n$", title=FAMILIES[family], ylim=(0, 8.5), xlim=(1.8, 58))
    axis.set_xticks([2, 3, 5, 10, 20, 30, 50], ["2", "3", "5", "10", "20", "30", "50"])
    axis.minorticks_off()
    return points


def main(path):
    """Draw both families and print what was drawn."""
    with canvas.style():
        figure, axes = canvas.grid(1, 2, width=3.7, height=3.1)
        for axis, family in zip(axes[0], FAMILIES, strict=True):
            for n, (value, error, number) in panel(axis, family).items():
                law = exact_log_ratio(family, n, 3 if family == "spherical_spin" else None)
                print(f"{family} n={n}: {number} functions, ln ratio {value:.3f} +- {error:.3f} (law {law:.3f})")
        axes[0][0].set_ylabel(r"$\log_{10}$(saddles / minima)")
        axes[0][0].legend(loc="upper left", fontsize=8)
        figure.savefig(path, metadata={"Date": None} if path.endswith("svg") else None)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "far_ratio.svg")
