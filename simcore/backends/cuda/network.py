"""Training cost of networks, shared weights included, for a block of starts: value, gradient, exact packed Hessian.

The formulas are those of ``simcore.backends.reference_network``: with H_m = d^2 f/dz_m^2 per sample, J_ml = dz_m/dz_l,
d_m = df/dz_m and e_m = (a_{m-1}, 1), the Hessian's block of layers l <= m sums over samples

    (H_m J_ml)_ik e_mj e_lq + d_mi phi'(z_m-1,j) (J_m-1,l)_jk e_lq,

the second term for l < m and a true input j only; a shared weight sums the entries of its places. A few samples at a
time: each warp takes the forward and backward pass and the small matrices K_ml = H_m J_ml and J of its samples, then
the warps share the rows of the Hessian.

Units z of all layers are numbered through, 0 .. Z-1; a sample's e are the network's inputs, the units' a, and 1.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from simcore.backends.cuda import device
from simcore.backends.cuda.arithmetic import activation, divide, exp, fma, log, multiply
from simcore.backends.cuda.device import body as cuda
from simcore.backends.cuda.device import function
from simcore.backends.cuda.memory import load, store
from simcore.backends.cuda.shape import Shape, Space
from simcore.backends.network_problems import chain
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
    shape: Any  # of layer m = 1 .. L at 8 m: filters, places, fan, weights, biases, first unit, first slot, units
    slots: Any  # the e that each place's inputs are, layer by layer
    begin: Any  # where the places of a parameter begin in the three lists below
    unit_of: Any  # unit whose z a parameter enters ...
    source: Any  # ... the e that it multiplies, and the unit behind it, or -1 for inputs and biases
    behind: Any


def upload(problem: Any, shape: Shape, stream: Any, to_device: Any = device.to_device) -> NetworkOnDevice:
    """Copy data and the maps of the parameters to the device."""
    given = chain(problem)
    inputs, layers = given.inputs.shape[1], given.layers
    table, slots, unit = [0] * 8, [], 0
    uses: list[list[tuple[int, int, int]]] = [[] for _ in range(given.dimension)]
    units = sum(layer.filters * len(layer.sources) for layer in layers)
    for layer in layers:
        places, fan = layer.sources.shape
        count = layer.filters * places
        table += [layer.filters, places, fan, layer.weights, layer.bias, unit, len(slots), count]
        slots += layer.sources.ravel().tolist()
        for f in range(layer.filters):
            for place, sources in enumerate(layer.sources.tolist()):
                z = unit + f * places + place
                for q, slot in enumerate(sources):
                    uses[layer.weights + f * fan + q].append((z, slot, max(slot - inputs, -1)))
                uses[layer.bias + f].append((z, inputs + units, -1))
        unit += count
    begin = np.concatenate([[0], np.cumsum([len(places) for places in uses])])
    of, sources_of, behind = np.array([use for places in uses for use in places], np.int64).T
    arrays = [
        np.ascontiguousarray(problem.inputs, dtype=np.float64).ravel(),
        np.ascontiguousarray(problem.targets, dtype=np.float64).ravel(),
        *(np.array(array, np.int64) for array in (table, slots, begin, of, sources_of, behind)),
    ]
    return NetworkOnDevice(
        given.dimension,
        units,
        len(layers),
        len(problem.inputs),
        inputs,
        CODES[problem.activation],
        int(problem.loss == "cross_entropy"),
        1.0 / len(problem.inputs),
        float(problem.l2),
        *(to_device(array, stream) for array in arrays),
    )


def space(problem: Any) -> Space:
    """Return the scratch per start: the packed Hessian; the gradient and what a few samples need."""
    n, units = problem.dimension, sum(layer.filters * len(layer.sources) for layer in chain(problem).layers)
    return Space(n * (n + 1) // 2, n + _SAMPLES * (problem.inputs.shape[1] + 1 + 4 * units + 2 * units * units + 1))


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
        m = 1
        while m <= problem.layers:
            filters, places, fan = (
                load(problem.shape, 8 * m),
                load(problem.shape, 8 * m + 1),
                load(problem.shape, 8 * m + 2),
            )
            w, b = load(problem.shape, 8 * m + 3), load(problem.shape, 8 * m + 4)
            unit, slot = load(problem.shape, 8 * m + 5), load(problem.shape, 8 * m + 6)
            i = 0
            while i < filters:
                p = 0
                while p < places:
                    z = load(X, (b + i) * L + lane)
                    j = 0
                    while j < fan:
                        e = at + load(problem.slots, slot + p * fan + j)
                        z = fma(load(X, (w + i * fan + j) * L + lane), load(extra, e * L + lane), z)
                        j += 1
                    if m < problem.layers:
                        a, first, second = activation(problem.activation, z)
                        store(extra, (at + inputs + unit) * L + lane, a)
                        store(extra, (slope + unit) * L + lane, first)
                        store(extra, (slope + units + unit) * L + lane, second)
                    else:
                        store(extra, (at + inputs + unit) * L + lane, z)
                    unit += 1
                    p += 1
                i += 1
            m += 1

    @function
    def loss(problem, extra, at, sample, lane):
        """Fill d and H of the last layer, and return the sample's share of the cost."""
        inputs, units = problem.inputs, problem.units
        outputs, z0 = load(problem.shape, 8 * problem.layers + 7), load(problem.shape, 8 * problem.layers + 5)
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
            filters, places, fan = (
                load(problem.shape, 8 * m),
                load(problem.shape, 8 * m + 1),
                load(problem.shape, 8 * m + 2),
            )
            w, z0, slot = load(problem.shape, 8 * m + 3), load(problem.shape, 8 * m + 5), load(problem.shape, 8 * m + 6)
            i = 0
            while i < filters * places:
                f = i // places
                place = slot + (i - f * places) * fan
                row = J + (z0 + i) * units
                store(extra, (row + z0 + i) * L + lane, 1.0)
                k = 0
                while k < z0:
                    total = 0.0
                    j = 0
                    while j < fan:
                        unit = load(problem.slots, place + j) - inputs
                        if unit >= 0:
                            entry = load(extra, (J + unit * units + k) * L + lane)
                            entry = multiply(entry, load(extra, (slope + unit) * L + lane))
                            total = fma(load(X, (w + f * fan + j) * L + lane), entry, total)
                        j += 1
                    store(extra, (row + k) * L + lane, total)
                    k += 1
                i += 1
            m += 1

    @function
    def pull(problem, X, extra, column, step, m, lane):
        """Bring numbers of layer m's units, unit u's at column + u step, back to the layer before: W' v."""
        filters, places, fan = (
            load(problem.shape, 8 * m),
            load(problem.shape, 8 * m + 1),
            load(problem.shape, 8 * m + 2),
        )
        w, z0, slot = load(problem.shape, 8 * m + 3), load(problem.shape, 8 * m + 5), load(problem.shape, 8 * m + 6)
        i = z0 - load(problem.shape, 8 * m - 1)
        while i < z0:
            store(extra, (column + i * step) * L + lane, 0.0)
            i += 1
        j = 0
        while j < places * fan:
            unit = load(problem.slots, slot + j) - problem.inputs
            if unit >= 0:
                p = j // fan
                total = load(extra, (column + unit * step) * L + lane)
                f = 0
                while f < filters:
                    entry = load(X, (w + f * fan + j - p * fan) * L + lane)
                    total = fma(entry, load(extra, (column + (z0 + f * places + p) * step) * L + lane), total)
                    f += 1
                store(extra, (column + unit * step) * L + lane, total)
            j += 1

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
            here, z0 = load(problem.shape, 8 * m + 7), load(problem.shape, 8 * m + 5)
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
                before = load(problem.shape, 8 * m - 1)
                low = z0 - before
                pull(problem, X, extra, d, 1, m, lane)
                k = 0
                while k < before:
                    pull(problem, X, extra, K + low + k, units, m, lane)
                    k += 1
                i = 0
                while i < before:
                    first = load(extra, (slope + low + i) * L + lane)
                    pulled = load(extra, (d + low + i) * L + lane)
                    store(extra, (d + low + i) * L + lane, multiply(first, pulled))
                    k = 0
                    while k < before:
                        place = (K + (low + i) * units + low + k) * L + lane
                        total = multiply(load(extra, place), first)
                        if k == i:
                            total = fma(load(extra, (slope + units + low + i) * L + lane), pulled, total)
                        store(extra, place, total)
                        k += 1
                    i += 1
            m -= 1
        i = 0
        while i < load(problem.shape, 8 * problem.layers + 5):
            first = load(extra, (slope + i) * L + lane)
            k = 0
            while k < units:
                place = (J + i * units + k) * L + lane
                store(extra, place, multiply(load(extra, place), first))
                k += 1
            i += 1

    @function
    def pair(problem, extra, later, earlier, count, total, lane):
        """Add what two places of weights give to their Hessian's entry; the unit of ``earlier`` is not the later."""
        inputs, units = problem.inputs, problem.units
        each = inputs + 2 + 4 * units + 2 * units * units
        unit, source, behind = load(problem.unit_of, later), load(problem.source, later), load(problem.behind, later)
        other, its_source = load(problem.unit_of, earlier), load(problem.source, earlier)
        s = 0
        while s < count:
            e = problem.n + s * each
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
        return total

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
                first, last = load(problem.begin, r), load(problem.begin, r + 1)
                begin = (r * (r + 1)) >> 1
                slope = 0.0
                if start > 0:
                    slope = load(extra, r * L + lane)
                column = 0
                while column <= r:
                    total = 0.0
                    if start > 0:
                        total = load(H, (begin + column) * L + lane)
                    one = first
                    while one < last:
                        other = load(problem.begin, column)
                        while other < load(problem.begin, column + 1):
                            later, earlier = one, other
                            if load(problem.unit_of, other) > load(problem.unit_of, one):
                                later, earlier = other, one
                            total = pair(problem, extra, later, earlier, count, total, lane)
                            other += 1
                        one += 1
                    store(H, (begin + column) * L + lane, total)
                    column += 1
                one = first
                while one < last:
                    unit, source = load(problem.unit_of, one), load(problem.source, one)
                    s = 0
                    while s < count:
                        e = n + s * each
                        here = load(extra, (e + source) * L + lane)
                        slope = fma(load(extra, (e + inputs + 1 + units + unit) * L + lane), here, slope)
                        s += 1
                    one += 1
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
