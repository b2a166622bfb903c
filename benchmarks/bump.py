"""What a walk by arcs finds that an enumeration misses: f = cos x_1 + cos x_2 + a periodic Gaussian bump of height .5.

    python benchmarks/bump.py --out results/counts

The bump adds a maximum and a saddle, which cancel in the Euler sum, and their basins for Newton's method are tiny. Ten
enumerations of each width, each with other starts and the bump elsewhere; then 400 moves of 16 walkers from the points
that the enumeration found. ``seconds`` are processor time, means; the function is plain Python.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from math import cos, exp, pi, sin
from pathlib import Path

import numpy as np

import simcore
from simcore.arcs.chains import Chains
from simcore.arcs.rule import ARRIVED, arc_rule

TIMES, WALKERS, MOVES, STARTS = 10, 16, 25, 512


class Bumped:
    """The function; ``centre`` of the bump, exp(-sum (1 - cos(x_i - c_i))/width^2)."""

    def __init__(self, centre, width):
        self.centre, self.k = tuple(centre), width**-2

    def _bump(self, x):
        a, b = x[0] - self.centre[0], x[1] - self.centre[1]
        return 0.5 * exp((cos(a) + cos(b) - 2.0) * self.k), a, b

    def value(self, x):
        return cos(x[0]) + cos(x[1]) + self._bump(x)[0]

    def gradient(self, x):
        f, a, b = self._bump(x)
        return np.array([-sin(x[0]) - f * self.k * sin(a), -sin(x[1]) - f * self.k * sin(b)])

    def hessian(self, x):
        f, a, b = self._bump(x)
        s, t = self.k * sin(a), self.k * sin(b)
        return np.array(
            [[-cos(x[0]) + f * (s * s - self.k * cos(a)), f * s * t],
             [f * s * t, -cos(x[1]) + f * (t * t - self.k * cos(b))]]
        )  # fmt: skip


def compared(width, number):
    """Return (near, near after the walk, complete, seconds, seconds of the walk): points near the bump, at most 2."""
    centre = np.random.default_rng(number).uniform(0.0, 2 * pi, 2)
    f = Bumped(centre.tolist(), width)
    landscape = simcore.CustomLandscape(value=f.value, gradient=f.gradient, hessian=f.hessian,
                                        domain=simcore.Torus(2), n=2)  # fmt: skip

    def near(x):
        gap = np.abs((np.asarray(x) - centre + pi) % (2 * pi) - pi)
        inside = np.unique(np.round(np.asarray(x)[np.hypot(*gap.T) < 4 * width], 5), axis=0)
        return len(inside)

    begin = time.process_time()
    found = simcore.enumerate_critical_points(landscape, seed=number, threads=1, max_starts=STARTS)
    middle = time.process_time()
    points = found.points
    row = np.arange(WALKERS) % len(points)
    x = np.stack(points.x.to_list())
    rule = arc_rule(landscape.scales.length, landscape.scales.gradient, 2, 2 * pi)
    streams = [landscape.stream(f"bump:{walker}") for walker in range(WALKERS)]
    chains = Chains(landscape.draw(seed=number).problem, 2, x[row], points.morse_index.to_numpy()[row],
                    points.cost.to_numpy()[row], rule, np.zeros(3), (number, 0), streams)  # fmt: skip
    made = chains.advance(MOVES)
    arrived = made.x[made.status == ARRIVED]
    together = np.concatenate([x, arrived])
    return near(x), near(together), bool(found.audit["complete"]), middle - begin, time.process_time() - middle


def main():
    """Measure both widths and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/counts"))
    given = parser.parse_args()
    warnings.simplefilter("ignore", simcore.IncompleteWarning)
    rows = []
    for width in (0.1, 0.03):
        each = [compared(width, number) for number in range(TIMES)]
        rows.append(
            {
                "width": width, "enumerations": TIMES, "starts": STARTS, "moves": WALKERS * MOVES,
                "found_by_the_enumeration": sum(before >= 2 for before, *_ in each),
                "found_with_the_walk": sum(after >= 2 for _, after, *_ in each),
                "complete_without_the_bump": sum(done and before < 2 for before, _, done, *_ in each),
                "seconds": sum(row[3] for row in each) / TIMES, "walk_seconds": sum(row[4] for row in each) / TIMES,
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "bump.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
