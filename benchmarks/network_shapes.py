"""Value, gradient and Hessian of networks of equal size: every depth, loss and activation against the fastest one.

    python benchmarks/network_shapes.py --save results/benchmarks/network_shapes.json
    python benchmarks/network_shapes.py --against OTHER/python   # and the same by another tree's interpreter
    python benchmarks/network_shapes.py --ceiling                # fraction of the DGEMM ceiling by parameters

One, two and three hidden layers have 94 parameters each, 5 inputs, 4 outputs and 188 samples. Each tree runs in a
process of its own and is timed by its processor time; all cases and trees take turns, and a case's number is the median
over the rounds. A call has no more starts than have 8 MB of Hessians: fresh memory would cost as much as they do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

SHAPES = ((5, 9, 4), (5, 5, 6, 4), (5, 5, 4, 4, 4))
ACTIVATIONS = ("tanh", "sigmoid", "softplus", "relu", "linear")
LOSSES = ("mse", "cross_entropy")
CEILING = ((2, 5, 1), (2, 25, 1), (2, 100, 1))
SAMPLES = 188
SECONDS = 0.05  # a timed run, about

WORKER = """
import sys, time, json
import numpy as np
from simcore.backends import cpu
from simcore.backends.network_problems import Mlp
from simcore.blas import single_threaded_blas

def made(case):
    rng = np.random.default_rng(1)
    widths, activation, loss, samples = case
    x, y = rng.normal(size=(samples, widths[0])), rng.normal(size=(samples, widths[-1]))
    if loss == "cross_entropy":
        y = np.eye(widths[-1])[y.argmax(axis=1)]
    problem = Mlp(tuple(widths), activation, loss, x, y, 0.01)
    return problem, rng.normal(size=(960, problem.dimension)) * 0.6

def seconds(case, count):
    problem, x = cases[case]
    together = max(8, 2**20 // problem.dimension**2 // 8 * 8)  # 8 MB of Hessians a call
    begin = time.process_time()
    for first in range(0, count, together):
        cpu.evaluate(problem, x[first : min(first + together, count)])
    return time.process_time() - begin

cases = [made(case) for case in json.loads(sys.stdin.readline())]
target, counts = float(sys.argv[1]), []
with single_threaded_blas():
    for case in range(len(cases)):
        seconds(case, 8)
        counts.append(max(8, min(960, int(target / (min(seconds(case, 8) for _ in range(2)) / 8) / 8) * 8)))
    print("ready", flush=True)
    for line in sys.stdin:
        case = int(line)
        print(1e6 * seconds(case, counts[case]) / counts[case], flush=True)
"""


class Tree:
    """A process that times cases on request with one interpreter's simcore."""

    def __init__(self, python: str, cases: list) -> None:
        self.process = subprocess.Popen(
            [Path(python).absolute(), "-c", WORKER, str(SECONDS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd="/",  # else both would import the tree in which this one is started
        )  # fmt: skip
        self.times: list[list[float]] = [[] for _ in cases]
        self._say(json.dumps(cases))
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit(f"{python} could not evaluate the networks")

    def _say(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def time(self, case: int) -> None:
        """Add one run of a case, microseconds an evaluation."""
        self._say(str(case))
        self.times[case].append(float(self.process.stdout.readline()))

    def end(self) -> None:
        """Let the process end."""
        self.process.stdin.close()
        self.process.wait()


def measure(pythons: list[str], cases: list, rounds: int) -> list[list[dict]]:
    """Return median, fastest and slowest run of every case, tree by tree."""
    trees = [Tree(python, cases) for python in pythons]
    for _ in range(rounds):
        for case in range(len(cases)):
            for tree in trees:
                tree.time(case)
    for tree in trees:
        tree.end()
    return [[{"us": statistics.median(t), "low": min(t), "high": max(t)} for t in tree.times] for tree in trees]


def shapes(pythons: list[str], rounds: int) -> dict:
    """Measure every depth, loss and activation."""
    cases = [(w, a, loss, SAMPLES) for loss in LOSSES for w in SHAPES for a in ACTIVATIONS]
    found = measure(pythons, cases, rounds)
    fastest = min(row["us"] for row in found[0])
    rows = []
    for number, (widths, activation, loss, _) in enumerate(cases):
        row = {"widths": widths, "activation": activation, "loss": loss, **found[0][number]}
        row["over_fastest"] = row["us"] / fastest
        if len(found) > 1:
            row["other_us"] = found[1][number]["us"]
            row["faster_by"] = row["other_us"] / row["us"]
        rows.append(row)
        print(*row.values(), flush=True)
    return {"samples": SAMPLES, "parameters": 94, "rounds": rounds, "rows": rows}


def ceilings(pythons: list[str], rounds: int) -> dict:
    """Measure one hidden layer of tanh units, twice as many samples as parameters, against the DGEMM ceiling."""
    from simcore.benchmarks.ceiling import Ceiling

    sizes = [sum((a + 1) * b for a, b in pairwise(w)) for w in CEILING]
    cases = [(w, "tanh", "mse", 2 * p) for w, p in zip(CEILING, sizes, strict=True)]
    rows = []
    with Ceiling(1) as ceiling:
        found = []
        for _ in range(rounds):
            found.append(measure(pythons, cases, 5)[0])
            ceiling.measure()
        best = ceiling.best
    for number, (widths, p) in enumerate(zip(CEILING, sizes, strict=True)):
        us = statistics.median(part[number]["us"] for part in found)
        flops = 2 * p * (p * (p + 1.0) + 6.0 * p)
        rows.append({"widths": widths, "parameters": p, "us": us, "gflops": flops / us / 1e3, "dgemm_gflops": best,
                     "fraction": flops / us / 1e3 / best})  # fmt: skip
        print(*rows[-1].values(), flush=True)
    return {"rows": rows}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", help="another tree's Python")
    parser.add_argument("--ceiling", action="store_true", help="measure the fraction of the ceiling alone")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--save", type=Path)
    given = parser.parse_args()
    pythons = [sys.executable, *([given.against] if given.against else [])]
    result = (ceilings if given.ceiling else shapes)(pythons, given.rounds)
    if given.save:
        given.save.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
