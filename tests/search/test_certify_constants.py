"""Every constant of a certificate is attained by some function: half of one would be seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

import simcore
from simcore.backends.families import network_bounds
from simcore.backends.families.spin import terms as _spin_terms
from simcore.backends.families.waves import terms as _wave_terms
from simcore.backends.family import UNIT, Derivatives
from simcore.landscapes.spin import SphericalSpin
from simcore.search.certify import Certificate, _judge
from simcore.search.search import Search
from simcore.search.target import Target

GRID = np.linspace(0.0, 2 * np.pi, 20_001)


def problem_of(draw):
    return Target.of(Search.of(draw.landscape, seed=1, backend="reference"), draw).problem


def at(rows, *, gap=1.0, size=0.0, slope=0.0, value=0.0):
    one = np.ones(rows)
    return Derivatives(value * one, slope * one, size * one, np.zeros(rows, np.int64), gap * one)


def third_along(problem, direction):
    """Return max |D^3 f[u, u, u]| of a sum of waves on a grid along u: sum of c_m (w_m.u)^3 sin(w_m.u t) and so on."""
    rate = problem.frequencies @ direction
    phase = np.outer(GRID * 40, rate)
    return np.abs((problem.cosine * np.sin(phase) - problem.sine * np.cos(phase)) @ rate**3).max()


@pytest.mark.parametrize(
    "landscape", [simcore.TorusField(1), simcore.GaussianField(1, features=1)], ids=lambda x: x.name
)
@pytest.mark.parametrize("draw", range(3))
def test_a_single_wave_attains_the_lipschitz_constant(landscape, draw):
    problem = problem_of(landscape.draw(seed=4, draw=draw))
    terms = _wave_terms(problem, np.zeros((1, 1)), at(1))
    assert third_along(problem, np.ones(1)) == pytest.approx(terms.lipschitz, rel=1e-4)


def test_parallel_waves_in_phase_attain_it_in_two_dimensions():
    """f = sin(w.x) + sin(2 w.x) with w of norm 5: |D^3 f| = (1 + 8) 5^3 at 0, along w."""
    from simcore.backends.problems import Waves

    w = np.array([3.0, 4.0])
    problem = Waves(np.array([w, 2 * w]), np.zeros(2), np.ones(2), 0.0, 2 * np.pi)
    terms = _wave_terms(problem, np.zeros((1, 2)), at(1))
    assert third_along(problem, w / 5) == pytest.approx(9 * 125, rel=1e-12)
    assert terms.lipschitz == pytest.approx(9 * 125, rel=1e-12)


@pytest.mark.parametrize(("n", "p"), [(3, 3), (5, 3), (4, 4), (3, 5)])
def test_a_rank_one_tensor_attains_the_spin_constant(n, p):
    """f = c (a.x)^p: D^3 f[u, u, u] = c p(p-1)(p-2) |a|^3 (a.x)^(p-3) at u = a/|a|, largest at |x| = sqrt n + rho.

    The constraint's own part, 3 (b/s)|a|^2 on |a|^2 + b^2 = 1, is largest at b^2 = 1/3: (2/sqrt 3)/s.
    """
    a = np.random.default_rng(n + p).normal(size=n)
    tensor = a
    for _ in range(p - 1):
        tensor = np.multiply.outer(tensor, a)
    draw = SphericalSpin.from_couplings(tensor)
    problem = problem_of(draw)
    x = (math.sqrt(n) * a / np.linalg.norm(a))[None]
    terms = _spin_terms(problem, x, at(1, value=draw.value(x[0])))
    outer = math.sqrt(n) + terms.reach
    size = draw.value(x[0]) / math.sqrt(n) ** p  # c |a|^p = f at |x| = 1
    attained = p * (p - 1) * (p - 2) * abs(size) * outer ** (p - 3)
    b = np.linspace(0, 1, 100_001)
    inverse_scale = p * (p - 1) * abs(size) * math.sqrt(n) ** (p - 3)
    constraint = (3 * b * (1 - b**2)).max() * inverse_scale
    assert float(np.max(terms.lipschitz)) == pytest.approx(attained + constraint, rel=1e-8)


def test_rounding_of_the_eigenvalues_lowers_sigma():
    """10 n u |H|_F: with |H| = 1e3 at n = 4, 4e-11, a gap of 1e-14 is no gap."""
    waves = problem_of(simcore.TorusField(4).draw(seed=1))
    spins = problem_of(SphericalSpin(4).draw(seed=1))
    network = simcore.MLP((2, 2, 1), "tanh", "mse", ([[0.0, 1.0], [1.0, 0.5]], [0.0, 1.0])).draw(seed=1)
    from simcore.backends.families.network_bounds import terms as _network_terms

    for terms, problem, n in (
        (_wave_terms, waves, 4),
        (_spin_terms, spins, 4),
        (_network_terms, network.problem, network.landscape.n),
    ):
        x = np.full((1, n), 1.0) if terms is not _spin_terms else np.ones((1, n))
        without, with_size = (terms(problem, x, at(1, gap=1e-14, size=size)).sigma[0] for size in (0.0, 1e3))
        assert without - with_size == pytest.approx(10 * n * UNIT * 1e3, rel=1e-3)
        assert with_size < 0 or n * UNIT * 1e4 < 1e-14


def test_nothing_is_proved_within_the_rounding_of_an_eigenvalue():
    """cos x + a cos 2x with f''(0) about 1e-14: its sign is rounding."""
    from simcore.landscapes.waves import TorusField, WaveDraw
    from simcore.search.certify import certify

    class Pitchfork(WaveDraw):
        @property
        def problem(self):
            from simcore.backends.problems import Waves

            return Waves(np.array([[1.0], [2.0]]), np.array([1.0, -(1 + 1e-14) / 4]), np.zeros(2), 0.0, 2 * np.pi)

    draw = Pitchfork(TorusField(1), 0, 0)
    target = Target.of(Search.of(draw.landscape, seed=1, backend="reference"), draw)
    for index in (0, 1):
        assert not certify(target, np.zeros((1, 1)), np.array([index])).certified.any()


# ---- activations of small networks -------------------------------------------------------------------------------
def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _orders(name, z):
    """Return phi', phi'', phi''' in closed form, in powers of t = tanh z or s = sigmoid z."""
    if name == "tanh":
        t = np.tanh(z)
        return 1 - t**2, -2 * t * (1 - t**2), (1 - t**2) * (6 * t**2 - 2)
    s = _sigmoid(z)
    one, two = s * (1 - s), s * (1 - s) * (1 - 2 * s)
    if name == "sigmoid":
        return one, two, one * (1 - 6 * one)
    if name == "softplus":
        return s, one, two
    return np.ones_like(z), np.zeros_like(z), np.zeros_like(z)


@pytest.mark.parametrize("name", network_bounds.SLOPES)
def test_bounds_on_activations_are_attained_on_a_grid(name):
    z = np.linspace(-30, 30, 600_001)
    for found, bound in zip(_orders(name, z), network_bounds.SLOPES[name], strict=True):
        largest = np.abs(found).max()
        assert largest <= bound * (1 + 1e-12)
        assert largest >= bound * (1 - 1e-6)


def test_the_closed_forms_of_the_grid_are_derivatives():
    z, h = np.linspace(-3, 3, 61), 1e-5
    for name in network_bounds.SLOPES:
        for k in (0, 1):
            difference = (_orders(name, z + h)[k] - _orders(name, z - h)[k]) / (2 * h)
            np.testing.assert_allclose(difference, _orders(name, z)[k + 1], atol=1e-8)


# ---- the theorem itself --------------------------------------------------------------------------------------------
def test_both_radii_are_attained_by_a_parabola():
    """F(y) = L (y^2 - z^2)/2 has the zeros z and -z, y - z and y + z away from y > z > 0: t and T with equality."""
    y, lipschitz = 0.8, 3.0
    z = y * np.array([0.15, 0.5, 0.9, 0.999])
    residual, sigma = lipschitz * (y**2 - z**2) / 2, np.full(4, lipschitz * y)
    certified, near, alone = np.empty(4, bool), np.empty(4), np.empty(4)
    index = np.zeros(4, np.int64)
    _judge(residual, sigma, np.full(4, lipschitz), (math.inf, 1.0, 10.0), index, index, certified, near, alone)
    assert certified.all()
    assert (near >= y - z).all() and (near <= 1.02 * (y - z)).all()
    assert (alone <= y + z).all() and (alone >= 0.98 * (y + z)).all()
    beyond = np.array([lipschitz * y**2 / 2 * 1.001])  # no real zero: h > 1/2
    _judge(beyond, sigma[:1], np.full(1, lipschitz), (math.inf, 1.0, 10.0), index, index, certified[:1], near, alone)
    assert not certified[0]


def test_disjoint_balls_by_hand():
    """(T - t)/2 - t; none where nothing is certified, or where t is more than a third of T."""
    certified = np.array([True, True, False])
    proof = Certificate(np.zeros((3, 1)), 0.0, certified, np.array([0.1, 0.4, np.inf]), np.array([1.0, 1.0, 0.0]))
    assert proof.radius.tolist() == pytest.approx([0.35, 0.0, 0.0])
