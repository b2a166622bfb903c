"""Certificates of zeros: against exact arithmetic, against cases in which each constant is attained, and corrupted."""

from fractions import Fraction

import numpy as np
import pytest

import simcore
from simcore.landscapes.spin import multiplicities
from simcore.proof.bezout import Homotopy
from simcore.proof.certificate import UNIT, judge, operator_bound, radii
from simcore.proof.polish import polish
from simcore.proof.tensor import workspace


def exact_tensor(problem, scaled):
    """The symmetric tensor as fractions, in the solver's scale (a power of two)."""
    n = problem.n
    from itertools import combinations_with_replacement, permutations

    entries = {}
    for c, m, s in zip(
        problem.coefficients, multiplicities(n, 3), combinations_with_replacement(range(n), 3), strict=True
    ):
        for q in set(permutations(s)):
            entries[q] = Fraction(float(c)) / int(m) * scaled
    return entries


def scale_of(problem, solver):
    first = problem.coefficients[0]  # the entry T_111, of multiplicity 1
    return Fraction(float(solver.double[0])) / Fraction(float(first))


def exact_residual(tensor, n, point):
    """|T(x, x) - x|, T and x exact."""
    re, im = ([Fraction(float(v)) for v in part] for part in (point[:n], point[n:]))
    total = Fraction(0)
    for i in range(n):
        a = b = Fraction(0)
        for j in range(n):
            for k in range(n):
                t = tensor[i, j, k]
                a += t * (re[j] * re[k] - im[j] * im[k])
                b += t * (re[j] * im[k] + im[j] * re[k])
        total += (a - re[i]) ** 2 + (b - im[i]) ** 2
    return float(total) ** 0.5


def points_round(solver, number, rng):
    """Points at and round zeros, from rounding error to far away."""
    count = solver.run()
    zeros = np.hstack([count.real, np.zeros_like(count.real)])
    base = zeros[rng.integers(len(zeros), size=number)]
    size = 10.0 ** rng.uniform(-17, 0, size=(number, 1))
    return base + size * rng.normal(size=base.shape)


@pytest.mark.parametrize(("n", "number"), [(3, 150), (4, 50), pytest.param(4, 1000, marks=pytest.mark.long)])
def test_no_residual_errs_by_more_than_its_bound(n, number):
    rng = np.random.default_rng(n)
    problem = simcore.SphericalSpin(n=n, p=3).draw(seed=11).problem
    solver = Homotopy(problem)
    tensor = exact_tensor(problem, scale_of(problem, solver))
    points = points_round(solver, number, rng)
    facts = np.empty((number, 5))
    polish(solver.double, solver.tables, n, 3, 0, 0.0, True, workspace(solver.double, n, 3), points, facts)
    norm = np.linalg.norm(points, axis=1)
    bound = (4 * n + 16) * UNIT * (solver.tensor * norm**2 + norm)
    for point, computed, allowed in zip(points, facts[:, 2], bound, strict=True):
        assert abs(exact_residual(tensor, n, point) - computed) <= allowed


@pytest.mark.parametrize(("n", "number"), [(3, 100), pytest.param(4, 1000, marks=pytest.mark.long)])
def test_the_zero_lies_within_the_radius_and_the_next_one_beyond(n, number):
    """Fifty digits: Newton's method from the certified point ends within r of it."""
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(100 + n)
    problem = simcore.SphericalSpin(n=n, p=3).draw(seed=12).problem
    solver = Homotopy(problem)
    scale = scale_of(problem, solver)
    tensor = exact_tensor(problem, scale)
    points = points_round(solver, number, rng)
    r, alone = solver.certify(points, 0)
    proved = np.isfinite(r)
    assert proved.sum() > number // 2
    with mpmath.workdps(50):
        T = {q: mpmath.mpf(v.numerator) / v.denominator for q, v in tensor.items()}
        for point, near, far in zip(points[proved], r[proved], alone[proved], strict=True):
            x0 = [mpmath.mpc(a, b) for a, b in zip(point[:n], point[n:], strict=True)]
            x = mpmath.matrix(x0)
            for _ in range(8):
                A = mpmath.matrix(n, n)
                for i in range(n):
                    for j in range(n):
                        A[i, j] = sum(T[i, j, k] * x[k] for k in range(n))
                step = mpmath.lu_solve(2 * A - mpmath.eye(n), A * x - x)
                x = x - step
            assert mpmath.norm(step) < 1e-30
            distance = mpmath.norm(x - mpmath.matrix(x0))
            assert distance <= near < far


def test_the_radii_are_attained_in_one_dimension():
    """t y^2 - y has the zeros 0 and 1/t, r and R away from a real y, K = 1/F'; 1 % to spare."""
    t = 1.7
    y = np.array([0.6, 0.65, 0.7, 0.8, 0.9])
    slope = 2 * t * y - 1
    near, alone = judge(np.abs((t * y**2 - y) / slope), np.zeros_like(y), 2 * t / np.abs(slope))
    gaps = np.sort(np.abs(np.array([y, y - 1 / t])), axis=0)
    assert np.isfinite(near).all()
    assert (near >= gaps[0]).all() and (near <= 1.05 * gaps[0]).all()
    assert (alone <= gaps[1]).all() and (alone >= 0.95 * gaps[1]).all()


def test_the_operator_bound_is_one_and_is_attained():
    rng = np.random.default_rng(1)
    for n in (2, 5, 14):
        matrix = rng.normal(size=(n, n * n))
        largest = np.linalg.svd(matrix, compute_uv=False)[0]
        assert largest <= operator_bound(matrix) <= 1.02 * largest
    v = rng.normal(size=6)
    rank_one = np.einsum("i,j,k->ijk", v, v, v)  # |T(v, v)| = |v|^3 |v|: the bound is reached
    bound = operator_bound(rank_one.reshape(6, 36))
    assert np.linalg.norm(v) ** 3 <= bound <= 1.02 * np.linalg.norm(v) ** 3
    assert operator_bound(np.zeros((3, 9))) < 1e-100


def test_corrupted_zeros_are_never_certified_as_another():
    """100,000 points round one zero, from rounding error to beyond the next zero: a certificate holds the zero that is
    there, and no second one."""
    n = 5
    problem = simcore.SphericalSpin(n=n, p=3).draw(seed=3).problem
    solver = Homotopy(problem)
    zeros = all_zeros(solver)
    rng = np.random.default_rng(5)
    k = 7
    size = 10.0 ** rng.uniform(-16, 0.5, size=(100_000, 1))
    points = zeros[k] + size * rng.normal(size=(100_000, 2 * n)) * np.linalg.norm(zeros[k]) / np.sqrt(2 * n)
    r, alone = solver.certify(points, 0)
    proved = np.flatnonzero(np.isfinite(r))
    assert len(proved) > 20_000
    gaps = np.linalg.norm(points[proved, np.newaxis] - zeros, axis=2)
    order = np.sort(gaps, axis=1)
    assert (order[:, 0] <= r[proved] + 1e-12).all()
    assert (order[:, 1] >= alone[proved] - 1e-12).all()


def all_zeros(solver):
    """All 2^n zeros of a proved draw, 0 included."""
    n = solver.n
    ends, arrived, _ = solver.follow(np.arange(solver.paths), 2)
    assert arrived.all()
    zeros = solver.settle(ends.astype(np.float64), np.arange(solver.paths))
    solver.label(zeros)
    assert solver.missing(zeros) == 0
    first = np.unique(zeros.label, return_index=True)[1]
    upper = zeros.points[first]
    lower = upper[(upper[:, n:] != 0).any(axis=1)].copy()
    lower[:, n:] *= -1
    return np.vstack([np.zeros(2 * n), upper, lower])


def test_planted_duplicates_and_losses_never_fill_the_bound():
    n = 6
    solver = Homotopy(simcore.SphericalSpin(n=n, p=3).draw(seed=4).problem)
    ends, _, _ = solver.follow(np.arange(solver.paths), 2)
    paths = np.arange(solver.paths)
    rng = np.random.default_rng(6)
    for trial in range(200):
        doctored = ends.astype(np.float64)
        lost = rng.integers(solver.paths)
        mode = trial % 4
        if mode == 0:  # another path's end in its place
            doctored[lost] = doctored[rng.integers(solver.paths)]
        elif mode == 1:  # its neighbour, moved a little
            doctored[lost] = doctored[(lost + 1) % solver.paths] * (1 + 1e-9 * rng.normal(size=2 * n))
        elif mode == 2:  # noise of any size
            doctored[lost] += 10.0 ** rng.uniform(-12, 1) * rng.normal(size=2 * n)
        else:  # not a number
            doctored[lost, rng.integers(2 * n)] = np.nan
        zeros = solver.settle(doctored, paths)
        solver.label(zeros)
        found = solver.missing(zeros)
        assert found >= 0
        points = zeros.points[np.unique(zeros.label[zeros.label >= 0], return_index=True)[1]]
        truth = distinct_by_rounding(points, n)
        assert solver.paths - found == truth


def distinct_by_rounding(points, n):
    """How many zeros the points stand for, by their distances alone: far above rounding."""
    kept = []
    total = 0
    for point in points:
        if all(np.linalg.norm(point - other) > 1e-6 for other in kept):
            kept.append(point)
            total += 1 if (point[n:] == 0).all() else 2
    return total


def test_nothing_is_proved_of_infinities():
    facts = np.array([[np.inf, 0, 0, 1, 0], [1, np.nan, 0, 1, 0], [1, 0, np.inf, 1, 0], [0, 0, 0, 0, 0.0]])
    points = np.ones((4, 6))
    points[3] = np.nan
    r, alone = radii(points, facts, 1.0, 1.0, 3)
    assert np.isinf(r).all() and (alone == 0).all()


# ---- each term of the bounds, where it alone decides --------------------------------------------------------------
def facts_of(inverse, defect=0.0, residual=0.0, size=0.0):
    return np.array([[inverse, defect, residual, size, 0.0]])


def within(value, exact):
    """An upper bound that its constant attains: at most 6 % of spare."""
    return exact <= value <= 1.06 * exact


@pytest.mark.parametrize("n", [1, 3])
def test_rounding_alone_makes_a_radius(n):
    """|F| computed is 0: eta = |K| (4 n + 16) u (|T| |y|^2 + |y|), and r = eta."""
    tensor, inverse = 5.0, 2.0
    for length in (1e-3, 0.7):  # either term of the two may be the larger one
        point = np.full((1, 2 * n), length / np.sqrt(2 * n))
        error = (4 * n + 16) * UNIT * (tensor * length**2 + length)
        assert within(radii(point, facts_of(inverse), tensor, 0.1, 3)[0][0], inverse * error)
        m = 3
        error = (4 * n + 16) * m * UNIT * (tensor * length**m + length)
        assert within(radii(point, facts_of(inverse), tensor, 0.1, 4)[0][0], inverse * error)


@pytest.mark.parametrize("p", [3, 4])
@pytest.mark.parametrize("term", ["defect", "product", "derivative", "identity"])
def test_each_part_of_the_defect_widens_the_radius(p, term):
    """delta = 0.1 by one of its terms alone: r = eta/0.9 in place of eta."""
    n, m, tensor, length, wanted = 2, p - 1, 1.0, 1e-9, 0.1
    made = {"inverse": 1.0}
    rate = (2 * n + 20) * UNIT if p == 3 else m * (4 * n + 16) * m * UNIT  # of dJ
    if term == "defect":
        made["defect"] = wanted
    elif term == "product":
        made["size"] = wanted / ((4 * n + 8) * UNIT)
    elif term == "identity":  # sqrt(n) of dJ
        made["inverse"] = wanted / (rate * np.sqrt(n))
    else:  # |T| |y|^(m - 1) of it
        tensor = 1e6
        length = (1e-3 * wanted / (UNIT * tensor)) ** (1 / (m - 1))
        made["inverse"] = wanted / (rate * (tensor * length ** (m - 1) + np.sqrt(n)))
    point = np.full((1, 2 * n), length / np.sqrt(2 * n))
    error = (4 * n + 16) * (1 if p == 3 else m) * UNIT * (tensor * length**m + length)
    residual = 1e-3 * length / made["inverse"]
    facts = facts_of(residual=residual, **made)
    r = radii(point, facts, tensor, 0.0, p)[0][0]
    assert within(r, made["inverse"] * (residual + error) / (1 - wanted))


def test_no_second_zero_is_nearer_than_omega_allows():
    """omega = 2 sigma |K| for p = 3 and m (m - 1) sigma (|y| + |y|/20)^(m - 2) |K| beyond, attained by t y^m - y."""
    sigma, inverse = 3.0, 50.0
    point = np.array([[0.6, 0.0]])
    alone = radii(point, facts_of(inverse), 0.0, sigma, 3)[1][0]
    assert 0.95 / (sigma * inverse) < alone < 1 / (sigma * inverse)
    for p in (4, 5):
        m = p - 1
        omega = m * (m - 1) * sigma * (1.05 * 0.6) ** (m - 2) * inverse
        alone = radii(point, facts_of(inverse), 0.0, sigma, p)[1][0]
        assert 0.93 / omega < alone < 1 / omega


def test_far_from_the_next_zero_a_twentieth_of_the_length_is_the_reach():
    alone = radii(np.array([[0.6, 0.0]]), facts_of(1e-3), 0.0, 1.0, 4)[1][0]
    assert 0.97 * 0.03 < alone < 0.03
