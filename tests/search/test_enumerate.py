"""Complete enumeration: cases where every point is known, audits that must say no, and the exact law."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import simcore
from simcore.backends.problems import Waves
from simcore.domains import Box, Space
from simcore.errors import InputError
from simcore.landscapes.base import Symmetry
from simcore.landscapes.waves import ConfinedField, GaussianField, TorusField, WaveDraw
from simcore.search import rounds
from simcore.search.audit import chao1, coverage
from simcore.search.enumerate import descended_of, enumerate_critical_points
from simcore.search.find import find_critical_points
from simcore.search.search import Search
from simcore.search.shards import enumerate_rows
from simcore.search.target import Target


class FixedWaves(WaveDraw):
    """A torus draw with frequencies of the test's own."""

    def __init__(self, frequencies, cosine, sine, symmetries=()):
        frequencies = np.asarray(frequencies, float)
        super().__init__(TorusField(frequencies.shape[1]), 5, 0)
        self._problem = Waves(frequencies, np.asarray(cosine, float), np.asarray(sine, float), 0.0, 2 * np.pi)
        self._own = tuple(symmetries)

    @property
    def problem(self):
        return self._problem

    @property
    def symmetries(self):
        return self._own


def counts(points, dimension):
    return np.bincount(points["morse_index"], minlength=dimension + 1)


@pytest.mark.parametrize("m", [(1,), (3,), (2, 3), (1, 2, 3), (1, 1, 1, 2)])
def test_a_separable_function_has_all_its_points(m):
    n = len(m)
    phase, amplitude = np.linspace(0.3, 1.9, n), np.linspace(0.7, 1.4, n)
    draw = FixedWaves(np.diag(m), amplitude * np.cos(phase), amplitude * np.sin(phase))
    found = enumerate_critical_points(draw, threads=1)
    assert counts(found.points, n).tolist() == [math.comb(n, k) * math.prod(m) for k in range(n + 1)]
    assert found.audit["complete"]
    assert found.points["certified"].all()
    x = np.stack(found.points["x"].to_list())
    roots = (np.array(m) * x - phase) / np.pi
    np.testing.assert_allclose(roots, np.round(roots), atol=1e-12)
    assert ((x >= 0) & (x < 2 * np.pi)).all()


@pytest.mark.parametrize("n", [2, 3, 7])
def test_the_quadratic_form_has_its_eigenvectors(n):
    matrix = np.random.default_rng(n).normal(size=(n, n))
    found = enumerate_critical_points(simcore.SphericalSpin.from_couplings(matrix), threads=1)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    points = found.points.sort_values(["morse_index", "point"])
    assert found.audit["complete"]
    assert found.audit["orbits"] == n
    np.testing.assert_allclose(points["cost"], np.repeat(values, 2) / math.sqrt(n), atol=1e-13)
    overlap = np.abs(np.einsum("ij,ij->i", np.stack(points["x"].to_list()), np.repeat(vectors.T, 2, axis=0)))
    np.testing.assert_allclose(overlap, math.sqrt(n), atol=1e-12)
    assert points["certified"].all()


@pytest.mark.parametrize("p", [3, 4, 5])
def test_the_circle_has_the_roots_of_its_polynomial(p):
    rng = np.random.default_rng(p)
    seen = set()
    for _ in range(6):
        draw = simcore.SphericalSpin.from_couplings(rng.normal(size=(2,) * p))
        found = enumerate_critical_points(draw, threads=1)
        c = draw.problem.coefficients  # of x^p, x^{p-1} y, ..., y^p; zeros of x df/dy - y df/dx in t = y/x
        slope = np.zeros(p + 1)
        for k in range(p + 1):
            if k > 0:
                slope[k - 1] += k * c[k]
            if k < p:
                slope[k + 1] -= (p - k) * c[k]
        roots = np.roots(slope[::-1])
        real = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
        x = np.stack(found.points["x"].to_list())
        np.testing.assert_allclose(np.sort(x[:, 1] / x[:, 0]), np.repeat(real, 2), rtol=1e-9)
        assert found.audit["complete"]
        seen.add(len(real))
    assert len(seen) > 1, "the cases should differ in their number of points"


def test_hits_and_numbers_are_those_of_the_ordinary_starts():
    landscape = simcore.SphericalSpin(6)
    found = enumerate_critical_points(landscape, draw=2, seed=3, threads=1)
    rows = find_critical_points(landscape, first_draw=2, seed=3, starts=found.audit["starts"], positions=True)
    critical = rows[rows["status"] == "critical"]
    reached = found.points[found.points["hits"] > 0]
    assert (reached["hits"].to_numpy() == np.bincount(critical["point"])).all()
    assert (reached["morse_index"].to_numpy() == critical.drop_duplicates("point")["morse_index"].to_numpy()).all()
    ends = np.stack(critical.drop_duplicates("point")["x"].to_list())
    np.testing.assert_allclose(np.stack(reached["x"].to_list()), ends, atol=1e-7)
    assert found.points["point"].tolist() == list(range(len(found.points)))
    assert found.audit["critical"] == found.points["hits"].sum() == len(critical)
    outcomes = ("critical", "degenerate", "gradient_flat", "max_iterations", "left_domain", "not_finite")
    assert sum(found.audit[name] for name in outcomes) == found.audit["starts"]


@pytest.mark.parametrize(
    "landscape", [simcore.SphericalSpin(7), TorusField(4), ConfinedField(2, 0.5)], ids=lambda x: x.name
)
def test_threads_change_nothing(landscape):
    one = enumerate_critical_points(landscape, draw=1, seed=6, threads=1, spectrum=True)
    four = enumerate_critical_points(landscape, draw=1, seed=6, threads=4, spectrum=True)
    pd.testing.assert_frame_equal(one.points, four.points, check_exact=True)
    assert one.audit == four.audit
    points, audits = enumerate_rows(
        Search.of(landscape, seed=6, threads=2, positions=True, spectrum=True), first_draw=0, draws=3
    )
    mine = points[points["draw"] == 1].drop(columns="draw").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, one.points, check_exact=True)
    assert audits["draw"].tolist() == [0, 1, 2]
    assert audits.loc[1, "distinct"] == one.audit["distinct"]


def test_rounds_may_be_cut(monkeypatch):
    """Up to rounding: which of two ends represents a point depends on when its mirror image is added."""
    whole = enumerate_critical_points(simcore.SphericalSpin(7), draw=1, seed=6, threads=1)
    monkeypatch.setattr(rounds, "AT_ONCE", 40)
    pieces = enumerate_critical_points(simcore.SphericalSpin(7), draw=1, seed=6, threads=1)
    assert whole.audit == pieces.audit
    exact = ["point", "morse_index", "hits", "certified"]
    pd.testing.assert_frame_equal(whole.points[exact], pieces.points[exact], check_exact=True)
    np.testing.assert_allclose(
        np.stack(whole.points["x"].to_list()), np.stack(pieces.points["x"].to_list()), atol=1e-12
    )


def test_the_sphere_is_searched_by_orbits():
    found = enumerate_critical_points(simcore.SphericalSpin(6), seed=8, threads=1)
    assert found.audit["distinct"] == 2 * found.audit["orbits"]
    x, index = np.stack(found.points["x"].to_list()), found.points["morse_index"].to_numpy()
    for i in range(len(x)):
        partner = np.abs(x + x[i]).max(axis=1).argmin()
        assert np.abs(x[partner] + x[i]).max() < 1e-12
        assert index[partner] == 5 - index[i], "an odd function turns index k into D - k"


def test_points_agree_with_a_much_larger_search():
    for landscape, draw in ((simcore.SphericalSpin(7), 4), (TorusField(4), 5)):
        usual = enumerate_critical_points(landscape, draw=draw, seed=1, threads=1)
        larger = enumerate_critical_points(landscape, draw=draw, seed=1, starts=20_000, threads=1)
        costs = [np.sort(e.points["cost"].to_numpy()) for e in (usual, larger)]
        assert usual.audit["complete"]
        np.testing.assert_allclose(*costs, atol=1e-12)


@pytest.mark.parametrize("unit", [1e-90, 1e-8, 1e5, 1e90])
def test_the_units_of_couplings_do_not_matter(unit):
    tensor = np.random.default_rng(6).normal(size=(5, 5, 5))
    plain = enumerate_critical_points(simcore.SphericalSpin.from_couplings(tensor), threads=1)
    scaled = enumerate_critical_points(simcore.SphericalSpin.from_couplings(unit * tensor), threads=1)
    assert scaled.audit["complete"]
    assert scaled.points["certified"].all()
    order = [np.argsort(e.points["cost"].to_numpy()) for e in (plain, scaled)]
    x = [np.stack(e.points["x"].to_list())[o] for e, o in zip((plain, scaled), order, strict=True)]
    np.testing.assert_allclose(*x, atol=1e-9)
    costs = [e.points["cost"].to_numpy()[o] for e, o in zip((plain, scaled), order, strict=True)]
    np.testing.assert_allclose(unit * costs[0], costs[1], rtol=1e-10)


def test_couplings_of_distinct_indices_have_fourteen_points():
    """x y z on the sphere: four maxima, four minima and six saddles on the axes, where the cost vanishes."""
    tensor = np.zeros((3, 3, 3))
    tensor[0, 1, 2] = -1.7
    found = enumerate_critical_points(simcore.SphericalSpin.from_couplings(tensor), threads=1)
    assert found.audit["complete"]
    assert counts(found.points, 2).tolist() == [4, 6, 4]
    x = np.stack(found.points["x"].to_list())
    np.testing.assert_allclose(
        np.sort(np.abs(x[found.points["morse_index"] == 1]), axis=1), [[0, 0, math.sqrt(3)]] * 6, atol=1e-12
    )
    np.testing.assert_allclose(np.abs(x[found.points["morse_index"] != 1]), 1, atol=1e-12)


# ---- audits that must say no ------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::simcore.IncompleteWarning")
def test_a_budget_that_is_too_small_is_reported():
    found = enumerate_critical_points(
        simcore.SphericalSpin(9), seed=1, starts=48, max_starts=48, threads=1, prove=False
    )
    assert not found.audit["complete"]
    assert found.audit["starts"] == 48
    assert found.audit["least_hits"] < 4
    assert 0 < found.audit["coverage"] < 1
    assert found.audit["chao1"] > (found.points["hits"] > 0).sum() / 2


@pytest.mark.filterwarnings("ignore::simcore.IncompleteWarning")
def test_a_symmetry_that_does_not_hold_is_noticed():
    def shift(x):
        return np.mod(x + np.array([1.0, 0.0]), 2 * np.pi)

    frequencies = [[1, 0], [0, 1], [1, 1]]
    draw = FixedWaves(frequencies, [1.0, 0.5, 0.7], [0.2, 0.4, -0.8], [Symmetry("wrong", shift, 1)])
    found = enumerate_critical_points(draw, threads=1)
    assert found.audit["broken_images"] > 0
    assert not found.audit["complete"]


@pytest.mark.filterwarnings("ignore::simcore.IncompleteWarning")
def test_degenerate_points_are_never_complete():
    draw = FixedWaves([[1, 0], [2, 0]], [1.0, 0.4], [0.3, 0.2])
    found = enumerate_critical_points(draw, starts=24, backend="reference", threads=1)
    assert found.audit["degenerate"] > 0
    assert not found.audit["complete"]
    assert len(found.points) == 0


@pytest.mark.parametrize(
    "couplings", [np.zeros((4, 4, 4)), np.eye(4), np.diag([1.0, 1.0, 2.0, 3.0])], ids=["zero", "one", "two"]
)
@pytest.mark.filterwarnings("ignore::simcore.IncompleteWarning")
def test_spheres_of_critical_points_are_degenerate(couplings):
    draw = simcore.SphericalSpin.from_couplings(couplings)
    for backend in ("cpu", "reference"):
        found = enumerate_critical_points(draw, starts=24, backend=backend, threads=1)
        assert found.audit["degenerate"] > 0
        assert not found.audit["complete"]
        assert len(found.points) == (4 if couplings.shape == (4, 4) and couplings[3, 3] == 3 else 0)


@pytest.mark.filterwarnings("ignore::simcore.IncompleteWarning")
def test_a_box_is_counted_but_not_called_complete():
    box = simcore.CustomLandscape(
        lambda x: float(np.cos(x).sum()),
        lambda x: -np.sin(x),
        lambda x: -np.diag(np.cos(x)),
        Box((-4.0, -4.0), (4.0, 4.0)),
        2,
    )
    found = enumerate_critical_points(box, starts=96, max_starts=96, threads=1)
    assert counts(found.points, 2).tolist() == [4, 4, 1]
    assert found.audit["euler_expected"] is None
    assert not found.audit["complete"]
    assert not found.points["certified"].any(), "nothing is known about its third derivatives"


def test_what_cannot_be_enumerated_is_refused():
    plain = simcore.CustomLandscape(lambda x: x @ x, lambda x: 2 * x, lambda x: 2 * np.eye(2), Space(2), 2)
    for landscape in (GaussianField(2), plain):
        with pytest.raises(InputError, match="no compact domain"):
            enumerate_critical_points(landscape)
    with pytest.raises(InputError, match="max_starts is 10"):
        enumerate_critical_points(TorusField(2), starts=100, max_starts=10)
    with pytest.raises(InputError, match="together with one draw"):
        enumerate_critical_points(TorusField(2).draw(seed=1), draw=0)


def test_estimates_of_what_is_unseen():
    assert coverage(np.array([5, 3, 1, 1])) == pytest.approx(0.8)
    assert coverage(np.array([2, 2])) == 1.0
    assert math.isnan(coverage(np.array([], dtype=int)))
    assert chao1(np.array([5, 2, 1, 1, 1])) == pytest.approx(5 + 3 * 2 / (2 * 2))
    assert chao1(np.array([5, 2, 1, 1, 1, 0])) == pytest.approx(5 + 3 * 2 / (2 * 2)), "0 hits: one of those estimated"
    assert chao1(np.array([3, 0])) == 2.0, "never below the orbits found"
    assert np.isnan(chao1(np.zeros(3, int))), "without a hit nothing is known of what was not seen"


# ---- the exact law ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "landscape",
    [
        TorusField(2),
        TorusField(3),
        TorusField(4),
        simcore.SphericalSpin(4),
        simcore.SphericalSpin(4, p=4),
        ConfinedField(2, 0.5),
    ],
    ids=lambda x: f"{x.name}{x.n}",
)
def test_mean_counts_are_the_exact_ones(landscape):
    """120 draws, 60 of torus 4; |z| < 5 for every index, total: false alarm below 1e-4 for all together."""
    draws = 60 if landscape.name == "torus_field" and landscape.n == 4 else 120
    points, audits = enumerate_rows(Search.of(landscape, seed=2024, threads=1), first_draw=0, draws=draws)
    assert audits["complete"].all()
    assert (audits["euler_sum"] == landscape.euler_characteristic).all()
    assert audits["certified_fraction"].mean() > 0.999
    table = pd.crosstab(points["draw"], points["morse_index"]).reindex(range(draws), fill_value=0)
    exact = landscape.expected_counts().set_index("morse_index")["mean_count"]
    for index, mean in [*exact.items(), ("total", exact.sum())]:
        sample = table.sum(axis=1) if index == "total" else table[index]
        error = sample.std() / math.sqrt(draws)
        assert abs(sample.mean() - mean) < 5 * error + 1e-9, (index, sample.mean(), mean, error)


@pytest.mark.long
@pytest.mark.parametrize(("n", "m"), [(1, 0.5), (2, 0.5), (2, 1.0), (5, 0.5), (5, 1.0), (5, 1.5)])
def test_confinement_trivialises_the_landscape_by_the_exact_law(n, m):
    """Total and minima of 600 draws; |z| < 3.8: one false alarm in 600 runs of the 12 numbers (seed fixed)."""
    landscape = ConfinedField(n, m)
    points, audits = enumerate_rows(Search.of(landscape, seed=1), first_draw=0, draws=600)
    assert audits["complete"].all()
    assert (audits["euler_sum"] == 1).all()
    table = pd.crosstab(points["draw"], points["morse_index"]).reindex(range(600), fill_value=0)
    exact = landscape.expected_counts()["mean_count"]
    for sample, mean in ((table.sum(axis=1), exact.sum()), (table[0], exact[0])):
        assert abs(sample.mean() - mean) < 3.8 * sample.std() / math.sqrt(600)


def test_confined_points_lie_where_the_bound_says():
    landscape = ConfinedField(2, 0.5)
    points, audits = enumerate_rows(Search.of(landscape, seed=1, positions=True), first_draw=0, draws=20)
    assert (audits["euler_sum"] == 1).all()
    radius = np.linalg.norm(np.stack(points["x"].to_list()), axis=1)
    assert radius.max() < landscape.critical_radius()
    for draw, part in points.groupby("draw"):
        inside = (
            np.linalg.norm(np.stack(part["x"].to_list()), axis=1) <= landscape.draw(seed=1, draw=draw).critical_radius
        )
        assert inside.all()


def test_starts_that_descend_first_are_ordinary_and_reach_the_rarest_points():
    """3-spin n = 12, draw 3 of seed 1: plain starts need 528,384 for four hits of every orbit."""
    landscape = simcore.SphericalSpin(12)
    found = enumerate_critical_points(landscape, draw=3, seed=1, threads=2, prove=False)
    assert found.audit["complete"] and not found.audit["proved"]
    assert found.audit["starts"] == found.audit["descended_starts"] <= 40_000
    assert found.points["hits"].sum() == found.audit["critical"] <= found.audit["starts"]  # plain ones alone
    assert (found.points["hits"] == 0).any() and found.audit["least_hits"] >= 4  # of both kinds
    other = enumerate_critical_points(landscape, draw=3, seed=1, threads=1, prove=False)
    pd.testing.assert_frame_equal(found.points, other.points, check_exact=True)
    proved = enumerate_critical_points(landscape, draw=3, seed=1, starts=0)
    assert proved.audit["proved"] and len(proved.points) == len(found.points)
    assert np.abs(np.sort(proved.points["cost"]) - np.sort(found.points["cost"])).max() < 1e-12


def test_descended_starts_are_addressed_like_all_others():
    landscape = simcore.SphericalSpin(7)
    chosen = Search.of(landscape, seed=1)
    target = Target.of(chosen, landscape.draw(seed=1, draw=3))
    search = descended_of(target)
    whole, part = search(10, 40), search(17, 11)
    assert (part.x == whole.x[7:18]).all()
    assert not (whole.x == target.ordinary(10, 40).x).all(axis=1).any()
    for other in (TorusField(2), simcore.SphericalSpin(6)):  # where plain starts reach all as soon, or sooner
        assert descended_of(Target.of(Search.of(other, seed=1), other.draw(seed=1))) is None


def test_rounds_grow_within_their_limits():
    found = enumerate_critical_points(simcore.SphericalSpin(8), draw=3, seed=1, starts=100, threads=1, prove=False)
    totals = [starts for starts, _ in found.audit["saturation"]]
    seen = [orbits for _, orbits in found.audit["saturation"]]
    assert totals[0] == 100
    assert totals[-1] == found.audit["starts"]
    assert all(1.29 * a <= b <= 4.3 * a for a, b in pairwise(totals))
    assert seen == sorted(seen)
    assert found.audit["rounds"] == len(totals)
