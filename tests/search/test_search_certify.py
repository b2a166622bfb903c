"""Certificates: confirmed at 50 digits, refused for near-misses, their constants checked against the functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fifty_digits import derivatives, exact, length, newton

import simcore
from simcore.backends.families.spin import terms as _spin_terms
from simcore.backends.families.waves import terms as _wave_terms
from simcore.backends.family import Derivatives
from simcore.landscapes.spin import SphericalSpin, multiplicities
from simcore.landscapes.waves import ConfinedField, GaussianField, TorusField, WaveDraw
from simcore.search.certify import certify, derivatives_at
from simcore.search.enumerate import enumerate_critical_points
from simcore.search.search import Search
from simcore.search.target import Target

CASES = [SphericalSpin(8), SphericalSpin(5, p=4), TorusField(4), ConfinedField(2, 0.5)]


def target_of(draw, backend="cpu"):
    return Target.of(Search.of(draw.landscape, seed=1, backend=backend), draw)


def enumerated(landscape, draw=0, seed=1):
    target = target_of(landscape.draw(seed=seed, draw=draw))
    points = enumerate_critical_points(landscape, draw=draw, seed=seed, threads=1).points
    return target, np.stack(points["x"].to_list()), points["morse_index"].to_numpy()


@pytest.mark.parametrize("landscape", CASES, ids=lambda x: f"{x.name}{x.n}")
def test_certified_points_are_confirmed_at_50_digits(landscape):
    target, x, index = enumerated(landscape)
    proof = certify(target, x, index)
    assert proof.certified.mean() > 0.999
    for i in range(0, len(x), max(1, len(x) // 8)):
        point, exact_index = newton(target.problem, x[i])
        assert exact_index == index[i]
        assert length(exact(x[i]) - point) <= proof.existence[i]


@pytest.mark.parametrize("landscape", CASES, ids=lambda x: f"{x.name}{x.n}")
def test_near_misses_are_refused(landscape):
    target, x, index = enumerated(landscape)
    direction = np.random.default_rng(1).normal(size=x.shape)
    if landscape.name == "spherical_spin":
        direction -= x * np.einsum("ij,ij->i", direction, x)[:, None] / landscape.n
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    assert not certify(target, x + 1e-6 * direction, index).certified.any()
    assert not certify(target, x, index + 1).certified.any(), "a wrong index is no proof"
    nearby = certify(target, x + 1e-12 * direction, index)
    assert nearby.certified.mean() > 0.99


@pytest.mark.filterwarnings("ignore::simcore.IncompleteWarning")
def test_points_with_a_near_zero_eigenvalue_are_refused():
    # cos x + a cos 2x at 0: f'' = -(1 + 4a) = eps, f''' = 0, f'''' = 1 + 16 a: three critical points within sqrt(eps)
    class Pitchfork(WaveDraw):
        eps = 1e-9

        @property
        def problem(self):
            from simcore.backends.problems import Waves

            a = -(1 + self.eps) / 4
            return Waves(np.array([[1.0], [2.0]]), np.array([1.0, a]), np.zeros(2), 0.0, 2 * np.pi)

    draw = Pitchfork(TorusField(1), 0, 0)
    eigenvalue = draw.hessian(np.zeros(1))[0, 0]
    assert 0 < abs(eigenvalue) < 1e-8
    index = np.array([int(eigenvalue < 0)])
    # the point is exact, and still nothing is proved: rounding alone may hide the sign
    assert not certify(target_of(draw), np.zeros((1, 1)), index).certified[0] or Pitchfork.eps > 1e-6
    for eps in (1e-6, 1e-3):
        Pitchfork.eps = eps
        draw = Pitchfork(TorusField(1), 0, 0)
        proof = certify(target_of(draw), np.zeros((1, 1)), np.array([int(draw.hessian(np.zeros(1))[0, 0] < 0)]))
        assert proof.certified[0]
        assert proof.uniqueness[0] < np.sqrt(2 * eps), "the neighbours of the pitchfork lie outside"

    matrix = np.diag([1.0, 1.0 + 1e-13, 3.0])
    found = enumerate_critical_points(simcore.SphericalSpin.from_couplings(matrix), starts=48, max_starts=48)
    close = np.abs(found.points["cost"] - 1 / np.sqrt(3)) < 1e-9
    assert not found.points.loc[close, "certified"].any()
    assert found.audit["proved"] or not found.audit["complete"] or not close.any()  # disjoint intervals prove the list


@pytest.mark.parametrize("landscape", CASES, ids=lambda x: f"{x.name}{x.n}")
def test_balls_are_disjoint_and_hold_one_point_each(landscape):
    target, x, index = enumerated(landscape, draw=3)
    proof = certify(target, x, index)
    assert (proof.radius[proof.certified] > 0).all()
    gap = np.abs(x[:, None] - x[None])
    if proof.period:
        gap = np.minimum(gap, proof.period - gap)
    distance = np.linalg.norm(gap, axis=2)
    reach = proof.radius[:, None] + proof.radius[None]
    np.fill_diagonal(distance, np.inf)
    assert (distance > reach).all()
    assert (distance > proof.uniqueness[:, None]).all(), "another critical point lies inside a ball of uniqueness"


@pytest.mark.parametrize("landscape", [*CASES, GaussianField(6, features=200)], ids=lambda x: f"{x.name}{x.n}")
def test_derivatives_err_by_less_than_the_bounds(landscape):
    draw = landscape.draw(seed=2)
    target = target_of(draw)
    x = landscape.starts(seed=2, draw=0, first=0, count=6)
    _, gradient, hessian = target.evaluate(x)
    zero = np.zeros(len(x))
    waves = landscape.name != "spherical_spin"
    terms = (_wave_terms if waves else _spin_terms)(draw.problem, x, Derivatives(zero, zero, zero, zero, zero))
    gradient_bound = terms.residual if waves else np.array([_slope_bound(draw.problem)] * len(x))
    for i in range(len(x)):
        exact_gradient, exact_hessian = derivatives(draw.problem, x[i])
        error = length(exact(gradient[i]) - exact_gradient)
        assert error < gradient_bound[i]
        assert error > 1e-6 * gradient_bound[i], "the bound is so loose that it is a mistake"
        if waves:
            assert length(exact(hessian[i]) - exact_hessian) < -terms.sigma[i]


def _slope_bound(problem):
    tensor = np.sqrt((problem.coefficients**2 / multiplicities(problem.n, problem.p)).sum())
    n, p = problem.n, problem.p
    operations = math.comb(n + p - 3, p - 2) + (p + 4) * n + 4 * p + 20
    return 2 * 2.0**-53 * operations * problem.p * tensor * problem.n ** ((problem.p - 1) / 2)


@pytest.mark.parametrize("landscape", [TorusField(3), GaussianField(4, features=50)], ids=lambda x: x.name)
def test_the_hessian_changes_no_faster_than_the_constant(landscape):
    draw = landscape.draw(seed=3)
    x = landscape.starts(seed=3, draw=0, first=0, count=300)
    step = 0.02 * np.random.default_rng(4).normal(size=x.shape)
    change = np.linalg.norm(draw.hessian(x + step) - draw.hessian(x), ord=2, axis=(1, 2)) / np.linalg.norm(step, axis=1)
    constant = _wave_terms(draw.problem, x, derivatives_at(target_of(draw), x)).lipschitz
    assert change.max() < constant
    assert change.max() > constant / 200


def test_the_lagrangian_changes_no_faster_than_the_constant():
    draw = SphericalSpin(6, p=4).draw(seed=3)
    problem, n, p = draw.problem, 6, 4
    tensor = draw._tensor
    x = draw.landscape.starts(seed=3, draw=0, first=0, count=200)
    terms = _spin_terms(problem, x, derivatives_at(target_of(draw), x))
    inverse_scale = p * (p - 1) * np.linalg.norm(tensor) * np.sqrt(n) ** (p - 3)

    def lagrangian(point, nu):
        full = np.zeros((n + 1, n + 1))
        full[:n, :n] = p * (p - 1) * np.einsum("ijkl,k,l->ij", tensor, point, point) - nu * inverse_scale * np.eye(n)
        full[:n, n] = full[n, :n] = -inverse_scale * point
        return full

    rng = np.random.default_rng(5)
    for point in x:
        a, b = rng.normal(size=n), rng.normal()
        size = 0.01 / np.hypot(np.linalg.norm(a), b)
        change = lagrangian(point + size * a, size * b) - lagrangian(point, 0.0)
        assert np.linalg.norm(change, 2) < terms.lipschitz * 0.01
    # and its Hessian's smallest |eigenvalue| and inertia at critical points are bounded as stated
    target, points, index = enumerated(SphericalSpin(6, p=4), seed=3)
    at = derivatives_at(target, points)
    terms = _spin_terms(problem, points, at)
    for i, point in enumerate(points):
        full = lagrangian(point, p * at.value[i] / n / inverse_scale)
        spectrum = np.linalg.eigvalsh(full)
        assert (spectrum < 0).sum() == index[i] + 1
        assert 0 < terms.sigma[i] <= np.abs(spectrum).min()


@pytest.mark.parametrize("landscape", [*CASES, GaussianField(6, features=200), TorusField(1)], ids=lambda x: x.name)
def test_gaps_hold_no_eigenvalue_on_any_backend(landscape):
    target = target_of(landscape.draw(seed=4))
    x = landscape.starts(seed=4, draw=0, first=0, count=211)
    compiled = derivatives_at(target, x)
    plain = derivatives_at(target_of(landscape.draw(seed=4), "reference"), x)
    for name in ("value", "slope", "size"):
        np.testing.assert_allclose(getattr(compiled, name), getattr(plain, name), rtol=1e-10, atol=1e-13)
    np.testing.assert_array_equal(compiled.negative, plain.negative)
    assert (compiled.gap <= plain.gap).all()
    assert (compiled.gap >= 0.499 * np.minimum(plain.gap, plain.size / landscape.dimension)).all()


def test_a_function_without_a_bound_gets_no_certificate():
    circle = simcore.CustomLandscape(np.sum, np.ones_like, lambda x: np.zeros((2, 2)), simcore.Sphere(2), 2)
    target = target_of(circle.draw(seed=0))
    proof = certify(target, np.array([[1.0, 1.0]]), np.array([1]))
    assert not proof.certified.any()
    assert np.isinf(proof.existence).all()


@pytest.mark.long
@pytest.mark.parametrize(
    ("landscape", "draws"), [(SphericalSpin(8), 82), (TorusField(4), 240)], ids=lambda x: str(x)[:12]
)
def test_ten_thousand_certified_points_at_50_digits(landscape, draws):
    confirmed = 0
    for draw in range(draws):
        target, x, index = enumerated(landscape, draw=draw, seed=77)
        proof = certify(target, x, index)
        assert proof.certified.mean() > 0.98
        for i in np.flatnonzero(proof.certified):
            point, exact_index = newton(target.problem, x[i])
            assert exact_index == index[i]
            assert length(exact(x[i]) - point) <= proof.existence[i]
            confirmed += 1
    assert confirmed >= 9_900
