"""Geometry, once: retractions, distances, frames and Riemannian derivatives of every domain."""

import math

import numpy as np
import pytest

from simcore.compilation import jit
from simcore.domains import Box, ConfinedSpace, Domain, Space, Sphere, Torus, short_way

DOMAINS = [Space(5), ConfinedSpace(5), Torus(5), Sphere(5), Box([-1.0] * 5, [2.0] * 5)]
RNG = np.random.default_rng(3)


def on(domain: Domain, count: int = 40) -> np.ndarray:
    """Random points of a domain, some of them at its corners and poles."""
    x = RNG.normal(size=(count, domain.n)) * 3
    x[0], x[1] = np.eye(domain.n)[0], -np.eye(domain.n)[0]
    return domain.retract(x)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: type(d).__name__)
def test_frames_are_orthonormal_and_tangential(domain):
    x = on(domain)
    q = domain.frame(x)
    assert q.shape == (len(x), domain.n, domain.dimension)
    unit = np.broadcast_to(np.eye(domain.dimension), (len(x), domain.dimension, domain.dimension))
    np.testing.assert_allclose(q.swapaxes(1, 2) @ q, unit, atol=1e-14)
    v = RNG.normal(size=x.shape)
    onto = np.einsum("sij,skj,sk->si", q, q, v)
    np.testing.assert_allclose(domain.tangent(x, v), onto, atol=1e-13)
    h = RNG.normal(size=(len(x), domain.n, domain.n))
    h = h + h.swapaxes(1, 2)
    np.testing.assert_allclose(domain.tangent_hessian(x, h), q.swapaxes(1, 2) @ h @ q, atol=1e-13)
    c = RNG.normal(size=(len(x), domain.dimension, 2))
    np.testing.assert_allclose(domain.to_ambient(x, c), q @ c, atol=1e-13)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: type(d).__name__)
def test_retractions_end_on_the_domain_and_keep_its_points(domain):
    x = on(domain)
    np.testing.assert_allclose(domain.retract(x), x, atol=1e-15 * 10)
    np.testing.assert_array_equal(domain.retract(x[7]), domain.retract(x)[7], "a point alone as in a batch")
    if domain.period:
        assert (x >= 0).all() and (x < domain.period).all()
    if not domain.flat:
        np.testing.assert_allclose((x * x).sum(axis=1), domain.n, rtol=1e-15 * 8)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: type(d).__name__)
def test_distances_are_those_of_the_shortest_way(domain):
    x, y = on(domain), on(domain)
    d = domain.distance(x, y)
    np.testing.assert_allclose(d, np.linalg.norm(domain.displacement(x, y), axis=1), atol=1e-14)
    shifts = [0.0] if not domain.period else [-domain.period, 0.0, domain.period]
    each = np.min([np.abs(x - y + s) for s in shifts], axis=0)  # by trying all ways, coordinate by coordinate
    np.testing.assert_allclose(d, np.linalg.norm(each, axis=1), atol=1e-14)
    np.testing.assert_allclose(domain.retract(y + domain.displacement(x, y)), x, atol=1e-13)


def test_a_short_way_is_the_same_compiled():
    compiled = jit(short_way)
    for gap in [0.0, 1.0, -4.0, 7.0, -13.0, 2 * math.pi, math.nan]:
        for period in (0.0, 2 * math.pi):
            np.testing.assert_array_equal(compiled(gap, period), short_way(gap, period))
    assert short_way(7.0, 2 * math.pi) == pytest.approx(7 - 2 * math.pi)


def test_wrapping_ends_below_the_period():
    torus = Torus(1)
    wrapped = torus.wrap(np.array([[-1e-17], [0.0], [2 * np.pi], [-1.0], [50.0], [math.nan]]))
    assert ((wrapped >= 0) & (wrapped < 2 * np.pi) | np.isnan(wrapped)).all()
    assert wrapped[0] == 0.0 and wrapped[2] == 0.0 and np.isnan(wrapped[5])
    np.testing.assert_allclose(np.sin(wrapped[3:5]), np.sin([[-1.0], [50.0]]), atol=1e-14)


def test_riemannian_derivatives_are_those_along_great_circles():
    """f(x) = x_1^3 + x_1 x_2 on the sphere: its second derivative along geodesics is v' Hess v."""
    sphere = Sphere(3)
    x = on(sphere, 6)

    def f(y):
        return y[..., 0] ** 3 + y[..., 0] * y[..., 1]

    g = np.stack([3 * x[:, 0] ** 2 + x[:, 1], x[:, 0], 0 * x[:, 0]], axis=1)
    h = np.zeros((6, 3, 3))
    h[:, 0, 0], h[:, 0, 1], h[:, 1, 0] = 6 * x[:, 0], 1.0, 1.0
    gradient, hessian = sphere.riemannian(x, g, h)
    v = sphere.frame(x)[:, :, 0]
    r, t = math.sqrt(3.0), 1e-3

    def along(s):
        return f(np.cos(s / r) * x + r * np.sin(s / r) * v)

    slope = (8 * (along(t) - along(-t)) - (along(2 * t) - along(-2 * t))) / (12 * t)
    curve = (16 * (along(t) + along(-t)) - along(2 * t) - along(-2 * t) - 30 * along(0.0)) / (12 * t * t)
    np.testing.assert_allclose((gradient * v).sum(axis=1), slope, atol=1e-9)
    np.testing.assert_allclose(np.einsum("si,sij,sj->s", v, hessian, v), curve, atol=1e-7)
    np.testing.assert_allclose(np.einsum("sij,sj->si", hessian, x), 0, atol=1e-13)


def test_only_a_box_can_be_left():
    box = Box([0.0, 0.0], [1.0, 2.0])
    np.testing.assert_array_equal(box.outside(np.array([[0.5, 1.9], [0.5, 2.1], [-0.1, 1.0]])), [False, True, True])
    assert not Space(2).outside(np.full((1, 2), 1e300)).any()
    assert box.bounded and not box.compact and Torus(2).bounded and not Space(2).bounded
    assert box.to_dict() == {"kind": "Box", "low": [0.0, 0.0], "high": [1.0, 2.0]}
