"""Degenerate critical points of constructed functions: each start says so, with the nullity, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import simcore

ROTATION = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]


def rotated(value, gradient, hessian):
    """The function of Q x, with its derivatives by the chain rule."""
    q = ROTATION
    return lambda x: value(q @ x), lambda x: q.T @ gradient(q @ x), lambda x: q.T @ hessian(q @ x) @ q


MONKEY = (
    lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2,
    lambda x: np.array([3 * x[0] ** 2 - 3 * x[1] ** 2, -6 * x[0] * x[1]]),
    lambda x: np.array([[6 * x[0], -6 * x[1]], [-6 * x[1], -6 * x[0]]]),
)
CASES = {  # name: (functions, n, index, nullity)
    "x^4": ((lambda x: x[0] ** 4, lambda x: 4 * x**3, lambda x: np.diag(12 * x**2)), 1, 0, 1),
    "x^3": ((lambda x: x[0] ** 3, lambda x: 3 * x**2, lambda x: np.diag(6 * x)), 1, 0, 1),
    "monkey saddle": (MONKEY, 2, 0, 2),
    "x^4 + y^2 - z^2, rotated": (
        rotated(
            lambda y: y[0] ** 4 + y[1] ** 2 - y[2] ** 2,
            lambda y: np.array([4 * y[0] ** 3, 2 * y[1], -2 * y[2]]),
            lambda y: np.diag([12 * y[0] ** 2, 2, -2]),
        ),
        3,
        1,
        1,
    ),
    "plane of minima, rotated": (
        rotated(lambda y: y[0] ** 2, lambda y: np.array([2 * y[0], 0, 0]), lambda y: np.diag([2.0, 0, 0])),
        3,
        0,
        2,
    ),
    "constant": ((lambda x: 1.0, lambda x: np.zeros(2), lambda x: np.zeros((2, 2))), 2, 0, 2),
}


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", CASES)
def test_points_whose_hessian_has_null_modes(name, backend):
    functions, n, index, nullity = CASES[name]
    landscape = simcore.CustomLandscape(*functions, simcore.Space(n), n)
    rows = simcore.find_critical_points(landscape, starts=24, seed=3, backend=backend)
    assert set(rows["status"]) == {"degenerate"}
    assert set(rows["nullity"]) == {nullity}
    assert set(rows["morse_index"]) == {index}
    assert (rows["point"] == -1).all()


@pytest.mark.parametrize("solver", [simcore.LevenbergMarquardt(), simcore.PseudoInverseNewton()])
def test_other_solvers_see_the_same(solver):
    for functions, n, index, nullity in (CASES["x^4"], CASES["monkey saddle"]):
        landscape = simcore.CustomLandscape(*functions, simcore.Space(n), n)
        rows = simcore.find_critical_points(landscape, starts=24, seed=3, solver=solver)
        assert set(zip(rows["status"], rows["morse_index"], rows["nullity"], strict=True)) == {
            ("degenerate", index, nullity)
        }


def tensor_of_constant(n, p):
    """|x|^p as a tensor of p = 2 or 4 indices: constant on the sphere, so that every point is critical."""
    one = np.eye(n)
    return one if p == 2 else np.einsum("ij,kl->ijkl", one, one)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("unit", [1e-7, 1.0, 1e7])
@pytest.mark.parametrize(("n", "p"), [(2, 2), (3, 2), (8, 2), (4, 4)])
def test_a_constant_on_the_sphere_is_degenerate_everywhere(n, p, unit, backend):
    """Its Riemannian Hessian is rounding alone, of no meaning relative to its own norm."""
    draw = simcore.SphericalSpin.from_couplings(unit * tensor_of_constant(n, p))
    rows = simcore.find_critical_points(draw, starts=48, seed=1, backend=backend)
    assert set(rows["status"]) == {"degenerate"}
    assert set(rows["nullity"]) == {n - 1}
    assert set(rows["morse_index"]) == {0}


@pytest.mark.parametrize("values", [[1, 1, 2], [1, 1, 1, 1, 2, 3], [1, 2, 2, 2, 5, 7, 7]])
def test_repeated_eigenvalues_of_a_quadratic_form(values):
    """An eigenvalue of multiplicity m gives a sphere of critical points, of nullity m - 1."""
    n = len(values)
    q = np.linalg.qr(np.random.default_rng(n).normal(size=(n, n)))[0]
    rows = simcore.find_critical_points(
        simcore.SphericalSpin.from_couplings(q @ np.diag(values) @ q.T), starts=192, seed=1
    )
    assert set(rows["status"]) == {"critical", "degenerate"}
    spectrum = np.array(values) / np.sqrt(n)
    for cost, index, nullity in zip(rows["cost"], rows["morse_index"], rows["nullity"], strict=True):
        same = np.abs(spectrum - cost) < 1e-9
        assert nullity == same.sum() - 1
        assert index == (spectrum < cost - 1e-9).sum()


def test_a_cube_on_the_sphere_has_two_poles_and_a_degenerate_equator():
    a = np.random.default_rng(0).normal(size=5)
    rows = simcore.find_critical_points(
        simcore.SphericalSpin.from_couplings(np.einsum("i,j,k->ijk", a, a, a)), starts=96
    )
    poles = rows[rows["status"] == "critical"]
    assert len(poles) and set(poles["morse_index"]) <= {0, 4}
    assert np.abs(poles["cost"]).to_numpy() == pytest.approx((a @ a) ** 1.5 / 5**0.5)
    equator = rows[rows["status"] != "critical"]
    assert set(equator["status"]) == {"degenerate"}
    assert equator["nullity"].min() >= 3


def test_a_tail_that_falls_for_ever_is_no_critical_point():
    tail = (lambda x: np.exp(-x[0]), lambda x: -np.exp(-x), lambda x: np.diag(np.exp(-x)))
    for backend in ("cpu", "reference"):
        landscape = simcore.CustomLandscape(*tail, simcore.Space(1), 1)
        rows = simcore.find_critical_points(landscape, starts=24, backend=backend)
        assert not set(rows["status"]) & {"critical", "degenerate"}


def test_units_do_not_matter_to_the_other_solvers_either():
    """The tolerance follows the size of the user's couplings, whatever the solver."""
    tensor = np.random.default_rng(2).normal(size=(4, 4, 4))
    outcomes = [
        simcore.find_critical_points(
            simcore.SphericalSpin.from_couplings(unit * tensor), starts=24, solver=simcore.LevenbergMarquardt()
        )[["status", "morse_index", "point"]]
        for unit in (1e-9, 1.0, 1e9)
    ]
    assert (outcomes[1]["status"] == "critical").sum() > 12
    assert outcomes[0].equals(outcomes[1])
    assert outcomes[2].equals(outcomes[1])
