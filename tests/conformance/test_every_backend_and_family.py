"""What must hold for every backend and every family: derivatives, searches, rows that no cut of the work changes."""

from __future__ import annotations

import numpy as np
import pytest
from instances import SIMULATED, instances

from simcore import backends
from simcore.formulas.outcome import STATUSES
from simcore.landscapes import registry
from simcore.search.find import find_critical_points


def starts_on(backend):
    """How many starts a test searches from: fewer where they take long."""
    return 5 if SIMULATED else 8 if backend == "reference" else 24


def problem_of(family):
    return family.draw(seed=3, draw=0).problem


def test_every_family_has_an_instance():
    ours = {name for name in registry.names() if registry.get_class(name).__module__.startswith("simcore.")}
    assert SIMULATED or set(instances()) >= ours


def test_derivatives_are_the_references(backend, family):
    """To rounding: a backend may add in another order, but it adds the same terms."""
    x = family.starts(seed=3, draw=0, first=0, count=4)
    found = backends.get(backend).evaluate(problem_of(family), x)
    wanted = backends.get("reference").evaluate(problem_of(family), x)
    for one, other, name in zip(found, wanted, ("value", "gradient", "hessian"), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.shape == other.shape and one.dtype == np.float64, name
        np.testing.assert_allclose(one, other, atol=1e-12 * (1 + np.abs(other).max()), err_msg=name)


def test_every_start_has_its_row_and_critical_means_critical(backend, family):
    starts = starts_on(backend)
    rows = find_critical_points(family, draws=1, starts=starts, seed=3, backend=backend, positions=True)
    assert rows["start"].tolist() == list(range(starts)) and (rows["draw"] == 0).all()
    assert set(rows["status"]) <= set(STATUSES)
    critical = rows[(rows["status"] == "critical").to_numpy()]
    if len(critical) == 0:
        pytest.fail(f"none of {starts} starts of {family.name} ended at a critical point")
    f, x = family.draw(seed=3, draw=0), np.stack(critical["x"].to_list())
    np.testing.assert_allclose(f.value(x), critical["cost"], rtol=1e-10, atol=1e-12)
    assert np.linalg.norm(f.gradient(x), axis=1).max() < 1e-8 * max(1.0, family.scales.gradient)


def test_no_cut_of_the_starts_changes_a_row(backend, family):
    """Starts 0..k and k.. apart, and one alone, bit for bit; ``point`` counts within a call and is left out."""
    options = {"draws": 1, "seed": 5, "backend": backend, "positions": True}
    starts = 3 if backend == "reference" else starts_on(backend)  # it goes from start to start anyway
    whole = find_critical_points(family, starts=starts, **options).drop(columns="point")
    for first, count in ((0, 2), (2, starts - 2), (starts - 1, 1)):
        part = find_critical_points(family, starts=count, first_start=first, **options).drop(columns="point")
        there = whole.iloc[first : first + count]
        for name in part.columns:
            one, other = part[name].tolist(), there[name].tolist()
            if name == "x":
                np.testing.assert_array_equal(np.stack(one), np.stack(other))
            else:
                np.testing.assert_array_equal(np.asarray(one), np.asarray(other), err_msg=name)
