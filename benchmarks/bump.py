"""What short walks by arcs add to an enumeration: f = cos x_1 + cos x_2 + a periodic Gaussian bump of height .5.

    python benchmarks/bump.py --out results/counts

The bump adds a maximum and a saddle, which cancel in the Euler sum, and their basins for Newton's method are tiny. Ten
enumerations of each width, each with other starts and the bump elsewhere, as they are and with the walks left out.
``seconds`` are processor time, means; the function is plain Python.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from math import cos, exp, pi, sin
from pathlib import Path
from unittest.mock import patch

import numpy as np

import simcore
from simcore.search.rounds import Rounds

TIMES, STARTS = 10, 4096


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


def compared(width, number, walked):
    """Return (points near the bump, at most 2; complete; short walks; seconds) of an enumeration."""
    centre = np.random.default_rng(number).uniform(0.0, 2 * pi, 2)
    f = Bumped(centre.tolist(), width)
    landscape = simcore.CustomLandscape(value=f.value, gradient=f.gradient, hessian=f.hessian,
                                        domain=simcore.Torus(2), n=2)  # fmt: skip
    made, walk = [], Rounds._walk

    def counting(rounds):
        found = walked and walk(rounds)
        made.append(rounds.walks)
        return found

    begin = time.process_time()
    with patch.object(Rounds, "_walk", counting):
        found = simcore.enumerate_critical_points(landscape, seed=number, threads=1, max_starts=STARTS)
    seconds = time.process_time() - begin
    gap = np.abs((np.stack(found.points.x.to_list()) - centre + pi) % (2 * pi) - pi)
    return int((np.hypot(*gap.T) < 4 * width).sum()), bool(found.audit["complete"]), max(made, default=0), seconds


def main():
    """Measure both widths with and without walks and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/counts"))
    given = parser.parse_args()
    warnings.simplefilter("ignore", simcore.IncompleteWarning)
    rows = []
    for width in (0.1, 0.03):
        for walked in (False, True):
            each = [compared(width, number, walked) for number in range(TIMES)]
            rows.append(
                {
                    "width": width, "walks": walked, "enumerations": TIMES, "most_starts": STARTS,
                    "found": sum(near >= 2 for near, *_ in each),
                    "complete_without_the_bump": sum(done and near < 2 for near, done, *_ in each),
                    "short_walks": sum(walks for *_, walks, _ in each) / TIMES,
                    "seconds": sum(row[-1] for row in each) / TIMES,
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "bump.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
