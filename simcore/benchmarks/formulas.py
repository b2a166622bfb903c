"""``simcore bench normals | sincos | ldlt``: the building blocks of the kernels, one thread.

A sine and cosine, or a normal number, has no useful flops by the convention of ``flops``; the figure is ns each. An
LDL^T solve of n unknowns has n^3/3 + 2n^2 useful flops; eight matrices are factorised side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simcore.benchmarks import flops
from simcore.benchmarks.ceiling import Ceiling
from simcore.benchmarks.micro_kernel import micro_kernel
from simcore.benchmarks.settings import Settings
from simcore.benchmarks.timing import Timing, alternate, clock_of, confined_to

COUNT = 1 << 15  # numbers: in the second-level cache
LOOPS = 200


def normals(settings: Settings) -> dict[str, Any]:
    """Standard normals of the counter-based generator, and of NumPy's default generator."""
    from simcore.formulas.random import start_normals

    generator = np.random.default_rng(1)
    out = np.empty(COUNT)
    calls = {
        "simcore": lambda: [start_normals(1, 2, 3, 0, 1, COUNT) for _ in range(LOOPS // 10)],
        "numpy": lambda: [generator.standard_normal(COUNT, out=out) for _ in range(LOOPS // 10)],
    }
    return _each("normals", calls, COUNT * (LOOPS // 10), settings)


def sincos(settings: Settings) -> dict[str, Any]:
    """Sine and cosine of the same argument, uniform on +-100, against NumPy's two functions.

    ``turned_ns_each`` is the time of the function that sums of waves use, whose argument counts quarter turns.
    """
    from simcore.backends.cpu.probes import sincos_array, turned_sincos_array

    x = np.random.default_rng(1).uniform(-100, 100, COUNT)
    sine, cosine = np.empty(COUNT), np.empty(COUNT)
    calls = {
        "simcore": lambda: [sincos_array(x, sine, cosine) for _ in range(LOOPS)],
        "turned": lambda: [turned_sincos_array(x, sine, cosine) for _ in range(LOOPS)],
        "numpy": lambda: [(np.sin(x, out=sine), np.cos(x, out=cosine)) for _ in range(LOOPS // 10)],
    }
    return _each("sincos", calls, COUNT * LOOPS, settings, {"numpy": COUNT * (LOOPS // 10)})


def ldlt(settings: Settings) -> dict[str, Any]:
    """Symmetric solves with inertia, eight side by side, against NumPy's solve and eigvalsh; random GOE matrices."""
    from simcore.backends.cpu.probes import solve_array

    n = 10 if settings.n is None else settings.n
    groups = max(1, min(4096, int(2e6 / (n * n * 8))))
    loops = max(1, int(5e8 / (groups * 8 * (n**3 / 3 + 20 * n * n))))
    generator = np.random.default_rng(1)
    dense = generator.standard_normal((groups * 8, n, n))
    dense = dense + dense.swapaxes(1, 2)
    right = generator.standard_normal((groups * 8, n))
    lower = np.tril_indices(n)
    packed = np.ascontiguousarray(dense[:, lower[0], lower[1]].reshape(groups, 8, -1).swapaxes(1, 2)).ravel()
    lanes = np.ascontiguousarray(right.reshape(groups, 8, n).swapaxes(1, 2)).ravel()
    work, scratch = np.empty(n * (n + 1) // 2 * 8), (np.empty(n * 8), np.empty(4 * n * 8))

    few = slice(0, min(groups * 8, 64))
    multiply, useful_of_product = micro_kernel()

    def numpy_loop() -> None:
        for matrix, b in zip(dense[few], right[few], strict=True):
            np.linalg.solve(matrix, b)
            (np.linalg.eigvalsh(matrix) < 0).sum()

    calls = {
        "simcore": lambda: [solve_array(packed, n, groups, lanes.copy(), work, *scratch) for _ in range(loops)],
        "numpy": numpy_loop,
        "product": multiply,
    }
    with confined_to(1), Ceiling(1) as ceiling:
        for call in calls.values():
            call()
        times = alternate(calls, settings.repeats, ceiling.measure, clock_of(1))
        best = ceiling.best
    solves = groups * 8 * loops
    useful = flops.ldlt(n) + 2.0 * n * n
    ours, theirs = times["simcore"].median / solves, times["numpy"].median / (few.stop - few.start)
    rate = useful / ours / 1e9
    return {
        "case": "ldlt",
        "n": n,
        "threads": 1,
        **_spread("us_per_solve", times["simcore"], solves, 1e6),
        "useful_flops": useful,
        "useful_gflops": rate,
        "micro_kernel_gflops": useful_of_product / times["product"].median / 1e9,
        "dgemm_gflops": best,
        "dgemm_fraction": rate / best,
        "peers": [{"name": "numpy solve + eigvalsh", "us_per_solve": theirs * 1e6, "ratio": theirs / ours}],
    }


def _each(
    case: str, calls: dict[str, Any], count: int, settings: Settings, counts: dict[str, int] | None = None
) -> dict[str, Any]:
    with confined_to(1):
        for call in calls.values():
            call()
        times = alternate(calls, settings.repeats, clock=clock_of(1))
    ours, theirs = times["simcore"].median / count, times["numpy"].median / (counts or {}).get("numpy", count)
    beside = {"turned_ns_each": times["turned"].median / count * 1e9} if "turned" in times else {}
    return {
        "case": case,
        "threads": 1,
        **_spread("ns_each", times["simcore"], count, 1e9),
        **beside,
        "peers": [{"name": "numpy", "ns_each": theirs * 1e9, "ratio": theirs / ours}],
    }


def _spread(name: str, timing: Timing, count: int, unit: float) -> dict[str, float]:
    scale = unit / count
    return {name: timing.median * scale, f"{name}_low": timing.low * scale, f"{name}_high": timing.high * scale}
