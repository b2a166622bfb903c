"""Certificates in rational arithmetic: against fractions, closed cases, and what doubles alone can't certify."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

import simcore
from simcore.landscapes.spin import multiset_ranks
from simcore.proof import bezout
from simcore.proof.bezout import Homotopy
from simcore.proof.rational import whole


def homotopy(tensor):
    return Homotopy(simcore.SphericalSpin.from_couplings(tensor).problem)


def near_zero_energy(n, energy, seed=2):
    """T(e_1, e_1) = energy e_1: the zero e_1/energy lies far out."""
    tensor = np.array(simcore.SphericalSpin(n=n, p=3).draw(seed=seed)._tensor)
    tensor /= np.abs(tensor).max()
    for i in range(n):
        for q in {(i, 0, 0), (0, i, 0), (0, 0, i)}:
            tensor[q] = 0.0
    tensor[0, 0, 0] = energy
    return tensor


def far_zero(solver, n):
    """The zero of the solver's scaled polynomial far out, a double where the energy is a power of two."""
    zero = np.zeros(2 * n)
    zero[0] = 1.0 / solver.double[0]  # the entry T_111
    return zero


def test_whole_numbers_are_exact():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=20) * 10.0 ** rng.integers(-300, 300, size=20), [0.0, 1.0, -(2.0**80)]])
    numbers, shift = whole(values)
    assert [Fraction(v) for v in values] == [Fraction(int(k)) / Fraction(2) ** shift for k in numbers]
    assert shift >= 0 and set(whole(np.zeros(2))[0]) == {0}


@pytest.mark.parametrize(("n", "p"), [(2, 3), (4, 3), (3, 4), (2, 5)])
@pytest.mark.parametrize("sign", [1, -1])
def test_residual_and_derivative_are_rounded_once(n, p, sign):
    """F_i = sign sum T_(i j ...) y_j ... - y_i over all tuples, as fractions; far points too, where terms cancel."""
    solver = Homotopy(simcore.SphericalSpin(n=n, p=p).draw(seed=5).problem)
    problem, exact = simcore.SphericalSpin(n=n, p=p).draw(seed=5).problem, solver.exact()
    orderings = np.bincount(multiset_ranks(n, p, np.arange(n**p)))
    ranks = multiset_ranks(n, p, np.arange(n**p)).reshape((n,) * p)
    power = Fraction(float(solver.double[0])) / Fraction(float(problem.coefficients[0]))  # of T_(1...1), one ordering
    entries = [Fraction(c) / int(k) * power for c, k in zip(problem.coefficients, orderings, strict=True)]
    rng = np.random.default_rng(1)
    for size in (1e-3, 1.0, 1e7):
        y = size * (rng.normal(size=n) + 1j * rng.normal(size=n))
        re, im = [Fraction(v) for v in y.real], [Fraction(v) for v in y.imag]
        f = [[-re[i], -im[i]] for i in range(n)]
        j = [[[Fraction(-(i == k)), Fraction(0)] for k in range(n)] for i in range(n)]
        for i, *others in product(range(n), repeat=p):
            for held in (0, 1):  # others[0] is contracted as well, or stays
                a, b = sign * entries[ranks[(i, *others)]], Fraction(0)
                for k in others[held:]:
                    a, b = a * re[k] - b * im[k], a * im[k] + b * re[k]
                place = j[i][others[0]] if held else f[i]
                place[0] += (p - 1) * a if held else a
                place[1] += (p - 1) * b if held else b
        ours, derivative = exact.linearised(y, sign)
        assert ours.tolist() == [complex(float(a), float(b)) for a, b in f]
        assert derivative.tolist() == [[complex(float(a), float(b)) for a, b in row] for row in j]


@pytest.mark.parametrize("n", [3, 4])
def test_the_far_zero_lies_within_the_radius(n):
    """Closed case: 2^24 e_1 (times a power of two) is a zero exactly; the radius holds it and is near rounding's."""
    solver = homotopy(near_zero_energy(n, 2.0**-24))
    zero = far_zero(solver, n)
    rng = np.random.default_rng(3)
    points = zero + zero[0] * 10.0 ** rng.uniform(-15, -9, size=(40, 1)) * rng.normal(size=(40, 2 * n))
    r, alone = solver.exact().certify(points, solver.sigma, 1)
    assert np.isfinite(r).all() and (alone > r).all()
    assert (np.linalg.norm(points - zero, axis=1) <= r).all() and r.max() < 1e-12 * zero[0]
    real = zero.copy()[np.newaxis] * (1 + 1e-12)
    solver.exact().certify(real, solver.sigma, 1)
    assert (real[:, n:] == 0.0).all()


@pytest.mark.parametrize("n", [3, 5])
def test_an_energy_near_zero_is_proved_by_it_alone(n, monkeypatch):
    """|y| = 3 10^7: rounding in doubles allows F an error of more than |y|'s own rounding, so doubles prove nothing."""
    tensor = near_zero_energy(n, 2.0**-25)
    count = homotopy(tensor).run()
    assert count.proved
    ends = np.linalg.norm(count.real, axis=1)
    assert np.isclose(ends.max(), far_zero(homotopy(tensor), n)[0], rtol=1e-12)
    monkeypatch.setattr(bezout, "FEW", 0)
    assert homotopy(tensor).run().certified == 2**n - 1


@pytest.mark.parametrize("gap", [1e-5, 1e-7, 1e-9, 1e-11])
def test_two_zeros_that_nearly_meet_are_told_apart(gap):
    """n = 2, T_111 = 1, T_112 = 0, T_222 = c, T_122 = (1 + d)/2: e_1 is a zero, and one with y_2 = d/c to first order
    in d. Far closer than any tracker ends, both are certified, and differ."""
    c, d = 0.25, 0.25 * gap
    tensor = np.zeros((2, 2, 2))
    tensor[0, 0, 0], tensor[1, 1, 1] = 1.0, c
    for q in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        tensor[q] = (1 + d) / 2
    solver = homotopy(tensor)
    unit = solver.double[0]
    a = c * c + (1 + d) ** 3 / 2  # y_1 = (1 - c y_2)/(1 + d) in the first equation
    second = (c * (1 - d) + np.sqrt((c * (1 - d)) ** 2 + 4 * a * d)) / (2 * a)
    second = -d / (a * second)  # the small root, without cancellation
    zeros = np.array([[1.0, 0.0, 0.0, 0.0], [(1 - c * second) / (1 + d), second, 0.0, 0.0]]) / unit
    assert 0.5 * gap < abs(second) < 2 * gap
    settled = solver.settle(zeros + 0.01 * gap, np.array([1, 2]))
    solver.label(settled)
    assert settled.real == 2 and np.linalg.norm(settled.points - zeros, axis=1).max() < 1e-3 * gap / unit


@pytest.mark.parametrize("gap", [3e-4, 3e-5, 1e-5])
def test_a_pair_beside_the_real_line_is_not_taken_for_the_real_zero_next_to_it(gap):
    """As above with T_122 = s/2: (c^2 + s^3/2) y_2^2 - c (2 - s) y_2 + 1 - s = 0 has roots about gap (1/2 +- i), the
    real zero e_1 as near. From the pair's real part Newton's method goes far away."""
    c, s = gap / 2, 1 - 0.625 * gap**2
    tensor = np.zeros((2, 2, 2))
    tensor[0, 0, 0], tensor[1, 1, 1] = 1.0, c
    for q in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        tensor[q] = s / 2
    solver = homotopy(tensor)
    a, b = c * c + s**3 / 2, c * (2 - s)
    root = (b + 1j * np.sqrt(4 * a * (1 - s) - b * b)) / (2 * a)
    y = np.array([[1.0, 0.0], [(1 - c * root) / s, root]]) / solver.double[0]
    y = np.vstack([y, y[1].conj()])
    settled = solver.settle(np.hstack([y.real, y.imag]), np.arange(3))
    solver.label(settled)
    assert (settled.real, settled.pairs) == (1, 1) and len(settled.r) == 3


def test_a_double_zero_is_certified_by_neither():
    """The same with d = 0: DF is singular at e_1, and no radius is finite there, whatever Newton's iteration does."""
    tensor = np.zeros((2, 2, 2))
    tensor[0, 0, 0], tensor[1, 1, 1] = 1.0, 0.25
    for q in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        tensor[q] = 0.5
    solver = homotopy(tensor)
    rng = np.random.default_rng(4)
    zero = np.array([1.0, 0.0, 0.0, 0.0]) / solver.double[0]
    points = zero + 10.0 ** rng.uniform(-16, -3, size=(60, 1)) * rng.normal(size=(60, 4))
    points[0] = zero
    points[1] = np.nan
    assert np.isinf(solver.exact().certify(points, solver.sigma, 1)[0]).all()
