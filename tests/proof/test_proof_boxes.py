"""Exclusion by boxes: proved lists, never a proof with a point withheld, and bounds that are attained."""

import numpy as np
import pytest

import simcore
from simcore.backends.problems import Waves
from simcore.proof.boxes import covered, prove_by_boxes, slacks
from simcore.search.certify import certify
from simcore.search.search import Search
from simcore.search.target import Target


def enumerated(landscape, draw=0, **options):
    return simcore.enumerate_critical_points(landscape, draw=draw, seed=31, threads=1, **options)


def certified(landscape, draw):
    """The certified points of a draw and its problem."""
    found = enumerated(landscape, draw, prove=False)
    x = np.stack(found.points["x"].to_numpy())
    one = landscape.draw(seed=31, draw=draw)
    target = Target.of(Search.of(landscape, seed=31), one)
    certificate = certify(target, x, found.points["morse_index"].to_numpy())
    assert certificate.certified.all()
    return one.problem, x, certificate.existence


LANDSCAPES = [
    simcore.TorusField(1),
    simcore.TorusField(2),
    simcore.TorusField(3),
    simcore.ConfinedField(1, 0.5),
    simcore.ConfinedField(2, 0.5),
    simcore.ConfinedField(2, 1.5),
    simcore.ConfinedField(1, 0.5, features=64, frequencies="random"),
]


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=repr)
def test_lists_are_proved_and_are_the_search_s(landscape):
    for draw in range(4):
        found = enumerated(landscape, draw)
        proof = found.audit["proof"]
        assert found.audit["proved"] and found.audit["complete"] and proof["method"] == "exclusion"
        assert proof["bound"] == proof["certified"] == len(found.points) and proof["boxes"] > 0
        other = enumerated(landscape, draw, prove=False)
        assert not other.audit["proved"] and len(other.points) == len(found.points)
        assert np.abs(np.sort(other.points["cost"]) - np.sort(found.points["cost"])).max() < 1e-10


@pytest.mark.parametrize("landscape", LANDSCAPES[1:6], ids=repr)
def test_with_a_point_withheld_nothing_is_proved(landscape):
    for draw in range(3):
        problem, x, near = certified(landscape, draw)
        assert prove_by_boxes(problem, x, near, 10**6)[0]
        for lost in range(min(len(x), 8)):
            kept = np.arange(len(x)) != lost
            assert not prove_by_boxes(problem, x[kept], near[kept], 10**5)[0]
        assert not prove_by_boxes(problem, x, np.full(len(x), np.inf), 10**5)[0]


def test_degenerate_functions_are_never_proved():
    """cos x in two variables: a valley of critical points; 1 + cos with a double zero of the slope."""
    valley = Waves(np.array([[1.0, 0.0]]), np.array([1.0]), np.array([0.0]), 0.0, 2 * np.pi)
    assert not prove_by_boxes(valley, np.zeros((1, 2)), np.zeros(1), 10**5)[0]
    flat = Waves(np.array([[1.0], [2.0]]), np.array([4.0, -1.0]), np.array([0.0, 0.0]), 0.0, 2 * np.pi)  # f'' = 0 at 0
    assert not prove_by_boxes(flat, np.array([[0.0], [np.pi]]), np.array([1e-12, 1e-12]), 10**5)[0]


def test_one_wave_is_solved():
    """f = cos(x + y) + cos(x - y): zeros of the gradient at multiples of pi/2 with an even sum."""
    waves = Waves(np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([1.0, 1.0]), np.zeros(2), 0.0, 2 * np.pi)
    half = np.pi / 2 * np.array([(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0])
    assert prove_by_boxes(waves, half, np.full(8, 1e-12), 10**4)[0]
    assert not prove_by_boxes(waves, half[1:], np.full(7, 1e-12), 10**4)[0]


def test_the_ball_holds_what_it_must():
    """mu x = A k sin(k x + phase): with one wave the bound A |k|/mu is attained where the sine is 1."""
    mu, k = 0.5, 2.0
    reached = Waves(np.array([[k]]), np.array([0.0]), np.array([1.0]), mu, 0.0)  # f' = mu x + k cos(k x)
    _, _, period, radius = covered(reached)
    assert period == 0.0 and radius == pytest.approx(k / mu, rel=1e-8) and radius >= k / mu
    found = enumerated(simcore.ConfinedField(3, 0.5), prove=False)
    problem = simcore.ConfinedField(3, 0.5).draw(seed=31).problem
    x = np.stack(found.points["x"].to_numpy())
    assert np.linalg.norm(x, axis=1).max() <= covered(problem)[3]


def test_rounding_is_bounded():
    """Gradient and Hessian in doubles against long doubles: the error stays below s_1 and s_2."""
    rng = np.random.default_rng(0)
    problem = simcore.TorusField(4).draw(seed=3).problem
    first, second = slacks(problem, 1.25 * 2 * np.pi)
    K, C, S = problem.frequencies, problem.cosine, problem.sine
    wide = [np.asarray(a, np.longdouble) for a in (K, C, S)]
    for x in rng.uniform(0, 2 * np.pi, size=(500, 4)):
        results = []
        for k, c, s in ((K, C, S), wide):
            theta = k @ x.astype(k.dtype)
            p, slope = -c * np.sin(theta) + s * np.cos(theta), -c * np.cos(theta) - s * np.sin(theta)
            results.append((k.T @ p, (k.T * slope) @ k))
        assert np.abs(results[0][0] - results[1][0]).max() <= first
        assert np.abs(results[0][1] - results[1][1]).max() <= second
    assert first < 1e-11 and second < 1e-11
    assert slacks(problem._replace(frequencies=1e6 * K), 6.0) is None


def test_no_starts_need_be_counted():
    found = enumerated(simcore.TorusField(2), starts=0)
    assert found.audit["proved"] and found.audit["starts"] == 0 and (found.points["hits"] == 0).all()
    assert np.isnan(found.audit["coverage"]) and found.audit["critical"] == 0


def test_what_is_too_large_is_refused_or_left():
    with pytest.raises(simcore.InputError, match="prove is True"):
        enumerated(simcore.TorusField(7), prove=True)
    found = enumerated(simcore.TorusField(5), prove="auto")
    assert not found.audit["proved"] and found.audit["proof"] is None


def test_the_bounds_on_rounding_by_hand():
    """One wave cos 2x of amplitude 3, at |x| <= X: e = 3 u 2 X + 12 u, and with the sum e + 8 u; the confinement's own
    10 u mu (X)."""
    u, mu, extent = 2.0**-53, 0.5, 7.0
    waves = Waves(np.array([[2.0]]), np.array([0.0]), np.array([3.0]), mu, 0.0)
    relative = (3 * 2 * extent + 12 + 8) * u
    first, second = slacks(waves, extent)
    assert first == pytest.approx(6 * relative + 10 * u * mu * extent, rel=1e-8, abs=0.0)
    assert second == pytest.approx(12 * relative + 10 * u * mu, rel=1e-8, abs=0.0)
