"""A Newton iteration of a user's njit family of the form of the 3-spin, beside the built-in family and a scalar form.

    python benchmarks/own_family.py [--n 8] [--repeats 9] [--save results/own_family/newton.json]

Five loops make the same steps from the same starts, in one process on one thread, alternating; each is the median of
its repeats in microseconds of processor time a start and iteration, with the smallest and the largest:

own : the family through ``simcore.CustomLandscape``: value, gradient and Hessian as the user writes them, called by the
    compiled loop.
joint : the same family with a ``batch``: an njit function that gives value, gradient and Hessian of 24 points, so that
    one contraction of the tensor serves all three.
lanes : ``SphericalSpin``, built in: eight starts at a time in registers.
scalar : what the built-in algorithm needs one start at a time: packed Hessian from the tensor, gradient and value from
    it, tangent coordinates by the reflection, L D L', step. Written below, compiled by Numba; no refill, no verdict.
point by point : the search that called these functions from Python, which is still the reference backend's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from pathlib import Path

import numba
import numpy as np

import simcore
from simcore import info
from simcore.backends import cpu, reference

STEPS = 20


@numba.njit
def value(x, t):
    total = 0.0
    for i in range(len(x)):
        for j in range(len(x)):
            for k in range(len(x)):
                total += t[i, j, k] * x[i] * x[j] * x[k]
    return total


@numba.njit
def gradient(x, t):
    g = np.zeros(len(x))
    for i in range(len(x)):
        for j in range(len(x)):
            for k in range(len(x)):
                g[k] += 3 * t[i, j, k] * x[i] * x[j]
    return g


@numba.njit
def hessian(x, t):
    h = np.zeros((len(x), len(x)))
    for i in range(len(x)):
        for j in range(len(x)):
            for k in range(len(x)):
                h[j, k] += 6 * t[i, j, k] * x[i]
    return h


@numba.njit
def joint(x, t):
    """Value, gradient and Hessian at x, (24, n), by one contraction: H = 6 t.x, grad f = H x / 2, f = x.grad f / 3."""
    points, n = x.shape
    v, g, h = np.zeros(points), np.zeros((points, n)), np.zeros((points, n, n))
    for s in range(points):
        for i in range(n):
            for j in range(n):
                for k in range(n):
                    h[s, j, k] += 6 * t[i, j, k] * x[s, i]
        for j in range(n):
            for k in range(n):
                g[s, k] += h[s, j, k] * x[s, j] / 2
        for k in range(n):
            v[s] += g[s, k] * x[s, k] / 3
    return v, g, h


def symmetric(rng, n):
    t = rng.normal(size=(n, n, n))
    return sum(t.transpose(p) for p in itertools.permutations(range(3))) / (6 * n * n)


@numba.njit(error_model="numpy")
def scalar_newton(t, starts, steps, cap, out):
    """``steps`` capped Newton steps on |x|^2 = n from each start, one after the other."""
    n = starts.shape[1]
    h, a = np.empty((n, n)), np.empty((n - 1, n - 1))
    hx, u, q, g = np.empty(n), np.empty(n), np.empty(n), np.empty(n - 1)
    unit = 1.0 / np.sqrt(n)
    for row in range(len(starts)):
        x = starts[row].copy()
        for _ in range(steps):
            hx[:] = 0.0
            for i in range(n):
                for j in range(i + 1):
                    entry = 0.0
                    for k in range(n):
                        entry += t[i, j, k] * x[k]
                    h[i, j] = h[j, i] = 6.0 * entry
            for i in range(n):
                for j in range(n):
                    hx[i] += h[j, i] * x[j]
            mu = 0.0
            for i in range(n):
                mu += hx[i] * x[i]
            out[row] = mu / 6.0
            mu /= 2.0 * n
            sign = -1.0 if x[n - 1] < 0.0 else 1.0
            b = 1.0 / (1.0 + abs(x[n - 1]) * unit)
            overlap = 0.0
            for i in range(n):
                u[i] = x[i] * unit
            u[n - 1] += sign
            for i in range(n):
                column = h[n - 1, i] - (mu if i == n - 1 else 0.0)
                q[i] = b * ((hx[i] - mu * x[i]) * unit + sign * column)
                overlap += q[i] * u[i]
            overlap *= 0.5 * b
            for i in range(n):
                q[i] -= overlap * u[i]
            shift = b * sign * (0.5 * hx[n - 1] - mu * x[n - 1])
            for i in range(n - 1):
                g[i] = 0.5 * hx[i] - mu * x[i] - shift * u[i]
                for j in range(i + 1):
                    a[i, j] = h[i, j] - u[i] * q[j] - q[i] * u[j]
                a[i, i] -= mu
            for j in range(n - 1):  # L D L', columns to the right
                inverse = 1.0 / a[j, j]
                for i in range(j + 1, n - 1):
                    factor = a[i, j] * inverse
                    for k in range(j + 1, i + 1):
                        a[i, k] -= factor * a[k, j]
                for i in range(j + 1, n - 1):
                    a[i, j] *= inverse
                    g[i] -= a[i, j] * g[j]
                g[j] *= inverse
            length = 0.0
            for i in range(n - 2, -1, -1):
                for k in range(i + 1, n - 1):
                    g[i] -= a[k, i] * g[k]
                length += g[i] * g[i]
            step = min(1.0, cap / np.sqrt(length))
            overlap, square = 0.0, 0.0
            for i in range(n - 1):
                overlap += u[i] * g[i]
            for i in range(n):
                x[i] -= step * ((g[i] if i < n - 1 else 0.0) - b * overlap * u[i])
                square += x[i] * x[i]
            scale = np.sqrt(n / square)
            for i in range(n):
                x[i] *= scale


def measure(n: int, repeats: int) -> dict[str, dict[str, float]]:
    """Return median, least and most microseconds of each loop."""
    given = (value, gradient, hessian, simcore.Sphere(n), n, lambda rng: (symmetric(rng, n),))
    law = simcore.CustomLandscape(*given)
    at_once = simcore.CustomLandscape(*given, batch=joint).draw(seed=1)
    spin = simcore.SphericalSpin(n).draw(seed=1)
    draw = law.draw(seed=1)
    options = simcore.Newton(step_cap=0.5).options(simcore.SphericalSpin(n))
    options = options._replace(gradient_tolerance=0.0, max_iterations=STEPS)  # every start makes all steps
    starts = law.starts(seed=1, draw=0, first=0, count=24 * 200)
    few, out = starts[:48], np.empty(len(starts))
    loops = {
        "own": (lambda: cpu.newton(draw.problem, starts, options), len(starts) * (STEPS + 1)),
        "joint": (lambda: cpu.newton(at_once.problem, starts, options), len(starts) * (STEPS + 1)),
        "lanes": (lambda: cpu.newton(spin.problem, starts, options), len(starts) * (STEPS + 1)),
        "scalar": (lambda: scalar_newton(*draw.problem.arrays, starts, STEPS + 1, 0.5, out), len(starts) * (STEPS + 1)),
        "point by point": (lambda: reference.newton(draw.problem, few, options), len(few) * (STEPS + 1)),
    }
    for run, _ in loops.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(repeats):
        for name, (run, iterations) in loops.items():
            before = time.thread_time()
            run()
            times[name].append((time.thread_time() - before) / iterations * 1e6)
    return {
        name: {"median": statistics.median(all_), "least": min(all_), "most": max(all_)} for name, all_ in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--save", type=Path, help="a file that gets the numbers, the command and the machine")
    given = parser.parse_args()
    found = measure(given.n, given.repeats)
    print(json.dumps(found, indent=1))
    if given.save:
        command = f"python benchmarks/own_family.py --n {given.n} --repeats {given.repeats}"
        facts = {"processor": info.processor(), "load_average": os.getloadavg(), "versions": info.versions()}
        given.save.parent.mkdir(parents=True, exist_ok=True)
        given.save.write_text(json.dumps({"command": command, "microseconds": found, **facts}, indent=1) + "\n")
    own = found["own"]["median"]
    for name in ("own", "joint"):
        time_ = found[name]["median"]
        print(f"{name} / scalar {time_ / found['scalar']['median']:.2f}", end=", ")
        print(f"{name} / lanes {time_ / found['lanes']['median']:.2f}")
    print(f"point by point / own {found['point by point']['median'] / own:.0f}")


if __name__ == "__main__":
    main()
