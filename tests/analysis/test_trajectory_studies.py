"""Studies of training dynamics: their references against a second derivation, their measurements on known cases."""

import numpy as np
import pytest
from simcore_analysis import studies
from simcore_analysis.estimates import mean
from simcore_analysis.studies import (
    goodfellow_2015,
    gradient_norm_test,
    ill_conditioning,
    minibatch_gradient,
    paths,
    saddle_escape,
    saxe_2013,
)
from simcore_analysis.studies.verdicts import Claim, judge

import simcore
from simcore.theory.saxe import half_time

NAMES = (
    "saddle_escape", "saxe_2013", "minibatch_gradient", "ill_conditioning", "gradient_norm_test", "goodfellow_2015",
)  # fmt: skip


def test_the_studies_are_registered():
    for name in NAMES:
        assert studies.get(name).name == name


# ---- shared ------------------------------------------------------------------------------------------------------
def test_a_bound_agrees_just_where_it_is_below_the_resolution():
    verdicts = [
        judge([Claim("", 0.0, "", lambda level, e=e: paths.bound(e), 1e-6)])[0]["verdict"] for e in (1e-7, 1e-5)
    ]
    assert verdicts == ["agrees", "undecided"]


def test_saddles_are_critical_and_their_modes_tangent():
    landscape = simcore.SphericalSpin(n=5)
    saddles = paths.saddles_of(landscape, 0, 1, 32)
    assert saddles
    for saddle in saddles:
        assert np.linalg.norm(saddle.draw.gradient(saddle.x)) < 1e-12
        assert saddle.vectors.shape == (5, 4)
        np.testing.assert_allclose(saddle.vectors.T @ saddle.x, 0, atol=1e-9)
        np.testing.assert_allclose(
            saddle.draw.hessian(saddle.x) @ saddle.vectors, saddle.vectors * saddle.eigenvalues, atol=1e-10
        )


# ---- saddle_escape -----------------------------------------------------------------------------------------------
def test_rates_near_one_saddle():
    saddle = paths.saddles_of(simcore.TorusField(n=2), 1, 1, 32)[0]
    assert saddle_escape.descent_rate(saddle) == pytest.approx(1, abs=1e-3)
    assert saddle_escape.flow_rate(saddle) == pytest.approx(1, abs=1e-3)
    assert saddle_escape.newton_order(saddle) == pytest.approx(2, abs=0.1)


def test_intervals_hold_the_terms_beyond_the_linear_ones():
    each = list(np.linspace(0.999, 1.001, 12))
    narrow, wide = mean(each, level=0.9), saddle_escape.beyond_linear(each, 1e-6, 1e-3)(0.9)
    assert wide.value == narrow.value
    assert wide.high - narrow.high == pytest.approx(1e-3 / np.log(1e3)) == narrow.low - wide.low


def test_rates_of_a_quadratic_are_exact():
    for ratios in saddle_escape.quadratic_rates().values():
        np.testing.assert_allclose(ratios, 1, atol=1e-7)


# ---- saxe_2013 ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_balanced_starts_follow_their_mode_equation(depth):
    course = saxe_2013.balanced_course(depth, 1e-2, 1.0, (3.0, 1.5))
    np.testing.assert_allclose(course.strength[0], 1e-2, rtol=1e-12)
    assert course.error < 1e-8


def test_the_learning_time_of_two_layers_is_the_closed_form():
    s, layer = 2.0, 0.1
    u0, end = layer**2, 0.9 * s
    exact = (np.log(end / (s - end)) - np.log(u0 / (s - u0))) / (2 * s)
    assert saxe_2013.learning_time(2, s, layer) == pytest.approx(exact, rel=1e-9)


def test_half_times_predicted_from_a_balanced_start_are_the_exact_ones():
    _, u, v = saxe_2013.task(2)
    x = saxe_2013.balanced(2, u, v, 1e-3)
    expected = [half_time(s, 1e-6) for s in saxe_2013.STRENGTHS]
    np.testing.assert_allclose(saxe_2013.predicted_half_times(x, u, v), expected, rtol=1e-9)


def test_saddles_on_the_way_are_the_exact_table():
    landscape, u, v = saxe_2013.task(2)
    draw = landscape.draw(seed=0)
    near = saxe_2013.balanced(2, u, v, 0.1)[None]
    table = landscape.critical_classes()
    for learnt, index in enumerate(saxe_2013.saddle_indices()):
        x = saxe_2013._saddle(near, learnt, u, v)[0]
        assert np.abs(draw.gradient(x)).max() < 1e-12
        assert (np.linalg.eigvalsh(draw.hessian(x)) < -1e-9).sum() == index
        row = table[table["subset"] == tuple(range(1, learnt + 1))].iloc[0]
        assert draw.value(x) == pytest.approx(row["cost"]) and row["morse_index"] == index


# ---- minibatch_gradient ------------------------------------------------------------------------------------------
def test_the_students_gradients_are_simcores():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 7, 2)), rng.standard_normal((2, 7))
    w = rng.standard_normal((2, 13))
    gradient, cost = minibatch_gradient.network_gradient(w, x, y), minibatch_gradient.network_cost(w, x, y)
    for k in range(2):
        data = (x[k], y[k][:, None])
        network = simcore.MLP(widths=[2, 3, 1], activation="tanh", loss="mse", data=data).draw(seed=0)
        np.testing.assert_allclose(gradient[k], network.gradient(w[k]), rtol=1e-12)
        assert cost[k] == pytest.approx(network.value(w[k]), rel=1e-12)


@pytest.mark.parametrize("student", [minibatch_gradient.linear_student(), minibatch_gradient.network_student()])
def test_exact_gradients_are_the_slopes_of_the_exact_error(student):
    w = 0.4 * np.random.default_rng(1).standard_normal(student.parameters)
    slopes = [
        (student.error(w + h) - student.error(w - h)) / 2e-5 for h in 1e-5 * np.eye(student.parameters)
    ]  # central differences: error 1e-9
    np.testing.assert_allclose(student.exact(w), slopes, atol=1e-5)


def test_the_variance_by_isserlis():
    """Against 4e5 examples: 5 standard errors, a false alarm in about 2e6 (the seed is fixed)."""
    who = minibatch_gradient.linear_student()
    w = np.random.default_rng(2).standard_normal(who.parameters)
    run = minibatch_gradient.fresh(who, w, 4, 100_000, 9)
    measured = run.variance()
    assert abs(4 * measured.value - minibatch_gradient.linear_variance(w)) < 5 * 4 * measured.se


def test_a_wrong_gradient_is_noticed():
    who = minibatch_gradient.linear_student()
    w = np.random.default_rng(2).standard_normal(who.parameters)
    run = minibatch_gradient.fresh(who, w, 4, 20_000, 9)
    assert run.p_value() > 0.01
    off = minibatch_gradient.Fresh(who, 4, 20_000, w, 1.1 * run.exact, run.means, run.squares)
    assert off.p_value() < 1e-6 and not off.relative(0.99).covers(0.0)


def test_reuse_biases_the_gradient_and_first_use_does_not():
    """First pass: 4.5 standard errors, a false alarm in about 1e5 (the seed is fixed)."""
    run = minibatch_gradient.passes(minibatch_gradient.linear_student(), 20, 100)
    first, last = run.bias(1), run.bias(minibatch_gradient.PASSES)
    assert abs(first.value) < 4.5 * first.se
    assert last.high < -0.5
    assert run.training[:, -1].mean() < run.online[:, -1].mean() < run.general[:, -1].mean()


# ---- ill_conditioning --------------------------------------------------------------------------------------------
def test_quadratics_have_their_exact_edge_and_rate():
    assert ill_conditioning.largest_step(10) == pytest.approx(1, abs=1e-3)
    assert ill_conditioning.contraction(10) == pytest.approx(9 / 11, rel=1e-3)


def test_growth_of_the_norm_is_judged_from_early_to_late():
    step = np.arange(61)
    falling, rising = np.exp(-step / 30.0), 1 + step / 60
    error = np.stack([falling, falling, rising])
    run = ill_conditioning.Training(
        "mse", "tanh", 8, step, error, np.stack([rising, falling, rising]),
        np.stack([rising**3, falling**2, rising]), error, np.zeros((3, 1)),
    )  # fmt: skip
    assert run.grows().tolist() == [True, False, False]  # the last: the error does not fall
    assert (run.curvature_gain()[0] > 0) and run.curvature_gain()[1] == pytest.approx(0)


# ---- gradient_norm_test ------------------------------------------------------------------------------------------
def test_the_norm_test_on_known_cases():
    landscape = simcore.TorusField(n=2)
    reaches = gradient_norm_test.walk(
        "", "", landscape, method="gradient_descent", step_size=0.3, steps=400, every=20, starts=4
    )
    assert reaches.arrives.all() and not reaches.ruled_out().any() and (reaches.decrement < 1e-3).all()
    flat = gradient_norm_test.walk(
        "", "", gradient_norm_test.flat_passage(), False, method="gradient_descent", step_size=0.1, steps=1600,
        every=40, start=gradient_norm_test.passage_starts(3),
    )  # fmt: skip
    assert not flat.ruled_out().any() and not flat.arrives.any() and (flat.shrinkage > 1e-5).all()


# ---- goodfellow_2015 ---------------------------------------------------------------------------------------------
def test_rises_are_measured_above_earlier_values():
    assert goodfellow_2015.rise(np.array([3.0, 2.0, 2.5, 1.0, 1.2])) == 0.5
    assert goodfellow_2015.rise(np.array([3.0, 2.0, 1.0])) == 0.0


def test_the_plane_holds_its_path():
    """A path in a plane lies wholly in it, and the cost there is the function's."""
    network = simcore.MLP(**simcore.MLP.conformance[0])
    draw = network.draw(seed=1)
    rng = np.random.default_rng(3)
    a, b, end = rng.standard_normal((3, network.n))
    t = np.linspace(1, 0, 30)[:, None]
    x = end + t * a + t**2 * b
    cost = draw.value(x)
    none = np.zeros(30)
    run = goodfellow_2015.Run(draw, none, cost, none, none, x, none, cost, None, np.nan, -1, np.nan)
    plane = goodfellow_2015.plane_of(run, size=81)
    assert plane.explained == pytest.approx(1)
    np.testing.assert_allclose([goodfellow_2015._height(plane, p) for p in plane.path], cost, rtol=0.02)
