"""Step rules against other ways to the same step: pseudo-inverses, matrix square roots, least squares, recurrences."""

import math

import numpy as np
import pytest
from scipy.linalg import sqrtm

from simcore import steps

RNG = np.random.default_rng(11)
G = RNG.standard_normal((5, 4))
H = RNG.standard_normal((5, 4, 4))
H = H + H.swapaxes(1, 2)
HERE = steps.Here(G, H)
RULES = [
    steps.Descent(0.1),
    steps.Descent(0.1, 0.9),
    steps.Adam(0.1),
    steps.Newton(cap=0.5),
    steps.SaddleFree(index=1),
    steps.LevenbergMarquardt(cap=0.7),
]


def first(rule, here=HERE):
    return rule.step(rule.init(here.gradient), 0, here)[0]


def test_newton_is_the_pseudo_inverse():
    singular = H.copy()
    singular[0] = np.outer(G[1], G[1])
    wanted = [-np.linalg.pinv(h, rcond=1e-9, hermitian=True) @ g for h, g in zip(singular, G, strict=True)]
    assert np.allclose(first(steps.Newton(), steps.Here(G, singular)), wanted, rtol=1e-9)


def test_saddle_free_is_the_inverse_of_the_modulus():
    wanted = [-np.linalg.solve(sqrtm(h @ h).real, g) for h, g in zip(H, G, strict=True)]
    assert np.allclose(first(steps.SaddleFree(floor=1e-12)), wanted, rtol=1e-9)
    w, q = np.linalg.eigh(H)
    climbed, free = first(steps.SaddleFree(2, 1e-12)), np.array(wanted)
    along = np.einsum("sji,sj->si", q, climbed) / np.einsum("sji,sj->si", q, free)
    assert np.allclose(along, [[-1, -1, 1, 1]] * 5) and (np.diff(w, axis=1) > 0).all()


def test_damped_steps_are_least_squares():
    """d minimises |g + H d|^2 + mu |d|^2, mu = damping |H|_F^2."""
    for row, d in enumerate(first(steps.LevenbergMarquardt(damping=0.01))):
        root = math.sqrt(0.01) * np.linalg.norm(H[row])
        wanted = np.linalg.lstsq(np.vstack([H[row], root * np.eye(4)]), np.concatenate([-G[row], np.zeros(4)]))[0]
        assert np.allclose(d, wanted, rtol=1e-9)


def test_acceleration_walks_the_parabola():
    """With g(x + d) = g + H d + e q'd^2/2 the second derivative is known, and a short step takes half of its answer."""
    bend = 0.01 * RNG.standard_normal((5, 4))
    ahead = HERE._replace(ahead=lambda d: G + steps.rotated(H, d) + 0.5 * bend * (d * d).sum(axis=1)[:, None])
    rule = steps.LevenbergMarquardt(damping=0.1)
    plain, curved = first(rule), first(rule, ahead)
    mu = 0.1 * (H * H).sum(axis=(1, 2))
    # a difference over a tenth of the step sees the second derivative exactly: g is quadratic along the line
    k = bend * (plain * plain).sum(axis=1)[:, None]
    a = steps.damped(H, k, mu)
    assert (2 * steps.length(a) <= 0.75 * steps.length(plain)).all()
    assert np.allclose(curved, plain + 0.5 * a, rtol=1e-8)


def test_a_trial_is_judged_by_its_gain():
    rule = steps.LevenbergMarquardt(patience=2)
    d, state = rule.step(rule.init(G), 0, HERE)
    mu, finite = state[0], np.array([True, True, True, True, False])
    model = G + steps.rotated(H, d)
    there = np.array([model[0], 1.5 * G[1], 0.999999 * G[2], 0.5 * G[3] + 0.5 * model[3], model[4]])
    made, after = rule.judge(state, HERE, d, steps.Here(there, H), finite)
    assert made.tolist() == [True, False, False, True, False]
    assert after[0][0] == mu[0] * rule.FALLING and (after[0][[1, 2, 4]] == mu[[1, 2, 4]] * rule.RISING).all()
    assert after[2].tolist() == [0, 1, 1, 0, 1] and not rule.hopeless(after).any()
    assert rule.hopeless((after[0], np.full(5, 2.0), after[2], after[3])).all()


def test_momentum_and_adam_are_their_recurrences():
    heavy, adam = steps.Descent(0.1, 0.9), steps.Adam(0.1, (0.9, 0.999), 1e-8)
    state, other = heavy.init(G), adam.init(G)
    v = m = s = np.zeros_like(G)
    for t in range(4):
        g = G * (t + 1)
        v, m, s = 0.9 * v - 0.1 * g, 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
        d, state = heavy.step(state, t, steps.Here(g))
        assert np.allclose(d, v, rtol=1e-13)
        d, other = adam.step(other, t, steps.Here(g))
        assert np.allclose(
            d, -0.1 * (m / (1 - 0.9 ** (t + 1))) / (np.sqrt(s / (1 - 0.999 ** (t + 1))) + 1e-8), rtol=1e-12
        )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_a_row_depends_on_its_row_alone(rule):
    rows = np.array([3, 1])
    part = steps.Here(G[rows], H[rows])
    assert np.array_equal(first(rule, part), first(rule)[rows])
    assert steps.length(first(rule)).max() <= getattr(rule, "cap", math.inf) * (1 + 1e-12)


def test_what_is_not_finite_takes_no_step():
    broken = H.copy()
    broken[2, 0, 0] = np.inf
    d = first(steps.Newton(), steps.Here(G, broken))
    assert np.isnan(d[2]).all() and np.isfinite(d[[0, 1, 3, 4]]).all()


def test_flops_of_a_step():
    assert steps.newton_flops(3) == 27
