"""Rows of ``simcore theory``, laws by name."""

import json
import math

import numpy as np
import pytest

from simcore.errors import InputError
from simcore.theory.gaussian import gaussian_field_law
from simcore.theory.tables import law, log_saddles_over_minima, theory_laws, theory_rows

KEYS = {"n", "morse_index", "fraction", "mean_count", "mean_cost", "sd_cost", "log_saddles_over_minima"}


def arguments(name):
    return {"m": 0.7} if name == "confined_field" else {}


@pytest.mark.parametrize("name", theory_laws())
def test_rows_have_the_promised_keys_and_survive_strict_json(name):
    rows = theory_rows(name, range(2, 6), **arguments(name))
    assert all(set(row) >= KEYS for row in rows)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    dimension = {n: n - 1 if name == "spherical_spin" else n for n in range(2, 6)}
    assert [(row["n"], row["morse_index"]) for row in rows] == [
        (n, k) for n in range(2, 6) for k in range(dimension[n] + 1)
    ]
    assert all(row["listed"] == "all" for row in rows)
    for n in range(2, 6):
        assert sum(row["fraction"] for row in rows if row["n"] == n) == pytest.approx(1)


@pytest.mark.parametrize("name", ["coin_flip", "goe"])
def test_laws_of_eigenvalue_signs_have_no_counts_and_no_costs(name):
    for row in theory_rows(name, 3):
        assert row["mean_count"] is row["mean_cost"] is row["sd_cost"] is row["unit"] is None
        assert row["fraction"] > 0


def test_no_saddles_below_two_dimensions():
    assert {row["log_saddles_over_minima"] for row in theory_rows("torus_field", 1)} == {None}
    assert log_saddles_over_minima("spherical_spin", 2) is None
    assert log_saddles_over_minima("spherical_spin", 3) == pytest.approx(math.log(4.2761798705987 / 3.1380899352993))


def test_ratio_by_name_is_the_sum_over_saddles():
    rows = theory_rows("spherical_spin", 7, p=4)
    counts = np.array([row["mean_count"] for row in rows])
    expected = math.log(counts[1:-1].sum() / counts[0])
    assert log_saddles_over_minima("spherical_spin", 7, p=4) == pytest.approx(expected, rel=1e-12)
    assert rows[0]["log_saddles_over_minima"] == pytest.approx(expected, rel=1e-12)
    assert log_saddles_over_minima("coin_flip", 10) == pytest.approx(math.log(2**10 - 2), rel=1e-14)


def test_beyond_fifty_dimensions_rows_say_what_they_list():
    rows = theory_rows("goe", 60)
    assert [row["morse_index"] for row in rows] == [*range(6), *range(55, 61)]
    assert {row["listed"] for row in rows} == {"lowest and highest 6"}
    assert rows[0]["fraction"] == 0.0 and rows[0]["log_fraction"] < -1000  # e^-1012: kept as a logarithm
    assert {row["listed"] for row in theory_rows("confined_field", 60, m=1.5)} == {"lowest 6"}


def test_p_defaults_to_three():
    assert theory_rows("spherical_spin", 4) == theory_rows("spherical_spin", 4, p=3)


def test_the_law_by_name_is_the_law():
    assert law("gaussian_field", 4).equals(gaussian_field_law(4))


@pytest.mark.parametrize(
    "name, n, given, words",
    [
        ("torus_feild", 3, {}, "torus_field"),
        ("torus_field", 3, {"p": 3}, "leave p out"),
        ("confined_field", 3, {}, "give m"),
        ("confined_field", 3, {"m": -1.0}, "positive"),
        ("spherical_spin", 3, {"p": 2.5}, "whole number"),
        ("spherical_spin", 3, {"m": 1.0}, "leave m out"),
        ("goe", 201, {}, "200"),
    ],
)
def test_bad_requests_say_what_is_allowed(name, n, given, words):
    with pytest.raises(InputError, match=words):
        theory_rows(name, n, **given)


def test_modules_are_reached_as_attributes():
    import simcore.theory

    assert simcore.theory.spin.spherical_spin_law(4, 3).attrs["p"] == 3
    with pytest.raises(AttributeError, match="it offers"):
        simcore.theory.nothing  # noqa: B018
