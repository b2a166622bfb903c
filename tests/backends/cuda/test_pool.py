"""The pooled search, by matrix products, against the reference and the fused kernel; its products are NumPy's here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simcore
from simcore import backends
from simcore.backends.cuda import device, pool, pool_search, products, waves_pool
from simcore.backends.problems import NewtonOptions, Outcome, Waves
from simcore.errors import InputError, RunError
from simcore.formulas.outcome import CRITICAL

cuda, reference = backends.get("cuda"), backends.get("reference")

# Starts that take more steps may end elsewhere, as between any two backends (tests/backends/cuda/test_newton.py).
_SHORT = 30

LANDSCAPES = [
    (simcore.TorusField(n=2), 20),
    (simcore.GaussianField(n=3, features=70), 12),
    (simcore.ConfinedField(n=2, m=0.5, features=32), 12),
    (simcore.SphericalSpin(n=4, p=2), 10),
    (simcore.SphericalSpin(n=5, p=3), 20),
    (simcore.SphericalSpin(n=3, p=5), 12),
]


@pytest.fixture(autouse=True)
def fresh_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the products anew in each test."""
    monkeypatch.setattr(pool_search, "_widths", {})


def problem_of(landscape: Any, count: int, seed: int = 1) -> tuple[Any, Any, NewtonOptions]:
    """Return problem, starts (count, n) and options of draw 0."""
    starts = landscape.starts(seed=seed, draw=0, first=0, count=count, law=landscape.start_laws[0])
    return landscape.draw(seed=seed, draw=0).problem, starts, simcore.Newton().options(landscape)


def same(a: Outcome, b: Outcome) -> None:
    """Assert that two outcomes are equal bit for bit."""
    for name in Outcome._fields:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.mark.parametrize("landscape, count", LANDSCAPES, ids=repr)
def test_starts_end_where_the_reference_ends(landscape: Any, count: int) -> None:
    problem, starts, options = problem_of(landscape, count)
    options = options._replace(max_iterations=60)
    ours, theirs = cuda.newton(problem, starts, options, route="pool"), reference.newton(problem, starts, options)
    assert pool_search._widths, "the pool has searched"
    short = np.maximum(ours.iterations, theirs.iterations) <= _SHORT
    assert short.sum() >= count // 2
    for name in ("status", "index", "nullity", "iterations"):
        np.testing.assert_array_equal(getattr(ours, name)[short], getattr(theirs, name)[short], err_msg=name)
    found = short & (ours.status == CRITICAL)
    np.testing.assert_allclose(ours.x[found], theirs.x[found], rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.cost[found], theirs.cost[found], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "landscape", [simcore.GaussianField(n=9, features=70), simcore.SphericalSpin(n=7, p=4)], ids=repr
)
def test_one_step_is_the_fused_kernels_to_rounding(landscape: Any) -> None:
    problem, starts, options = problem_of(landscape, 3, seed=3)
    options = options._replace(max_iterations=1, step_cap=np.inf)
    ours, theirs = (cuda.newton(problem, starts, options, route=route) for route in ("pool", "fused"))
    for name in ("x", "cost", "grad_norm", "decrement"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("landscape", [simcore.TorusField(n=2), simcore.SphericalSpin(n=4, p=3)], ids=repr)
def test_a_row_depends_on_its_start_alone(landscape: Any) -> None:
    """Whatever comes before it, beside it and after it: refills, columns and narrower pools change no bit."""
    problem, starts, options = problem_of(landscape, 27)
    assert len(starts) > 3 * pool_search.WIDTH
    together = cuda.newton(problem, starts, options, route="pool")
    order = np.random.default_rng(1).permutation(27)
    mixed = cuda.newton(problem, starts[order], options, route="pool")
    same(Outcome(*(field[np.argsort(order)] for field in mixed)), together)
    same(cuda.newton(problem, starts[11:13], options, route="pool"), Outcome(*(field[11:13] for field in together)))


@pytest.mark.parametrize(
    "landscape", [simcore.GaussianField(n=3, features=70), simcore.SphericalSpin(n=4, p=4)], ids=repr
)
def test_blocks_of_several_threads_change_no_bit(landscape: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, starts, options = problem_of(landscape, 10, seed=2)
    options = options._replace(max_iterations=8)
    plain = cuda.newton(problem, starts, options, route="pool")
    monkeypatch.setattr(pool_search, "THREADS", (2, 3))
    same(cuda.newton(problem, starts, options, route="pool"), plain)


def test_row_exchanges_in_blocks_of_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    # H = [[0, -a], [-a, 0]] at the origin, where the plain factors divide by zero; a step with row exchanges is due
    waves = Waves(np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([0.5, -0.5]), np.array([0.1, 0.2]), 0.0, 0.0)
    options = simcore.Newton().options(simcore.TorusField(n=2))._replace(max_iterations=1, step_cap=np.inf)
    starts = np.array([[0.3, 0.1], [0.0, 0.0], [0.0, 0.0], [0.2, 0.5]])
    plain = cuda.newton(waves, starts, options, route="pool")
    np.testing.assert_allclose(plain.x, reference.newton(waves, starts, options).x, atol=1e-13)
    monkeypatch.setattr(pool_search, "THREADS", (2, 3))
    same(cuda.newton(waves, starts, options, route="pool"), plain)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_check_needs_no_number_of_starts(count: int) -> None:
    problem, starts, options = problem_of(simcore.TorusField(n=2), count)
    cuda.newton(problem, starts, options._replace(max_iterations=1), route="pool")
    assert list(pool_search._widths.values()) == [[8, 4, 2]]


def test_products_that_depend_on_the_column_are_found_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, starts, options = problem_of(simcore.TorusField(n=2), 9)
    plain = products.Products.multiply
    calls = []

    def uneven(self: Any, a: Any, b: Any, out: Any, *, accumulate: bool = False) -> None:
        plain(self, a, b, out, accumulate=accumulate)
        calls.append(out.columns)
        products._view(out)[:, -1] *= 1 + 2e-16  # as if the last column's sums took another order

    monkeypatch.setattr(products.Products, "multiply", uneven)
    ours = cuda.newton(problem, starts, options, route="pool")
    assert list(pool_search._widths.values()) == [[]]
    assert set(calls) == {pool_search.WIDTH}, "found in the first pass, and no pass after that"
    same(ours, cuda.newton(problem, starts, options, route="fused"))


def test_widths_whose_bits_differ_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, starts, options = problem_of(simcore.TorusField(n=2), 9)
    expected = cuda.newton(problem, starts, options, route="pool")
    plain = products.Products.multiply

    def uneven(self: Any, a: Any, b: Any, out: Any, *, accumulate: bool = False) -> None:
        plain(self, a, b, out, accumulate=accumulate)
        if out.columns == 4:
            products._view(out)[...] *= 1 + 2e-16

    monkeypatch.setattr(pool_search, "_widths", {})
    monkeypatch.setattr(products.Products, "multiply", uneven)
    same(cuda.newton(problem, starts, options, route="pool"), expected)
    assert list(pool_search._widths.values()) == [[8, 2]]


def test_a_table_made_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, starts, options = problem_of(simcore.GaussianField(n=3, features=70), 6)
    options = options._replace(max_iterations=2)
    whole = cuda.newton(problem, starts, options, route="pool")
    monkeypatch.setattr(waves_pool, "TABLE", 6 * 40)
    assert waves_pool.chunk_of(70, 3) == 32
    chunks = cuda.newton(problem, starts, options, route="pool")
    for name in ("x", "cost", "grad_norm"):
        np.testing.assert_allclose(getattr(chunks, name), getattr(whole, name), rtol=1e-10, atol=1e-12, err_msg=name)


# ---- which route, and how large --------------------------------------------------------------------------------------
def test_the_shape_of_a_function_decides_the_route() -> None:
    def problem(landscape: Any) -> Any:
        return landscape.draw(seed=1, draw=0).problem

    assert pool_search.preferred(problem(simcore.GaussianField(n=24, features=128)))
    assert not pool_search.preferred(problem(simcore.GaussianField(n=10)))
    assert pool_search.preferred(problem(simcore.SphericalSpin(n=50, p=3)))
    assert not pool_search.preferred(problem(simcore.SphericalSpin(n=10, p=3)))


def test_many_variables_are_searched_in_a_pool() -> None:
    landscape = simcore.GaussianField(n=24, features=128)
    solver = simcore.Newton(max_iterations=3)
    table = {
        backend: simcore.find_critical_points(
            landscape, draws=1, starts=2, seed=2, solver=solver, backend=backend, threads=1, positions=True
        )
        for backend in ("cuda", "reference")
    }
    assert pool_search._widths
    assert list(table["cuda"].status) == list(table["reference"].status)
    x = [np.stack(list(found.x)) for found in table.values()]
    np.testing.assert_allclose(x[0], x[1], atol=1e-9)


def test_the_width_depends_on_the_function_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, _, _ = problem_of(simcore.GaussianField(n=6, features=32), 1)
    assert pool_search.width_of(problem) == pool_search.WIDTH
    column = 8 * waves_pool.layout(problem).a_column
    monkeypatch.setattr(pool_search, "NOMINAL", 4 * column)
    assert pool_search.width_of(problem) == 4
    monkeypatch.setattr(pool_search, "NOMINAL", 0)
    assert pool_search.width_of(problem) == pool_search.NARROWEST


def test_a_pool_that_does_not_fit_is_refused_with_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    landscape = simcore.GaussianField(n=100)
    problem = landscape.draw(seed=1, draw=0).problem
    monkeypatch.setattr(pool_search.device, "free_memory", lambda: 2**24)
    monkeypatch.setattr(pool_search.device, "total_memory", lambda: 2**24)
    starts = np.zeros((1, 100))
    with pytest.raises(RunError, match=r"8 starts of dimension 100 needs \d+ MiB .* 16 MiB free.*backend='cpu'"):
        cuda.newton(problem, starts, simcore.Newton().options(landscape))


def test_memory_that_another_process_holds_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, starts, options = problem_of(simcore.TorusField(n=2), 4)
    seen = []

    def free() -> int:
        seen.append(1)
        return 100 if len(seen) < 3 else 2**30

    monkeypatch.setattr(pool_search.device, "free_memory", free)
    with pool_search._ONE_AT_A_TIME:
        pool_search._wait_for_memory(problem, starts)
    assert len(seen) == 3
    monkeypatch.setattr(pool_search.device, "free_memory", lambda: 100)
    monkeypatch.setattr(pool_search, "PATIENCE", 0.2)
    with pytest.raises(RunError, match="0 MiB free"):
        cuda.newton(problem, starts, options, route="pool")


def test_a_route_that_a_problem_has_not_is_refused() -> None:
    problem, starts, options = problem_of(simcore.TorusField(n=2), 1)
    with pytest.raises(InputError, match=r"route 'gemm' is not for Waves; give 'fused', 'pool'"):
        cuda.newton(problem, starts, options, route="gemm")


def test_a_number_beside_what_is_none_differs_and_two_nans_do_not() -> None:
    """Two rows of four columns against those of the first: 2 and not a number."""
    nan = np.nan
    array = np.array([[2.0, nan, 2.0, 2.0], [nan, nan, 1.0, nan]])
    columns, kept = device.to_device(array.ravel()), device.to_device(np.array([2.0, nan]))
    different = device.to_device(np.zeros(1, np.int64))
    device.launch(pool.compare, 4, (1, 1), (columns, 2, 4, 4, kept, 1, different))
    assert device.to_host(different)[0] == 2
