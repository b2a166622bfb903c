"""The picture of one arc in docs/counts.md: cost and index along the curve grad f = s u, from one critical point to
another.

    python benchmarks/arc_picture.py docs/arc.svg
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

import simcore
from simcore.arcs.plain import Local, arc
from simcore.arcs.rule import ARRIVED, arc_rule

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")


def followed(draw, start, u, rule):
    """Return (status, s, cost, index) at the points that an arc evaluates."""
    domain, rows = draw.landscape.domain, []
    asking = arc(domain, start, u, rule)
    x = next(asking)
    while True:
        frame = domain.frame(x[None])[0]
        gradient, hessian = frame.T @ draw.gradient(x), frame.T @ draw.hessian(x) @ frame
        along = frame.T @ u
        s = float(along @ gradient / (along @ along))
        tilted = hessian + (0.0 if domain.flat else s * (u @ x) / len(x)) * np.eye(len(along))
        rows.append((s, draw.value(x), int((np.linalg.eigvalsh(tilted) < 0).sum())))
        try:
            x = asking.send(Local(draw.value(x), gradient, hessian, frame))
        except StopIteration as end:
            return end.value[0], np.array(rows)


def main(path):
    landscape = simcore.SphericalSpin(n=12, p=3)
    draw = landscape.draw(seed=1, draw=0)
    known = simcore.enumerate_critical_points(landscape, draw=0, seed=1).points
    start = np.array(known.x[(known.morse_index == 0)].iloc[0])
    rule = arc_rule(landscape.scales.length, landscape.scales.gradient, 11, 0.0)._replace(longest=0.1)
    chosen = None
    for seed in range(60):  # the longest of sixty arcs from this minimum that arrive
        u = rule.sigma * np.random.default_rng(seed).standard_normal(12)
        status, rows = followed(draw, start, u, rule)
        if status == ARRIVED and (chosen is None or len(set(rows[:, 2])) > len(set(chosen[:, 2]))):
            chosen = rows
    s, cost, index = chosen.T
    figure, axis = plt.subplots(figsize=(5.2, 3.2), constrained_layout=True)
    for k in np.unique(index):
        some = index == k
        axis.plot(s[some], cost[some], "o", ms=3.5, color=COLOURS[int(k) % 6], label=f"index {int(k)}")
    axis.plot(s, cost, "-", color="0.7", lw=0.8, zorder=0)
    axis.plot([0, 0], [cost[0], cost[-1]], "ks", ms=6, fillstyle="none", label="critical points of $f$")
    axis.axvline(0.0, color="0.8", lw=0.8, zorder=0)
    axis.set_xlabel("$s$")
    axis.set_ylabel("$f(x)$ on the curve $\\nabla f = s\\,u$")
    axis.legend(fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "arc.svg")
