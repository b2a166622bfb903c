"""The scales that searches are relative to: step caps as the tables state them, gradients as they are measured."""

import itertools
import math

import numpy as np
import pytest

import simcore
from simcore.landscapes.spin import SphericalSpin, multiplicities
from simcore.landscapes.step_caps import confined_step_cap, sphere_step_cap, torus_step_cap, wave_step_cap

GOLDEN = {
    torus_step_cap: {1: math.inf, 3: math.inf, 4: 1.4, 5: 1.25219807, 6: 1.14309521, 7: 1.05830052, 8: 0.98994949},
    wave_step_cap: {1: math.inf, 2: math.inf, 3: 1.84752086, 5: 1.43108351, 10: 1.01192885, 50: 0.45254834},
    confined_step_cap: {1: math.inf, 2: math.inf, 3: 2.13619600, 5: 1.65469030, 8: 1.30814755},
}
"""c / sqrt(n) with c = 2.8, 3.2 and 3.7, to nine digits."""


@pytest.mark.parametrize("rule", GOLDEN, ids=lambda r: r.__name__)
def test_step_caps_are_those_of_their_tables(rule):
    for n, cap in GOLDEN[rule].items():
        assert rule(n) == pytest.approx(cap, rel=1e-8), n


@pytest.mark.parametrize(
    ("n", "p", "cap"),
    [(4, 3, math.inf), (6, 3, math.inf), (8, 3, 1.5), (12, 3, 1.5), (14, 3, 1.002004), (20, 3, 0.862069),
     (30, 3, 0.699301), (60, 3, 0.446429), (100, 3, 0.301205), (200, 3, 0.205061), (500, 3, 0.129692),
     (8, 4, 1.0), (20, 4, 0.574713), (8, 5, 0.75), (40, 4, 0.392157), (12, 6, 0.6), (20, 2, 1.724138)],
)  # fmt: skip
def test_step_caps_on_the_sphere(n, p, cap):
    assert sphere_step_cap(n, p) == pytest.approx(cap, rel=1e-5)


# ---- gradients ---------------------------------------------------------------------------------------------------
@pytest.mark.statistical
@pytest.mark.parametrize(
    ("landscape", "law"),
    [
        (simcore.TorusField(3), "uniform"),
        (simcore.GaussianField(4, features=256), "box"),
        (SphericalSpin(6), "uniform"),
    ],
    ids=lambda x: getattr(x, "name", x),
)
def test_the_gradient_scale_is_the_root_mean_square(landscape, law):
    """At points that know nothing of the function; false-alarm rate below 1e-4 (relative error of the mean: 1.5 %)."""
    squares = []
    for draw in range(400):
        f = landscape.draw(seed=9, draw=draw)
        x = landscape.starts(seed=9, draw=draw, first=0, count=4, law=law)
        squares.append((f.gradient(x) ** 2).sum(axis=1).mean())
    error = np.std(squares) / math.sqrt(len(squares)) / np.mean(squares)
    ratio = math.sqrt(np.mean(squares)) / landscape.scales.gradient
    assert abs(ratio - 1) < 4 * error / 2
    assert error < 0.08


@pytest.mark.statistical
@pytest.mark.parametrize(("n", "m"), [(2, 0.5), (5, 1.0)])
def test_the_confined_gradient_scale_is_that_at_a_typical_point_of_the_parabola(n, m):
    """Var of grad f is n from the field; at |x| = sqrt(n)/mu, where the parabola's slope mu |x| is as large, n more."""
    landscape = simcore.ConfinedField(n, m, features=256, frequencies="random")
    mu = m * math.sqrt(n)
    squares = []
    for draw in range(400):
        x = np.random.default_rng(draw).normal(size=(4, n))
        x *= math.sqrt(n) / mu / np.linalg.norm(x, axis=1, keepdims=True)
        squares.append((landscape.draw(seed=3, draw=draw).gradient(x) ** 2).sum(axis=1).mean())
    error = np.std(squares) / math.sqrt(len(squares)) / np.mean(squares)
    assert abs(np.mean(squares) / landscape.scales.gradient**2 - 1) < 4 * error
    assert error < 0.08, "half or twice the scale's square would be seen"


# ---- a tensor of the user's --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n", "p"), [(4, 2), (3, 3), (5, 3), (3, 4)])
def test_the_scale_of_couplings_of_the_law_is_one(n, p):
    """Symmetric couplings with every coefficient at its standard deviation, sqrt(orderings): rms exactly 1."""
    each = multiplicities(n, p)
    places = {
        c: 1 / math.sqrt(w) for c, w in zip(itertools.combinations_with_replacement(range(n), p), each, strict=True)
    }
    tensor = np.empty((n,) * p)
    for index in np.ndindex(tensor.shape):
        tensor[index] = places[tuple(sorted(index))]
    for unit in (1.0, 1e-6, 40.0):
        assert SphericalSpin.from_couplings(unit * tensor).scale == pytest.approx(unit, rel=1e-12)
    assert SphericalSpin(n, p).draw(seed=1).scale == 1.0


@pytest.mark.statistical
def test_the_scale_of_normal_couplings_is_one_on_average():
    """E scale^2 = 1; 30 tensors of 220 coefficients each: relative sd of the mean 1.7 %, limit 4 of them."""
    squares = [
        SphericalSpin.from_couplings(np.random.default_rng(s).normal(size=(10, 10, 10))).scale ** 2 for s in range(30)
    ]
    assert abs(np.mean(squares) - 1) < 4 * math.sqrt(2 / 220 / 30)
