"""Regularised Newton with chords: the same critical points as plain Newton, by another path."""

import os
import subprocess
import sys

import numpy as np
import pytest

import simcore
from simcore.backends import cpu, reference
from simcore.backends.cpu.dispatch import prepare
from simcore.backends.cpu.krylov import descend
from simcore.backends.cpu.singles import narrow
from simcore.backends.cpu.vector import load
from simcore.backends.cpu.waves_single import (
    copy_hessian,
    evaluate_amplitudes,
    hessian_single,
    multiply_hessian,
    prepare_single,
)
from simcore.compilation import jit
from simcore.errors import InputError
from simcore.formulas.outcome import CRITICAL, GRADIENT_FLAT, LEFT_DOMAIN, MAX_ITERATIONS, NOT_FINITE
from simcore.search.solvers import Auto, Newton, RegularisedNewton, resolve, solver_from_dict


def problem_and_starts(n, features, count):
    landscape = simcore.GaussianField(n=n, features=features)
    starts = landscape.starts(seed=5, draw=0, first=0, count=count)
    return landscape, landscape.draw(seed=5).problem, starts


@pytest.mark.parametrize("n", [1, 3, 8, 20])
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


@pytest.mark.parametrize(("n", "features"), [(6, 64), (27, 64), (41, 128)])
def test_a_row_depends_on_its_start_alone(n, features):
    landscape, problem, starts = problem_and_starts(n, features, 60)
    options = RegularisedNewton().options(landscape)
    whole = cpu.regularised_newton(problem, starts, options, 1.0)
    order = np.random.default_rng(1).permutation(60)
    shuffled = cpu.regularised_newton(problem, starts[order], options, 1.0)
    parts = [cpu.regularised_newton(problem, part, options, 1.0) for part in np.split(starts, [1, 8, 35])]
    for field, rows in whole._asdict().items():
        np.testing.assert_array_equal(getattr(shuffled, field), rows[order])
        np.testing.assert_array_equal(np.concatenate([getattr(part, field) for part in parts]), rows)


@pytest.mark.parametrize("n", [3, 45])
def test_every_way_to_end_is_reported(n):
    landscape, problem, starts = problem_and_starts(n, 256, 30)
    options = RegularisedNewton().options(landscape)
    spent = cpu.regularised_newton(problem, starts, options._replace(max_iterations=2), 1.0)
    assert (spent.iterations <= 2).all()
    unfinished = spent.status != CRITICAL
    assert unfinished.any()
    assert set(spent.status[unfinished]) <= {MAX_ITERATIONS, GRADIENT_FLAT}
    value, gradient, _ = reference.evaluate(problem, spent.x)
    np.testing.assert_allclose(spent.cost, value, atol=1e-11)
    np.testing.assert_allclose(spent.grad_norm, np.linalg.norm(gradient, axis=1), atol=1e-10)
    assert (spent.index[unfinished] == -1).all()
    outside = cpu.regularised_newton(problem, starts + 100, options._replace(region=50.0), 1.0)
    assert (outside.status == LEFT_DOMAIN).all()
    broken = problem._replace(cosine=np.full(256, np.nan))
    assert (cpu.regularised_newton(broken, starts, options, 1.0).status == NOT_FINITE).all()


@jit
def amplitudes_and_hessian(problem, X, A):
    """Fill A, (3, packed 8), with the tile's Hessians; return value and gradient rows, minus H x, and H's waves."""
    tables, tile = prepare(problem)
    single = prepare_single(problem, True)
    evaluate_amplitudes(tables, single, tile, X)
    hessian_single(single, tables.waves, tile.n)
    for k in range(0, tile.n * 24, 8):
        narrow(single.vector, k, load(X, k))
    multiply_hessian(single, tables.waves, tile.n)
    for s in range(3):
        copy_hessian(single, tile, s * 8, A[s])
    return tile.memory[: (1 + tile.n) * 24].copy(), single.image[: tile.n * 24].copy()


def single_precision(problem, x):
    """Value (24,), gradient (24, n), Hessian (24, n, n) and H x (24, n), the latter two by float32 sums."""
    n = x.shape[1]
    A = np.zeros((3, n * (n + 1) // 2 * 8))
    memory, image = amplitudes_and_hessian(cpu.in_lanes(problem), np.ascontiguousarray(x.T).ravel(), A)
    hessian = np.zeros((24, n, n))
    rows, columns = np.tril_indices(n)
    hessian[:, rows, columns] = A.reshape(3, -1, 8).transpose(0, 2, 1).reshape(24, -1)
    hessian[:, columns, rows] = hessian[:, rows, columns]
    memory = memory.reshape(-1, 24)
    return memory[0], memory[1:].T, hessian, -image.reshape(-1, 24).T


@pytest.mark.parametrize(("n", "features"), [(1, 5), (12, 130), (29, 300)])
def test_sums_in_single_precision_match_the_reference(n, features):
    _, problem, _ = problem_and_starts(n, features, 1)
    x = np.random.default_rng(2).normal(size=(24, n))
    value, gradient, hessian, image = single_precision(problem, x)
    exact = reference.evaluate(problem, x)
    np.testing.assert_allclose(value, exact[0], atol=1e-12)
    np.testing.assert_allclose(gradient, exact[1], atol=1e-12)
    size = np.abs(exact[2]).max()
    np.testing.assert_allclose(hessian, exact[2], atol=3e-6 * size)
    np.testing.assert_allclose(image, np.einsum("sij,sj->si", exact[2], x), atol=1e-5 * size * np.abs(x).max())
    confined = single_precision(problem._replace(confinement=2.5), x)[2] - hessian
    np.testing.assert_allclose(confined, np.broadcast_to(2.5 * np.eye(n), confined.shape), atol=1e-12)


@pytest.mark.parametrize("n", [2, 7, 30])
def test_descent_matches_its_reference_twin(n):
    """Single precision moves a step by a millionth; one start in ten may then leave a step earlier or later."""
    landscape, problem, starts = problem_and_starts(n, 200, 40)
    options = RegularisedNewton().options(landscape)
    fast = np.empty_like(starts)
    descend(cpu.in_lanes(problem), starts, options.step_cap, options.region, fast, np.zeros(3, np.int64))
    slow = np.array([reference.descend(problem, x, options) for x in starts])
    assert (np.abs(fast - slow).max(axis=1) < 1e-3).mean() >= 0.9
    before, after = (np.linalg.norm(reference.evaluate(problem, x)[1], axis=1) for x in (starts, fast))
    assert n < 30 or np.median(after) < 0.3 * np.median(before)  # in few variables the cap is longer than the waves


@pytest.mark.long
@pytest.mark.parametrize("processor", ["x86-64", "haswell"])
def test_other_processors_sum_single_precision_alike(processor, tmp_path):
    """The blocks of the AVX2 tile and of the fallback: same sums as this processor's, to rounding of the sines."""
    script = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[1]);"
        "from test_regularised_newton import problem_and_starts, single_precision;"
        "problem = problem_and_starts(13, 70, 1)[1]; x = np.random.default_rng(2).normal(size=(24, 13));"
        "np.save(sys.argv[2], single_precision(problem, x)[2])"
    )
    path = tmp_path / "there.npy"
    environment = {**os.environ, "NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    command = [sys.executable, "-c", script, os.path.dirname(__file__), str(path)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    problem = problem_and_starts(13, 70, 1)[1]
    here = single_precision(problem, np.random.default_rng(2).normal(size=(24, 13)))[2]
    np.testing.assert_allclose(np.load(path), here, rtol=1e-5, atol=1e-6)


def test_auto_means_it_from_25_variables_on():
    assert isinstance(resolve(None, simcore.GaussianField(n=24)), Newton)
    chosen = resolve(Auto(tolerance=1e-9), simcore.GaussianField(n=25))
    assert chosen == RegularisedNewton(tolerance=1e-9)
    assert solver_from_dict({"method": "regularised_newton", "max_iterations": 9}).max_iterations == 9


def test_it_is_refused_where_it_can_not_run():
    with pytest.raises(InputError, match="sums of waves"):
        simcore.find_critical_points(simcore.SphericalSpin(n=4), starts=4, solver=RegularisedNewton())
