"""Short walks by arcs reach points whose basins ordinary starts do not meet."""

import numpy as np
import pytest

import simcore
from simcore.search import rounds

WIDTH = 0.1


def bumped(centre):
    """cos x_1 + cos x_2 + exp(-sum (1 - cos(x - c))/w^2)/2: a maximum and a saddle more, which cancel in the sum."""

    def bump(x):
        d = x - centre
        return 0.5 * np.exp((np.cos(d) - 1.0).sum() / WIDTH**2), np.sin(d) / WIDTH**2, np.cos(d) / WIDTH**2

    def hessian(x):
        f, s, c = bump(x)
        return np.diag(-np.cos(x)) + f * (np.outer(s, s) - np.diag(c))

    return simcore.CustomLandscape(
        value=lambda x: float(np.cos(x).sum() + bump(x)[0]),
        gradient=lambda x: -np.sin(x) - bump(x)[0] * bump(x)[1],
        hessian=hessian,
        domain=simcore.Torus(2),
        n=2,
    )


@pytest.mark.filterwarnings("ignore::simcore.IncompleteWarning")
def test_a_narrow_bump_is_found(monkeypatch):
    """512 starts of seed 0 miss both points of the bump, and all else looks complete; with walks both are found, each
    reached often enough by arcs, so that the list of six is complete."""
    centre = np.random.default_rng(0).uniform(0.0, 2 * np.pi, 2)
    found = simcore.enumerate_critical_points(bumped(centre), seed=0, max_starts=512, threads=1)
    x = np.stack(found.points.x.to_list())
    gap = np.abs((x - centre + np.pi) % (2 * np.pi) - np.pi)
    near = found.points[np.hypot(*gap.T) < 4 * WIDTH]
    assert sorted(near.morse_index) == [1, 2]
    assert len(found.points) == 6
    assert found.audit["targeted_points"] == 2
    assert found.audit["complete"]
    monkeypatch.setattr(rounds.Rounds, "_walk", lambda self: False)
    without = simcore.enumerate_critical_points(bumped(centre), seed=0, max_starts=512, threads=1)
    assert len(without.points) == 4
    assert without.audit["complete"]
