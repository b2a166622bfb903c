"""``simcore bench network`` measures what searches of networks run."""

import math

import pytest

import simcore
from simcore.backends import cpu
from simcore.benchmarks import flops, measure, network
from simcore.benchmarks.settings import Settings
from simcore.errors import InputError
from simcore.search import dense

FIELDS = ("us_per_start_iteration", "us_per_hessian", "useful_gflops", "dgemm_gflops", "dgemm_fraction",
          "points_per_second", "compile_seconds")  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    """Make the measurement short, and compile nothing anew."""
    for name, value in (("TARGET", 1e-3), ("LONGEST_SEARCH", 1e-3), ("MOST", 16)):
        monkeypatch.setattr(network, name, value)
    monkeypatch.setattr(network, "compile_seconds", lambda table, backend: 1.0)
    return Settings(widths=(2, 3, 2, 1), repeats=1)


def spied(monkeypatch, module, name):
    """Let calls of a function be seen."""
    calls, function = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *given, **named: calls.append(given) or function(*given, **named))
    return calls


def test_the_bench_times_the_functions_that_searches_call(small, monkeypatch):
    """The walk and the search around it are the same objects that ``find_critical_points`` goes through."""
    walks, searches = spied(monkeypatch, cpu, "levenberg_marquardt"), spied(monkeypatch, dense, "search")
    landscape = simcore.MLP(**{k: v for k, v in small.network().items() if k != "name"})
    simcore.find_critical_points(landscape, starts=8, seed=1, threads=1)
    by_search = len(walks), len(searches)
    assert min(by_search) > 0
    result = measure("network", small)
    assert len(walks) > by_search[0] and len(searches) > by_search[1]
    endless = [given for given in walks if given[2].gradient_tolerance == 0.0]
    assert endless and all(given[2].max_iterations == network.STEPS for given in endless)
    assert all(math.isfinite(result[name]) and result[name] >= 0 for name in FIELDS)


def test_useful_flops_are_one_multiply_add_an_entry():
    landscape = simcore.MLP((3, 4, 2), "tanh", "mse", {"kind": "teacher", "widths": [3, 2, 2], "samples": 50})
    problem = landscape.draw(seed=1).problem
    assert flops.network_hessian(problem) == 50 * (26 * 27 + 6 * 26)


def test_bench_newton_sends_networks_to_their_own_case():
    with pytest.raises(InputError, match="use bench network"):
        measure("newton", Settings(landscape="mlp", widths=(2, 3, 1)))
