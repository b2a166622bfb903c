"""Perceptrons with one hidden layer and mean squares: value, gradient and packed Hessian of eight starts, in lanes.

The samples are the same for every start. With e = (v, 1) a sample's inputs, phi at W_1 e, u = W_2' d the error brought
back to hidden units, d = (o - y)/N and G = W_2' W_2 (i, k hidden; q, r input or bias; c output; j hidden or bias, for
which a_j = 1):

    [1i q, 1k r]  = G_ik / N sum phi'_i e_q phi'_k e_r + (i = k) sum phi''_i u_i e_q e_r
    [2c j, 1k q]  = W_ck / N sum a_j phi'_k e_q + (j = k) sum d_c phi'_k e_q
    [2c j, 2c l]  = 1/N sum a_j a_l
    df/dW_1 k q   = sum_c W_ck sum d_c phi'_k e_q,    df/dW_2 c j = sum d_c a_j

and the l2 penalty. So with R = (phi'_k e_q, a_j), j no bias, the Jacobian of the outputs without the factors W_2, all
but the terms in phi'' is R R' (``outer.py``), d R' and the sum of R, whatever the number of outputs.

Networks of many parameters go to ``network_single.py``: there the sums of one start fill the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from simcore.backends.cpu.dispatch import register
from simcore.backends.cpu.outer import PANEL, add_outer_1, add_outer_4, add_shared_rows
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import broadcast, load, store, zeros
from simcore.backends.network_problems import Mlp
from simcore.compilation import jit
from simcore.domains import Space
from simcore.formulas.exponential import CODES, unit
from simcore.formulas.intrinsics import fma

T = LANES
_CHUNK = 32
_BLOCK = 4 * PANEL  # doubles of a 4 x 4 block of sums


class OneHidden(NamedTuple):
    """What the kernel is given; ``compiled`` makes it of an ``Mlp``."""

    inputs: np.ndarray  # (N, d)
    targets: np.ndarray  # (N, C)
    hidden: int
    activation: int
    l2: float

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return self.hidden * (self.inputs.shape[1] + 1) + self.targets.shape[1] * (self.hidden + 1)

    @property
    def domain(self) -> Space:
        """R^n, n the number of parameters."""
        return Space(self.dimension)


def compiled(problem: Any) -> Any:
    """Return what the kernels take of a perceptron with one hidden layer and mean squares; others as they are."""
    if type(problem) is not Mlp or len(problem.widths) != 3 or problem.loss != "mse":
        return problem
    inputs, targets = np.array(problem.inputs), np.array(problem.targets)
    return OneHidden(inputs, targets, problem.widths[1], CODES[problem.activation], problem.l2)


class NetworkTile(NamedTuple):
    """The samples, and the sums of the eight lanes last asked for.

    sizes = (first lane of the sums, -1 where there are none; N, d, h, C, activation; padded number of pairs e_q e_r).
    at = where each kind of row begins in ``memory``: weights, units, panels of R, panels of d and of ones, phi'' u,
    sums R R', sums d R' and of R, sums of phi'' u e e, value, sums of d; then its size. ``data``: inputs, targets,
    products e_q e_r by eights.
    """

    n: int
    l2: float
    sizes: np.ndarray
    at: np.ndarray
    data: np.ndarray
    memory: np.ndarray


@jit
def prepare(problem):
    """Lay the samples out and allocate scratch."""
    samples, d = problem.inputs.shape
    outputs = problem.targets.shape[1]
    h = problem.hidden
    pairs = ((d + 1) * (d + 2) // 2 + 7) // 8 * 8
    data = np.zeros(samples * (d + outputs + pairs))
    for m in range(samples):
        for q in range(d):
            data[m * d + q] = problem.inputs[m, q]
        for c in range(outputs):
            data[samples * d + m * outputs + c] = problem.targets[m, c]
        k = 0
        for q in range(d + 1):
            for r in range(q + 1):
                first = problem.inputs[m, q] if q < d else 1.0
                second = problem.inputs[m, r] if r < d else 1.0
                data[samples * (d + outputs) + ((k >> 3) * samples + m) * 8 + (k & 7)] = first * second
                k += 1

    n = h * (d + 1) + outputs * (h + 1)
    groups, quads = (h * (d + 2) + 3) // 4, (outputs + 4) // 4
    sizes = np.array((-1, samples, d, h, outputs, problem.activation, pairs), np.int64)
    at = np.zeros(10, np.int64)
    at[1] = at[0] + n * 8
    at[2] = at[1] + 3 * h * 8
    at[3] = at[2] + groups * _CHUNK * PANEL
    at[4] = at[3] + quads * _CHUNK * PANEL
    at[5] = at[4] + h * _CHUNK * 8
    at[6] = at[5] + groups * (groups + 1) // 2 * _BLOCK
    at[7] = at[6] + 4 * quads * groups * PANEL
    at[8] = at[7] + h * pairs * 8
    at[9] = at[8] + (1 + outputs) * 8
    return 0, NetworkTile(n, problem.l2, sizes, at, data, np.zeros(at[9]))


@jit
def evaluate(tables, tile, X):
    """Forget the sums: ``system`` makes those of its own eight lanes, which then stay in the cache."""
    tile.sizes[0] = -1


@jit
def _place(first, row, local):
    """Where row ``row`` of sample ``local`` of the chunk stands among panels that begin at ``first``."""
    return first + ((row >> 2) * _CHUNK + local) * PANEL + (row & 3) * 8


@jit
def _units(sizes, memory, data, weights, units, m):
    """Set phi, phi', phi'' of one sample's hidden units."""
    d, h, activation = sizes[2], sizes[3], sizes[5]
    for i in range(h):
        z = load(memory, weights + (h * d + i) * 8)
        for q in range(d):
            z = fma(load(memory, weights + (i * d + q) * 8), broadcast(data, m * d + q), z)
        a, slope, second = unit(activation, z)
        store(memory, units + i * 8, a)
        store(memory, units + (h + i) * 8, slope)
        store(memory, units + (2 * h + i) * 8, second)


@jit
def _errors(sizes, memory, data, weights, units, errors, total, m, local, value):
    """Set the panels of d and of ones of one sample, add d to ``total``; return the value's sum with it."""
    samples, d, h, outputs = sizes[1], sizes[2], sizes[3], sizes[4]
    second = weights + h * (d + 1) * 8
    for c in range(outputs):
        o = load(memory, second + (outputs * h + c) * 8)
        for j in range(h):
            o = fma(load(memory, second + (c * h + j) * 8), load(memory, units + j * 8), o)
        residual = o - data[samples * d + m * outputs + c]
        value = fma(residual, residual, value)
        error = residual * (1.0 / samples)
        store(memory, _place(errors, c, local), error)
        store(memory, total + c * 8, load(memory, total + c * 8) + error)
    store(memory, _place(errors, outputs, local), 1.0)
    return value


@jit
def _back(sizes, memory, weights, errors, local, i):
    """Return u_i, the error of one sample brought back to hidden unit i."""
    d, h, outputs = sizes[2], sizes[3], sizes[4]
    second = weights + h * (d + 1) * 8
    total = zeros()
    for c in range(outputs):
        total = fma(load(memory, second + (c * h + i) * 8), load(memory, _place(errors, c, local)), total)
    return total


@jit
def _fill(tile, X, s):
    """Sum over all samples for lanes s .. s + 7."""
    sizes, at, data, memory = tile.sizes, tile.at, tile.data, tile.memory
    samples, d, h, outputs, pairs = sizes[1], sizes[2], sizes[3], sizes[4], sizes[6]
    weights, units, rows, errors, bends = at[0], at[1], at[2], at[3], at[4]
    groups, last = (h * (d + 2) + 3) // 4, h * (d + 1)
    for i in range(tile.n):
        store(memory, weights + i * 8, load(X, i * T + s))
    for k in range(at[5], at[9], 8):
        store(memory, k, 0.0)
    value = zeros()
    for first in range(0, samples, _CHUNK):
        size = min(_CHUNK, samples - first)
        for local in range(size):
            m = first + local
            _units(sizes, memory, data, weights, units, m)
            value = _errors(sizes, memory, data, weights, units, errors, at[8] + 8, m, local, value)
            for i in range(h):
                slope = load(memory, units + (h + i) * 8)
                for q in range(d):
                    store(memory, _place(rows, i * d + q, local), slope * broadcast(data, m * d + q))
                store(memory, _place(rows, h * d + i, local), slope)
                store(memory, _place(rows, last + i, local), load(memory, units + i * 8))
                bend = load(memory, units + (2 * h + i) * 8) * _back(sizes, memory, weights, errors, local, i)
                store(memory, bends + (i * _CHUNK + local) * 8, bend)
        sums = at[5]
        for i in range(groups):
            for j in range(i + 1):
                a, b = rows + i * _CHUNK * PANEL, rows + j * _CHUNK * PANEL
                add_outer_4(memory, a, b, size, memory, sums, PANEL)
                sums += _BLOCK
        for c in range(0, outputs + 1, 4):
            for j in range(groups):
                b, out = rows + j * _CHUNK * PANEL, at[6] + (c * groups + j) * PANEL
                if outputs - c > 1:
                    add_outer_4(memory, _place(errors, c, 0), b, size, memory, out, groups * PANEL)
                else:
                    for k in range(c, outputs + 1):
                        add_outer_1(memory, _place(errors, k, 0), b, size, memory, out, groups * PANEL)
                        out += groups * PANEL
        for i in range(h):
            for k in range(0, pairs, 8):
                a = samples * (d + outputs) + (k * samples + first * 8)
                add_shared_rows(data, a, memory, bends + i * _CHUNK * 8, size, memory, at[7] + (i * pairs + k) * 8)
    store(memory, at[8], value)
    sizes[0] = s


@jit
def _sum(memory, sums, i, j):
    """Return (R R')_ij, j <= i or in the same block."""
    high, low = i >> 2, j >> 2
    return load(memory, sums + (high * (high + 1) // 2 + low) * _BLOCK + (i & 3) * PANEL + (j & 3) * 8)


@jit
def _hidden_row(tile, i, A, k):
    """Copy row i of the block of W_1, b_1 to A from place k; return the next place."""
    sizes, at, memory = tile.sizes, tile.at, tile.memory
    samples, d, h, outputs, pairs = sizes[1], sizes[2], sizes[3], sizes[4], sizes[6]
    u, p = (i // d, i % d) if i < h * d else (i - h * d, d)
    second = at[0] + h * (d + 1) * 8
    v, q = 0, 0
    gram = zeros()
    for j in range(i + 1):
        if j >= h * d:
            v, q = j - h * d, d
        if q == 0 or q == d:
            gram = zeros()
            for c in range(outputs):
                row = second + c * h * 8
                gram = fma(load(memory, row + u * 8), load(memory, row + v * 8), gram)
            gram = gram * (1.0 / samples)
        entry = gram * _sum(memory, at[5], i, j)
        if v == u:
            entry = entry + load(memory, at[7] + (u * pairs + p * (p + 1) // 2 + q) * 8)
        store(A, k, entry)
        k += 8
        q += 1
        if q == d:
            v, q = v + 1, 0
    return k


@jit
def _activity(sizes, memory, at, j, row):
    """Return the sum over samples of a_j times a row of R, j = h for the bias; all ones where the row is h's too."""
    d, h, outputs = sizes[2], sizes[3], sizes[4]
    groups, last = (h * (d + 2) + 3) // 4, h * (d + 1)
    if j == h and row == last + h:
        return zeros() + float(sizes[1])
    if j == h or row == last + h:
        return load(memory, at[6] + outputs * groups * PANEL + (row if j == h else last + j) * 8)
    return _sum(memory, at[5], max(last + j, row), min(last + j, row))


@jit
def _output_row(tile, c, j, width, A, k):
    """Copy a row of the blocks of W_2, b_2 up to its ``width``-th of them; j is the hidden unit, h for a bias."""
    sizes, at, memory = tile.sizes, tile.at, tile.memory
    samples, d, h, outputs = sizes[1], sizes[2], sizes[3], sizes[4]
    groups, last = (h * (d + 2) + 3) // 4, h * (d + 1)
    share = 1.0 / samples
    errors = at[6] + c * groups * PANEL
    for column in range(last):
        v = column // d if column < h * d else column - h * d
        entry = load(memory, at[0] + (last + c * h + v) * 8) * share * _activity(sizes, memory, at, j, column)
        if v == j:
            entry = entry + load(memory, errors + column * 8)
        store(A, k, entry)
        k += 8
    for column in range(width):
        e, i = (column // h, column % h) if column < outputs * h else (column - outputs * h, h)
        entry = zeros()
        if e == c:
            entry = _activity(sizes, memory, at, j, last + i) * share
        store(A, k, entry)
        k += 8
    return k


@jit
def system(tile, X, s, A, g):
    """Set gradient and packed Hessian of eight lanes, the penalty added; return the value."""
    if tile.sizes[0] != s:
        _fill(tile, X, s)
    sizes, at, memory, n, l2 = tile.sizes, tile.at, tile.memory, tile.n, tile.l2
    d, h, outputs = sizes[2], sizes[3], sizes[4]
    groups, last = (h * (d + 2) + 3) // 4, h * (d + 1)
    k = 0
    for i in range(last):
        k = _hidden_row(tile, i, A, k)
        v = i // d if i < h * d else i - h * d
        total = zeros()
        for c in range(outputs):
            row = at[6] + c * groups * PANEL
            total = fma(load(memory, at[0] + (last + c * h + v) * 8), load(memory, row + i * 8), total)
        store(g, i * 8, total)
    for i in range(outputs * (h + 1)):
        c, j = (i // h, i % h) if i < outputs * h else (i - outputs * h, h)
        k = _output_row(tile, c, j, i + 1, A, k)
        place = at[8] + (1 + c) * 8 if j == h else at[6] + c * groups * PANEL + (last + j) * 8
        store(g, (last + i) * 8, load(memory, place))
    for i in range(n):
        place = i * (i + 3) // 2 * 8
        store(A, place, load(A, place) + l2)
    return _penalised(tile, g)


@jit
def _penalised(tile, g):
    """Add the penalty's gradient and return the value with the penalty."""
    memory, at = tile.memory, tile.at
    square = zeros()
    for i in range(tile.n):
        x = load(memory, at[0] + i * 8)
        square = fma(x, x, square)
        store(g, i * 8, fma(x, tile.l2, load(g, i * 8)))
    return fma(load(memory, at[8]), 0.5 / tile.sizes[1], square * (0.5 * tile.l2))


@jit
def slope(tile, X, s, g):
    """Set the gradient of lanes s .. s + 7 alone; return the value."""
    sizes, at, data, memory = tile.sizes, tile.at, tile.data, tile.memory
    samples, d, h, outputs = sizes[1], sizes[2], sizes[3], sizes[4]
    weights, units, errors = at[0], at[1], at[3]
    last = h * (d + 1)
    sizes[0] = -1
    for i in range(tile.n):
        store(memory, weights + i * 8, load(X, i * T + s))
        store(g, i * 8, 0.0)
    for c in range(outputs):
        store(memory, at[8] + (1 + c) * 8, 0.0)
    value = zeros()
    for m in range(samples):
        _units(sizes, memory, data, weights, units, m)
        value = _errors(sizes, memory, data, weights, units, errors, at[8] + 8, m, 0, value)
        for i in range(h):
            back = load(memory, units + (h + i) * 8) * _back(sizes, memory, weights, errors, 0, i)
            for q in range(d):
                place = (i * d + q) * 8
                store(g, place, fma(back, broadcast(data, m * d + q), load(g, place)))
            store(g, (h * d + i) * 8, load(g, (h * d + i) * 8) + back)
        for c in range(outputs):
            error = load(memory, _place(errors, c, 0))
            for j in range(h):
                place = (last + c * h + j) * 8
                store(g, place, fma(error, load(memory, units + j * 8), load(g, place)))
    for c in range(outputs):
        store(g, (last + outputs * h + c) * 8, load(memory, at[8] + (1 + c) * 8))
    store(memory, at[8], value)
    return _penalised(tile, g)


@jit
def advance(tile, X, s, d, t):
    """x <- x - t d."""
    for i in range(tile.n):
        at = i * T + s
        store(X, at, fma(-t, load(d, i * 8), load(X, at)))


register(OneHidden, NetworkTile, prepare=prepare, evaluate=evaluate, system=system, advance=advance)
