"""Points in, derivatives out: what the searches, trajectories and ``f.value`` ask of the network kernel.

``system`` and ``slope`` serve eight starts in lanes, inside compiled loops; ``evaluate`` and ``products`` are the
functions for Python. The l2 penalty is added here.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from simcore.backends.cpu import network
from simcore.backends.cpu.addresses import address_of, call
from simcore.backends.cpu.dispatch import register
from simcore.backends.cpu.network_layout import Layout, layout
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import aligned, load, store, store_turned, zeros
from simcore.backends.network_problems import Chain, chain
from simcore.backends.problems import Array
from simcore.compilation import jit
from simcore.formulas.intrinsics import fma

SINGLE_FROM = 350
"""Parameters from which one start at a time is faster: its samples are the lanes."""


@jit
def _passes(laid, memory, kind, chosen, batch):
    """Call the kernel on the parameters at ``X``."""
    call(
        laid.code, kind, laid.table.ctypes.data, laid.inputs.ctypes.data, laid.targets.ctypes.data, memory.ctypes.data,
        chosen.ctypes.data, batch,
    )  # fmt: skip


@jit
def _collect(table, memory, A, single):
    """Set the packed Hessian of eight starts in lanes, or of a ``single`` one, to its sums of cells times weights."""
    at, sums = table[network.AT_RUN], table[network.SUMS]
    for _ in range(table[network.RUNS]):
        terms, many, at = table[at], table[at + 1], at + 2
        for _ in range(many):
            entry, at = table[at], at + 1
            if single:
                one = 0.0
                for k in range(at, at + 2 * terms, 2):
                    one += memory[sums + table[k]] * memory[table[k + 1]]
                A[entry] = one
            else:
                total = zeros()
                for k in range(at, at + 2 * terms, 2):
                    total = total + load(memory, sums + table[k] * 8) * load(memory, table[k + 1])
                store(A, entry * 8, total)
            at += 2 * terms


@jit
def system(laid, memory, A, g):
    """Set gradient (n 8) and packed Hessian of the eight starts at ``X``; return the value."""
    table, none = laid.table, laid.table[:0]
    _passes(laid, memory, network.HESSIANS, none, 0)
    _collect(table, memory, A, False)
    for i in range(table[network.N]):
        at = i * (i + 3) // 2 * 8
        store(A, at, load(A, at) + laid.l2)
    return _penalised(laid, memory, g)


@jit
def slope(laid, memory, g):
    """Set the gradient (n 8) of the eight starts at ``X`` alone; return the value."""
    _passes(laid, memory, network.GRADIENTS, laid.table[:0], 0)
    return _penalised(laid, memory, g)


@jit
def _penalised(laid, memory, g):
    """Copy the gradient with the penalty's share, and return the value with it."""
    table, square = laid.table, zeros()
    for i in range(0, table[network.N] * 8, 8):
        x = load(memory, table[network.X] + i)
        square = fma(x, x, square)
        store(g, i, fma(x, laid.l2, load(memory, table[network.G] + i)))
    return fma(square, 0.5 * laid.l2, load(memory, table[network.VALUE]))


class NetworkTile(NamedTuple):
    """A tile of the loops that serve all families: eight lanes of it at a time are put where the kernel reads them."""

    laid: Layout
    memory: Array


@jit
def prepare(problem):
    """Allocate scratch for a layout."""
    return 0, NetworkTile(problem, aligned(problem.table[network.SIZE]))


@jit
def evaluate_tile(tables, tile, X):
    """Nothing: ``tile_system`` evaluates its own eight lanes."""


@jit
def tile_system(tile, X, s, A, g):
    """``system`` for lanes s .. s + 7 of a tile."""
    for i in range(tile.laid.table[network.N]):
        store(tile.memory, tile.laid.table[network.X] + i * 8, load(X, i * LANES + s))
    return system(tile.laid, tile.memory, A, g)


@jit
def advance(tile, X, s, d, t):
    """x <- x - t d."""
    for i in range(tile.laid.table[network.N]):
        at = i * LANES + s
        store(X, at, fma(-t, load(d, i * 8), load(X, at)))


register(Layout, NetworkTile, prepare=prepare, evaluate=evaluate_tile, system=tile_system, advance=advance)


@jit
def _take(table, memory, at, x, first):
    """Put points first .. first + 7 into lanes; the last one fills up."""
    for lane in range(8):
        row = min(first + lane, len(x) - 1)
        for i in range(table[network.N]):
            memory[at + i * 8 + lane] = x[row, i]


@jit
def fill(laid, x, value, gradient, hessian):
    """Set value (S,), gradient (S, n) and Hessian (S, n, n) at x (S, n), eight points a time."""
    table = laid.table
    n = table[network.N]
    memory, A, g, f = aligned(table[network.SIZE]), aligned(table[network.PACKED] * 8), np.empty(n * 8), np.empty(8)
    square = np.empty(n * n, np.int64)  # where in A a matrix's entries stand
    for i in range(n):
        for j in range(n):
            square[i * n + j] = (max(i, j) * (max(i, j) + 1) // 2 + min(i, j)) * 8
    for first in range(0, len(x), 8):
        _take(table, memory, table[network.X], x, first)
        store(f, 0, system(laid, memory, A, g))
        many = min(8, len(x) - first)
        for lane in range(many):
            value[first + lane] = f[lane]
            for i in range(n):
                gradient[first + lane, i] = g[i * 8 + lane]
        _unpack(A, square, many, hessian.reshape(-1), first * n * n)


@jit
def fill_singly(laid, x, value, gradient, hessian):
    """``fill`` for many parameters: one point at a time, its samples in lanes."""
    table = laid.table
    n = table[network.N]
    memory, A = aligned(table[network.SIZE]), np.empty(table[network.PACKED])
    flat = hessian.reshape(-1)
    for row in range(len(x)):
        square = 0.0
        for i in range(n):
            for lane in range(8):
                memory[table[network.X] + i * 8 + lane] = x[row, i]
        _passes(laid, memory, network.SINGLE, table[:0], 0)
        _collect(table, memory, A, True)
        for i in range(n):
            A[i * (i + 3) // 2] += laid.l2
            g = table[network.G] + i * 8
            gradient[row, i] = memory[g : g + 8].sum() + laid.l2 * x[row, i]
            square += x[row, i] * x[row, i]
        for i in range(n):
            for j in range(i + 1):
                flat[(row * n + i) * n + j] = A[i * (i + 1) // 2 + j]
        _mirror(flat, row * n * n, n)
        value[row] = memory[table[network.VALUE] : table[network.VALUE] + 8].sum() + 0.5 * laid.l2 * square


@jit
def _unpack(A, square, many, flat, at):
    """Set matrices, the first at ``at``, from ``many`` lanes of packed entries."""
    size = len(square)
    if many < 8 or size < 8:
        for lane in range(many):
            for k in range(size):
                flat[at + lane * size + k] = A[square[k] + lane]
        return
    for k in range(0, size, 8):
        k = min(k, size - 8)
        store_turned(A, square, k, flat, at + k, size)


@jit
def _mirror(flat, base, n):
    """Set the upper triangle of the matrix at ``base``, eight columns at a time."""
    for top in range(0, n, 8):
        for j in range(min(top + 8, n)):
            for i in range(max(top, j + 1), min(top + 8, n)):
                flat[base + j * n + i] = flat[base + i * n + j]


@jit
def fill_products(laid, kind, x, v, given, chosen, value, gradient, bent):
    """Set what ``products`` returns; ``kind`` is the kernel's VALUES, GRADIENTS or BOTH, ``given`` whether v is."""
    table = laid.table
    n, batch = table[network.N], chosen.shape[1]
    memory, g, f = aligned(table[network.SIZE]), np.empty(n * 8), np.empty(8)
    own = np.empty(8 * max(batch, 1), np.int64)
    for first in range(0, len(x), 8):
        _take(table, memory, table[network.X], x, first)
        if given:
            _take(table, memory, table[network.V], v, first)
        for lane in range(8):
            for k in range(batch):
                own[lane * batch + k] = chosen[min(first + lane, len(x) - 1), k]
        _passes(laid, memory, network.GRADIENTS if kind == network.BOTH and not given else kind, own, batch)
        store(f, 0, _penalised(laid, memory, g))
        if kind == network.BOTH and not given:  # v = g is known by now
            memory[table[network.V] : table[network.V] + n * 8] = g
            _passes(laid, memory, network.PRODUCTS, own, batch)
        for lane in range(min(8, len(x) - first)):
            value[first + lane] = f[lane]
            for i in range(n if kind != network.VALUES else 0):
                at = i * 8 + lane
                gradient[first + lane, i] = g[at]
                if kind == network.BOTH:
                    bent[first + lane, i] = memory[table[network.HV] + at] + laid.l2 * memory[table[network.V] + at]


# ---- from Python -------------------------------------------------------------------------------------------------
_kept: OrderedDict[tuple[Any, ...], tuple[Chain, Layout]] = OrderedDict()
_lock = Lock()
_ALL = np.empty((1, 0), np.int64)


def prepared(problem: Any, hessians: bool = True) -> Layout:
    """Return the layout of an ``Mlp`` or ``Chain``, without ``hessians`` for products alone; the last few are kept."""
    given = chain(problem)
    key = (id(given.layers), id(given.inputs), id(given.targets), given.activation, given.loss, given.l2, hessians)
    with _lock:
        if key not in _kept:
            code = address_of(network.run, *[types.int64] * 7)
            # The chain is kept too, so that its arrays keep their identity.
            _kept[key] = given, layout(given, code, hessians)
            while len(_kept) > 16:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key][1]


def evaluate(problem: Any, x: Array) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n) at x of shape (S, n)."""
    x = np.ascontiguousarray(x, dtype=np.float64)
    rows, n = x.shape
    result = np.empty(rows), np.empty((rows, n)), np.empty((rows, n, n))
    (fill_singly if n >= SINGLE_FROM else fill)(prepared(problem), x, *result)
    return result


def products(
    problem: Any, x: Array, v: Array | None = None, *, order: int = 2, chosen: NDArray[np.int64] | None = None
) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and H v (S, n) at x of shape (S, n); v is the gradient where None is given.

    order : 0 for the value alone, 1 with the gradient, 2 with H v; what is not asked for is left unset.
    chosen : the samples that count for each start, (S, batch); all where None is given.
    """
    x = np.ascontiguousarray(x, dtype=np.float64)
    result = np.empty(len(x)), np.empty(x.shape), np.empty(x.shape)
    direction = x if v is None else np.ascontiguousarray(v, dtype=np.float64)
    own = _ALL if chosen is None else np.ascontiguousarray(chosen, dtype=np.int64)
    kind = (network.VALUES, network.GRADIENTS, network.BOTH)[order]
    fill_products(prepared(problem, False), kind, x, direction, v is not None and order == 2, own, *result)
    return result
