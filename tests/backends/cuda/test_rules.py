"""Single rules of the device's loop, on both routes, each at the place where a slip would show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simcore import backends
from simcore.backends.cuda import pool_search
from simcore.backends.problems import NewtonOptions, Waves
from simcore.formulas.outcome import CRITICAL, DEGENERATE

cuda, reference = backends.get("cuda"), backends.get("reference")

OPTIONS = NewtonOptions(np.inf, 1e-10, 1e-6, 40, np.inf, 1e-10, 1e-3)


@pytest.fixture(params=["fused", "pool"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(pool_search, "_widths", {})
    return request.param


def off_diagonal(delta: float, tilt: float = 0.0) -> Waves:
    """cos(x+y) - cos(x-y) + delta cos z (+ sines): at 0 the Hessian is [[0, -2], [-2, 0]] and -delta."""
    frequencies = np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    return Waves(frequencies, np.array([1.0, -1.0, delta]), tilt * np.array([0.3, -0.2, 0.1]), 0.0, 2 * np.pi)


@pytest.mark.parametrize(("floor", "nullity"), [(0.6, 1), (0.4, 0)])
def test_the_zero_floor_holds_where_the_hessian_is_small(route: str, floor: float, nullity: int) -> None:
    options = OPTIONS._replace(zero_floor=floor)
    ends = [cuda.newton(off_diagonal(0.5), np.zeros((1, 3)), options, route=route)]
    ends.append(reference.newton(off_diagonal(0.5), np.zeros((1, 3)), options))
    for end in ends:
        assert (end.status[0], end.nullity[0]) == (DEGENERATE if nullity else CRITICAL, nullity)


def test_a_tiny_pivot_is_noticed(route: str) -> None:
    """H = [[1e-12, -2], [-2, 0]] has factors that grow by 1e12 without row exchanges; the step must be exact."""
    frequencies = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]])
    problem = Waves(frequencies, np.array([1.0, -1.0, -1e-12]), np.array([0.3, -0.2, 0.1]), 0.0, 2 * np.pi)
    ours, theirs = (
        newton(problem, np.zeros((1, 2)), OPTIONS._replace(max_iterations=1), **given)
        for newton, given in ((cuda.newton, {"route": route}), (reference.newton, {}))
    )
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-9, atol=1e-12)


def test_starts_that_crawl_keep_their_count_when_they_move(route: str) -> None:
    """f'' = 0 and f'''' = -3 at x = 0: steps shrink by a third, and a start settles after 24 of them. In a pool starts
    move to other columns as others end; each must end as it does alone."""
    frequencies = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    problem = Waves(frequencies, np.array([1.0, -0.25, 1.0]), np.zeros(3), 0.0, 2 * np.pi)
    options = OPTIONS._replace(gradient_tolerance=1e-4, decrement_tolerance=1e-7, max_iterations=60)
    random = np.random.default_rng(2)
    crawling = random.uniform(-0.5, 0.5, (14, 2))
    quick = np.column_stack([random.uniform(2.9, 3.4, 14), random.uniform(-0.2, 0.2, 14)])
    starts = np.stack([quick, crawling], axis=1).reshape(-1, 2)  # in turn: columns fall free between the slow ones
    together = cuda.newton(problem, starts, options, route=route)
    assert (together.iterations[1::2] >= 20).all() and (together.iterations[::2] < 10).all()
    for row in range(1, len(starts), 4):
        alone = cuda.newton(problem, starts[row : row + 1], options, route=route)
        for field in ("status", "iterations", "x"):
            value: Any = getattr(alone, field)[0]
            np.testing.assert_array_equal(getattr(together, field)[row], value, err_msg=field)
