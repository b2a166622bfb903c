"""Homotopies that fill Bezout's bound: the search's points on random draws, and no proof where none can be."""

import numpy as np
import pytest

import simcore
from simcore.proof import bezout
from simcore.proof.bezout import LEVELS, Homotopy
from simcore.proof.tensor import workspace
from simcore.proof.tracker import track


def spin(tensor):
    return simcore.SphericalSpin.from_couplings(tensor)


def same_points(count, found, n):
    """Whether the real zeros are the points of an enumeration, up to sign."""
    x = simcore_positions(found)
    if len(x) != 2 * len(count.real):
        return False
    y = np.sqrt(n) * count.real / np.linalg.norm(count.real, axis=1, keepdims=True)
    every = np.vstack([y, -y])
    gaps = np.linalg.norm(x[:, np.newaxis] - every, axis=2)
    return len(set(gaps.argmin(axis=1))) == len(x) and gaps.min(axis=1).max() < 1e-4


def simcore_positions(found):
    return np.stack(found.points["x"].to_numpy())


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_draws_are_proved_and_equal_the_search(n):
    landscape = simcore.SphericalSpin(n=n, p=3)
    for number in range(6):
        draw = landscape.draw(seed=20, draw=number)
        count = Homotopy(draw.problem).run()
        assert count.proved and count.certified == count.bound == 2**n and count.paths == 2**n - 1
        found = simcore.enumerate_critical_points(draw)
        assert found.audit["complete"] and same_points(count, found, n)


@pytest.mark.parametrize(("n", "p"), [(2, 4), (4, 4), (6, 4), (2, 5), (3, 5), (3, 6), (2, 7)])
def test_higher_degrees_are_proved_and_equal_the_search(n, p):
    landscape = simcore.SphericalSpin(n=n, p=p)
    for number in range(3):
        draw = landscape.draw(seed=24, draw=number)
        count = Homotopy(draw.problem).run()
        assert count.proved and count.bound == count.paths == ((p - 1) ** n - 1) // (p - 2)
        found = simcore.enumerate_critical_points(draw, prove=False)
        assert found.audit["complete"] and same_points(count, found, n)


@pytest.mark.parametrize("p", [3, 4, 5, 6])
def test_paths_begin_at_one_zero_of_each_class(p):
    n, q = 3, p - 2
    solver = Homotopy(simcore.SphericalSpin(n=n, p=p).draw(seed=25).problem)
    y = solver.starts(np.arange(solver.paths))
    assert np.abs(solver.g * y ** (p - 1) - y).max() < 1e-12
    turned = np.concatenate([y * np.exp(2j * np.pi * k / q) for k in range(q)])
    assert len({tuple(row) for row in np.round(np.hstack([turned.real, turned.imag]), 9) + 0.0}) == (p - 1) ** n - 1


@pytest.mark.parametrize("p", [4, 5])
def test_degenerate_tensors_of_higher_degree_are_never_proved(p):
    rng = np.random.default_rng(p)
    v = rng.normal(size=(2, 3))
    low_rank = sum(np.einsum(*(a for k in range(p) for a in (w, [k])), list(range(p))) for w in v)
    ignored = np.zeros((3,) * p)
    ignored[(slice(0, 2),) * p] = rng.normal(size=(2,) * p)
    for tensor in (low_rank, ignored):
        count = Homotopy(spin(tensor).problem).run()
        assert not count.proved and count.certified < count.bound


def test_paths_that_jump_are_tracked_again(monkeypatch):
    """Sloppy limits lose zeros; more careful levels find them."""
    monkeypatch.setattr(bezout, "LEVELS", ((1e-1, 2e-1), *LEVELS[1:]))
    draw = simcore.SphericalSpin(n=9, p=3).draw(seed=21)
    count = Homotopy(draw.problem).run()
    assert count.proved and 0 < count.retracked < 0.3 * count.paths


def test_two_paths_at_one_real_zero_are_doubtful():
    """From either side of the real points, so that neither end looks like the other's copy."""
    solver = Homotopy(simcore.SphericalSpin(n=5, p=3).draw(seed=23).problem)
    every = np.arange(solver.paths)
    ends, arrived, _ = solver.follow(every, 0)
    zeros = solver.settle(ends.astype(np.float64), every)
    solver.label(zeros)
    owner = np.full((2, solver.paths), -1)
    assert arrived.all() and not len(solver._doubtful(zeros, owner))
    row, other = np.flatnonzero(zeros.line)[:2]
    first, stray = zeros.path[row], zeros.path[other]
    zeros.path[other] = -1  # as if the other path had come to the first one's end, from below
    owner[1, stray] = row
    assert {first, stray} <= set(solver._doubtful(zeros, owner))


def complex_zero(solver):
    """An end well off both edges of the sector, and its path."""
    ends, arrived, _ = solver.follow(np.arange(solver.paths), 2)
    assert arrived.all()
    zeros = solver.settle(ends.astype(np.float64), np.arange(solver.paths))
    row = np.flatnonzero(~zeros.line)[0]
    return zeros.points[row : row + 1].copy(), zeros.path[row : row + 1]


def with_radius(solver, monkeypatch, r):
    """Every point is certified with the radius r, and alone."""
    monkeypatch.setattr(
        solver,
        "certify",
        lambda points, rounds, sign=1: (np.full(len(points), r), np.full(len(points), 9.0)),
    )


@pytest.mark.parametrize("p", [3, 4])
def test_a_ball_across_an_edge_of_the_sector_is_no_certified_class(p, monkeypatch):
    """It may hold a real zero, or one of the conjugate: b.y must keep off both edges by more than r."""
    solver = Homotopy(simcore.SphericalSpin(n=4, p=p).draw(seed=27).problem)
    point, path = complex_zero(solver)
    along = point[0, :4] @ solver.b + 1j * (point[0, 4:] @ solver.b)
    gap = along.imag if p == 3 else min(along.imag, along.real)  # the sector is the half plane, or the quadrant
    for share, kept in ((0.97, 1), (1.03, 0)):
        with_radius(solver, monkeypatch, share * gap)
        assert len(solver.settle(point.copy(), path).r) == kept


def test_of_even_degree_a_ball_that_may_hold_both_signs_is_no_class(monkeypatch):
    """y and -y are one class: b.y > r tells which of them is meant."""
    solver = Homotopy(simcore.SphericalSpin(n=4, p=4).draw(seed=27).problem)
    real = solver.run().real[:1]
    point = np.hstack([real, np.zeros_like(real)])
    along = abs(real[0] @ solver.b)
    for share, kept in ((0.97, 1), (1.03, 0)):
        with_radius(solver, monkeypatch, share * along)
        found = solver.settle(point.copy(), np.zeros(1, np.int64))
        assert len(found.r) == kept


def test_one_lower_end_without_a_partner_is_certified():
    solver = Homotopy(simcore.SphericalSpin(n=4, p=3).draw(seed=27).problem)
    point, path = complex_zero(solver)
    below = point.copy()
    below[:, 4:] *= -1
    none = solver.settle(np.empty((0, 8)), np.empty(0, np.int64))
    zeros, owner = solver._add_unmatched(none, below, path)
    assert (len(zeros.r), zeros.pairs, zeros.real) == (1, 1, 0) and not zeros.upper[0]
    assert np.linalg.norm(zeros.points - point) < 1e-12 and (owner == -1).all()
    again, owner = solver._add_unmatched(zeros, below, path)  # now it has one
    assert len(again.r) == 1 and owner[1, path[0]] == 0


@pytest.mark.parametrize("side", ["above", "below"])
def test_what_is_settled_is_not_tracked_again(monkeypatch, side):
    """A path jumps to another one's real end, from either side, and a third one is lost twice: the first two are
    followed once more, the third one alone a third time."""
    solver = Homotopy(simcore.SphericalSpin(n=5, p=3).draw(seed=23).problem)
    every = np.arange(solver.paths)
    zeros = solver.settle(solver.follow(every, 0)[0].astype(np.float64), every)
    first, lost = zeros.path[zeros.line][:2]
    stray = zeros.path[~zeros.upper][0]  # ends below, at the conjugate of what another path finds
    follow, asked = solver.follow, []

    def astray(paths, level):
        ends, arrived, tries = follow(paths, level)
        asked.append(set(paths.tolist()))
        if level == 0:
            ends[stray] = ends[first]
            ends[stray, 5:] += (1e-3 if side == "above" else -1e-3) * np.linalg.norm(ends[first]) * solver.b
        if level < 2:
            arrived[paths == lost] = False
        return ends, arrived, tries

    monkeypatch.setattr(solver, "follow", astray)
    count = solver.run()
    assert count.proved and count.retracked == 4
    assert asked == [set(every.tolist()), {first, stray, lost}, {lost}]


def test_threads_seed_and_chunks_change_nothing():
    problem = simcore.SphericalSpin(n=9, p=3).draw(seed=22).problem
    one = Homotopy(problem).run()
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(3) as pool:
        other = Homotopy(problem, mapped=lambda f, items: list(pool.map(f, items))).run()
    assert np.array_equal(one.real, other.real) and one.tries == other.tries
    again = Homotopy(problem, seed=5).run()  # another g, other paths, the same zeros
    assert again.proved and len(again.real) == len(one.real)
    near = np.linalg.norm(one.real[:, None] - again.real, axis=2).min(axis=1)
    assert (near <= 1e-9 * np.linalg.norm(one.real, axis=1)).all()


def test_both_precisions_follow_the_same_paths():
    problem = simcore.SphericalSpin(n=6, p=3).draw(seed=23).problem
    solver = Homotopy(problem)
    first = solver.starts(np.arange(solver.paths))
    ends = []
    for coefficients, kind in ((solver.single, np.float32), (solver.double, np.float64)):
        part = np.hstack([first.real, first.imag]).astype(kind)
        arrived, tries = np.zeros(len(part), np.bool_), np.zeros(len(part), np.int64)
        limits, g = (*LEVELS[2], 1e-3, 1e4), (kind(solver.g.real), kind(solver.g.imag))
        track(coefficients, solver.tables, 6, 3, *g, limits, workspace(coefficients, 6, 3), part, arrived, tries)
        assert arrived.all()
        ends.append(part.astype(np.float64))
    assert np.abs(ends[0] - ends[1]).max() < 1e-3 * np.abs(ends[1]).max()


def rank(n, terms, seed):
    rng = np.random.default_rng(seed)
    v = rng.normal(size=(terms, n))
    return np.einsum("ti,tj,tk->ijk", v, v, v)


def ignored_variable(n):
    tensor = simcore.SphericalSpin(n=n - 1, p=3).draw(seed=1)._tensor
    padded = np.zeros((n, n, n))
    padded[:-1, :-1, :-1] = tensor
    return padded


def null_vector(n):
    """A real v with T(v, v) = 0: a zero at infinity, a critical point with lambda = 0."""
    tensor = np.array(simcore.SphericalSpin(n=n, p=3).draw(seed=2)._tensor)
    for i in range(n):
        for q in {(i, 0, 0), (0, i, 0), (0, 0, i)}:
            tensor[q] = 0.0
    return tensor


def double_zero(n):
    """y = e_1 is a zero at which DF is singular."""
    tensor = np.array(simcore.SphericalSpin(n=n, p=3).draw(seed=3)._tensor)
    tensor /= np.abs(tensor).max()
    for i in range(1, n):
        for q in {(i, 0, 0), (0, i, 0), (0, 0, i)}:
            tensor[q] = 0.0
    for i in range(1, n):
        for q in {(1, i, 0), (1, 0, i), (i, 1, 0), (0, 1, i), (i, 0, 1), (0, i, 1)}:
            tensor[q] = 0.5 if i == 1 else 0.0
    tensor[0, 0, 0] = 1.0
    return tensor


DEGENERATE = {
    "rank 1": rank(4, 1, 0),
    "rank 3": rank(4, 3, 1),
    "rank 2 of 5": rank(5, 2, 2),
    "ignored": ignored_variable(4),
    "ignored of 6": ignored_variable(6),
    "null": null_vector(4),
    "null of 5": null_vector(5),
    "double": double_zero(3),
    "double of 5": double_zero(5),
}


@pytest.mark.parametrize("tensor", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_tensors_are_never_proved(tensor):
    for seed in range(3):
        count = Homotopy(spin(tensor).problem, seed=seed).run()
        assert not count.proved and count.certified < count.bound


def test_a_diagonal_tensor_has_all_its_zeros():
    """T(y, y)_i = d_i y_i^2: y_i is 0 or 1/d_i, all 2^n zeros are real."""
    n, d = 5, np.array([1.0, -0.5, 2.0, 1.5, -3.0])
    tensor = np.zeros((n, n, n))
    tensor[np.arange(n), np.arange(n), np.arange(n)] = d
    count = Homotopy(spin(tensor).problem).run()
    assert count.proved and len(count.real) == 2**n - 1
    scaled = count.real * d
    assert np.abs(scaled / scaled.max() - np.round(scaled / scaled.max())).max() < 1e-12


def test_no_couplings_are_refused():
    with pytest.raises(ValueError, match="zero"):
        Homotopy(spin(np.zeros((3, 3, 3))).problem)


def test_a_point_is_polished_alike_in_any_company():
    """Lanes do not know of one another: a point among slow ones stops where it stops alone."""
    solver = Homotopy(simcore.SphericalSpin(n=5, p=3).draw(seed=27).problem)
    points = solver.follow(np.arange(solver.paths), 0)[0].astype(np.float64)
    points[::3] *= 1.05  # these need more steps than their neighbours
    together, backwards = points.copy(), points[::-1].copy()
    facts = solver.polish(together, 7, 1e-5)
    np.testing.assert_array_equal(solver.polish(backwards, 7, 1e-5)[::-1], facts)
    np.testing.assert_array_equal(backwards[::-1], together)
    for row in range(6):
        alone = points[row : row + 1].copy()
        np.testing.assert_array_equal(solver.polish(alone, 7, 1e-5)[0], facts[row])
        np.testing.assert_array_equal(alone[0], together[row])
    more = together.copy()
    solver.polish(more, 7)
    assert (more != together).any(), "the case must make points stop early"
