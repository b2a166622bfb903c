"""Sums of waves for a block of starts: phases, sines, gradient and packed Hessian.

Symbols: w_m frequency, p_m = w_m . x; c_m = a_m cos p_m + b_m sin p_m; d_m = b_m cos p_m - a_m sin p_m.
f = sum c_m, grad f = sum d_m w_m, Hess f = -sum c_m w_m w_m'; a confinement mu adds mu |x|^2/2, mu x, mu I.

The warps of a block first compute c and d of a chunk of waves for all its starts (shared memory), then each takes
squares of ``edge`` x ``edge`` Hessian entries: edge products c w_i and edge^2 multiply-adds a wave, with the
frequencies read by all threads at one address. Squares on the diagonal add the gradient of their rows, and the first
adds the value.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import float64

from simcore.backends.cuda import device
from simcore.backends.cuda.arithmetic import divide, floor, fma, multiply, sincos
from simcore.backends.cuda.device import body as cuda
from simcore.backends.cuda.device import function
from simcore.backends.cuda.memory import load, store
from simcore.backends.cuda.shape import CHUNK, Shape, Space
from simcore.backends.problems import Waves

_GROUP = 4  # waves whose phases a thread sums at a time, so that each x is loaded once for four


class WavesOnDevice(NamedTuple):
    """One function on the device; waves of zero amplitude and coordinates of zero frequency pad the arrays."""

    n: int
    waves: int
    row: int  # doubles a wave, a multiple of the edge
    frequencies: Any  # [waves][row]
    cosine: Any
    sine: Any
    confinement: float
    period: float


def upload(problem: Waves, shape: Shape, stream: Any, to_device: Any = device.to_device) -> WavesOnDevice:
    """Copy the coefficients to the device."""
    count, n = problem.frequencies.shape
    waves = max(_GROUP, -(-count // _GROUP) * _GROUP)
    row = -(-n // shape.edge) * shape.edge
    frequencies = np.zeros((waves, row))
    frequencies[:count, :n] = problem.frequencies
    amplitudes = np.zeros((2, waves))
    amplitudes[:, :count] = problem.cosine, problem.sine
    arrays = [to_device(array, stream) for array in (frequencies.ravel(), amplitudes[0], amplitudes[1])]
    return WavesOnDevice(n, waves, row, *arrays, float(problem.confinement), float(problem.period))


def space(problem: Waves) -> Space:
    """Return the scratch per start: the packed Hessian, and gradient and value."""
    n = problem.frequencies.shape[1]
    return Space(n * (n + 1) // 2, n)


def best_edge(n: int) -> int:
    """Return the edge whose squares cost least at dimension n.

    Counted in the machine code for sm_90, a square takes E^2 + E double-precision instructions a wave, two issue cycles
    each, and about 2 E + 21 others. At least two squares a side, so that several warps have work; edges above 6 need
    more registers than leave room for enough warps.
    """

    def cost(edge: int) -> int:
        side = -(-n // edge)
        real = edge * edge + edge
        return side * (side + 1) // 2 * max(2 * real, real + 2 * edge + 21)

    return min(range(2, min(6, max(2, -(-n // 2))) + 1), key=cost)


@functools.cache
def routines(shape: Shape) -> tuple[Any, Any, Any]:
    """Return the device functions ``evaluate``, ``system`` and ``advance`` for blocks of one shape."""
    L, W, E = shape
    square_size = E * E
    confine, advance = motions(W, L)

    @function
    def sines(problem, X, c, d, first, size, lane, warp):
        """Fill c and d of waves first .. first + size - 1."""
        n, row, w = problem.n, problem.row, problem.frequencies
        m = _GROUP * warp
        while m < size:
            at = (first + m) * row
            p0, p1, p2, p3 = 0.0, 0.0, 0.0, 0.0
            i = 0
            while i < n:
                x = load(X, i * L + lane)
                p0 = fma(load(w, at + i), x, p0)
                p1 = fma(load(w, at + row + i), x, p1)
                p2 = fma(load(w, at + 2 * row + i), x, p2)
                p3 = fma(load(w, at + 3 * row + i), x, p3)
                i += 1
            for k in range(_GROUP):
                p = p0
                if k == 1:
                    p = p1
                elif k == 2:
                    p = p2
                elif k == 3:
                    p = p3
                sine, cosine = sincos(p)
                a, b = load(problem.cosine, first + m + k), load(problem.sine, first + m + k)
                store(c, (m + k) * L + lane, fma(a, cosine, multiply(b, sine)))
                store(d, (m + k) * L + lane, fma(b, cosine, -multiply(a, sine)))
            m += W * _GROUP

    @function
    def square(problem, H, extra, c, d, first, size, top, left, lane):
        """Add a chunk's waves to Hessian entries (top + a, left + b); on the diagonal to the gradient, and to f."""
        n, row, w = problem.n, problem.row, problem.frequencies
        entries = cuda.local.array(square_size, float64)
        scaled = cuda.local.array(E, float64)
        slope = cuda.local.array(E, float64)
        diagonal = top == left
        value = 0.0
        for a in range(E):
            slope[a] = 0.0
            for b in range(E):
                entries[a * E + b] = 0.0
        if first > 0:
            for a in range(E):
                i = top + a
                begin = (i * (i + 1)) >> 1
                for b in range(E):
                    j = left + b
                    if i < n and j <= i:
                        entries[a * E + b] = load(H, (begin + j) * L + lane)
                if diagonal and i < n:
                    slope[a] = load(extra, i * L + lane)
        m = 0
        while m < size:
            at = (first + m) * row
            wave = load(c, m * L + lane)
            for a in range(E):
                scaled[a] = -multiply(load(w, at + top + a), wave)
            for b in range(E):
                factor = load(w, at + left + b)
                for a in range(E):
                    entries[a * E + b] = fma(scaled[a], factor, entries[a * E + b])
            if diagonal:
                rise = load(d, m * L + lane)
                for a in range(E):
                    slope[a] = fma(load(w, at + top + a), rise, slope[a])
                value += wave
            m += 1
        for a in range(E):
            i = top + a
            begin = (i * (i + 1)) >> 1
            for b in range(E):
                j = left + b
                if i < n and j <= i:
                    store(H, (begin + j) * L + lane, entries[a * E + b])
            if diagonal and i < n:
                store(extra, i * L + lane, slope[a])
        return value

    @function
    def evaluate(problem, X, H, extra, value, c, d, lane, warp):
        """Fill value, gradient (extra) and packed Hessian of the block's starts, confinement left out."""
        if warp == 0:
            store(value, lane, 0.0)
        first = 0
        while first < problem.waves:
            size = min(CHUNK, problem.waves - first)
            sines(problem, X, c, d, first, size, lane, warp)
            cuda.syncthreads()
            task = 0
            top = 0
            while top < problem.row:
                left = 0
                while left <= top:
                    if task == warp:
                        part = square(problem, H, extra, c, d, first, size, top, left, lane)
                        if top == 0:
                            store(value, lane, load(value, lane) + part)
                    task = task + 1 if task + 1 < W else 0
                    left += E
                top += E
            cuda.syncthreads()
            first += CHUNK

    @function
    def system(problem, X, H, extra, value, A, lane, warp):
        """Copy Hessian and gradient into the augmented system and add the confinement; the value too."""
        n = problem.n
        right = (n * (n + 1)) >> 1
        i = warp
        while i < n:
            begin = (i * (i + 1)) >> 1
            j = 0
            while j <= i:
                store(A, (begin + j) * L + lane, load(H, (begin + j) * L + lane))
                j += 1
            store(A, (right + i) * L + lane, load(extra, i * L + lane))
            i += W
        return confine(problem, X, A, load(value, lane), lane, warp)

    return evaluate, system, advance


@functools.cache
def motions(warps: int, pitch: int) -> tuple[Any, Any]:
    """Return the device functions ``confine`` and ``advance`` for arrays of ``pitch`` lanes."""
    L, W = pitch, warps

    @function
    def confine(problem, X, A, total, lane, warp):
        """Add the confinement to an augmented system, rows shared as ``system`` shares them; return total with it."""
        n, mu = problem.n, problem.confinement
        if mu != 0.0:
            right = (n * (n + 1)) >> 1
            i = warp
            while i < n:
                at = ((i * (i + 3)) >> 1) * L + lane
                store(A, at, load(A, at) + mu)
                at = (right + i) * L + lane
                store(A, at, fma(load(X, i * L + lane), mu, load(A, at)))
                i += W
            distance = 0.0
            i = 0
            while i < n:
                distance = fma(load(X, i * L + lane), load(X, i * L + lane), distance)
                i += 1
            total = fma(distance, 0.5 * mu, total)
        cuda.syncthreads()
        return total

    @function
    def advance(problem, X, extra, d, t, lane, warp):
        """x <- x - t d, wrapped into [0, period) on a torus; t = 0 for lanes that stay. No barrier."""
        n, period = problem.n, problem.period
        i = warp if t > 0.0 else n
        while i < n:
            x = fma(-t, load(d, i * L + lane), load(X, i * L + lane))
            if period > 0.0:
                x = fma(-floor(divide(x, period)), period, x)
            store(X, i * L + lane, x)
            i += W

    return confine, advance
