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
in (q, r). With mean squares K of the last two layers is a row for all outputs, and W_L enters after the sums.

H v is Pearlmutter's R-operator, R{u} = du/de of u(x + e v) at e = 0, sent through both passes.

Sources: second derivatives of layered networks: Bishop, Neural Computation 4 (1992) 494; H v: Pearlmutter, Neural
Computation 6 (1994) 147.
"""

from __future__ import annotations

from simcore.backends.cpu.addresses import flat, flat_integers
from simcore.backends.cpu.network_layout import CHUNK, HEAD, LAYER, PANEL, ROW, TASK
from simcore.backends.cpu.outer import add_outer_1, add_outer_4, add_summed_outer_4
from simcore.backends.cpu.vector import load, store, zeros
from simcore.compilation import jit
from simcore.formulas.elementary import log
from simcore.formulas.exponential import exponential, unit
from simcore.formulas.intrinsics import fma, maximum

(
    LAYERS, N, SAMPLES, INPUTS, OUTPUTS, ACTIVATION, ENTROPY, FACTORED, FIRST_UNIT, PLACES,
    AT_LAYER, AT_SOURCE, AT_FIRST, AT_BLOCK, AT_TASK, TASKS, AT_ENTRY, AT_CELL, PACKED, CELLS,
    X, H, SLOPE, BEND, D, P, K, LEFT, RIGHT, SUMS, G, VALUE, WEIGHT, TARGET, J, GRAM,
    V, Z, Y, Q, HV, SIZE, DEEP,
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
def _open(table, inputs, targets, memory, chosen, batch, first, single):
    """Feed samples first, first + 1, ... to the lanes; return how many groups of lanes there are, in fours.

    All lanes get a sample, or each lane one of its own ``batch``, or eight lanes eight samples (``single``). What fills
    up the last four groups has weight zero.
    """
    d, outputs = table[INPUTS], table[OUTPUTS]
    samples = batch if batch > 0 else table[SAMPLES]
    each = 8 if single else 1
    count = min(CHUNK, (samples - first + each - 1) // each)
    share = 1.0 / samples
    for s in range((count + 3) // 4 * 4):
        for lane in range(8):
            k = first + (s * 8 + lane if single else s)
            m, at = min(k, samples - 1), s * 8 + lane
            memory[table[WEIGHT] + at] = share if k < samples else 0.0
            if batch > 0:
                m = chosen[lane * batch + m]
            elif not single:
                continue
            for i in range(d):
                memory[table[H] + (1 + i) * ROW + at] = inputs[m * d + i]
            for c in range(outputs):
                memory[table[TARGET] + c * ROW + at] = targets[m * outputs + c]
        if batch == 0 and not single:
            m = min(first + s, samples - 1)
            for i in range(d):
                store(memory, table[H] + (1 + i) * ROW + s * 8, inputs[m * d + i])
            for c in range(outputs):
                store(memory, table[TARGET] + c * ROW + s * 8, targets[m * outputs + c])
    return (count + 3) // 4 * 4


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
    units = table[H] + table[FIRST_UNIT] * ROW
    for layer in range(table[LAYERS]):
        _apply(table, memory, layer, table[X], table[H], units, size, True)
        if layer == table[LAYERS] - 1:
            return
        at = table[AT_LAYER] + layer * LAYER
        for u in range(table[at + 5], table[at + 5] + table[at] * table[at + 1]):
            for s in range(u * ROW, u * ROW + size * 8, 8):
                a, slope, second = unit(table[ACTIVATION], load(memory, units + s))
                store(memory, units + s, a)
                store(memory, table[SLOPE] + s, slope)
                store(memory, table[BEND] + s, second)


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
def _row(table, one, f, many, other, g, others):
    """Where K of unit f (of ``many``) at place ``one`` and unit g (of ``others``) at place ``other`` stands."""
    if one > other:
        one, other = other, one
        f, g = g, f
        others = many
    row = f * others + g
    if one == other:
        row = f * (f + 1) // 2 + g if f >= g else g * (g + 1) // 2 + f
    first = table[AT_BLOCK] + one * table[PLACES] + other
    return table[K] + (table[first] + (row >> 2)) * PANEL + (row & 3) * 8


@jit
def _of_outputs(table, memory, size):
    """Set K_LL, or the rows that stand for K of the last two layers where these are factored."""
    outputs, last = table[OUTPUTS], table[LAYERS] - 1
    place = table[table[AT_LAYER] + last * LAYER + 7]
    if table[FACTORED]:
        _of_last_two(table, memory, size, last, place)
        return
    for c in range(outputs):
        for k in range(c + 1):
            at = _row(table, place, c, outputs, place, k, outputs)
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
def _of_last_two(table, memory, size, last, place):
    """Mean squares: w, w phi' and w phi'_i phi'_k (W'W)_ik, and w phi'_i W_ci where layers before need it."""
    outputs = table[OUTPUTS]
    at = table[AT_LAYER] + (last - 1) * LAYER
    h, u0, before = table[at], table[at + 5], table[at + 7]
    weights = table[X] + table[at + LAYER + 3] * 8
    final = table[AT_TASK] + (table[TASKS] - 1) * TASK
    k_last = table[K] + table[final] * PANEL
    k_mixed = table[K] + table[final - TASK] * PANEL
    for s in range(size):
        store(memory, k_last + s * 32, load(memory, table[WEIGHT] + s * 8))
    for i in range(h):
        slope = table[SLOPE] + (u0 + i) * ROW
        for s in range(size):
            scaled = load(memory, slope + s * 8) * load(memory, table[WEIGHT] + s * 8)
            store(memory, k_mixed + (i >> 2) * PANEL + (i & 3) * 8 + s * 32, scaled)
        for k in range(i + 1):
            gram = load(memory, table[GRAM] + (i * (i + 1) // 2 + k) * 8)
            to, other = _row(table, before, i, h, before, k, h), table[SLOPE] + (u0 + k) * ROW
            for s in range(size):
                scaled = load(memory, k_mixed + (i >> 2) * PANEL + (i & 3) * 8 + s * 32)
                entry = scaled * load(memory, other + s * 8) * gram
                if i == k:
                    entry = entry + load(memory, table[BEND] + (u0 + i) * ROW + s * 8)
                store(memory, to + s * 32, entry)
        if last > 1:
            for c in range(outputs):
                w, to = load(memory, weights + (c * h + i) * 8), _row(table, before, i, h, place, c, outputs)
                for s in range(size):
                    scaled = load(memory, k_mixed + (i >> 2) * PANEL + (i & 3) * 8 + s * 32)
                    store(memory, to + s * 32, scaled * w)


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
def _curvatures(table, memory, size):
    """Set the panels of K for all pairs of places."""
    _of_outputs(table, memory, size)
    last = table[LAYERS] - 1
    for layer in range(last - 1 if table[FACTORED] else last, 0, -1):
        at = table[AT_LAYER] + layer * LAYER
        for later in range(layer, last + 1):
            to = table[AT_LAYER] + later * LAYER
            for place in range(table[to + 1]):
                for g in range(table[to]):
                    _one_step(table, memory, size, at, table[to + 7] + place, g, table[to], False)
        before = at - LAYER
        for place in range(table[before + 1]):
            for g in range(table[before]):
                _one_step(table, memory, size, at, table[before + 7] + place, g, table[before], True)
                u = table[before + 5] + g * table[before + 1] + place
                to = _row(table, table[before + 7] + place, g, table[before], table[before + 7] + place, g, 0)
                for s in range(size):
                    bend = load(memory, table[BEND] + u * ROW + s * 8)
                    store(memory, to + s * 32, load(memory, to + s * 32) + bend)


@jit
def _one_step(table, memory, size, at, other, g, others, inner):
    """Set K of the layer before and unit g at place ``other``: A' K, that unit being in a later layer.

    ``inner``: the unit is in the layer before itself, and K = (A' K)' A with the pairs that are still missing.
    """
    filters, places, fan = table[at], table[at + 1], table[at + 2]
    before = at - LAYER
    many, first, spots = table[before], table[before + 5], table[before + 1]
    for p in range(places):
        base = table[at + 6] + p * (fan + 1)
        for q in range(fan):
            u = table[table[AT_SOURCE] + base + q] - table[FIRST_UNIT]
            if u < 0:
                continue
            i, spot = (u - first) // spots, table[before + 7] + (u - first) % spots
            if inner and (spot > other or (spot == other and i > g)):
                continue
            to = _row(table, spot, i, many, other, g, others)
            add = not table[table[AT_FIRST] + base + q]
            for s in range(0, size, 4):
                z0, z1, z2, z3 = zeros(), zeros(), zeros(), zeros()
                for f in range(filters):
                    w = load(memory, table[X] + (table[at + 3] + f * fan + q) * 8)
                    k = _row(table, table[at + 7] + p, f, filters, other, g, others) + s * 32
                    z0, z1 = fma(w, load(memory, k), z0), fma(w, load(memory, k + 32), z1)
                    z2, z3 = fma(w, load(memory, k + 64), z2), fma(w, load(memory, k + 96), z3)
                k, slope = to + s * 32, table[SLOPE] + u * ROW + s * 8
                z0, z1 = z0 * load(memory, slope), z1 * load(memory, slope + 8)
                z2, z3 = z2 * load(memory, slope + 16), z3 * load(memory, slope + 24)
                if add:
                    z0, z1 = z0 + load(memory, k), z1 + load(memory, k + 32)
                    z2, z3 = z2 + load(memory, k + 64), z3 + load(memory, k + 96)
                store(memory, k, z0)
                store(memory, k + 32, z1)
                store(memory, k + 64, z2)
                store(memory, k + 96, z3)


@jit
def _jacobians(table, memory, size):
    """Set da_m/dz_l for all layers l <= m but the last, [unit of m][unit of l]."""
    units = _last(table)
    for first in range(table[LAYERS] - 1):
        one = table[AT_LAYER] + first * LAYER
        for u in range(table[one + 5], table[one + 5] + table[one] * table[one + 1]):
            for later in range(first, table[LAYERS] - 1):
                at = table[AT_LAYER] + later * LAYER
                filters, places, fan = table[at], table[at + 1], table[at + 2]
                for f in range(filters):
                    for p in range(places):
                        v = table[at + 5] + f * places + p
                        to = table[J] + (v * units + u) * ROW
                        slots = table[AT_SOURCE] + table[at + 6] + p * (fan + 1)
                        if later == first and v != u:
                            continue  # zero, as it was made
                        for s in range(0, size * 8, 8):
                            total = zeros()
                            if later == first:
                                total = total + 1.0
                            else:
                                for q in range(fan):
                                    r = table[slots + q] - table[FIRST_UNIT]
                                    if r < 0 or (later == first + 1 and r != u):
                                        continue
                                    w = load(memory, table[X] + (table[at + 3] + f * fan + q) * 8)
                                    total = fma(w, load(memory, table[J] + (r * units + u) * ROW + s), total)
                            store(memory, to + s, total * load(memory, table[SLOPE] + v * ROW + s))


# ---- sums over samples -------------------------------------------------------------------------------------------
@jit
def _products(table, memory, size, one, width, other, length, diagonal):
    """Set the rows e_q e_r of two lists of slots; return how many."""
    row = 0
    for q in range(width):
        a = table[H] + table[one + q] * ROW
        for r in range(q + 1 if diagonal else length):
            b = table[H] + table[other + r] * ROW
            to = table[RIGHT] + (row >> 2) * PANEL + (row & 3) * 8
            for s in range(size):
                store(memory, to + s * 32, load(memory, a + s * 8) * load(memory, b + s * 8))
            row += 1
    return row


@jit
def _sum_up(memory, left, rows, right, columns, size, sums, single):
    """Add the sums over a chunk of the products of rows of two panels; of all lanes where a start has them all."""
    across = (columns + 3) // 4
    for i in range((rows + 3) // 4):
        a = left + i * PANEL
        for j in range(across):
            b = right + j * PANEL
            if single:
                add_summed_outer_4(memory, a, b, size, memory, sums + (i * across + j) * 16)
            elif rows == 1:
                add_outer_1(memory, a, b, size, memory, sums + j * 128, 32)
            else:
                add_outer_4(memory, a, b, size, memory, sums + (i * across + j) * 128, 32)


@jit
def _bent(table, memory, size, task, kind, single):
    """Add the sums of d_j e_q times da_r/dz_i of one task."""
    width, fan = table[task + 3], table[task + 5] - 1
    rows = 0
    for j in range(table[task + 11]):
        d = table[D] + (table[task + 9] + j * table[task + 10]) * ROW
        for q in range(width):
            e = table[H] + table[table[AT_SOURCE] + table[task + 2] + q] * ROW
            to = table[LEFT] + (rows >> 2) * PANEL + (rows & 3) * 8
            for s in range(size):
                store(memory, to + s * 32, load(memory, d + s * 8) * load(memory, e + s * 8))
            rows += 1
    at = table[AT_LAYER] + (table[task + 12] >> 16) * LAYER
    columns, units = 0, _last(table)
    for i in range(table[at]):
        u = table[at + 5] + i * table[at + 1] + (table[task + 12] & 65535)
        for r in range(fan if kind == 1 else 1):
            to = table[RIGHT] + (columns >> 2) * PANEL + (columns & 3) * 8
            source = table[SLOPE] + u * ROW
            empty = False
            if kind == 1:
                v = table[table[AT_SOURCE] + table[task + 4] + r] - table[FIRST_UNIT]
                empty = v < 0
                source = table[J] + (v * units + u) * ROW
            for s in range(size):
                store(memory, to + s * 32, zeros() if empty else load(memory, source + s * 8))
            columns += 1
    cell = table[SUMS] + table[task + 13] * (1 if single else 8)
    _sum_up(memory, table[LEFT], rows, table[RIGHT], columns, size, cell, single)


@jit
def _sums(table, memory, size, single):
    """Add a chunk's share of all cells."""
    for number in range(table[TASKS]):
        task = table[AT_TASK] + number * TASK
        one, other = table[AT_SOURCE] + table[task + 2], table[AT_SOURCE] + table[task + 4]
        columns = _products(table, memory, size, one, table[task + 3], other, table[task + 5], table[task + 6])
        left, cell = table[K] + table[task] * PANEL, table[SUMS] + table[task + 7] * (1 if single else 8)
        _sum_up(memory, left, table[task + 1], table[RIGHT], columns, size, cell, single)
        if table[task + 8]:
            _bent(table, memory, size, task, table[task + 8], single)


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
        for i in range(table[SUMS], table[SUMS] + table[CELLS] * (1 if single else 8)):
            memory[i] = 0.0
    samples = batch if batch > 0 else table[SAMPLES]
    for first in range(0, samples, CHUNK * 8 if single else CHUNK):
        size = _open(table, inputs, targets, memory, chosen, batch, first, single)
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
            _curvatures(table, memory, size)
            if table[DEEP]:
                _jacobians(table, memory, size)
            _sums(table, memory, size, single)
