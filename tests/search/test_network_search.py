"""The dense search and what networks are known to have: every verdict, every class of critical points."""

import numpy as np
import pytest

from simcore import enumerate_critical_points, find_critical_points
from simcore.backends.problems import Outcome
from simcore.errors import InputError
from simcore.formulas.outcome import STATUSES
from simcore.landscapes.spin import SphericalSpin
from simcore.landscapes.waves import TorusField
from simcore.networks.linear import LinearNetwork
from simcore.networks.mlp import MLP
from simcore.networks.sigmoid_unit import SigmoidUnit
from simcore.search import dense
from simcore.search.solvers import (
    Auto,
    LevenbergMarquardt,
    Newton,
    PseudoInverseNewton,
    SaddleFreeNewton,
    resolve,
    solver_from_dict,
)

AUTOENCODER = LinearNetwork((4, 2, 4), [4.0, 3.0, 2.0, 1.0])
# Baldi & Hornik (1989), worked out by hand: subset of eigenvectors, cost, negative and zero eigenvalues
TABLE = [
    ((), 5.0, 8, 0),
    ((4,), 4.5, 6, 3), ((3,), 4.0, 5, 3), ((2,), 3.5, 4, 3), ((1,), 3.0, 3, 3),
    ((3, 4), 3.5, 4, 4), ((2, 4), 3.0, 3, 4), ((1, 4), 2.5, 2, 4),
    ((2, 3), 2.5, 2, 4), ((1, 3), 2.0, 1, 4), ((1, 2), 1.5, 0, 4),
]  # fmt: skip
BAD = SigmoidUnit([[1.0], [100.0]], [0.9, 0.1])
SEPARABLE = [[2.0, 2.0, 1.0], [3.0, -1.0, 1.0], [0.0, 2.0, 1.0], [4.0, 4.0, 1.0]]
TEACHER = {"kind": "teacher", "widths": [2, 2, 1], "samples": 30, "noise": 0.3}


def names(outcome: Outcome):
    return [STATUSES[code] for code in outcome.status]


# ---- linear networks -----------------------------------------------------------------------------------------------
def test_the_exact_classes_are_the_table():
    classes = AUTOENCODER.critical_classes()
    stated = {(tuple(s), c, i, z) for s, c, i, z in TABLE}
    found = zip(classes.subset, classes.cost.round(12), classes["morse_index"], classes.nullity, strict=True)
    assert {(tuple(s), c, i, z) for s, c, i, z in found} == stated
    assert len(LinearNetwork((16, 4, 16), np.linspace(1, 2, 16)).critical_classes()) == 2517


def test_every_class_of_an_autoencoder_is_found_with_its_cost_index_and_nullity():
    rows = find_critical_points(AUTOENCODER, starts=600, seed=1, spectrum=True, threads=1)
    found = rows[rows.status == "critical"].groupby("point").first()
    assert len(found) == 11
    measured = sorted(zip(found.cost.round(10), found["morse_index"], found.nullity, strict=True))
    assert measured == sorted((c, i, z) for _, c, i, z in TABLE)
    assert (rows.status != "degenerate").all()
    np.testing.assert_allclose(found.cost, found.cost.round(1), atol=1e-12)
    # Spectrum at the balanced copy W1 = U^T, W2 = U of the global minimum, 4 and 3 kept, 2 and 1 left, by hand: a block
    # [[j, -i], [-i, i]] for each kept j and left i, and 0 and 2j twice for each kept j.
    lowest = found[found["morse_index"] == 0].eigenvalues.iloc[0]
    blocks = [np.linalg.eigvalsh([[j, -i], [-i, i]]) for j in (4, 3) for i in (2, 1)]
    np.testing.assert_allclose(lowest, sorted(np.concatenate([*blocks, [0, 0, 0, 0, 6, 8, 6, 8]])), atol=1e-10)


def test_no_local_minimum_of_an_autoencoder_is_bad():
    rows = find_critical_points(AUTOENCODER, starts=200, seed=2, threads=1)
    minima = rows[(rows.status == "critical") & (rows["morse_index"] == 0)]
    assert len(minima) > 0
    np.testing.assert_allclose(minima.cost, 1.5, atol=1e-12)


def test_the_classes_of_a_regression_are_those_of_its_singular_values():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(3, 3))
    covariance, cross = a @ a.T + 0.2 * np.eye(3), rng.normal(size=(3, 3))
    regression = LinearNetwork((3, 1, 3), covariance, cross)
    rows = find_critical_points(regression, starts=300, seed=1, threads=1)
    found = rows[rows.status == "critical"].groupby("point").first().sort_values("cost")
    classes = regression.critical_classes().sort_values("cost")
    np.testing.assert_allclose(found.cost, classes.cost, rtol=1e-9)
    assert list(found["morse_index"]) == list(classes["morse_index"])
    assert list(found.nullity) == list(classes.nullity)


def test_the_origin_of_a_deeper_linear_network_is_degenerate():
    deep = LinearNetwork((3, 2, 2, 3), [3.0, 2.0, 1.0])
    rows = find_critical_points(deep, starts=40, seed=1, start_law="small", threads=1)
    origin = rows[(rows.cost - 3.0).abs() < 1e-9]
    assert (origin.status == "degenerate").sum() > 10
    assert not (origin.status == "critical").any()


# ---- one sigmoid unit ----------------------------------------------------------------------------------------------
def test_both_minima_of_the_smallest_bad_data_set_are_found():
    rows = find_critical_points(BAD, starts=300, seed=1, positions=True, spectrum=True, threads=1)
    found = rows[rows.status == "critical"].groupby("point").first().sort_values("cost")
    np.testing.assert_allclose(found.cost, [0.16430853679303428, 0.81], rtol=1e-12)
    np.testing.assert_allclose(np.concatenate(list(found.x)), [-0.020874734413415996, 2.1972245773362194], rtol=1e-9)
    np.testing.assert_allclose(np.concatenate(list(found.eigenvalues)), [208.579110336775, 0.0162], rtol=1e-9)
    assert (found["morse_index"] == 0).all()


def test_both_minima_of_separable_data_are_found_and_one_errs():
    unit = SigmoidUnit(SEPARABLE, [0.1, 0.9, 0.9, 0.1])
    rows = find_critical_points(unit, starts=300, seed=1, positions=True, spectrum=True, threads=1)
    found = rows[rows.status == "critical"].groupby("point").first().sort_values("cost")
    np.testing.assert_allclose(found.cost, [0.0099966093471621204, 0.80996872186477871], rtol=1e-12)
    expected = [
        [0.00411140916532717, 0.145879036881762, 0.255231496257434],
        [0.00239200003066821, 0.0383234354079841, 0.720390964085592],
    ]
    np.testing.assert_allclose(np.array(list(found.eigenvalues)), expected, rtol=1e-9)
    assert list(unit.misclassified(np.array(list(found.x)))) == [0, 1]
    assert set(rows.source) == {"narrow", "unit", "wide"}
    assert rows.source.value_counts().nunique() == 1


@pytest.mark.parametrize("solver", [SaddleFreeNewton(), PseudoInverseNewton(), LevenbergMarquardt(), Newton()])
def test_separable_targets_of_zero_and_one_run_away(solver):
    unit = SigmoidUnit(SEPARABLE, [0, 1, 1, 0])
    rows = find_critical_points(unit, starts=150, seed=1, solver=solver, threads=1)
    assert not rows.status.isin(["critical", "degenerate"]).any()
    assert (rows.status == "left_domain").sum() > 30


# ---- statuses ------------------------------------------------------------------------------------------------------
def test_infinite_and_distant_starts_say_so():
    draw = AUTOENCODER.draw(seed=0)
    x = np.full((3, 16), 0.1)
    x[0, 0], x[1, 3] = np.nan, 101.0
    outcome = dense.search(draw, x)
    assert names(outcome)[:2] == ["not_finite", "left_domain"]
    assert list(outcome.index[:2]) == [-1, -1]
    assert names(outcome)[2] not in ("not_finite", "left_domain")
    assert names(dense.search(draw, np.full((1, 16), 1e200))) == ["not_finite"]


def test_too_few_iterations_say_so():
    outcome = dense.search(AUTOENCODER.draw(seed=0), np.full((1, 16), 0.3), PseudoInverseNewton(max_iterations=1))
    assert names(outcome) == ["max_iterations"]
    assert outcome.iterations[0] == 1
    assert outcome.index[0] == outcome.nullity[0] == -1


def test_a_dead_tanh_unit_without_penalty_is_degenerate():
    """v = 0 and w = 0: cost is flat in the (w, b) of a unit with v = 0, to the order that its other half allows."""
    mlp = MLP((2, 1, 1), "tanh", "mse", TEACHER)
    draw = mlp.draw(seed=0)
    x = np.zeros((1, mlp.n))
    x[0, -1] = draw.problem.targets.mean()
    outcome = dense.search(draw, x)
    assert names(outcome) == ["degenerate"]
    assert outcome.nullity[0] > 0


def test_a_minimum_of_the_gradient_norm_is_flat_not_critical():
    """Levenberg-Marquardt on digits: some starts end where Hg = 0 but g is not; none of them may pass as critical."""
    mlp = MLP((4, 2, 10), "softplus", "mse", {"kind": "digits", "pca": 4, "samples": 100}, 0.01)
    rows = find_critical_points(mlp, starts=24, seed=1, threads=1)
    critical, flat = (rows[rows.status == name] for name in ("critical", "gradient_flat"))
    assert len(critical) > 3
    assert len(flat) > 3
    assert critical.grad_norm.max() < 1e-13
    assert flat.grad_norm.min() > 1e-10
    assert (flat.point == -1).all()
    assert flat.iterations.max() < 200  # stopped early


def test_null_modes_end_at_a_gap():
    def count(w):
        return int(dense.null_modes(np.array(w), 1e-10 * float(np.linalg.norm(w))).sum())

    assert count([1.0, -2.0, 1e-16]) == 1
    assert count([1.0, -2.0, 1e-8]) == 0
    assert count([1.0, -2.0, 1e-11]) == 1
    assert count([1.0, 1e-5, 1e-7, 1e-9, 1e-11]) == 1
    assert count([1.0, 3e-9, 2e-10, 5e-12]) == 3  # no gap of 100: undecided, so not counted as positive
    assert count([0.0, 0.0]) == 2


def test_a_start_ends_the_same_in_any_company():
    x = AUTOENCODER.starts(seed=3, draw=0, first=0, count=40)
    draw = AUTOENCODER.draw(seed=3)
    together, some = dense.search(draw, x), dense.search(draw, x[[5, 33]])
    for a, b in zip(together, some, strict=True):
        np.testing.assert_array_equal(a[[5, 33]], b)


def test_threads_do_not_change_the_rows():
    mlp = MLP((2, 2, 1), "tanh", "mse", TEACHER, 0.01)
    one, two = (find_critical_points(mlp, starts=60, seed=1, threads=t, positions=True) for t in (1, 2))
    np.testing.assert_array_equal(np.array(list(one.x)), np.array(list(two.x)))
    assert one.drop(columns="x").equals(two.drop(columns="x"))


# ---- solvers -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("landscape", [TorusField(3), SphericalSpin(5, 3)])
def test_dense_newton_finds_points_of_the_complete_list(landscape):
    """Paths of Newton's method are chaotic, so ends are compared with all critical points, not start by start."""
    draw = landscape.draw(seed=6)
    everything = enumerate_critical_points(landscape, seed=6, threads=1)
    assert everything.audit["complete"]
    points = everything.points
    outcome = dense.search(draw, landscape.starts(seed=6, draw=0, first=0, count=200), Newton())
    done = outcome.status == 0
    assert done.mean() > 0.9
    near = np.abs(outcome.cost[done, None] - points.cost.to_numpy()) < 1e-9
    near &= outcome.index[done, None] == points["morse_index"].to_numpy()
    assert near.any(axis=1).all()
    assert near.any(axis=0).mean() > 0.8


@pytest.mark.parametrize("landscape", [TorusField(3), SphericalSpin(5, 3)])
def test_saddle_free_newton_finds_minima_and_follows_an_index(landscape):
    draw, x = landscape.draw(seed=6), landscape.starts(seed=6, draw=0, first=0, count=60)
    for index in (0, 1):
        outcome = dense.search(draw, x, SaddleFreeNewton(index=index))
        done = outcome.status == 0
        assert done.sum() > 20
        assert (outcome.index[done] == index).mean() > 0.9


def test_levenberg_marquardt_works_on_random_functions_too():
    landscape = TorusField(2)
    outcome = dense.search(
        landscape.draw(seed=6), landscape.starts(seed=6, draw=0, first=0, count=100), LevenbergMarquardt()
    )
    assert {"critical"} <= set(names(outcome)) <= {"critical", "gradient_flat"}
    assert (outcome.status == 0).sum() > 40


def test_auto_is_the_landscapes_own_solver():
    settings = Auto(tolerance=1e-8, max_iterations=7)
    assert resolve(settings, AUTOENCODER) == PseudoInverseNewton(tolerance=1e-8, max_iterations=7)
    assert isinstance(resolve(None, BAD), SaddleFreeNewton)
    assert isinstance(resolve(None, TorusField(2)), Newton)
    chosen = LevenbergMarquardt(damping=0.1)
    assert resolve(chosen, AUTOENCODER) is chosen
    assert solver_from_dict(chosen.to_dict()) == chosen


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match=r"unknown solver method 'newtn'; choose from .*did you mean 'newton'"):
        solver_from_dict({"method": "newtn"})
    with pytest.raises(InputError, match=r"unknown key of .solver. 'dampin'"):
        solver_from_dict({"method": "levenberg_marquardt", "dampin": 1})
    for make in (
        lambda: LevenbergMarquardt(damping=0.0),
        lambda: LevenbergMarquardt(patience=0),
        lambda: SaddleFreeNewton(index=-1),
        lambda: PseudoInverseNewton(cutoff=2),
    ):
        with pytest.raises(InputError, match="give a"):
            make()


def test_a_rectified_unit_at_its_kink_has_no_index():
    """All weights zero but the output's bias: the gradient vanishes, second derivatives depend on the side."""
    data = {**TEACHER, "activation": "relu"}
    rows = find_critical_points(MLP((2, 3, 1), "relu", "mse", data, l2=0.01), starts=40, seed=3, positions=True)
    at_zero = np.array([np.abs(x[:-1]).max() < 1e-9 for x in rows.x])
    assert at_zero.sum() > 5
    assert (rows.status[at_zero] == "max_iterations").all()
    assert (rows["morse_index"][at_zero] == -1).all()
