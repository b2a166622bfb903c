"""Where the network kernel keeps what: one list of whole numbers that says for any ``Chain`` what the passes do.

The kernel (``network.py``) is compiled once; depth, widths, shared weights and loss are numbers in this list. A *slot*
is one of a sample's numbers: 0 the constant one (the biases' source), 1 .. d the inputs, then the units. An *operation*
makes one row of K or of da_m/dz_l of others (``network._combine``). A *task* is a pair of places of two layers: the
sums over the samples of K_ij e_q e_r, or of d_j e_q da_r/dz_i, what the second layer's inputs add. A *cell* is one such
sum; the packed Hessian's entries are short sums of cells (``runs``).
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import chain
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.backends.cpu.outer import HIGH, WIDE
from simcore.backends.network_problems import Chain
from simcore.backends.problems import Array
from simcore.formulas.exponential import CODES

CHUNK = 32
"""Samples at a time (groups of eight where samples are lanes): their rows stay in the cache."""
ROW = CHUNK * 8
PANEL = HIGH * ROW  # four rows of one chunk
COLUMNS = 4 * WIDE
"""Rows of products at a time where rows of K are made late, lest these be made too often."""
BLOCK = HIGH * WIDE  # cells of a block
HEAD = (
    "layers", "n", "samples", "inputs", "outputs", "activation", "entropy", "factored", "first_unit", "curvatures",
    "jacobians", "tasks", "packed", "runs", "k_last",
    "at_layer", "at_source", "at_first", "at_curvature", "at_late", "at_jacobian", "at_pair", "at_task", "at_run",
    "x", "h", "slope", "bend", "d", "p", "g", "value", "weight", "target", "gram", "v", "z", "y", "q", "hv", "none",
    "k", "j", "left", "right", "sums", "size",
)  # fmt: skip
"""The first numbers of the list, in order: counts, places of K's own rows, of tables in the list, of arrays in the
scratch."""
LAYER = 8  # numbers a layer: filters, places, fan, weights, bias, first unit, first source, first place
TASK = 8
"""Numbers a task: K's first panel, MADE or LATE; its rows; what they are made of, pairs or operations; the columns'
pairs; columns; first cell; whether cells above the diagonal count nothing; whether it is the first of its cells."""
MADE, LATE = -1, -2  # rows are products of pairs; rows are made by operations, four at a time, before their sums
MANY = 64  # rows from which K is made late, where nothing else asks for it: more would not stay in the caches
_UNPLACED = 2**48  # places of rows that are made late, before they get one


class Layout(NamedTuple):
    """What a call of the kernel is given besides points: the list, the data, the penalty."""

    table: NDArray[np.int64]
    inputs: Array  # (N, d), flat
    targets: Array  # (N, C), flat
    l2: float
    code: int  # the address of ``network.run``


def _panels(rows: int) -> int:
    return -(-rows // HIGH)


class _Cells:
    """Collects which cells make up which entries."""

    def __init__(self, n: int) -> None:
        self.n, self.count = n, 0
        self.terms: list[NDArray] = []  # (packed entry, cell, parameter that multiplies it or -1) each

    def block(self, rows: int, columns: int) -> tuple[int, NDArray]:
        """Reserve the sums of rows times columns; return the first cell and the cells (rows, columns)."""
        across, first = -(-columns // WIDE), self.count
        r, c = np.arange(rows)[:, None], np.arange(columns)[None]
        self.count += _panels(rows) * across * BLOCK
        return first, first + (r // HIGH * across + c // WIDE) * BLOCK + r % HIGH * WIDE + c % WIDE

    def add(self, one: NDArray, other: NDArray, cell: NDArray, factor: NDArray | int = -1, twice: bool = False) -> None:
        """Cells belong to the entries of two parameters; with ``twice`` to the symmetric one as well."""
        high, low = np.maximum(one, other), np.minimum(one, other)
        terms = np.stack(np.broadcast_arrays(high * (high + 1) // 2 + low, cell, factor), axis=-1)
        self.terms.append(terms.reshape(-1, 3))
        if twice:
            self.terms.append(terms[np.broadcast_to(one == other, terms.shape[:-1])])

    def runs(self, weights: int, one: int) -> tuple[int, list[NDArray]]:
        """Return how many runs of like entries there are, and in turn each one's (terms an entry, entries) and every
        entry's (place in the packed Hessian, then a term's cell and the place of its factor, a weight or the one).

        Entries of like sums follow each other, so that no branch is unforeseen.
        """
        packed, cell, factor = np.concatenate(self.terms).T
        order = np.argsort(packed, kind="stable")
        terms = np.stack([cell, np.where(factor < 0, one, weights + 8 * factor)], axis=1)[order]
        many = np.bincount(packed, minlength=self.n * (self.n + 1) // 2)
        begin = np.cumsum(many) - many
        found: list[NDArray] = []
        for count in np.unique(many):
            alike = np.flatnonzero(many == count)
            of = terms[begin[alike][:, None] + np.arange(count)].reshape(len(alike), 2 * count)
            found += [np.array([count, len(alike)]), np.concatenate([alike[:, None], of], axis=1).ravel()]
        return len(found) // 2, found


_kept: OrderedDict[tuple[Any, ...], tuple[Any, NDArray[np.int64]]] = OrderedDict()
_lock = Lock()


def layout(problem: Chain, code: int, hessians: bool = True) -> Layout:
    """Return the layout of a chain for the kernel at that address.

    hessians : False for value, gradient and H v alone: nothing then grows with the square of the parameters.
    """
    samples, d = problem.inputs.shape
    entropy = problem.loss == "cross_entropy"
    key = (id(problem.layers), d, entropy, hessians)  # layers are kept too, so that they keep their identity
    with _lock:
        if key not in _kept:
            _kept[key] = (problem.layers, _Walk(problem, d, entropy).table(hessians))
            while len(_kept) > 16:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        table = _kept[key][1].copy()
    table[HEAD.index("samples")], table[HEAD.index("activation")] = samples, CODES[problem.activation]
    data = (np.require(a, np.float64, ["C", "W"]).ravel() for a in (problem.inputs, problem.targets))
    return Layout(table, *data, float(problem.l2), code)


class _Walk:
    """Goes through a chain as the passes do and writes down what they have to do."""

    def __init__(self, problem: Chain, d: int, entropy: bool) -> None:
        self.n, self.d, self.count, self.outputs = problem.dimension, d, len(problem.layers), problem.layers[-1].filters
        shape, sources, firsts = [], [], []
        units = places = at = 0
        for layer in problem.layers:
            p, fan = layer.sources.shape
            shape.append((layer.filters, p, fan, layer.weights, layer.bias, units, at, places))
            slots = np.concatenate([layer.sources + 1, np.zeros((p, 1), np.int64)], axis=1)
            hit = np.zeros(slots.size, np.int64)
            hit[np.unique(slots, return_index=True)[1]] = 1
            sources.append(slots)
            firsts.append(hit.reshape(slots.shape))
            units, places, at = units + layer.filters * p, places + p, at + slots.size
        self.shape, self.sources, self.firsts, self.units = shape, sources, firsts, units
        self.blocks = [layer.weights for layer in problem.layers]
        alone = self.count > 1 and self.blocks.count(self.blocks[-2]) == 1 and shape[-2][1] == 1
        self.head = dict.fromkeys(HEAD, 0)
        self.head |= {
            "layers": self.count, "n": self.n, "inputs": d, "outputs": self.outputs, "entropy": int(entropy),
            "factored": int(not entropy and alone), "first_unit": d + 1,
        }  # fmt: skip
        gram = shape[-2][0] * (shape[-2][0] + 1) // 2 if self.head["factored"] else 0
        slots, outputs, n = (d + 1 + units) * ROW, self.outputs * ROW, self.n * 8
        self.place = 0
        self._reserve(
            x=n, h=slots, slope=units * ROW, bend=units * ROW, d=units * ROW, p=outputs, g=n, value=8, weight=ROW,
            target=outputs, gram=gram * 8, v=n, z=units * ROW, y=slots, q=units * ROW, hv=n, none=ROW, k=0,
        )  # fmt: skip
        self.layer_of = np.repeat(range(self.count), [layer[0] * layer[1] for layer in shape]).tolist()
        self.rows: dict[tuple[int, int], int] = {}  # where da_m/dz_l stands, by the two units
        self.jacobians: list[list[int]] = []
        self.pairs: list[int] = []
        self.late: list[int] = []  # operations on K that are done just before the sums
        self.later: dict[int, list[list[int]]] = {}  # the same, by their first row

    def _reserve(self, **sizes: int) -> None:
        for name, size in sizes.items():
            self.head[name] = self.place
            self.place += size

    def table(self, hessians: bool) -> NDArray[np.int64]:
        """Return the list, but for the number of samples and the activation."""
        cells, head = _Cells(self.n), self.head
        tasks: list[list[int]] = []
        curvatures: list[list[int]] = []
        runs, entries = 0, [np.empty(0, np.int64)]
        if hessians:
            self._blocks()
            curvatures = self._curvatures()
            made = [self.shape[-1][2] + 1]
            made += [two[0] * (one[2] + 1) for m, two in enumerate(self.shape) for one in self.shape[:m]]
            self._reserve(left=_panels(max(made)) * PANEL, j=0)
            tasks = self._tasks(cells)
            runs, entries = cells.runs(head["x"], head["h"])
        self._reserve(right=COLUMNS * ROW * hessians, sums=cells.count * 8, size=0)
        head |= {
            "curvatures": len(curvatures), "jacobians": len(self.jacobians), "tasks": len(tasks), "runs": runs,
            "packed": self.n * (self.n + 1) // 2 * hessians,
        }  # fmt: skip
        parts: dict[str, Any] = {
            "at_layer": self.shape, "at_source": np.concatenate([part.ravel() for part in self.sources]),
            "at_first": np.concatenate([part.ravel() for part in self.firsts]),
            "at_curvature": list(chain(*curvatures)), "at_late": self.late, "at_jacobian": list(chain(*self.jacobians)),
            "at_pair": self.pairs, "at_task": tasks, "at_run": np.concatenate(entries),
        }  # fmt: skip
        place = len(HEAD)
        for name, part in parts.items():
            parts[name] = np.array(part, np.int64)
            head[name] = place
            place += parts[name].size
        if tasks:
            late = parts["at_task"][:, 0] == LATE
            parts["at_task"][:, 2] += np.where(late, head["at_late"], head["at_pair"])
            parts["at_task"][:, 3] += head["at_pair"]
        return np.concatenate([[head[name] for name in HEAD], *(part.ravel() for part in parts.values())])

    # ---- K and da_m/dz_l ------------------------------------------------------------------------------------------
    def _blocks(self) -> None:
        """Give every pair of places its rows of K."""
        shape, last, used = self.shape, self.count - 1, 0
        self.block: dict[tuple[int, int], int] = {}
        fed = self.sources[1].ravel() - self.d - 1 if last else np.empty(0)
        whole = last > 0 and shape[1][1] == 1 and set(range(shape[0][0])) <= set(fed.tolist())
        self.own: dict[int, tuple[int, int]] = {}  # rows that stand for K with the last layer's: panel and how many
        for first in range(last + 1):
            for second in range(first, last + 1):
                one, two = shape[first], shape[second]
                for p in range(one[1]):
                    for q in range(p if first == second else 0, two[1]):
                        diagonal = first == second and p == q
                        rows = one[0] * (one[0] + 1) // 2 if diagonal else one[0] * two[0]
                        if self.head["factored"] and second == last and first >= last - 1:
                            made = 1 if diagonal else one[0]
                            self.own[first] = (self.head["k"] + used * PANEL, made)
                            used += _panels(made)
                            if diagonal or last == 1:  # nothing needs K itself
                                continue
                        at = self.head["k"] + used * PANEL
                        if whole and rows > MANY and first == 0 and second != 1 and two[1] == 1:
                            at = _UNPLACED + len(self.later) * _UNPLACED
                            self.later[at] = []
                        else:
                            used += _panels(rows)
                        self.block[one[7] + p, two[7] + q] = at
        self.place += used * PANEL
        end = shape[-1][7]
        self.head["k_last"] = self.own[last][0] if self.own else self.block[end, end]

    def _row(self, one: int, f: int, many: int, other: int, g: int, others: int) -> int:
        """Return where K of unit f (of ``many``) at place ``one`` and unit g (of ``others``) at ``other`` stands."""
        if one > other:
            one, other, f, g, others = other, one, g, f, many
        row = f * others + g
        if one == other:
            f, g = max(f, g), min(f, g)
            row = f * (f + 1) // 2 + g
        return self.block[one, other] + (row >> 2) * PANEL + (row & 3) * 8

    def _curvatures(self) -> list[list[int]]:
        """Return the operations that set K, from the output back."""
        shape, last = self.shape, self.count - 1
        done = self._last_two() if self.own else []
        for layer in range(last - 1 if self.own else last, 0, -1):
            for later in range(layer, last + 1):
                for place in range(shape[later][1]):
                    for g in range(shape[later][0]):
                        done += self._step(layer, shape[later][7] + place, g, shape[later][0], False)
            before = shape[layer - 1]
            for place in range(before[1]):
                for g in range(before[0]):
                    made = self._step(layer, before[7] + place, g, before[0], True)
                    own = self._row(before[7] + place, g, before[0], before[7] + place, g, before[0])
                    final = [step for step in made if step[0] == own][-1:]
                    for step in final:
                        step[3] = self.head["bend"] + (before[5] + g * before[1] + place) * ROW
                    done += made
        for step in done:
            if step[0] >= _UNPLACED:
                self.later[step[0] // _UNPLACED * _UNPLACED].append(step)
        return [step for step in done if step[0] < _UNPLACED]

    def _last_two(self) -> list[list[int]]:
        """Return the operations that set w phi', w phi'_i W_ci and w phi'_i phi'_k (W'W)_ik, w = 1/N, of which K of the
        last two layers is made with mean squares."""
        (h, _, _, _, _, unit, _, before), (outputs, _, fan, weights, _, _, _, end) = self.shape[-2:]
        w, one, done = self.head["k_last"], self.head["h"], []
        slope, bend = ([self.head[name] + (unit + i) * ROW for i in range(h)] for name in ("slope", "bend"))
        mixed = [self.own[self.count - 2][0] + (i >> 2) * PANEL + (i & 3) * 8 for i in range(h)]
        for i in range(h):
            done.append([mixed[i], slope[i], 0, -1, 1, one, w])
            for c in range(outputs if self.count > 2 else 0):
                done.append(
                    [self._row(before, i, h, end, c, outputs), slope[i], 0, -1, 1, (weights + c * fan + i) * 8, w]
                )
            for k in range(i + 1):
                gram = self.head["gram"] + (i * (i + 1) // 2 + k) * 8
                to = self._row(before, i, h, before, k, h)
                done.append([to, slope[i], 0, bend[i] if i == k else -1, 1, gram, mixed[k]])
        return done

    def _step(self, layer: int, other: int, g: int, others: int, inner: bool) -> list[list[int]]:
        """Return the operations that set K of the layer before and unit g at place ``other``: A' K, that unit being in
        a later layer.

        ``inner``: the unit is in the layer before itself, and K = (A' K)' A with the pairs that are still missing.
        """
        filters, places, fan, weights, _, _, _, spot = self.shape[layer]
        many, spots, _, _, _, first, _, home = self.shape[layer - 1]
        made = []
        for p in range(places):
            later = [self._row(spot + p, f, filters, other, g, others) for f in range(filters)]
            for q in range(fan):
                u = int(self.sources[layer][p, q]) - self.d - 1
                if u < 0:
                    continue
                i, at = (u - first) // spots, home + (u - first) % spots
                if inner and (at > other or (at == other and i > g)):
                    continue
                to = self._row(at, i, many, other, g, others)
                step = [to, self.head["slope"] + u * ROW, int(not self.firsts[layer][p, q]), -1, filters]
                for f in range(filters):
                    step += [(weights + f * fan + q) * 8, later[f]]
                made.append(step)
        return made

    def _jacobian(self, v: int, u: int) -> int:
        """Return where da_v/dz_u of two hidden units stands, after adding the operations that make it."""
        of, nothing = self.layer_of, self.head["none"]
        if v == u:
            return self.head["slope"] + u * ROW
        if v < 0 or of[v] <= of[u]:
            return nothing
        if (v, u) not in self.rows:
            _, places, fan, weights, _, first, _, _ = self.shape[of[v]]
            f, p = divmod(v - first, places)
            terms: list[int] = []
            for q in range(fan):
                row = self._jacobian(int(self.sources[of[v]][p, q]) - self.d - 1, u)
                if row != nothing:
                    terms += [(weights + f * fan + q) * 8, row]
            self.rows[v, u] = nothing
            if terms:
                self.rows[v, u] = self.place
                self.place += ROW
                self.jacobians.append([self.rows[v, u], self.head["slope"] + v * ROW, 0, -1, len(terms) // 2, *terms])
        return self.rows[v, u]

    # ---- sums -----------------------------------------------------------------------------------------------------
    def _paired(self, pairs: list[tuple[int, int]]) -> int:
        """Write pairs of rows down and return where they begin."""
        at = len(self.pairs)
        self.pairs += [row for pair in pairs for row in pair]
        return at

    def _tasks(self, cells: _Cells) -> list[list[int]]:
        """Return the tasks, and say which cells they sum."""
        shape, last, sources, blocks, head = self.shape, self.count - 1, self.sources, self.blocks, self.head
        tasks: list[list[int]] = []
        shared: dict[tuple[Any, ...], int] = {}
        for first in range(last + 1):
            for second in range(first, last + 1):
                one, two = shape[first], shape[second]
                a, b = _parameters(one), _parameters(two)
                kind = 0 if first == second else int((sources[second] > self.d).any())
                alone = one[1] == two[1] == 1 and blocks[first] != blocks[second]
                if kind and second == first + 1 and alone and (sources[second][0, :-1] > self.d).all():
                    kind = 2
                for p in range(one[1]):
                    for q in range(p if first == second else 0, two[1]):
                        diagonal = first == second and p == q
                        if second == last and first in self.own:
                            k, made = self.own[first]
                        else:
                            k = self.block[one[7] + p, two[7] + q]
                            made = one[0] * (one[0] + 1) // 2 if diagonal else one[0] * two[0]
                        key: tuple[Any, ...] = (blocks[first], blocks[second], diagonal)
                        new = int(key not in shared)
                        if new:
                            output = bool(head["factored"]) and second == last
                            shared[key] = _term(cells, a, b, diagonal, made, output, last, first)
                        e, other = (head["h"] + slots * ROW for slots in (sources[first][p], sources[second][q]))
                        if diagonal and first in self.own and first == last:  # one row: sums of (w e_q) e_r are faster
                            left = self._paired([(head["weight"], int(x)) for x in e])
                            right = self._paired([(head["h"], int(x)) for x in e])
                            tasks.append([MADE, len(e), left, right, len(e), shared[key], 1, new])
                            continue
                        r = [other[: i + 1] if diagonal else other for i in range(len(e))]
                        pairs = [(int(x), int(y)) for x, row in zip(e, r, strict=True) for y in row]
                        late = 0
                        if k >= _UNPLACED:
                            late = len(self.late)
                            for row, step in enumerate(sorted(self.later[k])):
                                self.late += [head["left"] + row % 4 * 8, *step[1:]]
                            k = LATE
                        tasks.append([k, made, late, self._paired(pairs), len(pairs), shared[key], 0, new])
                        if kind:
                            key = (blocks[first], blocks[second], "bent", kind)
                            new = int(key not in shared)
                            if new:
                                shared[key] = _bent(cells, a, b, kind, sources[second][0], self.d + 1 + one[5])
                            tasks.append(self._bent(first, p, second, q, kind, shared[key], new))
        return tasks

    def _bent(self, first: int, p: int, second: int, q: int, kind: int, cell: int, new: int) -> list[int]:
        """Return the task of the sums of d_j e_q times da_r/dz_i; of r = i alone where ``kind`` is 2."""
        one, two, head = self.shape[first], self.shape[second], self.head
        left = [
            (head["d"] + (two[5] + j * two[1] + q) * ROW, head["h"] + int(slot) * ROW)
            for j in range(two[0])
            for slot in self.sources[first][p]
        ]
        right = []
        for i in range(one[0]):
            u = one[5] + i * one[1] + p
            fed = [u] if kind == 2 else [int(slot) - self.d - 1 for slot in self.sources[second][q, :-1]]
            right += [(self._jacobian(v, u), head["h"]) for v in fed]  # times the constant one
        return [MADE, len(left), self._paired(left), self._paired(right), len(right), cell, 0, new]


def _parameters(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the parameter of each (filter, source or bias) of a layer."""
    filters, _, fan, weights, bias = shape[:5]
    f = np.arange(filters)[:, None]
    return np.concatenate([weights + f * fan + np.arange(fan)[None], bias + f], axis=1)


def _term(cells, a, b, diagonal, rows, output, last, first):  # type: ignore[no-untyped-def]
    """Reserve the sums of K e e and say which entries they are; return the first cell."""
    width, length = a.shape[1], b.shape[1]
    if diagonal and output:  # (w e_q) e_r
        q, r = np.tril_indices(width)
        at, cell = cells.block(width, width)
        for row in a:
            cells.add(row[q], row[r], cell[q, r])
        return at
    if diagonal:
        q, r = np.tril_indices(width)
        at, cell = cells.block(rows, len(q))
        for row, (i, j) in enumerate(zip(*np.tril_indices(len(a)), strict=True)):
            cells.add(a[i, q], a[j, r], cell[row])
            if i != j:
                off = q != r
                cells.add(a[i, r[off]], a[j, q[off]], cell[row, off])
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
