"""The benchmark of the audit's level: its compiled test is the library's, its families are those that verify tests."""

import importlib.util
import math
import sys

import numpy as np
import pytest
from places import ROOT

from simcore.statistics.audit import compare, cost_test


@pytest.fixture(scope="module")
def level():
    spec = importlib.util.spec_from_file_location("audit_level", ROOT / "benchmarks" / "audit_level.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit_level"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def recorded():
    """Counts of three indices in pairs, and their costs, of 400 draws."""
    rng = np.random.default_rng(5)
    counts = 2.0 * rng.poisson([1.0, 2.0, 0.01], (400, 3))
    return counts, counts * [-1.0, 0.5, 2.0] + 0.2 * np.sqrt(counts) * rng.standard_normal(counts.shape)


def test_the_compiled_test_is_the_librarys(level, recorded):
    rng = np.random.default_rng(4)
    for mean, x in ((2.0, 1 + 2.0 * (rng.random((10, 40)) < 0.1)), (5.0, rng.negative_binomial(0.3, 0.06, (10, 40)))):
        for law in (0.7 * mean, mean, 1.5 * mean):
            level.same_as_library(x.astype(float), law)
    counts, costs = recorded
    excess = costs[:, 0] - 0.9 * counts[:, 0]
    assert level.p_value(excess, 0.0, 0.0, True) == pytest.approx(
        cost_test("c", costs[:, 0], counts[:, 0], 0.9).p, rel=1e-6
    )


def test_a_family_holds_the_tests_of_verify(level, recorded):
    counts, costs = recorded
    made = level.family(counts, costs, 60)
    tests = compare(counts[:60], costs[:60], made["law"], np.ones(60))
    names = ["count of index 0", "count of index 1", "count of all points", "mean cost of index 0"]
    assert [t.what for t in tests] == [*names, "mean cost of index 1"]
    assert made["counts"] == 3 and made["table"].shape == (400, 5)
    means = np.where(np.arange(5) < 3, made["table"].mean(axis=0), 0.0)
    units = np.where(np.arange(5) < 3, 2.0, 0.0)
    for t, test in enumerate(tests):
        x = np.ascontiguousarray(made["table"][:60, t])
        assert level.p_value(x, means[t], units[t], t >= 3) == pytest.approx(test.p, rel=1e-6)


def test_a_law_that_holds_hardly_alarms(level):
    """At 1e-3 and below no sample of 400 alarms where the law holds: more than one has probability 0.06 at most."""
    values, probability = level.synthetic()["1 + 2 Bernoulli(0.3)"]
    right = level.one_cell("right", (values, probability), 100, 400, 1)
    assert right["alarms"][1:] == [0, 0, 0, 0] and right["runs"] == 400 and len(right["alarms"]) == len(level.P_VALUES)
    assert right["mean"] == pytest.approx(1.6) and right["sd"] == pytest.approx(2 * math.sqrt(0.21))


def test_the_upper_limit_is_clopper_and_pearsons(level):
    assert level.upper(0, 100_000) == pytest.approx(1 - 0.05**1e-5, rel=1e-6)
    assert level.upper(4, 100_000) == pytest.approx(9.15e-5, rel=1e-2)
