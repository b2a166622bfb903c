"""Morse graphs: closed cases where every edge and barrier is known, and what must hold for every random function."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

import simcore
from simcore.search import graph as graphs
from simcore.search.graph import merge_tree
from simcore.search.search import Search
from simcore.search.target import Target, Workers


def cosines(n, weights):
    """-sum_i w_i cos x_i on the torus: critical points at 0 and pi in each coordinate, minimum at 0."""
    w = np.asarray(weights, float)
    return simcore.CustomLandscape(
        value=lambda x: -(w * np.cos(x)).sum(),
        gradient=lambda x: w * np.sin(x),
        hessian=lambda x: np.diag(w * np.cos(x)),
        domain=simcore.Torus(n),
        n=n,
    )


def test_a_tree_by_hand():
    """Minima at 0, 1, -1; the saddle at 2 joins 0 and 1, that at 3 the two components, that at 4 nothing new."""
    tree, trees = merge_tree(
        np.array([0.0, 1.0, -1.0]), np.array([4.0, 2.0, 3.0, 1.5]), np.array([[0, 2], [1, 0], [1, 2], [0, -1]])
    )
    assert trees == 1
    assert tree.values.tolist() == [[1, 0, 1, 2.0], [0, 2, 2, 3.0]]
    _, trees = merge_tree(np.array([0.0, 1.0]), np.array([2.0]), np.array([[0, 0]]))
    assert trees == 2


def test_a_third_step_length_decides_where_two_differ(monkeypatch):
    """Descents whose ends by the three step lengths are made up: what two in a row agree on is their end."""
    draw = simcore.TorusField(2).draw(seed=3, draw=6)
    points = simcore.enumerate_critical_points(draw, starts=96, backend="reference", prove=False).points
    minima = points[points["morse_index"] == 0].reset_index(drop=True)
    at = np.stack(minima["x"].to_list())
    assert len(at) >= 2
    ends = np.array([[0, 0, 9], [0, 1, 1], [0, 1, 0], [0, 1, 0]])  # of descents, by step length
    begin = np.array([[0.0, 0], [1, 0], [2, 0], [3, 0]])
    monkeypatch.setattr(
        graphs, "descend", lambda target, x, reach: at[ends[x[:, 0].astype(int), graphs.REACHES.index(reach)]]
    )
    target = Target.of(Search.of(draw.landscape, seed=3, backend="reference"), draw)
    with Workers(1) as workers:
        end, certified, settled = graphs._ends(target, begin, minima, workers)
    assert end.tolist() == [0, 1, 0, 0] and settled.tolist() == [True, True, False, False] and certified.all()


def test_two_waves_on_a_circle():
    """cos 2x + 0.3 cos x: two minima of equal cost, maxima at 0 (1.3) and pi (0.7); the lower one is the barrier."""
    f = simcore.CustomLandscape(
        value=lambda x: np.cos(2 * x[0]) + 0.3 * np.cos(x[0]),
        gradient=lambda x: np.array([-2 * np.sin(2 * x[0]) - 0.3 * np.sin(x[0])]),
        hessian=lambda x: np.array([[-4 * np.cos(2 * x[0]) - 0.3 * np.cos(x[0])]]),
        domain=simcore.Torus(1),
        n=1,
    )
    graph = simcore.morse_graph(f, seed=1, starts=96)
    assert len(graph.edges) == 4 and graph.audit["unknown_ends"] == 0
    for _, ends in graph.edges.groupby("saddle"):
        assert ends["minimum"].nunique() == 2 and sorted(ends["direction"]) == [-1, 1]
    assert len(graph.barriers) == 1
    assert graph.barriers["cost"][0] == pytest.approx(0.7, abs=1e-9)


def test_a_sum_of_cosines_has_one_minimum_and_loops():
    """Each saddle of index 1 lies at pi in one coordinate; both its descents end at the one minimum."""
    graph = simcore.morse_graph(cosines(2, [1.0, 1.3]), seed=1, starts=96)
    assert len(graph.edges) == 4 and graph.edges["minimum"].nunique() == 1
    assert graph.audit["connected"] and graph.audit["ok"] and graph.barriers.empty


def test_double_cosines_have_a_known_merge_tree():
    """-sum_i w_i cos 2 x_i, tilted a little: minima at about 0 or pi in each coordinate, a square whose sides in
    direction i are crossed at cost 2 w_i - sum w; both sides of direction 1 join first, then one of direction 2."""
    w, tilt, at = np.array([0.5, 0.9]), np.array([1e-3, 2e-3]), np.array([0.4, 0.7])
    f = simcore.CustomLandscape(
        value=lambda x: (tilt * np.cos(x - at) - w * np.cos(2 * x)).sum(),
        gradient=lambda x: 2 * w * np.sin(2 * x) - tilt * np.sin(x - at),
        hessian=lambda x: np.diag(4 * w * np.cos(2 * x) - tilt * np.cos(x - at)),
        domain=simcore.Torus(2),
        n=2,
    )
    graph = simcore.morse_graph(f, seed=1, starts=96)
    assert (graph.nodes["morse_index"] == 0).sum() == 4 and graph.audit["ok"]
    low, high = 2 * 0.5 - w.sum(), 2 * 0.9 - w.sum()
    assert np.allclose(graph.barriers["cost"], [low, low, high], atol=4e-3)


@pytest.mark.parametrize(
    ("landscape", "draws"),
    [(simcore.TorusField(n=1), 6), (simcore.TorusField(n=3), 3), (simcore.SphericalSpin(n=6, p=3), 3)],
    ids=["circle", "torus", "sphere"],
)
def test_what_must_hold_for_every_function(landscape, draws):
    """Every end is a known minimum, lower than its saddle; the graph is connected; the tree has a row a minimum but
    one, and its barriers are minimax costs over all paths."""
    for draw in range(draws):
        graph = simcore.morse_graph(landscape, draw=draw, seed=3)
        cost = graph.nodes.set_index("point")["cost"]
        minima = graph.nodes.loc[graph.nodes["morse_index"] == 0, "point"]
        assert graph.audit["ok"], graph
        assert graph.edges["certified"].all()
        assert (cost[graph.edges["minimum"]].to_numpy() < cost[graph.edges["saddle"]].to_numpy()).all()
        assert len(graph.edges) == 2 * (graph.nodes["morse_index"] == 1).sum()
        assert len(graph.barriers) == len(minima) - 1
        assert (cost[graph.barriers["parent"]].to_numpy() <= cost[graph.barriers["minimum"]].to_numpy()).all()
        assert minimax(graph) == barrier_between(graph)


def minimax(graph):
    """Lowest highest saddle between each pair of minima, by Floyd and Warshall's recursion on the edges."""
    minima = sorted(graph.nodes.loc[graph.nodes["morse_index"] == 0, "point"])
    cost = graph.nodes.set_index("point")["cost"]
    best = {(a, b): -math.inf if a == b else math.inf for a in minima for b in minima}
    for saddle, ends in graph.edges.groupby("saddle"):
        a, b = ends["minimum"]
        for pair in ((a, b), (b, a)):
            best[pair] = min(best[pair], cost[saddle])
    for via, a, b in itertools.product(minima, repeat=3):
        best[a, b] = min(best[a, b], max(best[a, via], best[via, b]))
    return [best[a, b] for a in minima for b in minima if a < b]


def barrier_between(graph):
    """The same, read off the merge tree: the merger at which two minima come together."""
    minima = sorted(graph.nodes.loc[graph.nodes["morse_index"] == 0, "point"])
    group, found = {m: {m} for m in minima}, {}
    for row in graph.barriers.itertuples():
        child, parent = group[row.minimum], group[row.parent]
        assert child is not parent
        found |= {(min(a, b), max(a, b)): row.cost for a in child for b in parent}
        joined = child | parent
        group |= dict.fromkeys(joined, joined)
    return [found[a, b] for a in minima for b in minima if a < b]


def test_descents_agree_with_the_gradient_flow():
    """Each end is that of SciPy's adaptive integration of dx/dt = -grad f from the same side of the saddle."""
    from scipy.integrate import solve_ivp

    f = simcore.TorusField(n=2).draw(seed=5, draw=0)
    graph = simcore.morse_graph(f)
    x = np.stack(graph.nodes["x"])
    for row in graph.edges.itertuples():
        w, v = np.linalg.eigh(f.hessian(x[row.saddle]))
        first = v[np.argmax(np.abs(v[:, 0]) > 0.5 * np.abs(v[:, 0]).max()), 0]
        begin = x[row.saddle] + 1e-3 * row.direction * np.sign(first) * v[:, 0]
        path = solve_ivp(lambda t, y: -f.gradient(y), (0, 60 / abs(w[0])), begin, rtol=1e-9, atol=1e-11)
        apart = (path.y[:, -1] - x[row.minimum] + np.pi) % (2 * np.pi) - np.pi
        assert np.linalg.norm(apart) < 1e-3


def test_networks_and_open_space_are_refused():
    with pytest.raises(simcore.InputError, match="no compact domain"):
        simcore.morse_graph(simcore.GaussianField(n=2))


def test_a_graph_fits_a_screen_and_is_drawn():
    graph = simcore.morse_graph(simcore.TorusField(n=2), seed=1)
    assert isinstance(graph.barriers, pd.DataFrame)
    assert len(repr(graph)) < 600 and "minima" in repr(graph)
    assert "<table" in graph._repr_html_()
    found = simcore.enumerate_critical_points(simcore.TorusField(n=2), seed=1)
    for source in (graph, found):
        axis = simcore.plot.disconnectivity(source)
        minima = (graph.nodes["morse_index"] == 0).sum()
        (lines,) = axis.collections
        assert len(lines.get_segments()) == 3 * (minima - 1) + 1  # two verticals and a bar a merger, and the root
    with pytest.raises(simcore.InputError, match="a frame does not hold the function"):
        simcore.plot.disconnectivity(found.points)
