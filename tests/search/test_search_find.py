"""``find_critical_points``: every start accounted for, the same rows however the work is cut."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import simcore
from simcore import backends
from simcore.errors import InputError
from simcore.formulas.outcome import STATUSES
from simcore.landscapes.spin import SphericalSpin
from simcore.landscapes.waves import GaussianField, TorusField
from simcore.search.find import find_critical_points
from simcore.search.solvers import Newton

LANDSCAPES = [SphericalSpin(6), TorusField(3), GaussianField(3, features=32)]
COLUMNS = {
    "draw": "int64",
    "start": "int64",
    "status": "category",
    "iterations": "int32",
    "cost": "float64",
    "grad_norm": "float64",
    "morse_index": "int32",
    "nullity": "int32",
    "point": "int64",
    "certified": "bool",
    "source": "category",
}


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda x: x.name)
def test_every_start_has_a_row_and_rows_mean_what_they_say(landscape):
    rows = find_critical_points(landscape, draws=3, first_draw=2, starts=70, first_start=5, seed=9, positions=True)
    assert rows.drop(columns="x").dtypes.astype(str).to_dict() == COLUMNS
    assert list(rows.columns) == [*COLUMNS, "x"]
    assert rows["draw"].tolist() == np.repeat([2, 3, 4], 70).tolist()
    assert rows["start"].tolist() == [*range(5, 75)] * 3
    assert tuple(rows["status"].cat.categories) == STATUSES
    critical = rows["status"] == "critical"
    assert critical.mean() > 0.5
    assert (rows.loc[~critical, "point"] == -1).all()
    assert (rows.loc[critical, "point"] >= 0).all()
    assert rows.loc[critical, "certified"].mean() > 0.99
    assert not rows.loc[~critical, "certified"].any()
    for number, part in rows.groupby("draw"):
        f = landscape.draw(seed=9, draw=number)
        x = np.stack(part["x"].to_list())
        np.testing.assert_allclose(f.value(x), part["cost"], atol=1e-9)
        here = (part["status"] == "critical").to_numpy()
        assert (np.linalg.norm(f.gradient(x[here]), axis=1) < 2e-10 * landscape.scales.gradient + 1e-13).all()
        eigenvalues = np.linalg.eigvalsh(f.hessian(x[here]))
        assert ((eigenvalues < -1e-9).sum(axis=1) == part["morse_index"][here]).all()
        first = part[here].drop_duplicates("point")
        assert first["point"].tolist() == list(range(len(first))), "numbered by the first start that reaches it"


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda x: x.name)
def test_threads_and_blocks_change_nothing(landscape, monkeypatch):
    call = {"draws": 2, "starts": 150, "seed": 4, "positions": True, "spectrum": True}
    alone = find_critical_points(landscape, threads=1, **call)
    monkeypatch.setattr(backends.get("cpu"), "BLOCK", 24)
    pd.testing.assert_frame_equal(alone, find_critical_points(landscape, threads=2, **call), check_exact=True)
    pd.testing.assert_frame_equal(alone, find_critical_points(landscape, threads=5, **call), check_exact=True)
    one = find_critical_points(landscape.draw(seed=4, draw=1), starts=150, positions=True, spectrum=True)
    second = alone[alone["draw"] == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(second, one, check_exact=True)


def test_more_starts_never_change_earlier_rows():
    few = find_critical_points(SphericalSpin(7), starts=60, seed=2)
    many = find_critical_points(SphericalSpin(7), starts=600, seed=2)
    pd.testing.assert_frame_equal(few, many.iloc[:60], check_exact=True)


def test_a_failed_start_says_so_and_keeps_its_row():
    rows = find_critical_points(SphericalSpin(8), starts=50, seed=1, solver=Newton(max_iterations=3))
    lost = rows[rows["status"] == "max_iterations"]
    assert len(rows) == 50
    assert len(lost) > 10
    assert (lost["iterations"] == 3).all()
    assert (lost["morse_index"] == -1).all()
    assert (lost["nullity"] == -1).all()
    assert (lost["point"] == -1).all()


def test_eigenvalues_belong_to_the_points():
    rows = find_critical_points(SphericalSpin(5), starts=80, seed=3, spectrum=True, solver=Newton(max_iterations=12))
    critical = rows["status"] == "critical"
    assert 0 < critical.sum() < 80
    assert set(rows.loc[critical, "eigenvalues"].map(len)) == {4}
    assert set(rows.loc[~critical, "eigenvalues"].map(len)) == {0}
    assert (rows.loc[critical, "eigenvalues"].map(lambda v: (v < 0).sum()) == rows.loc[critical, "morse_index"]).all()
    assert rows.loc[critical, "eigenvalues"].map(lambda v: (np.diff(v) >= 0).all()).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"starts": -3}, "starts is -3"),
        ({"starts": 0}, "starts is 0"),
        ({"starts": 2.5}, "starts is 2.5"),
        ({"draws": 0}, "draws is 0"),
        ({"first_draw": -1}, "first draw is -1"),
        ({"first_start": -1}, "first start is -1"),
        ({"first_start": 2**32 - 1}, "start numbers end at"),
        ({"first_draw": 2**32 - 1, "draws": 2}, "has draws 0 to"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"backend": "cpuu"}, "did you mean 'cpu'"),
        ({"start_law": "uniformm"}, "did you mean 'uniform'"),
        ({"solver": "newton"}, "simcore.Newton"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        find_critical_points(TorusField(2), **{"starts": 4, **arguments})
    assert "\n" not in str(caught.value)


def test_a_draw_refuses_the_choice_of_draws_and_other_things_are_refused():
    draw = TorusField(2).draw(seed=1)
    with pytest.raises(InputError, match="together with one draw"):
        find_critical_points(draw, draws=2)
    with pytest.raises(InputError, match="the target is"):
        find_critical_points("torus_field")


def test_an_error_in_a_thread_is_raised(monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("no starts today")

    monkeypatch.setattr(TorusField, "starts", broken)
    for threads in (1, 3):
        with pytest.raises(RuntimeError, match="no starts today"):
            find_critical_points(TorusField(2), draws=4, starts=8, threads=threads)


def test_positions_of_no_rows_keep_their_number_of_coordinates():
    rows = find_critical_points(TorusField(3), starts=3, backend="reference", positions=True, threads=1)
    assert simcore.positions(rows).shape == (3, 3)
    assert simcore.positions(rows[rows["status"] == "left_domain"]).shape == (0, 3)
