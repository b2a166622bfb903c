"""Training cost of multilayer perceptrons for a block of starts: value, gradient and the exact packed Hessian.

The formulas are those of ``simcore.backends.reference_network``: with H_m = d^2 f/dz_m^2 per sample, J_ml = dz_m/dz_l,
d_m = df/dz_m and e_m = (a_{m-1}, 1), the Hessian's block of layers l <= m sums over samples

    (H_m J_ml)_ik e_mj e_lq + d_mi phi'(z_m-1,j) (J_m-1,l)_jk e_lq,

the second term for l < m and a true input j only. A few samples at a time: each warp takes the forward and backward
pass and the small matrices K_ml = H_m J_ml and J of its samples, then the warps share the rows of the Hessian.

Units z of all layers are numbered through, 0 .. Z-1; a sample's e are the network's inputs, the units' a, and 1.
"""

from __future__ import annotations

import functools
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from simcore.backends.cuda import device
from simcore.backends.cuda.arithmetic import activation, divide, exp, fma, log, multiply
from simcore.backends.cuda.device import body as cuda
from simcore.backends.cuda.device import function
from simcore.backends.cuda.memory import load, store
from simcore.backends.cuda.shape import Shape, Space
from simcore.backends.network_problems import Mlp
from simcore.formulas.exponential import CODES

_SAMPLES = 4  # at a time


class NetworkOnDevice(NamedTuple):
    """One training cost on the device."""

    n: int
    units: int  # Z
    layers: int
    samples: int
    inputs: int  # widths[0]
    activation: int
    entropy: int  # 1 for cross-entropy, 0 for squares
    share: float  # 1/N
    l2: float
    data: Any  # [N][inputs]
    targets: Any  # [N][outputs]
    width: Any  # units of layer m = 0 (inputs) .. L
    unit: Any  # first unit of layer m = 1 .. L, at m
    weight: Any  # first parameter of layer m, at m
    unit_of: Any  # unit whose z a parameter enters ...
    source: Any  # ... the e that it multiplies, and the unit behind it, or -1 for inputs and biases
    behind: Any


def upload(problem: Mlp, shape: Shape, stream: Any, to_device: Any = device.to_device) -> NetworkOnDevice:
    """Copy data and the maps of the parameters to the device."""
    widths = [int(width) for width in problem.widths]
    unit, weight = np.zeros(len(widths) + 1, np.int64), np.zeros(len(widths) + 1, np.int64)
    of, source, behind = [], [], []
    for m, (before, here) in enumerate(pairwise(widths), start=1):
        unit[m + 1], weight[m + 1] = unit[m] + here, weight[m] + here * (before + 1)
        hidden = range(unit[m - 1], unit[m]) if m > 1 else [-1] * before
        inputs = [widths[0] + z for z in hidden] if m > 1 else list(range(before))
        of += [z for z in range(unit[m], unit[m + 1]) for _ in range(before)] + list(range(unit[m], unit[m + 1]))
        source += inputs * here + [-2] * here
        behind += list(hidden) * here + [-1] * here
    units = int(unit[-1])
    sources = np.array(source, np.int64)
    sources[sources == -2] = widths[0] + units
    arrays = [
        np.ascontiguousarray(problem.inputs, dtype=np.float64).ravel(),
        np.ascontiguousarray(problem.targets, dtype=np.float64).ravel(),
        *(np.array(array, np.int64) for array in (widths, unit, weight, of, sources, behind)),
    ]
    return NetworkOnDevice(
        problem.dimension,
        units,
        len(widths) - 1,
        len(problem.inputs),
        widths[0],
        CODES[problem.activation],
        int(problem.loss == "cross_entropy"),
        1.0 / len(problem.inputs),
        float(problem.l2),
        *(to_device(array, stream) for array in arrays),
    )


def space(problem: Mlp) -> Space:
    """Return the scratch per start: the packed Hessian; the gradient and what a few samples need."""
    n, units = problem.dimension, sum(problem.widths[1:])
    return Space(n * (n + 1) // 2, n + _SAMPLES * (problem.widths[0] + 1 + 4 * units + 2 * units * units + 1))


def best_edge(n: int) -> int:
    """Return 8: rows of the Hessian are shared one by one, so that eight make a share of work."""
    return 8


@functools.cache
def routines(shape: Shape) -> tuple[Any, Any, Any]:
    """Return the device functions ``evaluate``, ``system`` and ``advance`` for blocks of one shape."""
    L, W, _ = shape

    @function
    def forward(problem, X, extra, at, sample, lane):
        """Fill e, phi' and phi'' of one sample; its outputs stand in the last layer's e."""
        inputs, units = problem.inputs, problem.units
        slope = at + inputs + 1 + 2 * units
        k = 0
        while k < inputs:
            store(extra, (at + k) * L + lane, load(problem.data, sample * inputs + k))
            k += 1
        store(extra, (at + inputs + units) * L + lane, 1.0)
        e = at  # of the layer before
        m = 1
        while m <= problem.layers:
            before, here = load(problem.width, m - 1), load(problem.width, m)
            w, z0 = load(problem.weight, m), load(problem.unit, m)
            i = 0
            while i < here:
                z = load(X, (w + here * before + i) * L + lane)
                j = 0
                while j < before:
                    z = fma(load(X, (w + i * before + j) * L + lane), load(extra, (e + j) * L + lane), z)
                    j += 1
                if m < problem.layers:
                    a, first, second = activation(problem.activation, z)
                    store(extra, (at + inputs + z0 + i) * L + lane, a)
                    store(extra, (slope + z0 + i) * L + lane, first)
                    store(extra, (slope + units + z0 + i) * L + lane, second)
                else:
                    store(extra, (at + inputs + z0 + i) * L + lane, z)
                i += 1
            e = at + inputs + z0
            m += 1

    @function
    def loss(problem, extra, at, sample, lane):
        """Fill d and H of the last layer, and return the sample's share of the cost."""
        inputs, units = problem.inputs, problem.units
        outputs, z0 = load(problem.width, problem.layers), load(problem.unit, problem.layers)
        o = at + inputs + z0
        d = at + inputs + 1 + units + z0
        corner = at + inputs + 1 + 4 * units + z0 * units + z0
        total = 0.0
        cost = 0.0
        largest = 0.0
        if problem.entropy == 1:
            largest = load(extra, o * L + lane)
            i = 1
            while i < outputs:
                largest = max(largest, load(extra, (o + i) * L + lane))
                i += 1
            i = 0
            while i < outputs:
                total += exp(load(extra, (o + i) * L + lane) - largest)
                i += 1
        i = 0
        while i < outputs:
            shifted = load(extra, (o + i) * L + lane) - largest
            y = load(problem.targets, sample * outputs + i)
            if problem.entropy == 1:
                cost = fma(y, log(total) - shifted, cost)
                chance = divide(exp(shifted), total)
                store(extra, (d + i) * L + lane, multiply(chance - y, problem.share))
                k = 0
                while k < outputs:
                    other = divide(exp(load(extra, (o + k) * L + lane) - largest), total)
                    entry = fma(-chance, other, chance if k == i else 0.0)
                    store(extra, (corner + i * units + k) * L + lane, multiply(entry, problem.share))
                    k += 1
            else:
                rest = shifted - y
                cost = fma(multiply(0.5, rest), rest, cost)
                store(extra, (d + i) * L + lane, multiply(rest, problem.share))
                k = 0
                while k < outputs:
                    store(extra, (corner + i * units + k) * L + lane, problem.share if k == i else 0.0)
                    k += 1
            i += 1
        return multiply(cost, problem.share)

    @function
    def jacobians(problem, X, extra, at, lane):
        """Fill J_ml of one sample: 0 above the diagonal blocks, 1 on them, W_m D_m-1 J_m-1,l below."""
        inputs, units = problem.inputs, problem.units
        slope = at + inputs + 1 + 2 * units
        J = at + inputs + 1 + 4 * units + units * units
        i = 0
        while i < units * units:
            store(extra, (J + i) * L + lane, 0.0)
            i += 1
        m = 1
        while m <= problem.layers:
            before, here = load(problem.width, m - 1), load(problem.width, m)
            w, z0 = load(problem.weight, m), load(problem.unit, m)
            i = 0
            while i < here:
                row = J + (z0 + i) * units
                store(extra, (row + z0 + i) * L + lane, 1.0)
                k = 0
                while k < z0:
                    total = 0.0
                    j = 0
                    while j < before:
                        unit = z0 - before + j
                        entry = load(extra, (J + unit * units + k) * L + lane)
                        entry = multiply(entry, load(extra, (slope + unit) * L + lane))
                        total = fma(load(X, (w + i * before + j) * L + lane), entry, total)
                        j += 1
                    store(extra, (row + k) * L + lane, total)
                    k += 1
                i += 1
            m += 1

    @function
    def backward(problem, X, extra, at, lane):
        """Fill d and the blocks K_ml of one sample, from the last layer down; then turn J's rows into phi' J."""
        inputs, units = problem.inputs, problem.units
        d = at + inputs + 1 + units
        slope = d + units
        K = slope + 2 * units
        J = K + units * units
        m = problem.layers
        while m >= 1:
            here, z0 = load(problem.width, m), load(problem.unit, m)
            i = 0
            while i < here:
                row = K + (z0 + i) * units
                k = 0
                while k < z0:  # K_ml = H_m J_ml
                    total = 0.0
                    j = 0
                    while j < here:
                        jacobian = load(extra, (J + (z0 + j) * units + k) * L + lane)
                        total = fma(load(extra, (row + z0 + j) * L + lane), jacobian, total)
                        j += 1
                    store(extra, (row + k) * L + lane, total)
                    k += 1
                i += 1
            if m > 1:  # d and H of the layer before
                before, w = load(problem.width, m - 1), load(problem.weight, m)
                low = z0 - before
                i = 0
                while i < before:
                    first = load(extra, (slope + low + i) * L + lane)
                    pulled = 0.0
                    j = 0
                    while j < here:
                        entry = load(X, (w + j * before + i) * L + lane)
                        pulled = fma(entry, load(extra, (d + z0 + j) * L + lane), pulled)
                        j += 1
                    store(extra, (d + low + i) * L + lane, multiply(first, pulled))
                    k = 0
                    while k < before:
                        total = 0.0
                        j = 0
                        while j < here:
                            entry = load(X, (w + j * before + i) * L + lane)
                            total = fma(entry, load(extra, (K + (z0 + j) * units + low + k) * L + lane), total)
                            j += 1
                        total = multiply(total, first)
                        if k == i:
                            total = fma(load(extra, (slope + units + low + i) * L + lane), pulled, total)
                        store(extra, (K + (low + i) * units + low + k) * L + lane, total)
                        k += 1
                    i += 1
            m -= 1
        i = 0
        while i < load(problem.unit, problem.layers):
            first = load(extra, (slope + i) * L + lane)
            k = 0
            while k < units:
                place = (J + i * units + k) * L + lane
                store(extra, place, multiply(load(extra, place), first))
                k += 1
            i += 1

    @function
    def evaluate(problem, X, H, extra, value, c, g, lane, warp):
        """Fill value, gradient (the first n of extra) and packed Hessian of the block's starts, l2 left out."""
        n, inputs, units = problem.n, problem.inputs, problem.units
        each = inputs + 2 + 4 * units + 2 * units * units
        if warp == 0:
            value[lane] = 0.0
        start = 0
        while start < problem.samples:
            count = min(_SAMPLES, problem.samples - start)
            s = warp
            while s < count:
                at = n + s * each
                forward(problem, X, extra, at, start + s, lane)
                cost = loss(problem, extra, at, start + s, lane)
                store(extra, (at + each - 1) * L + lane, cost)
                jacobians(problem, X, extra, at, lane)
                backward(problem, X, extra, at, lane)
                s += W
            cuda.syncthreads()
            if warp == 0:
                s = 0
                while s < count:
                    value[lane] = value[lane] + load(extra, (n + s * each + each - 1) * L + lane)
                    s += 1
            r = warp
            while r < n:
                unit, source, behind = load(problem.unit_of, r), load(problem.source, r), load(problem.behind, r)
                begin = (r * (r + 1)) >> 1
                slope = 0.0
                if start > 0:
                    slope = load(extra, r * L + lane)
                column = 0
                while column <= r:
                    other, its_source = load(problem.unit_of, column), load(problem.source, column)
                    total = 0.0
                    if start > 0:
                        total = load(H, (begin + column) * L + lane)
                    s = 0
                    while s < count:
                        e = n + s * each
                        d = e + inputs + 1 + units
                        K = d + 3 * units
                        term = 0.0
                        if behind >= 0:
                            jacobian = load(extra, (K + units * units + behind * units + other) * L + lane)
                            term = multiply(load(extra, (d + unit) * L + lane), jacobian)
                        here = load(extra, (e + source) * L + lane)
                        term = fma(load(extra, (K + unit * units + other) * L + lane), here, term)
                        total = fma(term, load(extra, (e + its_source) * L + lane), total)
                        s += 1
                    store(H, (begin + column) * L + lane, total)
                    column += 1
                s = 0
                while s < count:
                    e = n + s * each
                    here = load(extra, (e + source) * L + lane)
                    slope = fma(load(extra, (e + inputs + 1 + units + unit) * L + lane), here, slope)
                    s += 1
                store(extra, r * L + lane, slope)
                r += W
            cuda.syncthreads()
            start += _SAMPLES

    @function
    def system(problem, X, H, extra, value, A, lane, warp):
        """Copy Hessian and gradient into the augmented system with the penalty's share; return the value."""
        n, l2 = problem.n, problem.l2
        right = (n * (n + 1)) >> 1
        i = warp
        while i < n:
            begin = (i * (i + 1)) >> 1
            j = 0
            while j < i:
                store(A, (begin + j) * L + lane, load(H, (begin + j) * L + lane))
                j += 1
            store(A, (begin + i) * L + lane, load(H, (begin + i) * L + lane) + l2)
            store(A, (right + i) * L + lane, fma(load(X, i * L + lane), l2, load(extra, i * L + lane)))
            i += W
        square = 0.0
        i = 0
        while i < n:
            square = fma(load(X, i * L + lane), load(X, i * L + lane), square)
            i += 1
        cuda.syncthreads()
        return fma(square, multiply(0.5, l2), value[lane])

    @function
    def advance(problem, X, extra, d, t, lane, warp):
        """x <- x - t d; t = 0 for lanes that stay. No barrier."""
        i = warp if t > 0.0 else problem.n
        while i < problem.n:
            store(X, i * L + lane, fma(-t, load(d, i * L + lane), load(X, i * L + lane)))
            i += W

    return evaluate, system, advance
