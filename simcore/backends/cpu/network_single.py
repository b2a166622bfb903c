"""The network kernel for many parameters, one start at a time: the sums of eight starts would outgrow the cache.

The formulas are those of ``network.py``; here hidden units and rows of R stand in lanes. Row q h + u of R is
phi'_u e_q, row h (d + 1) + j is a_j, so that a sample's row is written by whole vectors. R R' is summed by the register
block of ``products.py``, of R in panels of 24 rows; steps are LAPACK's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from simcore.backends.cpu.lapack import solve_symmetric, work_space
from simcore.backends.cpu.ldlt import solve_pivoted
from simcore.backends.cpu.network import OneHidden
from simcore.backends.cpu.products import add_8_rows
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import broadcast, load, store, zeros
from simcore.blas import single_threaded_blas
from simcore.compilation import jit
from simcore.formulas.exponential import unit
from simcore.formulas.intrinsics import fma
from simcore.formulas.outcome import CRITICAL, DEGENERATE, MAX_ITERATIONS
from simcore.formulas.steps import capped_fraction
from simcore.formulas.verdict import GO_ON, confirmed, exhausted, flat, verdict

LEAST = 350  # parameters from which one start at a time is faster (measured: about as fast at 400, on one core)
_CHUNK = 128  # samples at a time: their panels stay in the second-level cache
_HUGE = 1e300
T = LANES


def better(problem: Any) -> bool:
    """Whether this kernel is the one for a problem."""
    return type(problem) is OneHidden and problem.dimension >= LEAST


class Work(NamedTuple):
    """Scratch of one start. W = hidden units padded to eights, M = rows of R padded to 24s."""

    weights: np.ndarray  # [d + 1][W], the biases last, then W_2 as [C][W]
    units: np.ndarray  # of one sample: a, phi', phi'', u, [4][W]
    row: np.ndarray  # a sample's row of R, [M + 8]
    panels: np.ndarray  # [M/24][chunk][24]
    sums: np.ndarray  # R R', [M][M]; blocks above the diagonal are not set
    errors: np.ndarray  # sums of d_c R, and of R alone in the last row, [C + 1][M]
    bends: np.ndarray  # sums of phi'' u e_q e_r, [pairs][W]
    gram: np.ndarray  # G / N, [h][h]
    totals: np.ndarray  # sums of d, [C]


@jit
def _work(problem):
    d, outputs, h = problem.inputs.shape[1], problem.targets.shape[1], problem.hidden
    wide, rows = (h + 7) // 8 * 8, (h * (d + 2) + T - 1) // T * T
    return Work(
        np.zeros((d + 1 + outputs) * wide), np.zeros(4 * wide), np.zeros(rows + 8), np.zeros(rows * _CHUNK),
        np.zeros((rows, rows)), np.zeros((outputs + 1, rows)), np.zeros(((d + 1) * (d + 2) // 2, wide)),
        np.zeros((h, h)), np.zeros(outputs),
    )  # fmt: skip


@jit
def _sum_lanes(buffer):
    total = 0.0
    for lane in range(8):
        total += buffer[lane]
    return total


@jit
def _lay_out(problem, work, x):
    """Set weights, unit by unit in lanes, and G / N."""
    samples, d = problem.inputs.shape
    outputs, h = problem.targets.shape[1], problem.hidden
    wide = work.units.size // 4
    for u in range(h):
        for q in range(d):
            work.weights[q * wide + u] = x[u * d + q]
        work.weights[d * wide + u] = x[h * d + u]
        for c in range(outputs):
            work.weights[(d + 1 + c) * wide + u] = x[h * (d + 1) + c * h + u]
    for u in range(h):
        for v in range(u + 1):
            total = 0.0
            for c in range(outputs):
                row = h * (d + 1) + c * h
                total += x[row + u] * x[row + v]
            work.gram[u, v] = total / samples
            work.gram[v, u] = total / samples


@jit
def _sample(problem, work, x, m, local, buffer):
    """Forward and back for one sample: its row of R into the panels, what needs no product into the sums."""
    samples, d = problem.inputs.shape
    outputs, h = problem.targets.shape[1], problem.hidden
    weights, units, row, panels = work.weights, work.units, work.row, work.panels
    errors, bends = work.errors.ravel(), work.bends.ravel()
    wide, rows = units.size // 4, row.size - 8
    inputs = problem.inputs[m]
    for u in range(0, wide, 8):
        z = load(weights, d * wide + u)
        for q in range(d):
            z = fma(load(weights, q * wide + u), broadcast(inputs, q), z)
        a, slope, second = unit(problem.activation, z)
        store(units, u, a)
        store(units, wide + u, slope)
        store(units, 2 * wide + u, second)
        store(units, 3 * wide + u, 0.0)
    for q in range(d):  # a vector that hangs over is overwritten by the next
        for u in range(0, wide, 8):
            store(row, q * h + u, load(units, wide + u) * broadcast(inputs, q))
    for u in range(0, wide, 8):
        store(row, d * h + u, load(units, wide + u))
    for u in range(0, wide, 8):
        store(row, (d + 1) * h + u, load(units, u))
    for i in range((d + 2) * h, rows):
        row[i] = 0.0
    value = 0.0
    for c in range(outputs + 1):
        error = 1.0
        if c < outputs:
            at = (d + 1 + c) * wide
            total = zeros()
            for u in range(0, wide, 8):
                total = fma(load(weights, at + u), load(units, u), total)
            store(buffer, 0, total)
            residual = x[h * (d + 1) + outputs * h + c] + _sum_lanes(buffer) - problem.targets[m, c]
            value += residual * residual
            error = residual / samples
            work.totals[c] += error
            for u in range(0, wide, 8):
                store(units, 3 * wide + u, fma(load(weights, at + u), error + zeros(), load(units, 3 * wide + u)))
        for i in range(0, rows, 8):
            store(errors, c * rows + i, fma(load(row, i), error + zeros(), load(errors, c * rows + i)))
    k = 0
    for q in range(d + 1):
        for r in range(q + 1):
            both = (inputs[q] if q < d else 1.0) * (inputs[r] if r < d else 1.0)
            for u in range(0, wide, 8):
                bend = load(units, 2 * wide + u) * load(units, 3 * wide + u)
                store(bends, k * wide + u, fma(bend, both + zeros(), load(bends, k * wide + u)))
            k += 1
    for i in range(0, rows, 8):
        store(panels, (i // T * _CHUNK + local) * T + i % T, load(row, i))
    return value


@jit
def derivatives(problem, work, x, gradient, hessian):
    """Set gradient (n,) and the Hessian's lower triangle (n, n) at x (n,); return the value."""
    samples, d = problem.inputs.shape
    outputs, h = problem.targets.shape[1], problem.hidden
    _lay_out(problem, work, x)
    sums, rows = work.sums.ravel(), work.row.size - 8
    sums[:] = 0.0
    work.errors[:] = 0.0
    work.bends[:] = 0.0
    work.totals[:] = 0.0
    buffer = np.empty(8)
    value = 0.0
    for first in range(0, samples, _CHUNK):
        size = min(_CHUNK, samples - first)
        for local in range(size):
            value += _sample(problem, work, x, first + local, local, buffer)
        for column in range(0, rows, T):
            for i in range(column, rows, 8):
                a = i // T * _CHUNK * T + i % T
                b = column * _CHUNK
                add_8_rows(work.panels, a, T, work.panels, b, T, size, sums, i * rows + column, rows)
    _hidden_block(problem, work, hessian)
    _output_blocks(problem, work, x, hessian)
    square = 0.0
    for i in range(x.size):
        square += x[i] * x[i]
        gradient[i] = problem.l2 * x[i]
        hessian[i, i] += problem.l2
    errors, last = work.errors, h * (d + 1)
    for c in range(outputs):
        for u in range(h):
            weight = x[last + c * h + u]
            for q in range(d):
                gradient[u * d + q] += weight * errors[c, q * h + u]
            gradient[h * d + u] += weight * errors[c, d * h + u]
            gradient[last + c * h + u] += errors[c, last + u]
        gradient[last + outputs * h + c] += work.totals[c]
    return 0.5 * (value / samples + problem.l2 * square)


@jit
def _hidden_block(problem, work, hessian):
    """Copy the lower triangle of the block of W_1, b_1, which stands unit by unit, from sums input by input."""
    d, h = problem.inputs.shape[1], problem.hidden
    sums, gram, bends = work.sums, work.gram, work.bends
    for q in range(d + 1):
        for u in range(h):
            i = u * d + q if q < d else h * d + u
            for r in range(q + 1):
                for v in range(h if r < q else u + 1):
                    j = v * d + r if r < d else h * d + v
                    entry = gram[u, v] * sums[q * h + u, r * h + v]
                    if u == v:
                        entry += bends[q * (q + 1) // 2 + r, u]
                    if i >= j:
                        hessian[i, j] = entry
                    else:
                        hessian[j, i] = entry


@jit
def _output_blocks(problem, work, x, hessian):
    """Copy the lower triangle of the rows of W_2 and b_2."""
    samples, d = problem.inputs.shape
    outputs, h = problem.targets.shape[1], problem.hidden
    last, biases = h * (d + 1), h * (d + 1) + outputs * h
    sums, errors = work.sums, work.errors
    hessian[last:, last:] = 0.0
    for c in range(outputs):
        bias = biases + c
        for v in range(h):
            weight = x[last + c * h + v] / samples
            for q in range(d + 1):
                column = v * d + q if q < d else h * d + v
                hessian[bias, column] = weight * errors[outputs, q * h + v]
                for j in range(h):
                    hessian[last + c * h + j, column] = weight * sums[last + j, q * h + v]
                hessian[last + c * h + v, column] += errors[c, q * h + v]
            for j in range(v, h):
                hessian[last + c * h + j, last + c * h + v] = sums[last + j, last + v] / samples
            hessian[bias, last + c * h + v] = errors[outputs, last + v] / samples
        hessian[bias, bias] = 1.0


@jit
def fill(problem, x, value, gradient, hessian):
    """Set value (S,), gradient (S, n) and Hessian (S, n, n) at x (S, n)."""
    work = _work(problem)
    n = x.shape[1]
    for row in range(len(x)):
        value[row] = derivatives(problem, work, x[row], gradient[row], hessian[row])
        for i in range(n):
            for j in range(i):
                hessian[row, j, i] = hessian[row, i, j]


@jit
def walk(problem, starts, options, status, iterations, cost, grad_norm, decrement, small, x_out):
    """Run every start and write its provisional outcome; ``small`` says where the gradient is below tolerance."""
    cap, gradient_tolerance, decrement_tolerance, max_iterations, region = options[:5]
    flat_tolerance = options[6]
    work = _work(problem)
    n = starts.shape[1]
    g, d, hessian = np.empty(n), np.empty(n), np.empty((n, n))
    integers, pivots, space = work_space(n)
    for row in range(len(starts)):
        x = x_out[row]
        x[:] = starts[row]
        settled = 0
        for iteration in range(max_iterations + 1):
            value = derivatives(problem, work, x, g, hessian)
            gg, furthest = 0.0, 0.0
            for i in range(n):
                gg += g[i] * g[i]
                furthest = max(furthest, abs(x[i]))
                d[i] = g[i]
            small[row] = gg < gradient_tolerance * gradient_tolerance
            last = iteration >= max_iterations
            hg, hh = _flatness(hessian, g) if last else (0.0, 0.0)
            if gg + abs(value) < _HUGE:
                solve_symmetric(hessian, d, integers, pivots, space)
            dd = 0.0
            for i in range(n):
                dd += d[i] * d[i]
            if not dd < _HUGE and gg + abs(value) < _HUGE:  # singular to the last bit
                derivatives(problem, work, x, g, hessian)
                for i in range(n):
                    d[i] = g[i]
                    for j in range(i):
                        hessian[j, i] = hessian[i, j]
                solve_pivoted(hessian, n, d)
                dd = 0.0
                for i in range(n):
                    dd += d[i] * d[i]
            length = np.sqrt(dd)
            short = length < decrement_tolerance
            settled += int(small[row] and not short)
            finite = gg + abs(value) < _HUGE and (small[row] or dd < _HUGE)
            code = verdict(finite, furthest > region, small[row], short, settled, last)
            if code != GO_ON:
                if code == MAX_ITERATIONS:
                    code = exhausted(flat(small[row], hg, hh, gg, flat_tolerance) and last)
                status[row], iterations[row], cost[row] = code, iteration, value
                grad_norm[row], decrement[row] = np.sqrt(gg), length
                break
            t = capped_fraction(dd, cap)
            for i in range(n):
                x[i] -= t * d[i]


@jit
def _flatness(hessian, g):
    """Return |Hg|^2 and |H|_F^2 of a symmetric matrix of which the lower triangle is set."""
    n = g.size
    bent = np.zeros(n)
    square = 0.0
    for i in range(n):
        for j in range(i):
            h = hessian[i, j]
            bent[i] += h * g[j]
            bent[j] += h * g[i]
            square += 2.0 * h * h
        bent[i] += hessian[i, i] * g[i]
        square += hessian[i, i] * hessian[i, i]
    total = 0.0
    for i in range(n):
        total += bent[i] * bent[i]
    return total, square


def search(problem, starts, options, outcome):
    """Run every start, shape (S, n), and write its outcome, as ``loop.search``; ``options`` as there."""
    status, iterations, cost, grad_norm, decrement, index, nullity, x = outcome
    small = np.zeros(len(starts), np.bool_)
    zero_tolerance, _, zero_floor = options[5:]
    with single_threaded_blas():
        walk(problem, starts, options, status, iterations, cost, grad_norm, decrement, small, x)
        index[:] = nullity[:] = -1
        for row in np.flatnonzero(small & ((status == CRITICAL) | (status == MAX_ITERATIONS))):
            hessian = np.empty((1, x.shape[1], x.shape[1]))
            fill(problem, x[row : row + 1], np.empty(1), np.empty((1, x.shape[1])), hessian)
            eigenvalues = np.linalg.eigvalsh(hessian[0])
            limit = max(zero_tolerance * float(np.linalg.norm(eigenvalues)), zero_floor)
            null = int((np.abs(eigenvalues) <= limit).sum())
            status[row] = confirmed(status[row], True, null, 0)
            if status[row] in (CRITICAL, DEGENERATE):
                index[row], nullity[row] = int((eigenvalues < -limit).sum()), null
