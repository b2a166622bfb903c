"""Single rules of the compiled loop, each at the place where a slip would show."""

import numpy as np
import pytest

from simcore.backends import cpu, reference
from simcore.backends.problems import NewtonOptions, Waves
from simcore.formulas.outcome import CRITICAL, DEGENERATE

LIMITS = NewtonOptions(np.inf, 1e-10, 1e-6, 200, np.inf, 1e-10, 1e-3)


def off_diagonal(delta):
    """cos(x+y) - cos(x-y) + delta cos z: at 0 the Hessian is [[0, -2], [-2, 0]] and -delta, |H|_F = sqrt 8."""
    frequencies = np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    return Waves(frequencies, np.array([1.0, -1.0, delta]), np.zeros(3), 0.0, 2 * np.pi)


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize(("delta", "nullity"), [(2.75e-3, 1), (2.1e-3, 1), (2.9e-3, 0)])
def test_the_zero_threshold_is_relative_to_the_whole_frobenius_norm(backend, delta, nullity):
    """Entries off the diagonal count twice: 1e-3 sqrt 8 = 2.83e-3, without the factor it would be 2e-3."""
    options = LIMITS._replace(zero_tolerance=1e-3)
    end = backend.newton(off_diagonal(delta), np.zeros((1, 3)), options)
    assert end.status[0] == (DEGENERATE if nullity else CRITICAL)
    assert (end.index[0], end.nullity[0]) == (2 - nullity, nullity)


@pytest.mark.parametrize("backend", [cpu, reference])
@pytest.mark.parametrize(("floor", "nullity"), [(0.6, 1), (0.4, 0)])
def test_the_zero_floor_holds_where_the_hessian_is_small(backend, floor, nullity):
    end = backend.newton(off_diagonal(0.5), np.zeros((1, 3)), LIMITS._replace(zero_floor=floor))
    assert (end.status[0], end.nullity[0]) == (DEGENERATE if nullity else CRITICAL, nullity)


def quartic():
    """cos x - cos(2x)/4 + cos y: f'' = 0 and f'''' = -3 at x = 0, so that Newton's steps there shrink by a third."""
    frequencies = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    return Waves(frequencies, np.array([1.0, -0.25, 1.0]), np.zeros(3), 0.0, 2 * np.pi)


def test_a_refilled_lane_has_settled_nothing_yet():
    """200 starts in 24 lanes, most of which crawl to a degenerate point: each ends as it does alone."""
    starts = np.random.default_rng(2).uniform(-0.5, 0.5, (200, 2))
    options = LIMITS._replace(gradient_tolerance=1e-4, decrement_tolerance=1e-7, max_iterations=60)
    together = cpu.newton(quartic(), starts, options)
    alone = [cpu.newton(quartic(), start[None], options) for start in starts]
    for field in ("status", "iterations", "x", "index", "nullity"):
        one_by_one = np.concatenate([getattr(end, field) for end in alone])
        np.testing.assert_array_equal(getattr(together, field), one_by_one, err_msg=field)
    assert (together.iterations >= 20).sum() > 100, "the case must make lanes settle"


def test_a_tiny_pivot_is_noticed():
    """H = [[1e-12, 2], [2, 0]]: unpivoted factors grow by 1e12; the step must be that of the exact system."""
    frequencies = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]])
    problem = Waves(frequencies, np.array([-1.0, 1.0, -1e-12]), np.array([0.3, -0.2, 0.1]), 0.0, 2 * np.pi)
    start = np.zeros((1, 2))
    step = [b.newton(problem, start, LIMITS._replace(max_iterations=1)).x[0] for b in (cpu, reference)]
    np.testing.assert_allclose(step[0], step[1], rtol=1e-9, atol=1e-12)
    counters = np.zeros(3, np.int64)
    cpu.newton(problem, start, LIMITS._replace(max_iterations=1), counters)
    assert counters[2] >= 1, "such a step is made again by pivoted elimination"
