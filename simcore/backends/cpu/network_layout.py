"""Where the network kernel keeps what: one list of whole numbers that says for any ``Chain`` what the passes do.

The kernel (``network.py``) is compiled once; depth, widths, shared weights and loss are numbers in this list. A *slot*
is one of a sample's numbers: 0 the constant one (the biases' source), 1 .. d the inputs, then the units. A *task* is a
pair of places of two layers: the sums of K_ij e_q e_r over the samples, and of what the second layer's inputs add. A
*cell* is one such sum; the packed Hessian's entries are short sums of cells (``entries``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.backends.network_problems import Chain
from simcore.backends.problems import Array
from simcore.formulas.exponential import CODES

CHUNK = 16
"""Samples at a time (groups of eight where samples are lanes): their rows stay in the cache."""
ROW = CHUNK * 8
PANEL = 4 * ROW  # four rows of one chunk
HEAD = (
    "layers", "n", "samples", "inputs", "outputs", "activation", "entropy", "factored", "first_unit", "places",
    "at_layer", "at_source", "at_first", "at_block", "at_task", "tasks", "at_entry", "at_cell", "packed", "cells",
    "x", "h", "slope", "bend", "d", "p", "k", "left", "right", "sums", "g", "value", "weight", "target", "j", "gram",
    "v", "z", "y", "q", "hv", "size", "deep",
)  # fmt: skip
"""The first numbers of the list, in order: counts, places of tables in the list, places of arrays in the scratch."""
LAYER = 8  # numbers a layer: filters, places, fan, weights, bias, first unit, first source, first place
TASK = 14


class Layout(NamedTuple):
    """What a call of the kernel is given besides points: the list, the data, the penalty."""

    table: NDArray[np.int64]
    inputs: Array  # (N, d), flat
    targets: Array  # (N, C), flat
    l2: float
    code: int  # the address of ``network.run``


def _panels(rows: int) -> int:
    return -(-rows // 4)


class _Cells:
    """Collects which cells make up which entries."""

    def __init__(self, n: int) -> None:
        self.n, self.count = n, 0
        self.packed: list[NDArray] = []
        self.cell: list[NDArray] = []
        self.factor: list[NDArray] = []

    def block(self, rows: int, columns: int) -> tuple[int, NDArray]:
        """Reserve the sums of rows times columns; return the first cell and the cells (rows, columns)."""
        across, first = _panels(columns), self.count
        r, c = np.arange(rows)[:, None], np.arange(columns)[None]
        self.count += _panels(rows) * across * 16
        return first, first + (r // 4 * across + c // 4) * 16 + r % 4 * 4 + c % 4

    def add(self, one: NDArray, other: NDArray, cell: NDArray, factor: NDArray | int = -1, twice: bool = False) -> None:
        """Cells belong to the entries of two parameters; with ``twice`` to the symmetric one as well."""
        one, other, cell, factor = np.broadcast_arrays(one, other, cell, factor)
        high, low = np.maximum(one, other), np.minimum(one, other)
        packed = high * (high + 1) // 2 + low
        parts = [np.ones(packed.shape, bool), one == other] if twice else [np.ones(packed.shape, bool)]
        for chosen in parts:
            self.packed.append(packed[chosen])
            self.cell.append(cell[chosen])
            self.factor.append(factor[chosen])

    def entries(self) -> tuple[NDArray, NDArray]:
        """Return where each packed entry's cells begin, and (cell, parameter that multiplies it or -1) in turn."""
        packed = np.concatenate(self.packed)
        order = np.argsort(packed, kind="stable")
        size = self.n * (self.n + 1) // 2
        begin = np.concatenate([[0], np.cumsum(np.bincount(packed, minlength=size))])
        pairs = np.stack([np.concatenate(self.cell)[order], np.concatenate(self.factor)[order]], axis=1)
        return begin, pairs.ravel()


def layout(problem: Chain, code: int, hessians: bool = True) -> Layout:
    """Return the layout of a chain for the kernel at that address.

    hessians : False for value, gradient and H v alone: nothing then grows with the square of the parameters.
    """
    samples, d = problem.inputs.shape
    entropy = problem.loss == "cross_entropy"
    layers, count = problem.layers, len(problem.layers)
    shape, sources, firsts = [], [], []
    units = places = at = 0
    for layer in layers:
        p, fan = layer.sources.shape
        shape.append((layer.filters, p, fan, layer.weights, layer.bias, units, at, places))
        slots = np.concatenate([layer.sources + 1, np.zeros((p, 1), np.int64)], axis=1).ravel()
        _, first = np.unique(slots, return_index=True)
        hit = np.zeros(len(slots), np.int64)
        hit[first] = 1
        sources.append(slots)
        firsts.append(hit)
        units, places, at = units + layer.filters * p, places + p, at + len(slots)
    blocks = [layer.weights for layer in layers]
    alone = count > 1 and blocks.count(blocks[-2]) == 1 and layers[-2].sources.shape[0] == 1
    factored = int(not entropy and alone)
    n, outputs = problem.dimension, layers[-1].filters
    none = np.empty(0, np.int64)
    if hessians:
        block, tasks, cells, rows, right, left, gram = _tasks(shape, sources, firsts, blocks, bool(factored), n, d)
        begin, pairs = cells.entries()
    else:
        block, tasks, cells, rows, right, left, gram = none, [], _Cells(n), 0, 0, 0, 0
        begin = pairs = none

    first_unit = d + 1
    head = dict.fromkeys(HEAD, 0)
    head |= {
        "layers": count, "n": n, "samples": samples, "inputs": d, "outputs": outputs,
        "activation": CODES[problem.activation], "entropy": int(entropy), "factored": factored,
        "first_unit": first_unit, "places": places, "tasks": len(tasks), "packed": n * (n + 1) // 2 * hessians,
        "cells": cells.count,
        "deep": int(any(task[8] == 1 for task in tasks)),
    }  # fmt: skip
    parts = {
        "at_layer": np.array(shape), "at_source": np.concatenate(sources), "at_first": np.concatenate(firsts),
        "at_block": block, "at_task": np.array(tasks, np.int64), "at_entry": begin, "at_cell": pairs,
    }  # fmt: skip
    place = len(HEAD)
    for name, part in parts.items():
        head[name] = place
        place += part.size
    sizes = {
        "x": n * 8, "h": (first_unit + units) * ROW, "slope": units * ROW, "bend": units * ROW, "d": units * ROW,
        "p": outputs * ROW, "k": rows * PANEL, "left": left * PANEL, "right": right * PANEL, "sums": cells.count * 8,
        "g": n * 8, "value": 8, "weight": ROW, "target": outputs * ROW, "j": units * units * ROW * hessians,
        "gram": gram * 8, "v": n * 8, "z": units * ROW, "y": (first_unit + units) * ROW, "q": units * ROW, "hv": n * 8,
    }  # fmt: skip
    place = 0
    for name, size in sizes.items():
        head[name] = place
        place += size
    head["size"] = place
    table = np.concatenate([[head[name] for name in HEAD], *(part.ravel() for part in parts.values())])
    data = (np.require(a, np.float64, ["C", "W"]).ravel() for a in (problem.inputs, problem.targets))
    return Layout(np.ascontiguousarray(table, dtype=np.int64), *data, float(problem.l2), code)


def _parameters(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the parameter of each (filter, source or bias) of a layer."""
    filters, _, fan, weights, bias = shape[:5]
    f = np.arange(filters)[:, None]
    return np.concatenate([weights + f * fan + np.arange(fan)[None], bias + f], axis=1)


def _tasks(shape, sources, firsts, blocks, factored, n, d):  # type: ignore[no-untyped-def]
    """Return the tables of K's panels and of tasks, the cells, and how large panels and products become.

    A task's numbers: K's first panel, its rows, e of the first place and how many, of the second and how many, whether
    both are one place, the sums' first cell; then for the terms in dh/dz: kind (0 none, 1 all, 2 the next layer alone),
    the second layer's first unit and the unit's stride, its filters, the first layer's number, the sums' first cell.
    """
    cells, last = _Cells(n), len(shape) - 1
    total = sum(layer[1] for layer in shape)
    block = np.full((total, total), -1, np.int64)
    tasks, shared, used, right, left = [], {}, 0, 1, 1
    for first in range(last + 1):
        for second in range(first, last + 1):
            one, two = shape[first], shape[second]
            a, b = _parameters(one), _parameters(two)
            width, length = a.shape[1], b.shape[1]
            same = blocks[first] == blocks[second]
            for p in range(one[1]):
                for q in range(p if first == second else 0, two[1]):
                    diagonal = first == second and p == q
                    rows = one[0] * (one[0] + 1) // 2 if diagonal else one[0] * two[0]
                    block[one[7] + p, two[7] + q] = used
                    k, kind, made = used, 0, rows
                    used += _panels(rows)
                    if factored and second == last and first >= last - 1:
                        made = 1 if diagonal else one[0]
                        k = used
                        used += _panels(made)
                    key = (blocks[first], blocks[second], diagonal)
                    if key not in shared:
                        shared[key] = _term(cells, a, b, diagonal, made, factored and second == last, last, first)
                    extra = -1
                    if first < second:
                        fed = sources[second][: length - 1] > d
                        kind = int((sources[second] > d).any())
                        if second == first + 1 and one[1] == 1 and two[1] == 1 and not same and fed.all():
                            kind = 2
                        key = (blocks[first], blocks[second], "bent", kind)
                        if kind and key not in shared:
                            shared[key] = _bent(cells, a, b, kind, sources[second], d + 1 + one[5])
                        extra = shared[key] if kind else -1
                        left = max(left, _panels(two[0] * width))
                        right = max(right, _panels(one[0] * (length - 1)), _panels(one[0]))
                    right = max(right, _panels(width * (width + 1) // 2 if diagonal else width * length))
                    sums = shared[blocks[first], blocks[second], diagonal]
                    tasks.append(
                        (k, made, one[6] + p * width, width, two[6] + q * length, length, int(diagonal), sums, kind,
                         two[5] + q, two[1], two[0], first * 65536 + p, extra)
                    )  # fmt: skip
    gram = shape[-2][0] * (shape[-2][0] + 1) // 2 if factored else 0
    return block, tasks, cells, used, right, left, gram


def _term(cells, a, b, diagonal, rows, output, last, first):  # type: ignore[no-untyped-def]
    """Reserve the sums of K e e and say which entries they are; return the first cell."""
    width, length = a.shape[1], b.shape[1]
    if diagonal:
        q, r = np.tril_indices(width)
        at, cell = cells.block(rows, len(q))
        pairs = [(i, i) for i in range(len(a))] if output else list(zip(*np.tril_indices(len(a)), strict=True))
        for row, (i, j) in enumerate(pairs):
            sums = cell[0 if output else row]
            cells.add(a[i, q], a[j, r], sums)
            if i != j:
                off = q != r
                cells.add(a[i, r[off]], a[j, q[off]], sums[off])
        return at
    at, cell = cells.block(rows, width * length)
    grid = cell.reshape(rows, width, length)
    for i in range(len(a)):
        for j in range(len(b)):
            if output and first == last - 1:  # sums of phi'_i e_q e_r, times W_ji: the same for all outputs
                cells.add(a[i][:, None], b[j][None], grid[i], b[j, i])
            else:
                cells.add(a[i][:, None], b[j][None], grid[i * len(b) + j], twice=True)
    return at


def _bent(cells, a, b, kind, slots, first_slot):  # type: ignore[no-untyped-def]
    """Reserve the sums of d_j e_q dh_r/dz_i and say which entries they are; return the first cell."""
    width, fan = a.shape[1], b.shape[1] - 1
    if kind == 2:  # r = i alone
        at, cell = cells.block(len(b) * width, len(a))
        grid = cell.reshape(len(b), width, len(a))
        for r in range(fan):
            i = slots[r] - first_slot
            cells.add(a[i][None], b[:, r][:, None], grid[:, :, i])
        return at
    at, cell = cells.block(len(b) * width, len(a) * fan)
    grid = cell.reshape(len(b), width, len(a), fan)
    for i in range(len(a)):
        for j in range(len(b)):
            cells.add(a[i][:, None], b[j, :fan][None], grid[j, :, i], twice=True)
    return at
