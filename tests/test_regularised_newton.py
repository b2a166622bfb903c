"""Regularised Newton with chords: the same critical points as plain Newton, by another path."""

import numpy as np
import pytest

import simcore
from simcore.backends import cpu, reference
from simcore.errors import InputError
from simcore.formulas.outcome import CRITICAL
from simcore.search.solvers import Auto, Newton, RegularisedNewton, resolve, solver_from_dict


def problem_and_starts(n, features, count):
    landscape = simcore.GaussianField(n=n, features=features)
    starts = landscape.starts(seed=5, draw=0, first=0, count=count)
    return landscape, landscape.draw(seed=5).problem, starts


@pytest.mark.parametrize("n", [1, 3, 8, 26])
def test_it_matches_its_reference_twin(n):
    landscape, problem, starts = problem_and_starts(n, 128, 30)
    options = RegularisedNewton().options(landscape)
    fast = cpu.regularised_newton(problem, starts, options, 1.0)
    slow = reference.regularised_newton(problem, starts, options, 1.0)
    same = np.abs(fast.x - slow.x).max(axis=1) < 1e-8  # the rest: paths that rounding sends into another basin
    assert same.mean() >= (0.9 if n < 10 else 0.7)
    for field in ("status", "index", "nullity", "iterations"):
        np.testing.assert_array_equal(getattr(fast, field)[same], getattr(slow, field)[same])


@pytest.mark.parametrize("n", [5, 40])
def test_what_it_calls_critical_is_critical_and_its_index_right(n):
    landscape, problem, starts = problem_and_starts(n, 256, 48)
    options = RegularisedNewton().options(landscape)
    outcome = cpu.regularised_newton(problem, starts, options, 1.0)
    critical = outcome.status == CRITICAL
    assert critical.mean() > 0.7
    value, gradient, hessian = reference.evaluate(problem, outcome.x)
    np.testing.assert_allclose(outcome.cost, value, atol=1e-11)
    assert (np.linalg.norm(gradient, axis=1)[critical] < 1.1 * options.gradient_tolerance).all()
    index = (np.linalg.eigvalsh(hessian) < 0).sum(axis=1)
    np.testing.assert_array_equal(outcome.index[critical], index[critical])
    # plain Newton from there stays there: the two methods mean the same by "critical"
    again = cpu.newton(problem, outcome.x[critical], Newton().options(landscape))
    assert (again.status == CRITICAL).all()
    np.testing.assert_allclose(again.x, outcome.x[critical], atol=1e-8)


def test_a_row_depends_on_its_start_alone():
    landscape, problem, starts = problem_and_starts(6, 64, 60)
    options = RegularisedNewton().options(landscape)
    whole = cpu.regularised_newton(problem, starts, options, 1.0)
    order = np.random.default_rng(1).permutation(60)
    shuffled = cpu.regularised_newton(problem, starts[order], options, 1.0)
    for field, rows in whole._asdict().items():
        np.testing.assert_array_equal(getattr(shuffled, field), rows[order])


def test_auto_means_it_from_25_variables_on():
    assert isinstance(resolve(None, simcore.GaussianField(n=24)), Newton)
    chosen = resolve(Auto(tolerance=1e-9), simcore.GaussianField(n=25))
    assert chosen == RegularisedNewton(tolerance=1e-9)
    assert solver_from_dict({"method": "regularised_newton", "max_iterations": 9}).max_iterations == 9


def test_it_is_refused_where_it_can_not_run():
    with pytest.raises(InputError, match="sums of waves"):
        simcore.find_critical_points(simcore.SphericalSpin(n=4), starts=4, solver=RegularisedNewton())
