"""The Morse graph of one function: its minima, the descents from its saddles of index 1, and the merge tree.

Nodes are the critical points of an enumeration. From each point of index 1 the gradient flow leads down both ways along
the one negative direction; each descent ends at a minimum (for almost every function), which makes an edge. On a
connected domain the graph of minima and edges is connected (it carries the sublevel set at the top, and cells of index
2 and more join no components), so an edge that went wrong, or a saddle that is missing, can show.

Sublevel sets {f <= c}: a component is born at each minimum, and two may join where c passes a saddle of index 1. The
one with the higher minimum is said to end there: the merge tree, drawn as a disconnectivity graph (Becker & Karplus
1997).
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.errors import InputError
from simcore.formulas.outcome import CRITICAL
from simcore.landscapes.base import Draw, Landscape
from simcore.progress import current, long_call
from simcore.search.certify import certify, derivatives_at
from simcore.search.distinct import PointTable
from simcore.search.enumerate import MAX_STARTS, Enumeration, check_enumerable, enumerate_draw
from simcore.search.proved import check_prove
from simcore.search.rounds import FIRST_ROUND, check_limits
from simcore.search.search import Search, check_draws, split_target
from simcore.search.summary import annotated, warn_if_incomplete
from simcore.search.target import Target, Workers
from simcore.search.targeted import flow

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

OFFSET = 0.01
"""Where a descent begins: so many correlation lengths from the saddle."""
REACHES = (0.1, 0.025, 0.00625)
"""Longest steps of a descent, in correlation lengths: the second checks the first, the third decides where they
differ."""
CLOSE = 0.05
"""Length of a Newton step, in correlation lengths, from which on Newton's method ends a descent at a minimum."""
STEPS = (100, 60_000)
"""Gradient steps between two looks at a descent, and after which it is given up."""
UNKNOWN = -1


@dataclass(frozen=True)
class MorseGraph:
    """Minima, saddles of index 1 and the merge tree of one function, as ``morse_graph`` gives them.

    nodes : DataFrame
        ``Enumeration.points``: a row a critical point.
    edges : DataFrame, two rows a point of index 1
        ``saddle`` int64, a ``point`` of ``nodes``; ``minimum`` int64, where the descent ends, -1 where that is no
        minimum of ``nodes``; ``direction`` int8, 1 and -1: along the eigenvector of the negative eigenvalue, its first
        large component positive, and against it; ``certified`` bool: the end is certified, it lies where the minimum is
        proved to be the only critical point.
    barriers : DataFrame, a row a minimum that ends in a merger
        ``minimum`` int64, the lowest of its component; ``parent`` int64, the lowest of the one that it joins;
        ``saddle`` int64; ``cost`` float64, f at that saddle. Ordered by cost. The lowest minimum of each tree has no
        row.
    audit : dict
        ``descents``; ``unknown_ends``; ``unsettled`` (two step lengths still ended at different minima);
        ``certified_fraction`` of the edges; ``trees`` and ``connected`` (one tree: it must be so on a connected
        domain); ``ok`` (all ends known and settled, connected); ``complete`` and ``proved``, the enumeration's.
    """

    nodes: pd.DataFrame
    edges: pd.DataFrame
    barriers: pd.DataFrame
    audit: dict[str, Any]

    def summary(self) -> str:
        """Return a few lines: how many minima, saddles and trees, and what the edges rest on."""
        audit = self.audit
        minima, saddles = (int((self.nodes["morse_index"] == k).sum()) for k in (0, 1))
        lines = [f"{minima:,} minima, {saddles:,} saddles of index 1, {audit['trees']} tree{_s(audit['trees'])}"]
        share = (
            f"{100 * audit['certified_fraction']:.4g} % of the ends certified" if audit["descents"] else "no descent"
        )
        lines.append(f"{audit['descents']:,} descents, {share}, {audit['unknown_ends']} at no known minimum")
        if len(self.barriers):
            top = self.barriers.iloc[-1]
            lines.append(f"the last two components join at cost {top['cost']:.6g}")
        state = "proved complete" if audit["proved"] else "complete by the rule" if audit["complete"] else "incomplete"
        lines.append(f"the list of points is {state}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"MorseGraph: {self.summary()}"

    def _repr_html_(self) -> str:
        """Show the summary and the highest barriers in a notebook."""
        return f"<pre>{escape(self.summary())}</pre>{self.barriers.tail(10).to_html(index=False)}"


def morse_graph(
    target: Landscape | Draw,
    *,
    draw: int | None = None,
    seed: int | None = None,
    starts: int = FIRST_ROUND,
    max_starts: int = MAX_STARTS,
    prove: bool | str = "auto",
    start_law: str | None = None,
    backend: str = "cpu",
    spectrum: bool = False,
    threads: int | None = None,
    progress: bool = False,
) -> MorseGraph:
    """Enumerate the critical points of one function and follow both descents from each of index 1.

    Parameters
    ----------
    target : Landscape or Draw
        The family, or one function of it (then give no ``draw``).
    draw, seed, starts, max_starts, prove, start_law, backend, spectrum, threads, progress
        As for ``enumerate_critical_points``.

    Returns
    -------
    MorseGraph
        ``.nodes``, ``.edges``, ``.barriers``, DataFrames, and ``.audit``; see ``simcore.MorseGraph``. An incomplete
        enumeration warns (``simcore.IncompleteWarning``).

    Raises
    ------
    InputError
        As ``enumerate_critical_points``, and for networks, whose points are classes modulo symmetries.

    Source
    ------
    Morse theory: sublevel sets change by a cell of dimension k at a critical point of index k (Milnor 1963, theorem
    3.2). Merge trees of energy landscapes: Becker & Karplus (1997), J. Chem. Phys. 106, 1495.
    """
    landscape, only, seed = split_target(target, seed, draw=draw)
    search = Search.of(
        landscape,
        seed=seed,
        backend=backend,
        start_law=start_law,
        positions=True,
        spectrum=spectrum,
        threads=threads,
    )
    check_enumerable(landscape)
    if landscape.coercive:
        raise InputError(
            f"{landscape.name} has points that are classes modulo its symmetries, and no Morse graph is made of these; "
            "give a random function on the torus, the sphere or confined R^n"
        )
    prove = check_prove(prove)
    limits = check_limits(starts, max_starts, least=0)
    if only is None:
        number, _ = check_draws(landscape, draw or 0, 1, "draw")
        only = landscape.draw(seed=search.seed, draw=number)
    searched, workers = Target.of(search, only), Workers(search.threads)

    def work() -> MorseGraph:
        found = enumerate_draw(searched, limits, workers, prove=prove)
        return graph_of(searched, found.points, found.audit, workers)

    graph = long_call("morse_graph", work, progress)
    warn_if_incomplete(graph.audit["enumeration"], only)
    audit = {**graph.audit, "enumeration": annotated(graph.audit["enumeration"], only)}
    return MorseGraph(graph.nodes, graph.edges, graph.barriers, audit)


def graph_of(target: Target, points: pd.DataFrame, enumeration: dict[str, Any], workers: Workers) -> MorseGraph:
    """Return the graph of the points of an enumeration (with ``x``) of the target's draw."""
    import pandas as pd

    index = points["morse_index"].to_numpy()
    number, cost = points["point"].to_numpy(np.int64), points["cost"].to_numpy(float)
    minima, saddles = np.flatnonzero(index == 0), np.flatnonzero(index == 1)
    x = np.array(points["x"].to_list(), float).reshape(len(points), -1)
    direction = _unstable(target, x[saddles])
    saddle, sign = np.repeat(np.arange(len(saddles)), 2), np.tile(np.array([1, -1], np.int8), len(saddles))
    step = OFFSET * target.search.landscape.scales.length * sign[:, None] * direction[saddle]
    begin = target.domain.retract(x[saddles][saddle] + step)
    end, certified, settled = _ends(target, begin, points.iloc[minima], workers)
    edges = pd.DataFrame(
        {
            "saddle": number[saddles][saddle],
            "minimum": np.where(end >= 0, number[minima][end] if len(minima) else end, UNKNOWN),
            "direction": sign,
            "certified": certified,
        }
    )
    barriers, trees = merge_tree(cost[minima], cost[saddles], end.reshape(-1, 2))
    for name, names in (("minimum", number[minima]), ("parent", number[minima]), ("saddle", number[saddles])):
        barriers[name] = names[barriers[name].to_numpy(np.int64)] if len(barriers) else barriers[name]
    unknown, unsettled = int((end < 0).sum()), int((~settled).sum())
    audit = {
        "descents": len(edges),
        "unknown_ends": unknown,
        "unsettled": unsettled,
        "certified_fraction": float(certified.mean()) if len(edges) else float("nan"),
        "trees": trees,
        "connected": trees == 1,
        "ok": unknown == unsettled == 0 and trees == 1,
        "complete": enumeration["complete"],
        "proved": enumeration["proved"],
        "enumeration": enumeration,
    }
    return MorseGraph(points, edges, barriers, audit)


def graph_of_enumeration(found: Enumeration, threads: int | None = None) -> MorseGraph:
    """Return the graph of an enumeration that still has its draw and its positions."""
    draw = found.draw
    if draw is None or "x" not in found.points:
        raise InputError("this enumeration holds no function or no positions; give simcore.morse_graph the landscape")
    search = Search.of(draw.landscape, seed=draw.seed, threads=threads)
    return graph_of(Target.of(search, draw), found.points, found.audit, Workers(search.threads))


def _unstable(target: Target, x: Array) -> Array:
    """Return the unit eigenvector of the negative eigenvalue at points of index 1, (K, n), in ambient coordinates; its
    first component of more than half the largest is positive."""
    if not len(x):
        return x
    _, _, hessian = target.evaluate(x)
    _, vectors = np.linalg.eigh(target.domain.tangent_hessian(x, hessian))
    v = target.domain.to_ambient(x, vectors)[:, :, 0]
    large = np.abs(v) > 0.5 * np.abs(v).max(axis=1, keepdims=True)
    first = v[np.arange(len(v)), large.argmax(axis=1)]
    return v * np.sign(first)[:, None]


def _ends(
    target: Target, begin: Array, minima: pd.DataFrame, workers: Workers
) -> tuple[Labels, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for each descent its minimum (a row of ``minima``, or -1), whether the end is certified, and whether two
    step lengths agree on it."""
    known = PointTable(target.search.landscape, target.search.options.decrement_tolerance, target.cost_unit)
    places, cost = np.array(minima["x"].to_list(), float).reshape(len(minima), -1), minima["cost"].to_numpy(float)
    if len(minima):
        known.absorb(places, np.zeros(len(minima), np.int64), cost, np.zeros(len(minima)))
    certificate = certify(target, places, np.zeros(len(minima), np.int64)) if len(minima) else None

    def follow(rows: Labels, reach: float) -> tuple[Labels, NDArray[np.bool_]]:
        size = max(1, -(-len(rows) // (4 * workers.threads)))
        parts = [rows[b : b + size] for b in range(0, len(rows), size)]
        stops = workers.map(lambda part: descend(target, begin[part], reach), parts)
        x = np.concatenate(stops) if stops else begin[rows]
        outcome = target.newton(x)
        label = np.full(len(rows), UNKNOWN, np.int64)
        good = (outcome.status == CRITICAL) & (outcome.index == 0)
        label[good] = known.absorb(
            outcome.x[good], outcome.index[good], outcome.cost[good], outcome.decrement[good], insert=False
        )
        covered = np.zeros(len(rows), np.bool_)
        met = label >= 0
        if certificate is not None and met.any():
            covered[met] = certificate.covers(outcome.x[met], label[met])
        return label, covered

    every = np.arange(len(begin))
    current().say(f"{len(begin):,} descents from saddles of index 1")
    end, certified = follow(every, REACHES[0])
    settled = np.zeros(len(begin), np.bool_)
    for reach in REACHES[1:]:
        rows = every[~settled]
        again, sure = follow(rows, reach)
        settled[rows] = again == end[rows]
        end[rows], certified[rows] = again, sure
    return end, certified, settled


def descend(target: Target, x: Array, reach: float) -> Array:
    """Follow the gradient flow down from points x of shape (S, n) until Newton's method is safe to end it.

    Steps are at most ``reach`` correlation lengths long. A descent stops where the Hessian is positive definite and a
    Newton step shorter than ``CLOSE`` correlation lengths; or after ``STEPS[1]`` steps.
    """
    length, meter = target.search.landscape.scales.length, current()
    x, left, done, steps = x.copy(), np.arange(len(x)), 0, STEPS[0]
    while len(left) and done < STEPS[1]:
        meter.check()
        x[left] = flow(target, x[left], np.full(len(left), -1.0), steps, reach)
        at = derivatives_at(target, x[left])
        with np.errstate(divide="ignore", invalid="ignore"):
            near = (at.negative == 0) & (at.slope / at.gap < CLOSE * length)
        left = left[~near & np.isfinite(at.value)]
        done, steps = done + steps, min(2 * steps, STEPS[1] - done - steps) or 1
    return x


def merge_tree(minimum_cost: Array, saddle_cost: Array, ends: Labels) -> tuple[pd.DataFrame, int]:
    """Return the merge tree of minima joined by saddles, and the number of trees.

    Parameters
    ----------
    minimum_cost : (M,)
    saddle_cost : (S,)
    ends : (S, 2)
        Numbers of the minima at the two ends of each saddle, negative where one is not known: it joins nothing.

    Returns
    -------
    DataFrame with columns ``minimum, parent, saddle, cost``, a row a merger, ordered by cost; and the number of trees.
    Of two minima of equal cost the one of the smaller number is the parent.
    """
    import pandas as pd

    root = np.arange(len(minimum_cost))  # towards the lowest minimum of each component

    def lowest(m: int) -> int:
        while root[m] != m:
            root[m] = root[root[m]]
            m = int(root[m])
        return m

    rows = []
    for s in np.argsort(saddle_cost, kind="stable"):
        if (ends[s] < 0).any():
            continue
        a, b = lowest(int(ends[s, 0])), lowest(int(ends[s, 1]))
        if a == b:
            continue
        parent, child = (a, b) if (minimum_cost[a], a) <= (minimum_cost[b], b) else (b, a)
        root[child] = parent
        rows.append((child, parent, int(s), float(saddle_cost[s])))
    frame = pd.DataFrame(rows, columns=["minimum", "parent", "saddle", "cost"])
    kinds = {"minimum": np.int64, "parent": np.int64, "saddle": np.int64, "cost": np.float64}
    return frame.astype(kinds), len(minimum_cost) - len(rows)


def _s(count: int) -> str:
    return "" if count == 1 else "s"
