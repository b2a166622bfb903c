"""The capped step: its length is min(|d|, cap); what is nothing or not finite is left to the outcome rule."""

import math

import numba
import pytest

from simcore.formulas.step_cap import capped_fraction


@numba.njit
def fraction(square, cap):
    return capped_fraction(square, cap)


@pytest.mark.parametrize(
    ("length", "cap", "expected"),
    [(4.0, 1.0, 0.25), (0.5, 1.0, 1.0), (1.0, 1.0, 1.0), (4.0, math.inf, 1.0), (math.inf, 1.0, 0.0), (0.0, 1.0, 1.0)],
)
def test_the_step_has_the_length_of_the_cap_at_most(length, cap, expected):
    assert fraction(length**2, cap) == expected


def test_what_is_no_number_is_not_judged_here():
    assert fraction(math.nan, 1.0) == 1.0
