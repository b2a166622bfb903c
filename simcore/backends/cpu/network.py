"""Perceptrons with one hidden layer and mean squares: value, gradient and packed Hessian of a tile of 24 starts.

The samples are the same for every start, so whatever multiplies them is a register product of scalars and lanes. With
e = (v, 1) a sample's inputs, u = W_2' d the error brought back to hidden units, d = (o - y)/N, phi at W_1 e and
G = W_2' W_2:

    d f/dW_1      = sum phi'_i u_i e_q                               (i hidden, q input or bias)
    [1i q, 1k r]  = sum (G_ik phi'_i phi'_k / N + (i = k) phi''_i u_i) e_q e_r
    [2c j, 1k q]  = W_ck sum phi'_k a_j e_q / N + (j = k) sum d_c phi'_k e_q    (c output, j hidden or bias: a_j = 1)
    [2c j, 2c l]  = sum a_j a_l / N

and the l2 penalty on the diagonal. Each sum over samples is one row of the tile; ``system`` picks the packed Hessian
of eight lanes from them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from simcore.backends.cpu.dispatch import register
from simcore.backends.cpu.products import add_4_rows, add_8_rows
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import broadcast, load, store, zeros
from simcore.backends.network_problems import Mlp
from simcore.compilation import jit
from simcore.formulas.exponential import CODES, RELU, SIGMOID, SOFTPLUS, TANH, sigmoid, softplus, tanh
from simcore.formulas.intrinsics import fma, select

T = LANES
_WORTH_COMPILING = 10_000  # parameters times samples
_CHUNK = 16  # samples at a time: their lanes stay in the second-level cache


class OneHidden(NamedTuple):
    """What the kernel is given; ``compiled`` makes it of an ``Mlp``."""

    inputs: np.ndarray  # (N, d + 1), the last column ones
    targets: np.ndarray  # (N, C)
    hidden: int
    activation: int
    l2: float

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return self.hidden * self.inputs.shape[1] + self.targets.shape[1] * (self.hidden + 1)


def compiled(problem: Any) -> Any:
    """Return what the kernel takes of a perceptron with one hidden layer and mean squares; other problems as they are.

    So are small ones: for them NumPy takes less time than compiling does. The rule looks at the problem alone, lest a
    row depend on how many starts there are.
    """
    if type(problem) is not Mlp or len(problem.widths) != 3 or problem.loss != "mse":
        return problem
    if problem.dimension * len(problem.inputs) < _WORTH_COMPILING:
        return problem
    inputs = np.concatenate([problem.inputs, np.ones((len(problem.inputs), 1))], axis=1)
    return OneHidden(inputs, np.array(problem.targets), problem.widths[1], CODES[problem.activation], problem.l2)


class Tables(NamedTuple):
    """The samples laid out for the product, and scratch."""

    samples: int
    inputs: np.ndarray  # [N][D]
    targets: np.ndarray  # [N][C]
    panels: np.ndarray  # [D/8][N][8]
    products: np.ndarray  # [pairs/8][N][8]: e_q e_r, q >= r
    l2: float
    activation: int
    scratch: np.ndarray  # rows of lanes, [row][chunk][24]
    gram: np.ndarray  # G / N, [h (h + 1)/2][24]
    units: np.ndarray  # of one sample and eight lanes: a, phi', phi'' of each hidden unit, d of each output


class NetworkTile(NamedTuple):
    """An evaluated tile: ``memory`` holds rows of 24 lanes; ``at`` says where each kind of row begins.

    at = (D, h, C, D padded, pairs padded, first rows); first rows of: gradient 1, gradient 2, block 11, block 21 by
    a, by d, block 22.
    A row of block 11 is a pair of units and a pair of inputs, of block 21 a unit's pair and an input; biases come last.
    """

    n: int
    at: np.ndarray
    l2: float
    memory: np.ndarray


@jit
def prepare(problem):
    """Lay the samples out and allocate scratch."""
    samples, inputs = problem.inputs.shape
    outputs = problem.targets.shape[1]
    h = problem.hidden
    wide = (inputs + 7) // 8 * 8
    pairs = inputs * (inputs + 1) // 2
    padded = (pairs + 7) // 8 * 8
    panels, products = np.zeros(wide * samples), np.zeros(padded * samples)
    for m in range(samples):
        k = 0
        for q in range(inputs):
            panels[((q >> 3) * samples + m) * 8 + (q & 7)] = problem.inputs[m, q]
            for r in range(q + 1):
                products[((k >> 3) * samples + m) * 8 + (k & 7)] = problem.inputs[m, q] * problem.inputs[m, r]
                k += 1

    hh = h * (h + 1) // 2
    at = np.empty(11, np.int64)
    at[0], at[1], at[2], at[3], at[4] = inputs, h, outputs, wide, padded
    at[5] = 1
    at[6] = at[5] + h * wide
    at[7] = at[6] + outputs * (h + 1)
    at[8] = at[7] + hh * padded
    at[9] = at[8] + h * (h + 1) * wide
    at[10] = at[9] + outputs * h * wide
    rows = at[10] + (h + 1) * (h + 2) // 2

    n = h * inputs + outputs * (h + 1)
    scratch = np.empty((h + hh + h * (h + 1) + outputs * h) * _CHUNK * T)
    tables = Tables(
        samples, problem.inputs.ravel(), problem.targets.ravel(), panels, products, problem.l2, problem.activation,
        scratch, np.empty(hh * T), np.empty((3 * h + outputs) * 8),
    )  # fmt: skip
    return tables, NetworkTile(n, at, problem.l2, np.empty(rows * T))


@jit
def _gram(at, X, gram, samples):
    """G_ik / N of every lane."""
    inputs, h, outputs = at[0], at[1], at[2]
    first = h * inputs
    k = 0
    for i in range(h):
        for j in range(i + 1):
            for s in range(0, T, 8):
                total = zeros()
                for c in range(outputs):
                    row = first + c * h
                    total = fma(load(X, (row + i) * T + s), load(X, (row + j) * T + s), total)
                store(gram, k * T + s, total * (1.0 / samples))
            k += 1


@jit
def _unit(activation, z):
    a, slope, second = z, zeros() + 1.0, zeros()
    if activation == TANH:
        a, slope, second = tanh(z)
    elif activation == SIGMOID:
        a, slope, second = sigmoid(z)
    elif activation == SOFTPLUS:
        a, slope, second = softplus(z)
    elif activation == RELU:
        slope = select(z > 0.0, slope, 0.0)
        a = z * slope
    return a, slope, second


@jit
def _sample(tables, at, X, m, local, s, memory):
    """One sample and eight lanes: forward and back, its rows of scratch, and the sums that need no product."""
    samples, inputs, targets, _, _, _, activation, scratch, gram, units = tables
    count, h, outputs = at[0], at[1], at[2]
    bias_1, weights_2 = h * (count - 1), h * count
    bias_2 = weights_2 + outputs * h
    share = 1.0 / samples
    for i in range(h):
        z = load(X, (bias_1 + i) * T + s)
        for q in range(count - 1):
            z = fma(load(X, (i * (count - 1) + q) * T + s), broadcast(inputs, m * count + q), z)
        a, slope, second = _unit(activation, z)
        store(units, i * 8, a)
        store(units, (h + i) * 8, slope)
        store(units, (2 * h + i) * 8, second)
    square = zeros()
    row = at[6]
    for c in range(outputs):
        o = load(X, (bias_2 + c) * T + s)
        for j in range(h):
            o = fma(load(X, (weights_2 + c * h + j) * T + s), load(units, j * 8), o)
        residual = o - targets[m * outputs + c]
        square = fma(residual, residual, square)
        d = residual * share
        store(units, (3 * h + c) * 8, d)
        for j in range(h):
            p = (row + c * (h + 1) + j) * T + s
            store(memory, p, fma(d, load(units, j * 8), load(memory, p)))
        p = (row + c * (h + 1) + h) * T + s
        store(memory, p, load(memory, p) + d)
    store(memory, s, fma(square, 0.5 * share, load(memory, s)))
    last = (at[10] + (h + 1) * (h + 2) // 2 - 1) * T + s  # the bias's square, once a sample
    store(memory, last, load(memory, last) + share)

    # block 22: sums of a_j a_l, the bias last
    row = at[10]
    for j in range(h):
        a = load(units, j * 8) * share
        for k in range(j + 1):
            p = (row + k) * T + s
            store(memory, p, fma(a, load(units, k * 8), load(memory, p)))
        row += j + 1
        p = (at[10] + h * (h + 1) // 2 + j) * T + s
        store(memory, p, load(memory, p) + a)

    # scratch rows: phi' u; G phi' phi' + phi'' u; phi' a; d phi'
    stride = _CHUNK * T
    spot = local * T + s
    pair, by_a, by_d = h * stride, (h + h * (h + 1) // 2) * stride, (h + h * (h + 1) // 2 + h * (h + 1)) * stride
    k = 0
    for i in range(h):
        back = zeros()
        for c in range(outputs):
            back = fma(load(X, (weights_2 + c * h + i) * T + s), load(units, (3 * h + c) * 8), back)
        slope = load(units, (h + i) * 8)
        store(scratch, i * stride + spot, back * slope)
        for j in range(i + 1):
            curve = load(gram, k * T + s) * slope * load(units, (h + j) * 8)
            if i == j:
                curve = fma(load(units, (2 * h + i) * 8), back, curve)
            store(scratch, pair + k * stride + spot, curve)
            k += 1
        for j in range(h):
            store(scratch, by_a + (i * (h + 1) + j) * stride + spot, slope * share * load(units, j * 8))
        store(scratch, by_a + (i * (h + 1) + h) * stride + spot, slope * share)
        for c in range(outputs):
            store(scratch, by_d + (c * h + i) * stride + spot, slope * load(units, (3 * h + c) * 8))


@jit
def _products(panels, samples, first, size, true, wide, scratch, source, count, memory, row):
    """Add ``true`` panel rows, padded to ``wide``, times each of ``count`` scratch rows to the tile."""
    for k in range(count):
        b, c = (source + k) * _CHUNK * T, (row + k * wide) * T
        for q in range(0, true, 8):
            at = ((q >> 3) * samples + first) * 8
            if true - q > 4:
                add_8_rows(panels, at, 8, scratch, b, T, size, memory, c + q * T, T)
            else:
                add_4_rows(panels, at, 8, scratch, b, T, size, memory, c + q * T, T)


@jit
def evaluate(tables, tile, X):
    """Fill the tile's rows; the penalty and the factors W_2 are added by ``system``."""
    at, memory = tile.at, tile.memory
    inputs, h, outputs, wide, padded = at[0], at[1], at[2], at[3], at[4]
    hh, pairs = h * (h + 1) // 2, inputs * (inputs + 1) // 2
    for k in range(0, memory.size, 8):
        store(memory, k, 0.0)
    _gram(at, X, tables.gram, tables.samples)
    for first in range(0, tables.samples, _CHUNK):
        size = min(_CHUNK, tables.samples - first)
        for local in range(size):
            for s in range(0, T, 8):
                _sample(tables, at, X, first + local, local, s, memory)
        panels, products, scratch = tables.panels, tables.products, tables.scratch
        by_a, by_d = h + hh, h + hh + h * (h + 1)
        _products(panels, tables.samples, first, size, inputs, wide, scratch, 0, h, memory, at[5])
        _products(products, tables.samples, first, size, pairs, padded, scratch, h, hh, memory, at[7])
        _products(panels, tables.samples, first, size, inputs, wide, scratch, by_a, h * (h + 1), memory, at[8])
        _products(panels, tables.samples, first, size, inputs, wide, scratch, by_d, outputs * h, memory, at[9])


@jit
def _hidden_entries(tile, s, u, p, v, count, A, k):
    """Copy entries [1u p, 1v q], q < count, of eight lanes to A from place k; return the next place."""
    at, memory = tile.at, tile.memory
    high, low = max(u, v), min(u, v)
    base = at[7] + (high * (high + 1) // 2 + low) * at[4]
    row = (base + p * (p + 1) // 2) * T + s
    for q in range(min(count, p + 1)):
        store(A, k, load(memory, row + q * T))
        k += 8
    for q in range(p + 1, count):
        store(A, k, load(memory, (base + q * (q + 1) // 2 + p) * T + s))
        k += 8
    return k


@jit
def _mixed_entries(tile, X, s, c, j, v, first, count, A, k):
    """Copy entries [2c j, 1v q], first <= q < count, of eight lanes to A from place k; return the next place."""
    at, memory = tile.at, tile.memory
    h, wide = at[1], at[3]
    weight = load(X, (h * at[0] + c * h + v) * T + s)
    row = (at[8] + (v * (h + 1) + j) * wide) * T + s
    own = (at[9] + (c * h + v) * wide) * T + s
    for q in range(first, count):
        value = weight * load(memory, row + q * T)
        if j == v:
            value = value + load(memory, own + q * T)
        store(A, k, value)
        k += 8
    return k


@jit
def _output_entries(tile, s, c, j, columns, A, k):
    """Copy entries [2c j, 2e i] for the first ``columns`` output parameters (e, i) to A; return the next place."""
    at, memory = tile.at, tile.memory
    h, outputs = at[1], at[2]
    for column in range(columns):
        e, i = (column // h, column % h) if column < outputs * h else (column - outputs * h, h)
        value = zeros()
        if e == c:
            high, low = max(j, i), min(j, i)
            value = load(memory, (at[10] + high * (high + 1) // 2 + low) * T + s)
        store(A, k, value)
        k += 8
    return k


@jit
def system(tile, X, s, A, g):
    """Copy gradient and packed Hessian of eight lanes, the penalty added; return the value."""
    at, memory, n, l2 = tile.at, tile.memory, tile.n, tile.l2
    inputs, h, outputs, wide = at[0], at[1], at[2], at[3]
    true = inputs - 1
    k = 0
    for i in range(h * true):
        u, p = i // true, i % true
        for v in range(u):
            k = _hidden_entries(tile, s, u, p, v, true, A, k)
        k = _hidden_entries(tile, s, u, p, u, p + 1, A, k)
        store(g, i * 8, load(memory, (at[5] + u * wide + p) * T + s))
    for u in range(h):
        for v in range(h):
            k = _hidden_entries(tile, s, u, true, v, true, A, k)
        for v in range(u + 1):
            high, low = max(u, v), min(u, v)
            last = (high * (high + 1) // 2 + low) * at[4] + inputs * (inputs + 1) // 2 - 1
            store(A, k, load(memory, (at[7] + last) * T + s))
            k += 8
        store(g, (h * true + u) * 8, load(memory, (at[5] + u * wide + true) * T + s))
    for i in range(outputs * (h + 1)):
        c, j = (i // h, i % h) if i < outputs * h else (i - outputs * h, h)
        for v in range(h):
            k = _mixed_entries(tile, X, s, c, j, v, 0, true, A, k)
        for v in range(h):
            k = _mixed_entries(tile, X, s, c, j, v, true, inputs, A, k)
        k = _output_entries(tile, s, c, j, i + 1, A, k)
        store(g, (h * inputs + i) * 8, load(memory, (at[6] + c * (h + 1) + j) * T + s))
    square = zeros()
    for i in range(n):
        x = load(X, i * T + s)
        square = fma(x, x, square)
        store(g, i * 8, fma(x, l2, load(g, i * 8)))
        place = i * (i + 3) // 2 * 8
        store(A, place, load(A, place) + l2)
    return fma(square, 0.5 * l2, load(memory, s))


@jit
def advance(tile, X, s, d, t):
    """x <- x - t d."""
    for i in range(tile.n):
        at = i * T + s
        store(X, at, fma(-t, load(d, i * 8), load(X, at)))


register(OneHidden, NetworkTile, prepare=prepare, evaluate=evaluate, system=system, advance=advance)
