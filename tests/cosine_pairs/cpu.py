"""The compiled operations on tiles of 24 starts, eight lanes at a time."""

from typing import NamedTuple

import numpy as np

from cosine_pairs.family import Pairs
from simcore.backends.cpu.dispatch import register
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import broadcast, load, store
from simcore.backends.cpu.waves import advance  # tori move alike
from simcore.compilation import jit
from simcore.formulas.elementary import sincos
from simcore.formulas.intrinsics import fma

T = LANES


class Tables(NamedTuple):
    amplitudes: np.ndarray  # cosine, sine


class PairsTile(NamedTuple):
    n: int
    period: float
    memory: np.ndarray  # value, gradient [n], packed Hessian, [24] each


@jit
def prepare(problem):
    """Lay out the coefficients, and room for an evaluated tile."""
    memory = np.empty((1 + problem.n + problem.cosine.size) * T)
    return Tables(np.concatenate((problem.cosine, problem.sine))), PairsTile(problem.n, 2 * np.pi, memory)


@jit
def _add(memory, row, s, term):
    store(memory, row * T + s, load(memory, row * T + s) + term)


@jit
def evaluate(tables, tile, X):
    """Fill value, gradient and Hessian of the tile."""
    n, memory, amplitudes = tile.n, tile.memory, tables.amplitudes
    pairs = amplitudes.size // 2
    for k in range(0, memory.size, 8):
        store(memory, k, 0.0)
    for s in range(0, T, 8):
        k = 0
        for i in range(n):
            for j in range(i + 1):
                a, b = broadcast(amplitudes, k), broadcast(amplitudes, pairs + k)
                sine, cosine = sincos(load(X, i * T + s) + load(X, j * T + s))
                wave, slope = fma(a, cosine, b * sine), fma(b, cosine, -(a * sine))
                _add(memory, 0, s, wave)
                _add(memory, 1 + i, s, slope)
                _add(memory, 1 + j, s, slope)
                _add(memory, 1 + n + k, s, -wave)
                _add(memory, 1 + n + i * (i + 3) // 2, s, -wave)
                _add(memory, 1 + n + j * (j + 3) // 2, s, -wave)
                if i == j:  # the pair (i, i) has four second derivatives, all in one place
                    _add(memory, 1 + n + k, s, -wave)
                k += 1


@jit
def system(tile, X, s, A, g):
    """Copy gradient and packed Hessian of eight lanes; return the value."""
    n = tile.n
    for i in range(n):
        store(g, i * 8, load(tile.memory, (1 + i) * T + s))
    for k in range(n * (n + 1) // 2):
        store(A, k * 8, load(tile.memory, (1 + n + k) * T + s))
    return load(tile.memory, s)


register(Pairs, PairsTile, prepare=prepare, evaluate=evaluate, system=system, advance=advance)
