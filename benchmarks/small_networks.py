"""All critical points of small networks with a penalty: multi-start, then walks until the Euler sum is 1.

    python benchmarks/small_networks.py --out results/counts --widths 2-2-1 2-3-1 3-3-1 --sets 20

A line a network, activation, L2 and data set, kept in one JSON file; run again, the script skips what is there, so that
it may be stopped at any time. ``held_out``: classes that a multi-start search from 2,048 starts of another seed finds,
and how many of them the list lacks. ``seconds`` are processor time of the list, compilation left out.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np

import simcore
from simcore.formulas.outcome import CRITICAL
from simcore.search.distinct import PointTable
from simcore.search.search import Search
from simcore.search.target import Target

HELD_OUT = 2048
SAMPLES = 30


def network(widths, activation, l2):
    """Return the landscape: one output, 30 Gaussian samples with random targets; its draw is the data set."""
    data = {"kind": "gaussian", "spectrum": [1.0] * widths[0], "targets": "normal", "outputs": 1, "samples": SAMPLES}
    return simcore.MLP(widths=widths, activation=activation, loss="mse", data=data, l2=l2)


def listed(landscape, draw):
    """Return what is kept of one list."""
    begin = time.process_time()
    found = simcore.enumerate_critical_points(landscape, draw=draw, seed=1, threads=1)
    seconds = time.process_time() - begin
    audit = found.audit
    target = Target.of(Search.of(landscape, seed=2, threads=1), landscape.draw(seed=1, draw=draw))
    ends = target.ordinary(0, HELD_OUT)
    rows = ends.status == CRITICAL
    table = PointTable(landscape, target.search.options.decrement_tolerance, target.cost_unit)
    points = found.points
    table.absorb(np.stack(points.x.to_list()), points.morse_index.to_numpy(), points.cost.to_numpy(),
                 np.zeros(len(points)))  # fmt: skip
    before = table.count
    table.absorb(target.canonical(ends.x[rows]), ends.index[rows], ends.cost[rows], ends.decrement[rows])
    kept = ("complete", "euler_sum", "orbits", "points", "by_starts", "euler_sum_by_starts", "walk_moves",
            "newest_class", "least_reached", "escaped")  # fmt: skip
    return {"seconds": seconds, **{name: audit[name] for name in kept}, "held_out_new": table.count - before}


def main():
    """List what is asked for and is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/counts"))
    parser.add_argument("--widths", nargs="+", default=["2-2-1"])
    parser.add_argument("--l2", nargs="+", type=float, default=[1e-2, 1e-3])
    parser.add_argument("--activations", nargs="+", default=["tanh", "softplus"])
    parser.add_argument("--sets", type=int, default=20)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "networks.json"
    warnings.simplefilter("ignore", simcore.IncompleteWarning)
    for words in given.widths:
        for activation in given.activations:
            for l2 in given.l2:
                landscape = network(tuple(map(int, words.split("-"))), activation, l2)
                for draw in range(given.sets):
                    key = f"{activation} {words} l2={l2:g} set={draw}"
                    held = json.loads(path.read_text()) if path.exists() else {}
                    if key in held:
                        continue
                    held[key] = listed(landscape, draw)
                    path.write_text(json.dumps(held, indent=1, default=float) + "\n")
                    print(key, held[key], flush=True)


if __name__ == "__main__":
    main()
