"""Gradient steps in tiles against the same steps in NumPy, with the Hessian of the slow twin."""

import numpy as np
import pytest

import simcore
from simcore.backends import cpu, reference
from simcore.backends.cpu import derivatives, descent


@pytest.mark.parametrize("landscape", [simcore.TorusField(3), simcore.SphericalSpin(4)], ids=lambda one: one.name)
def test_steps_are_those_of_the_law(landscape):
    """x <- R(x - t g), t = min(2 / |H|_F, longest / |g|), downwards for the even points and upwards for the odd."""
    problem, domain, longest = landscape.draw(seed=2).problem, landscape.domain, 0.1
    x = landscape.starts(seed=2, draw=0, first=0, count=30)
    way = np.where(np.arange(30) % 2 == 0, -1.0, 1.0)
    found = cpu.flow(problem, x, way, 5, longest)
    for _ in range(5):
        _, g, h = reference.evaluate(problem, x)
        t = np.minimum(2 / np.linalg.norm(h, axis=(1, 2)), longest / np.linalg.norm(g, axis=1))
        x = domain.retract(x + (way * t)[:, None] * g)
    assert domain.distance(found, x).max() < 1e-10
    assert descent.T == derivatives.T == 24


def test_what_certificates_ask_for_is_of_the_tangent_space():
    landscape = simcore.SphericalSpin(4)
    problem, x = landscape.draw(seed=2).problem, landscape.starts(seed=2, draw=0, first=0, count=30)
    value, slope, size, negative, gap = cpu.gaps(problem, x)
    wanted, g, h = reference.evaluate(problem, x)
    frame = landscape.domain.frame(x)
    w = np.linalg.eigvalsh(np.swapaxes(frame, 1, 2) @ h @ frame)
    np.testing.assert_allclose(value, wanted, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(slope, np.linalg.norm(g, axis=1), rtol=1e-10)
    np.testing.assert_allclose(size, np.linalg.norm(w, axis=1), rtol=1e-10)
    np.testing.assert_array_equal(negative, (w < 0).sum(axis=1))
    least = np.abs(w).min(axis=1)
    assert (gap <= least * (1 + 1e-9)).all() and (gap > 0.4 * least).mean() > 0.5
