"""The device functions: a warp takes a row, so no sum depends on how rows are shared."""

import functools
from typing import Any, NamedTuple

from simcore.backends.cuda import device, waves
from simcore.backends.cuda.arithmetic import fma, multiply, sincos
from simcore.backends.cuda.device import body as cuda
from simcore.backends.cuda.device import function
from simcore.backends.cuda.memory import load, store
from simcore.backends.cuda.shape import Space


class PairsOnDevice(NamedTuple):
    n: int
    cosine: Any
    sine: Any
    confinement: float
    period: float


def upload(problem, shape, stream, to_device=device.to_device):
    """Copy the coefficients to the device."""
    return PairsOnDevice(
        problem.n, to_device(problem.cosine, stream), to_device(problem.sine, stream), 0.0, problem.domain.period
    )


def space(problem):
    """Scratch a start: the packed Hessian; gradient, and each row's share of the value."""
    return Space(problem.n * (problem.n + 1) // 2, 2 * problem.n)


def best_edge(n):
    """Rows are shared one by one."""
    return 8


@functools.cache
def routines(shape):
    """Return ``evaluate``, ``system`` and ``advance`` for blocks of one shape."""
    L, W, _ = shape
    confine, advance = waves.motions(W, L)

    @function
    def evaluate(problem, X, H, extra, value, c, d, lane, warp):
        n = problem.n
        i = warp
        while i < n:
            total, slope, bend = 0.0, 0.0, 0.0
            j = 0
            while j < n:
                high, low = max(i, j), min(i, j)
                k = ((high * (high + 1)) >> 1) + low
                sine, cosine = sincos(load(X, i * L + lane) + load(X, j * L + lane))
                a, b = load(problem.cosine, k), load(problem.sine, k)
                wave = fma(a, cosine, multiply(b, sine))
                rise = fma(b, cosine, -multiply(a, sine))
                slope += rise
                bend += wave
                if j <= i:
                    total += wave
                    store(H, k * L + lane, -wave)
                if j == i:
                    slope += rise
                    bend += 3.0 * wave
                j += 1
            store(H, ((i * (i + 3)) >> 1) * L + lane, -bend)
            store(extra, i * L + lane, slope)
            store(extra, (n + i) * L + lane, total)
            i += W
        cuda.syncthreads()

    @function
    def system(problem, X, H, extra, value, A, lane, warp):
        n = problem.n
        right = (n * (n + 1)) >> 1
        i = warp
        while i < n:
            j = 0
            while j <= i:
                at = (((i * (i + 1)) >> 1) + j) * L + lane
                store(A, at, load(H, at))
                j += 1
            store(A, (right + i) * L + lane, load(extra, i * L + lane))
            i += W
        total = 0.0
        i = 0
        while i < n:
            total += load(extra, (n + i) * L + lane)
            i += 1
        return confine(problem, X, A, total, lane, warp)

    return evaluate, system, advance
