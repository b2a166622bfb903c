"""Cost, gradient and Hessian-vector products of multilayer perceptrons: eight starts side by side, in lanes.

The passes are those of ``simcore.trajectories.networks`` (Pearlmutter's R-operator). A lane is a start; samples go in
blocks of eight, so that a weight that is loaded serves eight products and eight sums stand in registers. What the
second pass needs is kept from the first: a, phi', d and phi'' W^T d of hidden units, d and softmax of the outputs.

Layout, in groups of eight lanes: parameters and gradients in the order of x; unit j of sample i of a block at
(j 8 + i) 8. The last block is filled up with samples of weight zero. A lane's result depends on its start alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.backends.cpu.vector import broadcast, load, store, zeros
from simcore.backends.network_problems import Mlp
from simcore.compilation import jit
from simcore.formulas.elementary import log
from simcore.formulas.exponential import CODES, exponential, unit
from simcore.formulas.intrinsics import fma, maximum

B = 8  # samples a block
U = 8 * B  # doubles a unit of a block

Array = NDArray[np.float64]


class Tables(NamedTuple):
    """A perceptron's cost as the kernel reads it."""

    widths: NDArray[np.int64]
    activation: int
    entropy: bool
    inputs: Array  # (blocks B, widths[0]), flat
    targets: Array  # (blocks B, widths[-1]), flat
    weight: Array  # (blocks B,): 1/N, zero for the samples that fill up
    l2: float


def tables(problem: Mlp) -> Tables:
    """Return the kernel's tables of a problem."""
    count = len(problem.inputs)
    full = -(-count // B) * B
    inputs, targets, weight = (np.zeros((full, a)) for a in (problem.widths[0], problem.widths[-1], 1))
    inputs[:count], targets[:count], weight[:count] = problem.inputs, problem.targets, 1.0 / count
    return Tables(
        np.array(problem.widths, np.int64),
        CODES[problem.activation],
        problem.loss == "cross_entropy",
        inputs.ravel(),
        targets.ravel(),
        weight.ravel(),
        float(problem.l2),
    )


def evaluate(prepared: Tables, x: Array, v: Array | None = None, product: bool = True) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and H v (S, n) at x of shape (S, n); v is the gradient where None is given.

    Without ``product`` the last is left unset.
    """
    x = np.ascontiguousarray(x, dtype=np.float64)
    value, gradient, bent = np.empty(len(x)), np.empty(x.shape), np.empty(x.shape)
    given = v is not None
    direction = np.ascontiguousarray(v, dtype=np.float64) if given else x
    fill(*prepared, x, direction, given, product, value, gradient, bent)
    return value, gradient, bent


# ---- matrix passes -----------------------------------------------------------------------------------------------
@jit
def _begin(M, at, rows, Z, at_z):
    """Z_j = bias_j of one block; the biases begin at weight ``at``."""
    for j in range(rows):
        bias = load(M, (at + j) * 8)
        for i in range(0, U, 8):
            store(Z, at_z + j * U + i, bias)


@jit
def _clear(Z, at_z, rows):
    """Z_j = 0 of one block."""
    for i in range(0, rows * U, 8):
        store(Z, at_z + i, 0.0)


@jit
def _combine(M, at, rows, row_step, columns, column_step, A, at_a, Z, at_z):
    """Z_j += sum_k m_jk A_k of one block, A in lanes; m_jk is weight at + j row_step + k column_step."""
    for j in range(rows):
        q = at_z + j * U
        z0, z1, z2, z3 = load(Z, q), load(Z, q + 8), load(Z, q + 16), load(Z, q + 24)
        z4, z5, z6, z7 = load(Z, q + 32), load(Z, q + 40), load(Z, q + 48), load(Z, q + 56)
        for k in range(columns):
            w = load(M, (at + j * row_step + k * column_step) * 8)
            p = at_a + k * U
            z0 = fma(w, load(A, p), z0)
            z1 = fma(w, load(A, p + 8), z1)
            z2 = fma(w, load(A, p + 16), z2)
            z3 = fma(w, load(A, p + 24), z3)
            z4 = fma(w, load(A, p + 32), z4)
            z5 = fma(w, load(A, p + 40), z5)
            z6 = fma(w, load(A, p + 48), z6)
            z7 = fma(w, load(A, p + 56), z7)
        store(Z, q, z0)
        store(Z, q + 8, z1)
        store(Z, q + 16, z2)
        store(Z, q + 24, z3)
        store(Z, q + 32, z4)
        store(Z, q + 40, z5)
        store(Z, q + 48, z6)
        store(Z, q + 56, z7)


@jit
def _apply(M, at, rows, columns, A, at_a, Z, at_z):
    """Z = M A + bias of one block."""
    _begin(M, at + rows * columns, rows, Z, at_z)
    _combine(M, at, rows, columns, columns, 1, A, at_a, Z, at_z)


@jit
def _pull(M, at, rows, columns, D, at_d, Q, at_q):
    """Q += M' D of one block."""
    _combine(M, at, columns, 1, rows, columns, D, at_d, Q, at_q)


@jit
def _apply_inputs(M, at, rows, columns, inputs, first, Z, at_z):
    """``_apply`` for the inputs of samples first .. first + 7, the same in all lanes."""
    for j in range(rows):
        z0 = load(M, (at + rows * columns + j) * 8)
        z1, z2, z3, z4, z5, z6, z7 = z0, z0, z0, z0, z0, z0, z0
        m = (at + j * columns) * 8
        for k in range(columns):
            w = load(M, m + k * 8)
            p = first * columns + k
            z0 = fma(w, broadcast(inputs, p), z0)
            z1 = fma(w, broadcast(inputs, p + columns), z1)
            z2 = fma(w, broadcast(inputs, p + 2 * columns), z2)
            z3 = fma(w, broadcast(inputs, p + 3 * columns), z3)
            z4 = fma(w, broadcast(inputs, p + 4 * columns), z4)
            z5 = fma(w, broadcast(inputs, p + 5 * columns), z5)
            z6 = fma(w, broadcast(inputs, p + 6 * columns), z6)
            z7 = fma(w, broadcast(inputs, p + 7 * columns), z7)
        q = at_z + j * U
        store(Z, q, z0)
        store(Z, q + 8, z1)
        store(Z, q + 16, z2)
        store(Z, q + 24, z3)
        store(Z, q + 32, z4)
        store(Z, q + 40, z5)
        store(Z, q + 48, z6)
        store(Z, q + 56, z7)


@jit
def _outer(G, at, rows, columns, D, at_d, A, at_a, bias):
    """G_jk += sum over a block of D_j A_k, and of D_j alone for the biases where asked for."""
    for j in range(rows):
        p = at_d + j * U
        d0, d1, d2, d3 = load(D, p), load(D, p + 8), load(D, p + 16), load(D, p + 24)
        d4, d5, d6, d7 = load(D, p + 32), load(D, p + 40), load(D, p + 48), load(D, p + 56)
        if bias:
            b = (at + rows * columns + j) * 8
            store(G, b, load(G, b) + (((d0 + d1) + (d2 + d3)) + ((d4 + d5) + (d6 + d7))))
        g = (at + j * columns) * 8
        for k in range(columns):
            q = at_a + k * U
            low = fma(d0, load(A, q), load(G, g + k * 8))
            high = d1 * load(A, q + 8)
            low = fma(d2, load(A, q + 16), low)
            high = fma(d3, load(A, q + 24), high)
            low = fma(d4, load(A, q + 32), low)
            high = fma(d5, load(A, q + 40), high)
            low = fma(d6, load(A, q + 48), low)
            high = fma(d7, load(A, q + 56), high)
            store(G, g + k * 8, low + high)


@jit
def _outer_inputs(G, at, rows, columns, D, at_d, inputs, first):
    """``_outer`` for the inputs of samples first .. first + 7, with biases."""
    for j in range(rows):
        p = at_d + j * U
        d0, d1, d2, d3 = load(D, p), load(D, p + 8), load(D, p + 16), load(D, p + 24)
        d4, d5, d6, d7 = load(D, p + 32), load(D, p + 40), load(D, p + 48), load(D, p + 56)
        b = (at + rows * columns + j) * 8
        store(G, b, load(G, b) + (((d0 + d1) + (d2 + d3)) + ((d4 + d5) + (d6 + d7))))
        g = (at + j * columns) * 8
        for k in range(columns):
            q = first * columns + k
            low = fma(d0, broadcast(inputs, q), load(G, g + k * 8))
            high = d1 * broadcast(inputs, q + columns)
            low = fma(d2, broadcast(inputs, q + 2 * columns), low)
            high = fma(d3, broadcast(inputs, q + 3 * columns), high)
            low = fma(d4, broadcast(inputs, q + 4 * columns), low)
            high = fma(d5, broadcast(inputs, q + 5 * columns), high)
            low = fma(d6, broadcast(inputs, q + 6 * columns), low)
            high = fma(d7, broadcast(inputs, q + 7 * columns), high)
            store(G, g + k * 8, low + high)


# ---- units -------------------------------------------------------------------------------------------------------
@jit
def _activate(activation, A, at, S, at_s, C, at_c, count):
    """Turn z at A into phi there, phi' into S, phi'' into C, for so many groups of lanes."""
    for i in range(0, 8 * count, 8):
        a, slope, second = unit(activation, load(A, at + i))
        store(A, at + i, a)
        store(S, at_s + i, slope)
        store(C, at_c + i, second)


@jit
def _target(targets, lanes, first, i, outputs, c):
    """Target c of sample first + i: the same in all lanes, or with ``lanes`` each lane's own, laid out as a unit is."""
    if lanes:
        return load(targets, c * U + 8 * i)
    return broadcast(targets, (first + i) * outputs + c)


@jit
def _loss(entropy, targets, lanes, weight, first, outputs, P, at_o, D, at_d, F):
    """Turn outputs at P into df/do at D, add the cost to F; for cross-entropy P becomes the softmax."""
    for i in range(B):
        w = weight[first + i]
        total, o = zeros(), at_o + 8 * i
        if not entropy:
            for c in range(outputs):
                residual = load(P, o + c * U) - _target(targets, lanes, first, i, outputs, c)
                store(D, at_d + c * U + 8 * i, residual * w)
                total = fma(residual, residual, total)
            store(F, 0, fma(total, 0.5 * w, load(F, 0)))
            continue
        top = load(P, o)
        for c in range(1, outputs):
            top = maximum(top, load(P, o + c * U))
        along, mass = zeros(), zeros()
        for c in range(outputs):
            shifted, y = load(P, o + c * U) - top, _target(targets, lanes, first, i, outputs, c)
            along = fma(shifted, y, along)
            mass = mass + y
            e, _ = exponential(shifted)
            store(P, o + c * U, e)
            total = total + e
        for c in range(outputs):
            p = load(P, o + c * U) / total
            store(P, o + c * U, p)
            store(D, at_d + c * U + 8 * i, (p - _target(targets, lanes, first, i, outputs, c)) * w)
        store(F, 0, fma(log(total) * mass - along, w + zeros(), load(F, 0)))


@jit
def _bent_loss(entropy, weight, first, outputs, P, at_o, Z, at_z):
    """Turn R o at Z into R df/do, in place."""
    for i in range(B):
        w = weight[first + i]
        z, o = at_z + 8 * i, at_o + 8 * i
        mean = zeros()
        if entropy:
            for c in range(outputs):
                mean = fma(load(P, o + c * U), load(Z, z + c * U), mean)
        for c in range(outputs):
            bent = load(Z, z + c * U)
            if entropy:
                bent = load(P, o + c * U) * (bent - mean)
            store(Z, z + c * U, bent * w)


@jit
def _multiply(A, at_a, C, at_c, count):
    """A *= C, group by group."""
    for i in range(0, 8 * count, 8):
        store(A, at_a + i, load(A, at_a + i) * load(C, at_c + i))


@jit
def _fuse(S, at_s, C, at_c, Z, at_z, Q, at_q, count):
    """Q = S Q + C Z, group by group: R d = phi' R(W^T d) + (phi'' W^T d) R z."""
    for i in range(0, 8 * count, 8):
        straight = load(S, at_s + i) * load(Q, at_q + i)
        store(Q, at_q + i, fma(load(C, at_c + i), load(Z, at_z + i), straight))


@jit
def _places(widths):
    """Return the first unit of each layer in a block, in doubles, and its first weight in x."""
    depth = widths.size - 1
    place, at = np.empty(depth, np.int64), np.empty(depth, np.int64)
    unit, weights = 0, 0
    for layer in range(depth):
        place[layer], at[layer] = unit * U, weights
        unit += widths[layer + 1]
        weights += (widths[layer] + 1) * widths[layer + 1]
    return place, at


# ---- both passes -------------------------------------------------------------------------------------------------
@jit
def fill(widths, activation, entropy, inputs, targets, weight, l2, x, v, given, product, value, gradient, bent):
    """Set value (S,), gradient (S, n) and, with ``product``, H v; v is the gradient unless ``given``."""
    starts, n = x.shape
    blocks, units = weight.size // B, widths[1:].sum()
    place, at = _places(widths)
    X, V, G, H, F = np.empty(n * 8), np.empty(n * 8), np.empty(n * 8), np.empty(n * 8), np.empty(8)
    size = units * U * blocks
    A, S, C, D = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    Z, Y, Q = np.empty(units * U), np.empty(units * U), np.empty(units * U)
    for begin in range(0, starts, 8):
        for lane in range(8):
            row = min(begin + lane, starts - 1)
            for i in range(n):
                X[i * 8 + lane] = x[row, i]
                V[i * 8 + lane] = v[row, i]
        _gradient(widths, activation, entropy, inputs, targets, weight, l2, place, at, X, A, S, C, D, G, F)
        if product:
            directions = V if given else G
            _product(widths, entropy, inputs, weight, l2, place, at, X, directions, A, S, C, D, Z, Y, Q, H)
        for lane in range(min(8, starts - begin)):
            row = begin + lane
            value[row] = F[lane]
            for i in range(n):
                gradient[row, i] = G[i * 8 + lane]
                if product:
                    bent[row, i] = H[i * 8 + lane]


@jit
def _gradient(widths, activation, entropy, inputs, targets, weight, l2, place, at, X, A, S, C, D, G, F):
    """Forward and backward pass over all samples. Afterwards C holds phi'' W^T d of hidden units."""
    units = widths[1:].sum()
    _decay(X, l2, G, F)
    for block in range(weight.size // B):
        base, first = block * units * U, block * B
        _apply_inputs(X, at[0], widths[1], widths[0], inputs, first, A, base)
        _between(widths, activation, entropy, targets, False, weight, first, place, at, X, A, S, C, D, base, G, F)
        _outer_inputs(G, at[0], widths[1], widths[0], D, base, inputs, first)


@jit
def _decay(X, l2, G, F):
    """Begin gradient and value with the weight decay's."""
    square = zeros()
    for i in range(0, X.size, 8):
        w = load(X, i)
        square = fma(w, w, square)
        store(G, i, w * l2)
    store(F, 0, square * (0.5 * l2))


@jit
def _between(widths, activation, entropy, targets, lanes, weight, first, place, at, X, A, S, C, D, base, G, F):
    """Both passes of one block between the first layer's z, at A, and df/dz there, at D; G lacks the first layer's."""
    depth = widths.size - 1
    for layer in range(1, depth):
        inner = base + place[layer - 1]
        _activate(activation, A, inner, S, inner, C, inner, widths[layer] * B)
        _apply(X, at[layer], widths[layer + 1], widths[layer], A, inner, A, base + place[layer])
    last = base + place[depth - 1]
    _loss(entropy, targets, lanes, weight, first, widths[depth], A, last, D, last, F)
    for layer in range(depth - 1, 0, -1):
        outer, inner = base + place[layer], base + place[layer - 1]
        rows, columns = widths[layer + 1], widths[layer]
        _outer(G, at[layer], rows, columns, D, outer, A, inner, True)
        _clear(D, inner, columns)
        _pull(X, at[layer], rows, columns, D, outer, D, inner)
        _multiply(C, inner, D, inner, columns * B)
        _multiply(D, inner, S, inner, columns * B)


# ---- minibatches -------------------------------------------------------------------------------------------------
def batch_gradient(prepared: Tables, x: Array, chosen: NDArray[np.int64]) -> Array:
    """Return the gradient (S, n) of each start's cost on its own samples, numbers ``chosen`` of shape (S, batch)."""
    x = np.ascontiguousarray(x, dtype=np.float64)
    gradient = np.empty(x.shape)
    fill_batches(*prepared, x, np.ascontiguousarray(chosen, dtype=np.int64), gradient)
    return gradient


@jit
def fill_batches(widths, activation, entropy, inputs, targets, weight, l2, x, chosen, gradient):
    """Set the gradient (S, n), each lane with the samples of its start: a block of them is gathered at a time."""
    starts, n = x.shape
    batch, units = chosen.shape[1], widths[1:].sum()
    ins, outs = widths[0], widths[-1]
    place, at = _places(widths)
    X, G, F = np.empty(n * 8), np.empty(n * 8), np.empty(8)
    A, S, C, D = np.empty(units * U), np.empty(units * U), np.empty(units * U), np.empty(units * U)
    E, T, share = np.zeros(ins * U), np.zeros(outs * U), np.zeros(B)
    for begin in range(0, starts, 8):
        for lane in range(8):
            row = min(begin + lane, starts - 1)
            for i in range(n):
                X[i * 8 + lane] = x[row, i]
        _decay(X, l2, G, F)
        for first in range(0, batch, B):
            for i in range(B):
                # what fills up the last block has weight zero: any sample will do
                share[i] = 1.0 / batch if first + i < batch else 0.0
                for lane in range(8):
                    sample = chosen[min(begin + lane, starts - 1), min(first + i, batch - 1)]
                    for k in range(ins):
                        E[(k * 8 + i) * 8 + lane] = inputs[sample * ins + k]
                    for c in range(outs):
                        T[(c * 8 + i) * 8 + lane] = targets[sample * outs + c]
            _apply(X, at[0], widths[1], ins, E, 0, A, 0)
            _between(widths, activation, entropy, T, True, share, 0, place, at, X, A, S, C, D, 0, G, F)
            _outer(G, at[0], widths[1], ins, D, 0, E, 0, True)
        for lane in range(min(8, starts - begin)):
            for i in range(n):
                gradient[begin + lane, i] = G[i * 8 + lane]


@jit
def _product(widths, entropy, inputs, weight, l2, place, at, X, V, A, S, C, D, Z, Y, Q, H):
    """The R-operator's forward and backward pass: H = Hessian times V. Z: R z, Y: R a, Q: R d of one block."""
    depth = widths.size - 1
    units = widths[1:].sum()
    for i in range(0, X.size, 8):
        store(H, i, load(V, i) * l2)
    for block in range(weight.size // B):
        base = block * units * U
        _apply_inputs(V, at[0], widths[1], widths[0], inputs, block * B, Z, 0)
        for layer in range(1, depth):
            inner, outer = place[layer - 1], place[layer]
            for i in range(0, widths[layer] * U, 8):
                store(Y, inner + i, load(Z, inner + i) * load(S, base + inner + i))
            rows, columns = widths[layer + 1], widths[layer]
            _apply(V, at[layer], rows, columns, A, base + inner, Z, outer)
            _combine(X, at[layer], rows, columns, columns, 1, Y, inner, Z, outer)
        last = place[depth - 1]
        for i in range(0, widths[depth] * U, 8):
            store(Q, last + i, load(Z, last + i))
        _bent_loss(entropy, weight, block * B, widths[depth], A, base + last, Q, last)
        for layer in range(depth - 1, 0, -1):
            outer, inner = place[layer], place[layer - 1]
            rows, columns = widths[layer + 1], widths[layer]
            _outer(H, at[layer], rows, columns, Q, outer, A, base + inner, True)
            _outer(H, at[layer], rows, columns, D, base + outer, Y, inner, False)
            _clear(Q, inner, columns)
            _pull(X, at[layer], rows, columns, Q, outer, Q, inner)
            _pull(V, at[layer], rows, columns, D, base + outer, Q, inner)
            _fuse(S, base + inner, C, base + inner, Z, inner, Q, inner, columns * B)
        _outer_inputs(H, at[0], widths[1], widths[0], Q, 0, inputs, block * B)
