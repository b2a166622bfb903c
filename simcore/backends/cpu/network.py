"""The network kernel: value, gradient, Hessian and H v of any ``Chain``, by passes over chunks of samples in lanes.

A lane is a start, whose samples come one after the other, or, for networks of many parameters, one of eight samples of
one start: the passes are the same, only what they are fed (``_open``) and how sums end (``_sum_up``) differ. What a
pass does for a network is a list of numbers (``network_layout.py``), so nothing is compiled anew for another one.

Per sample, with z_l = W_l e_l, e_l = (a_{l-1}, 1) (places that share weights are units of their own), a_l = phi(z_l),
d_l = df/dz_l, and A_l = dz_{l+1}/dz_l = W_{l+1} diag phi'(z_l), from the output back:

    K_LL = d^2 f/dz_L^2          mean squares: 1/N;  cross-entropy: (diag p - p p')/N
    K_lm = A_l' K_{l+1,m}        (l < m),      K_ll = A_l' K_{l+1,l+1} A_l + diag(phi''(z_l) W_{l+1}' d_{l+1})
    d^2 f / dW_l[i,q] dW_m[j,r] = K_lm[i,j] e_l[q] e_m[r]  +  (l < m)  d_m[j] e_l[q] da_{m-1}[r]/dz_l[i].

Rows of K and of the products e e are summed with each other over the samples by a register block (``outer.py``): one
multiply-add an entry of the packed Hessian, and half of that inside a layer, where K_ll e e is symmetric in (i, j) and
in (q, r). With mean squares K of the last two layers is a row for all outputs, and W_L enters after the sums. Rows of K
that nothing but their sums asks for are made four at a time, just before.

H v is Pearlmutter's R-operator, R{u} = du/de of u(x + e v) at e = 0, sent through both passes.

Sources: second derivatives of layered networks: Bishop, Neural Computation 4 (1992) 494; H v: Pearlmutter, Neural
Computation 6 (1994) 147.
"""

from __future__ import annotations

from simcore.backends.cpu import outer
from simcore.backends.cpu.addresses import flat, flat_integers
from simcore.backends.cpu.network_layout import BLOCK, CHUNK, COLUMNS, HEAD, LATE, LAYER, MADE, PANEL, ROW, TASK
from simcore.backends.cpu.vector import load, store, zeros
from simcore.compilation import jit
from simcore.formulas.elementary import log
from simcore.formulas.exponential import SOFTPLUS, argument, exponential, unit
from simcore.formulas.intrinsics import fma, maximum

(
    LAYERS, N, SAMPLES, INPUTS, OUTPUTS, ACTIVATION, ENTROPY, FACTORED, FIRST_UNIT, CURVATURES, JACOBIANS, TASKS,
    PACKED, RUNS, K_LAST,
    AT_LAYER, AT_SOURCE, AT_FIRST, AT_CURVATURE, _, AT_JACOBIAN, AT_PAIR, AT_TASK, AT_RUN,
    X, H, SLOPE, BEND, D, P, G, VALUE, WEIGHT, TARGET, GRAM, V, Z, Y, Q, HV, NONE, K, J, LEFT, RIGHT, SUMS, SIZE,
) = range(len(HEAD))  # fmt: skip


# ---- what the passes are fed -------------------------------------------------------------------------------------
@jit
def _begin(table, memory, kind):
    """Set what no pass changes, the constant one; clear what is asked for."""
    for s in range(0, ROW, 8):
        store(memory, table[H] + s, 1.0)
    store(memory, table[VALUE], 0.0)
    for i in range(0, 8 * table[N], 8):
        if kind != PRODUCTS:
            store(memory, table[G] + i, 0.0)
        store(memory, table[HV] + i, 0.0)


@jit
def _open(table, inputs, targets, memory, chosen, batch, first, size, single):
    """Feed samples first, first + 1, ... to ``size`` groups of lanes: one to all, or each lane one of its ``batch``, or
    eight to eight lanes (``single``). What fills up the last four groups has weight zero.
    """
    d, outputs = table[INPUTS], table[OUTPUTS]
    samples = batch if batch > 0 else table[SAMPLES]
    share = 1.0 / samples
    for s in range(size):
        if batch == 0 and not single:
            m = min(first + s, samples - 1)
            store(memory, table[WEIGHT] + s * 8, share if first + s < samples else 0.0)
            for i in range(d):
                store(memory, table[H] + (1 + i) * ROW + s * 8, inputs[m * d + i])
            for c in range(outputs):
                store(memory, table[TARGET] + c * ROW + s * 8, targets[m * outputs + c])
            continue
        for lane in range(8):
            k = first + (s * 8 + lane if single else s)
            m, at = min(k, samples - 1), s * 8 + lane
            memory[table[WEIGHT] + at] = share if k < samples else 0.0
            if batch > 0:
                m = chosen[lane * batch + m]
            for i in range(d):
                memory[table[H] + (1 + i) * ROW + at] = inputs[m * d + i]
            for c in range(outputs):
                memory[table[TARGET] + c * ROW + at] = targets[m * outputs + c]


# ---- the two passes of the gradient ------------------------------------------------------------------------------
@jit
def _apply(table, memory, layer, weights, a, out, size, fresh):
    """z of a layer from the slots at ``a``: out = or += W a, and where ``fresh`` with the biases."""
    at = table[AT_LAYER] + layer * LAYER
    filters, places, fan = table[at], table[at + 1], table[at + 2]
    for p in range(places):
        slots = table[AT_SOURCE] + table[at + 6] + p * (fan + 1)
        for f in range(filters):
            row = weights + (table[at + 3] + f * fan) * 8
            z = out + (table[at + 5] + f * places + p) * ROW
            for s in range(0, size * 8, 32):
                if fresh:
                    z0 = load(memory, weights + (table[at + 4] + f) * 8)
                    z1, z2, z3 = z0, z0, z0
                else:
                    z0, z1 = load(memory, z + s), load(memory, z + s + 8)
                    z2, z3 = load(memory, z + s + 16), load(memory, z + s + 24)
                for q in range(fan):
                    w, e = load(memory, row + q * 8), a + table[slots + q] * ROW + s
                    z0, z1 = fma(w, load(memory, e), z0), fma(w, load(memory, e + 8), z1)
                    z2, z3 = fma(w, load(memory, e + 16), z2), fma(w, load(memory, e + 24), z3)
                store(memory, z + s, z0)
                store(memory, z + s + 8, z1)
                store(memory, z + s + 16, z2)
                store(memory, z + s + 24, z3)


@jit
def _forward(table, memory, size):
    """Set a, phi' and phi'' of all units; the last layer's a are the outputs o."""
    a, code = table[H] + table[FIRST_UNIT] * ROW, table[ACTIVATION]
    for layer in range(table[LAYERS]):
        _apply(table, memory, layer, table[X], table[H], a, size, True)
        if layer == table[LAYERS] - 1:
            return
        at = table[AT_LAYER] + layer * LAYER
        for u in range(table[at + 5], table[at + 5] + table[at] * table[at + 1]):
            one, other = table[SLOPE], table[BEND]
            if code <= SOFTPLUS:  # apart: processors wait for results in a long chain, and look ahead in a short one
                for s in range(u * ROW, u * ROW + size * 8, 8):
                    power, less = exponential(argument(code, load(memory, a + s)))
                    store(memory, one + s, power)
                    store(memory, other + s, less)
            for s in range(u * ROW, u * ROW + size * 8, 8):
                value, first, second = unit(code, load(memory, a + s), load(memory, one + s), load(memory, other + s))
                store(memory, a + s, value)
                store(memory, one + s, first)
                store(memory, other + s, second)


@jit
def _last(table):
    """Return the first unit of the last layer."""
    return table[table[AT_LAYER] + (table[LAYERS] - 1) * LAYER + 5]


@jit
def _loss(table, memory, size):
    """Set d of the outputs, and the softmax p for cross-entropy; add the cost to the value."""
    outputs, last = table[OUTPUTS], _last(table)
    o, d = table[H] + (table[FIRST_UNIT] + last) * ROW, table[D] + last * ROW
    for s in range(0, size * 8, 8):
        w, total = load(memory, table[WEIGHT] + s), zeros()
        if not table[ENTROPY]:
            for c in range(0, outputs * ROW, ROW):
                residual = load(memory, o + c + s) - load(memory, table[TARGET] + c + s)
                store(memory, d + c + s, residual * w)
                total = fma(residual, residual, total)
            store(memory, table[VALUE], fma(total * 0.5, w, load(memory, table[VALUE])))
            continue
        top = load(memory, o + s)
        for c in range(ROW, outputs * ROW, ROW):
            top = maximum(top, load(memory, o + c + s))
        along, mass = zeros(), zeros()
        for c in range(0, outputs * ROW, ROW):
            shifted, y = load(memory, o + c + s) - top, load(memory, table[TARGET] + c + s)
            along = fma(shifted, y, along)
            mass = mass + y
            e, _ = exponential(shifted)
            store(memory, table[P] + c + s, e)
            total = total + e
        for c in range(0, outputs * ROW, ROW):
            p = load(memory, table[P] + c + s) / total
            store(memory, table[P] + c + s, p)
            store(memory, d + c + s, (p - load(memory, table[TARGET] + c + s)) * w)
        store(memory, table[VALUE], fma(fma(log(total), mass, -along), w, load(memory, table[VALUE])))


@jit
def _pull(table, memory, layer, weights, source, out, size, fresh):
    """Bring numbers of a layer's units back to its sources: out = or += W' source, at units that feed the layer."""
    at = table[AT_LAYER] + layer * LAYER
    filters, places, fan = table[at], table[at + 1], table[at + 2]
    for p in range(places):
        slots = table[AT_SOURCE] + table[at + 6] + p * (fan + 1)
        firsts = table[AT_FIRST] + table[at + 6] + p * (fan + 1)
        for q in range(fan):
            u = table[slots + q] - table[FIRST_UNIT]
            if u < 0:
                continue
            for s in range(0, size * 8, 32):
                z = out + u * ROW + s
                z0, z1, z2, z3 = zeros(), zeros(), zeros(), zeros()
                if not (fresh and table[firsts + q]):
                    z0, z1, z2, z3 = load(memory, z), load(memory, z + 8), load(memory, z + 16), load(memory, z + 24)
                for f in range(filters):
                    w = load(memory, weights + (table[at + 3] + f * fan + q) * 8)
                    e = source + (table[at + 5] + f * places + p) * ROW + s
                    z0, z1 = fma(w, load(memory, e), z0), fma(w, load(memory, e + 8), z1)
                    z2, z3 = fma(w, load(memory, e + 16), z2), fma(w, load(memory, e + 24), z3)
                store(memory, z, z0)
                store(memory, z + 8, z1)
                store(memory, z + 16, z2)
                store(memory, z + 24, z3)


@jit
def _backward(table, memory, size):
    """Set d of all units; afterwards ``BEND`` holds phi'' W' d."""
    for layer in range(table[LAYERS] - 1, 0, -1):
        _pull(table, memory, layer, table[X], table[D], table[D], size, True)
        at = table[AT_LAYER] + (layer - 1) * LAYER
        for u in range(table[at + 5], table[at + 5] + table[at] * table[at + 1]):
            for s in range(u * ROW, u * ROW + size * 8, 8):
                pulled = load(memory, table[D] + s)
                store(memory, table[BEND] + s, load(memory, table[BEND] + s) * pulled)
                store(memory, table[D] + s, load(memory, table[SLOPE] + s) * pulled)


@jit
def _slopes(table, memory, d, a, out, size, biases):
    """Add the sums of d a over the samples of a chunk to the parameters' places at ``out``."""
    for layer in range(table[LAYERS]):
        at = table[AT_LAYER] + layer * LAYER
        filters, places, fan = table[at], table[at + 1], table[at + 2]
        for f in range(filters):
            for q in range(fan + 1 if biases else fan):
                g = out + (table[at + 3] + f * fan + q if q < fan else table[at + 4] + f) * 8
                g0, g1, g2, g3 = load(memory, g), zeros(), zeros(), zeros()
                for p in range(places):
                    e = a + table[table[AT_SOURCE] + table[at + 6] + p * (fan + 1) + q] * ROW
                    v = d + (table[at + 5] + f * places + p) * ROW
                    for s in range(0, size * 8, 32):
                        g0 = fma(load(memory, v + s), load(memory, e + s), g0)
                        g1 = fma(load(memory, v + s + 8), load(memory, e + s + 8), g1)
                        g2 = fma(load(memory, v + s + 16), load(memory, e + s + 16), g2)
                        g3 = fma(load(memory, v + s + 24), load(memory, e + s + 24), g3)
                store(memory, g, (g0 + g1) + (g2 + g3))


# ---- the pre-activation Hessians ---------------------------------------------------------------------------------
@jit
def _of_outputs(table, memory, size):
    """Set K_LL, or where the last two layers are factored 1/N, the row that K of them is made of."""
    if table[FACTORED]:
        for s in range(size):
            store(memory, table[K_LAST] + s * 32, load(memory, table[WEIGHT] + s * 8))
        return
    for c in range(table[OUTPUTS]):
        for k in range(c + 1):
            row = c * (c + 1) // 2 + k
            at = table[K_LAST] + (row >> 2) * PANEL + (row & 3) * 8
            for s in range(size):
                w = load(memory, table[WEIGHT] + s * 8)
                entry = zeros()
                if table[ENTROPY]:
                    p = load(memory, table[P] + c * ROW + s * 8)
                    entry = -(p * load(memory, table[P] + k * ROW + s * 8)) * w
                    if c == k:
                        entry = fma(p, w, entry)
                elif c == k:
                    entry = w
                store(memory, at + s * 32, entry)


@jit
def _gram(table, memory):
    """Set W_L' W_L where the last two layers are factored."""
    if not table[FACTORED]:
        return
    at = table[AT_LAYER] + (table[LAYERS] - 2) * LAYER
    h = table[at]
    weights = table[X] + table[at + LAYER + 3] * 8
    for i in range(h):
        for k in range(i + 1):
            total = zeros()
            for c in range(0, table[OUTPUTS] * h * 8, h * 8):
                total = fma(load(memory, weights + c + i * 8), load(memory, weights + c + k * 8), total)
            store(memory, table[GRAM] + (i * (i + 1) // 2 + k) * 8, total)


@jit
def _combine(table, memory, at, many, apart, size):
    """Set rows, one after the other, to phi' times a sum of weights times rows: K, or da_m/dz_l. Return what follows.

    An operation is a list of numbers (``network_layout``): the row, its phi', whether what stands there is added, the
    phi'' W'd that is added or -1, how many terms, and each term's weight and row. ``apart``: from sample to sample.
    """
    for _ in range(many):
        to, slope, add, bend, end = table[at], table[at + 1], table[at + 2], table[at + 3], at + 5 + 2 * table[at + 4]
        first, begin = load(memory, table[at + 5]), table[at + 6]
        for s in range(0, size, 4):
            k = begin + s * apart
            z0, z1 = first * load(memory, k), first * load(memory, k + apart)
            z2, z3 = first * load(memory, k + 2 * apart), first * load(memory, k + 3 * apart)
            for term in range(at + 7, end, 2):
                w, k = load(memory, table[term]), table[term + 1] + s * apart
                z0, z1 = fma(w, load(memory, k), z0), fma(w, load(memory, k + apart), z1)
                z2, z3 = fma(w, load(memory, k + 2 * apart), z2), fma(w, load(memory, k + 3 * apart), z3)
            k, e = to + s * apart, slope + s * 8
            z0, z1 = z0 * load(memory, e), z1 * load(memory, e + 8)
            z2, z3 = z2 * load(memory, e + 16), z3 * load(memory, e + 24)
            if add:
                z0, z1 = z0 + load(memory, k), z1 + load(memory, k + apart)
                z2, z3 = z2 + load(memory, k + 2 * apart), z3 + load(memory, k + 3 * apart)
            if bend >= 0:
                e = bend + s * 8
                z0, z1 = z0 + load(memory, e), z1 + load(memory, e + 8)
                z2, z3 = z2 + load(memory, e + 16), z3 + load(memory, e + 24)
            store(memory, k, z0)
            store(memory, k + apart, z1)
            store(memory, k + 2 * apart, z2)
            store(memory, k + 3 * apart, z3)
        at = end
    return at


# ---- sums over samples -------------------------------------------------------------------------------------------
@jit
def _multiply(table, memory, pairs, many, to, high, size):
    """Set rows of the panels at ``to``, ``high`` in each, to products of two rows each, given at ``pairs``."""
    for row in range(0, many, 2):  # the last one twice, where rows are odd in number
        one, other = pairs + 2 * row, pairs + 2 * min(row + 1, many - 1)
        a, b, c, d = table[one], table[one + 1], table[other], table[other + 1]
        out = to + row // high * high * ROW + row % high * 8
        for s in range(0, size * 8, 8):
            store(memory, out + s * high, load(memory, a + s) * load(memory, b + s))
            store(memory, out + s * high + 8, load(memory, c + s) * load(memory, d + s))


@jit
def _sums(table, memory, size, count, single, fresh):
    """Add a chunk's share of all cells: products of rows of two panels, of all lanes where a start has them all.

    A panel of columns at a time, so that it and one of rows stay in the first-level cache; a few where rows are late.
    ``fresh``, the first chunk: a cell's first task sets it. ``count`` groups have samples, ``size`` with what fills up.
    """
    for task in range(table[AT_TASK], table[AT_TASK] + table[TASKS] * TASK, TASK):
        left, rows, columns, triangle = table[task], table[task + 1], table[task + 4], table[task + 6]
        across, anew = (columns + outer.WIDE - 1) // outer.WIDE, int(fresh and table[task + 7])
        if left == MADE:
            _multiply(table, memory, table[task + 2], rows, table[LEFT], outer.HIGH, count)
            left = table[LEFT]
        together = COLUMNS if left == LATE else outer.WIDE
        for j in range(0, columns, together):
            many = min(together, columns - j)
            _multiply(table, memory, table[task + 3] + 2 * j, many, table[RIGHT], outer.WIDE, count)
            operation = table[task + 2]
            for i in range(0, rows, outer.HIGH):
                high, a = min(rows - i, outer.HIGH), left + i * ROW
                if left == LATE:
                    a = table[LEFT]
                    operation = _combine(table, memory, operation, high, 32, size)
                cell = table[task + 5] + (i // outer.HIGH * across + j // outer.WIDE) * BLOCK
                for k in range(0, min(many, i + outer.HIGH - j) if triangle else many, outer.WIDE):
                    _block(memory, a, table[RIGHT] + k * ROW, count, table[SUMS], cell, high, many - k, single, anew)
                    cell += BLOCK


@jit
def _block(memory, a, b, size, sums, cell, high, wide, single, fresh):
    """Add a chunk's share of a block of cells, ``high`` by ``wide`` of which count."""
    if single and wide <= 2:
        outer.add_summed_outer_2(memory, a, b, size, memory, sums + cell, fresh)
    elif single and wide <= 4:
        outer.add_summed_outer_4(memory, a, b, size, memory, sums + cell, fresh)
    elif single:
        outer.add_summed_outer(memory, a, b, size, memory, sums + cell, fresh)
    elif high == 1:
        outer.add_outer_1(memory, a, b, size, memory, sums + cell * 8, fresh)
    elif high == 2:
        outer.add_outer_2(memory, a, b, size, memory, sums + cell * 8, fresh)
    elif wide <= 2:
        outer.add_outer_4_2(memory, a, b, size, memory, sums + cell * 8, fresh)
    elif wide <= 4:
        outer.add_outer_4_4(memory, a, b, size, memory, sums + cell * 8, fresh)
    else:
        outer.add_outer_4(memory, a, b, size, memory, sums + cell * 8, fresh)


# ---- H v ---------------------------------------------------------------------------------------------------------
@jit
def _product(table, memory, size):
    """Add a chunk's share of H v; ``V`` holds v. Z: R z, Y: R a of the slots, Q: R d."""
    units = table[Y] + table[FIRST_UNIT] * ROW
    last, outputs = table[LAYERS] - 1, table[OUTPUTS]
    for layer in range(last + 1):
        _apply(table, memory, layer, table[V], table[H], table[Z], size, True)
        _apply(table, memory, layer, table[X], table[Y], table[Z], size, False)
        at = table[AT_LAYER] + layer * LAYER
        if layer < last:
            for u in range(table[at + 5], table[at + 5] + table[at] * table[at + 1]):
                for s in range(u * ROW, u * ROW + size * 8, 8):
                    store(memory, units + s, load(memory, table[Z] + s) * load(memory, table[SLOPE] + s))
    final = _last(table) * ROW
    for s in range(0, size * 8, 8):
        w, mean = load(memory, table[WEIGHT] + s), zeros()
        if table[ENTROPY]:
            for c in range(0, outputs * ROW, ROW):
                mean = fma(load(memory, table[P] + c + s), load(memory, table[Z] + final + c + s), mean)
        for c in range(0, outputs * ROW, ROW):
            moved = load(memory, table[Z] + final + c + s)
            if table[ENTROPY]:
                moved = load(memory, table[P] + c + s) * (moved - mean)
            store(memory, table[Q] + final + c + s, moved * w)
    for layer in range(last, 0, -1):
        _pull(table, memory, layer, table[X], table[Q], table[Q], size, True)
        _pull(table, memory, layer, table[V], table[D], table[Q], size, False)
        at = table[AT_LAYER] + (layer - 1) * LAYER
        for u in range(table[at + 5], table[at + 5] + table[at] * table[at + 1]):
            for s in range(u * ROW, u * ROW + size * 8, 8):
                straight = load(memory, table[SLOPE] + s) * load(memory, table[Q] + s)
                bent = load(memory, table[BEND] + s) * load(memory, table[Z] + s)
                store(memory, table[Q] + s, straight + bent)
    _slopes(table, memory, table[Q], table[H], table[HV], size, True)
    _slopes(table, memory, table[D], table[Y], table[HV], size, False)


# ---- the one compiled function -------------------------------------------------------------------------------------
HESSIANS, SINGLE, GRADIENTS, PRODUCTS, BOTH, VALUES = range(6)
"""What ``run`` is asked for: value, gradient and cells of eight starts, or of one; value and gradient; H v alone; all
but the cells; value alone."""


@jit(inner=True)
def run(kind, table_at, inputs_at, targets_at, memory_at, chosen_at, batch):
    """Do the passes over all samples for the parameters at ``X`` (and v at ``V``); the penalty is the caller's.

    Arrays are given by address: callers reach this function by its own address (``addresses.py``), so that it is
    compiled once and never again as a part of each of them. ``chosen``, 8 ``batch`` numbers: each lane's own samples.
    """
    table, memory = flat_integers(table_at), flat(memory_at)
    inputs, targets, chosen = flat(inputs_at), flat(targets_at), flat_integers(chosen_at)
    single, cells = kind == SINGLE, kind in (SINGLE, HESSIANS)
    _begin(table, memory, kind)
    if cells:
        _gram(table, memory)
    samples = batch if batch > 0 else table[SAMPLES]
    each = 8 if single else 1
    for first in range(0, samples, CHUNK * each):
        count = min(CHUNK, (samples - first + each - 1) // each)
        size = (count + 3) // 4 * 4
        _open(table, inputs, targets, memory, chosen, batch, first, size, single)
        _forward(table, memory, size)
        _loss(table, memory, size)
        if kind == VALUES:
            continue
        _backward(table, memory, size)
        if kind != PRODUCTS:
            _slopes(table, memory, table[D], table[H], table[G], size, True)
        if kind in (PRODUCTS, BOTH):
            _product(table, memory, size)
        if cells:
            _of_outputs(table, memory, size)
            _combine(table, memory, table[AT_CURVATURE], table[CURVATURES], 32, size)
            _combine(table, memory, table[AT_JACOBIAN], table[JACOBIANS], 8, size)
            _sums(table, memory, size, count, single, first == 0)
