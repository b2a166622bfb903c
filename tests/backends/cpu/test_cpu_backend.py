"""The CPU kernels against NumPy and the reference twin, and what must not change a row."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from simcore.backends import cpu, reference
from simcore.backends.cpu.ldlt import count_below, factor, solve, solve_pivoted, substitute, tridiagonalise
from simcore.backends.cpu.products import add_8_rows, set_4_rows, set_8_rows
from simcore.backends.cpu.vector import store
from simcore.backends.problems import NewtonOptions, Spin, Waves
from simcore.compilation import jit
from simcore.formulas.outcome import CRITICAL, DEGENERATE, GRADIENT_FLAT, LEFT_DOMAIN, MAX_ITERATIONS, NOT_FINITE

LIMITS = NewtonOptions(np.inf, 1e-10, 1e-6, 200, np.inf, 1e-10, 1e-3)


def spin(n, p, seed=0):
    rng = np.random.default_rng(seed)
    return Spin(n, p, rng.normal(size=math.comb(n + p - 1, p)) / n)


def waves(n, count, seed=0, period=0.0, confinement=0.0):
    rng = np.random.default_rng(seed)
    frequencies = rng.integers(-1, 2, (count, n)).astype(float) if period else rng.normal(size=(count, n))
    return Waves(frequencies, *(rng.normal(size=(2, count)) / np.sqrt(count)), confinement, period)


def sphere(n, count, seed=1):
    x = np.random.default_rng(seed).normal(size=(count, n))
    return x * (np.sqrt(n) / np.linalg.norm(x, axis=1, keepdims=True))


def box(n, count, seed=1):
    return np.random.default_rng(seed).uniform(0, 5, (count, n))


# ---- pieces ---------------------------------------------------------------------------------------------------------
@jit
def multiply(a, b, rows, count, out):
    for r in range(0, rows, 8):
        if rows - r > 4:
            set_8_rows(a, r, rows, b, 0, 24, count - 1, out, r * 24, 24)
            add_8_rows(a, (count - 1) * rows + r, rows, b, (count - 1) * 24, 24, 1, out, r * 24, 24)
        else:
            set_4_rows(a, r, rows, b, 0, 24, count, out, r * 24, 24)


@pytest.mark.parametrize(("rows", "count"), [(8, 1), (4, 7), (16, 33), (12, 5)])
def test_register_products_match_numpy(rows, count):
    rng = np.random.default_rng(rows)
    a, b, out = rng.normal(size=(count, rows)), rng.normal(size=(count, 24)), np.empty(rows * 24)
    multiply(a.ravel(), b.ravel(), rows, count, out)
    np.testing.assert_allclose(out.reshape(rows, 24), a.T @ b, rtol=1e-13, atol=1e-13)


@jit
def factor_and_count(A, B, n, x, shift, growth, counts):
    work = np.empty((7, n * 8))
    memory = np.empty(4 * n * 8)
    store(growth, 0, factor(A, n, work[0], memory))
    substitute(A, n, work[0], x, work[3])
    tridiagonalise(B, n, work[3], work[4], work[5], memory)
    store(counts, 0, count_below(work[3], work[4], n, shift))


@jit
def solve_alone(A, n, x, growth):
    store(growth, 0, solve(A, n, np.empty(n * 8), np.empty(4 * n * 8), x))


def packed(matrices):
    n = matrices.shape[1]
    rows, columns = np.tril_indices(n)
    return np.ascontiguousarray(matrices[:, rows, columns].T).ravel()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 13, 30])
def test_factors_solve_and_sturm_counts_are_the_index(n):
    rng = np.random.default_rng(n)
    for _ in range(20):
        matrices = rng.normal(size=(8, n, n))
        matrices += matrices.swapaxes(1, 2)
        right = rng.normal(size=(8, n))
        x, growth, counts = right.T.ravel().copy(), np.empty(8), np.empty(8)
        shift = rng.normal()
        factor_and_count(packed(matrices), packed(matrices), n, x, shift, growth, counts)
        np.testing.assert_array_equal(counts, (np.linalg.eigvalsh(matrices) < shift).sum(axis=1))
        solution = x.reshape(n, 8).T
        residual = np.einsum("lij,lj->li", matrices, solution) - right
        backward = np.abs(residual).max(axis=1) / (np.abs(matrices).max(axis=(1, 2)) * np.abs(solution).max(axis=1))
        assert (backward < 1e-14 * n * np.maximum(growth, 1)).all()


@pytest.mark.parametrize("n", [*range(1, 12), 30])
def test_a_solve_is_that_of_the_factors(n):
    """Straight code for few unknowns, loops for many: the same solution and growth but for rounding."""
    rng = np.random.default_rng(n)
    matrices = rng.normal(size=(8, n, n))
    matrices += matrices.swapaxes(1, 2)
    right = rng.normal(size=(8, n))
    x, factored, growth, expected = right.T.ravel().copy(), right.T.ravel().copy(), np.empty(8), np.empty(8)
    solve_alone(packed(matrices), n, x, growth)
    factor_and_count(packed(matrices), packed(matrices), n, factored, 0.0, expected, np.empty(8))
    tolerance = 1e-13 * n * expected.max() * np.linalg.cond(matrices).max()
    np.testing.assert_allclose(x, factored, rtol=0, atol=tolerance * np.abs(factored).max())
    np.testing.assert_allclose(growth, expected, rtol=tolerance)


def test_a_zero_pivot_leaves_no_finite_solution_of_few_unknowns():
    growth, x = np.empty(8), np.ones(16)
    solve_alone(np.repeat([0.0, 1.0, 0.0], 8), 2, x, growth)
    assert not np.isfinite(x).any()


def test_integer_matrices_with_zero_pivots_are_flagged_and_counted_right():
    # Unpivoted factors of such matrices meet exact zero pivots; Sturm counts must still be right, and a step that
    # is neither flagged by growth nor infinite must solve its system.
    rng = np.random.default_rng(7)
    flagged = 0
    for _ in range(300):
        matrices = rng.integers(-1, 2, (8, 6, 6)).astype(float)
        matrices = np.tril(matrices) + np.tril(matrices, -1).swapaxes(1, 2)
        x, growth, counts = np.ones(48), np.empty(8), np.empty(8)
        factor_and_count(packed(matrices), packed(matrices), 6, x, -1e-9, growth, counts)
        eigenvalues = np.linalg.eigvalsh(matrices)
        np.testing.assert_array_equal(counts, (eigenvalues < -1e-9).sum(axis=1))
        solution = x.reshape(6, 8).T
        finite = np.isfinite(solution).all(axis=1)
        residual = np.abs(np.einsum("lij,lj->li", matrices[finite], solution[finite]) - 1).max(axis=1)
        bad = np.abs(eigenvalues).min(axis=1) < 1e-9  # singular matrices have no solution to be right about
        bad[finite] |= growth[finite] > 1e6
        assert (residual[~bad[finite]] < 1e-8).all()
        flagged += (~finite & (np.abs(eigenvalues).min(axis=1) > 1e-9)).sum()
    assert flagged > 100


def test_pivoted_elimination_solves_what_plain_factors_cannot():
    matrix = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])
    x = np.array([1.0, 2.0, 3.0])
    solve_pivoted(matrix.copy(), 3, x)
    np.testing.assert_allclose(matrix @ x, [1, 2, 3], atol=1e-14)


# ---- the whole search -----------------------------------------------------------------------------------------------
CASES = [
    (spin(2, 3), sphere(2, 30)),
    (spin(6, 2), sphere(6, 30)),
    (spin(5, 3), sphere(5, 30)),
    (spin(4, 4), sphere(4, 30)),
    (spin(3, 5), sphere(3, 30)),
    (waves(1, 5), box(1, 30)),
    (waves(2, 64), box(2, 30)),
    (waves(3, 20, period=2 * np.pi), box(3, 30)),
    (waves(4, 70, confinement=2.0), box(4, 30)),
]


@pytest.mark.parametrize("n", [7, 9, 24, 25, 33, 40])
def test_derivatives_of_every_layout_match_numpy(n):
    """Tables and scaled rows; blocks of eight coordinates with and without a rest; more waves than a chunk."""
    problem, x = waves(n, 300, confinement=0.3), box(n, 30)
    for ours, theirs in zip(cpu.evaluate(problem, x), reference.evaluate(problem, x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("problem", "starts"), CASES)
def test_the_search_matches_its_reference_twin(problem, starts):
    """Same end points but for starts whose path crosses a basin boundary by rounding: at most 1 in 10 at these
    sizes.
    """
    cap = np.inf if isinstance(problem, Spin) else (1.0 if problem.confinement else 2.0)
    limits = LIMITS._replace(step_cap=cap)
    fast, slow = cpu.newton(problem, starts, limits), reference.newton(problem, starts, limits)
    same = np.abs(fast.x - slow.x).max(axis=1) < 1e-8
    assert same.mean() >= 0.9
    for field in ("status", "index", "nullity"):
        np.testing.assert_array_equal(getattr(fast, field)[same], getattr(slow, field)[same])
    ended = same & (fast.status == CRITICAL)
    assert ended.sum() > 10
    np.testing.assert_allclose(fast.cost[ended], slow.cost[ended], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("problem", "starts"), [*CASES, (waves(30, 128), box(30, 20)), (spin(20, 3), sphere(20, 20))])
def test_a_recorded_row_is_what_the_function_says_there(problem, starts):
    outcome = cpu.newton(problem, starts, LIMITS._replace(step_cap=3.7 / np.sqrt(starts.shape[1])))
    value, gradient, hessian = reference.evaluate(problem, outcome.x)
    np.testing.assert_allclose(outcome.cost, value, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(outcome.grad_norm, np.linalg.norm(gradient, axis=1), atol=1e-12)
    for row in np.flatnonzero(outcome.status == CRITICAL):
        basis = problem.domain.frame(outcome.x[row : row + 1])[0]
        eigenvalues = np.linalg.eigvalsh(basis.T @ hessian[row] @ basis)
        assert outcome.index[row] == (eigenvalues < 0).sum()
        assert outcome.grad_norm[row] < LIMITS.gradient_tolerance
    assert (outcome.status == CRITICAL).sum() >= len(starts) // 3
    assert (outcome.index[outcome.status != CRITICAL] == -1).all()


@pytest.mark.parametrize(("problem", "starts"), [(spin(9, 3), sphere(9, 101)), (waves(5, 64), box(5, 101))])
def test_a_row_depends_on_its_start_alone(problem, starts):
    whole = cpu.newton(problem, starts, LIMITS)
    order = np.random.default_rng(3).permutation(len(starts))
    shuffled = cpu.newton(problem, starts[order], LIMITS)
    parts = [cpu.newton(problem, piece, LIMITS) for piece in np.split(starts, [1, 8, 40])]
    for field, all_rows in whole._asdict().items():
        np.testing.assert_array_equal(getattr(shuffled, field), all_rows[order])
        np.testing.assert_array_equal(np.concatenate([getattr(part, field) for part in parts]), all_rows)


def both(problem, starts, options):
    results = [backend.newton(problem, starts, options) for backend in (cpu, reference)]
    assert (results[0].status == results[1].status).all()
    return results[0]


def test_every_way_to_end_is_reported():
    flat_wave = Waves(np.array([[1.0, 0.0]]), np.array([1.0]), np.array([0.0]), 0.0, 0.0)  # cos x1: x2 is free
    degenerate = both(flat_wave, np.array([[0.3, 1.0]]), LIMITS)
    assert degenerate.status[0] == DEGENERATE
    assert (degenerate.index[0], degenerate.nullity[0]) == (1, 1)

    problem, starts = waves(3, 16), box(3, 24)
    assert (both(problem, starts, LIMITS._replace(max_iterations=1)).status == MAX_ITERATIONS).any()
    assert (both(problem, starts + 100, LIMITS._replace(region=50.0)).status == LEFT_DOMAIN).all()
    broken = problem._replace(cosine=np.full(16, np.nan))
    lost = both(broken, starts, LIMITS)
    assert (lost.status == NOT_FINITE).all()
    assert (lost.index == -1).all()

    # f = cos x + 1.001 x without the linear part cannot be written as waves: a long wave stands in for the slope. Its
    # gradient has a minimum of its norm near x = pi/2 that is no zero, where the second derivative vanishes.
    slope = Waves(np.array([[1.0], [1e-3]]), np.array([1.0, 0.0]), np.array([0.0, 1010.0]), 0.0, 0.0)
    ends = both(slope, np.array([[1.2], [1.7]]), LIMITS._replace(step_cap=0.01, max_iterations=400))
    assert set(ends.status) <= {GRADIENT_FLAT, MAX_ITERATIONS}


def test_no_starts_give_no_rows():
    assert len(cpu.newton(spin(3, 3), np.empty((0, 3)), LIMITS).status) == 0


def elsewhere(processor, tmp_path, call):
    """What a call of the backend gives on another processor, by a process that compiles for it."""
    script = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[1]);"
        "from test_cpu_backend import CASES, LIMITS; from simcore.backends import cpu;"
        f"problem, starts = CASES[6]; np.savez(sys.argv[2], *{call})"
    )
    path = tmp_path / "there.npz"
    environment = {**os.environ, "NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    subprocess.run([sys.executable, "-c", script, os.path.dirname(__file__), str(path)], env=environment, check=True)
    return list(np.load(path).values())


@pytest.mark.long
@pytest.mark.parametrize("processor", ["haswell", "x86-64"])
def test_other_processors_have_the_same_derivatives(processor, tmp_path):
    """The AVX2 tile and the fallback: value, gradient and Hessian of this processor's tile, to rounding."""
    there = elsewhere(processor, tmp_path, "cpu.evaluate(problem, starts)")
    for one, other in zip(there, cpu.evaluate(*CASES[6]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("processor", ["haswell", "x86-64"])
def test_other_processors_give_the_same_answers(processor, tmp_path):
    """Searches on the AVX2 tile and the fallback: same statuses and indices as this processor's, points to 1e-9."""
    here = cpu.newton(*CASES[6], LIMITS)
    there = type(here)(*elsewhere(processor, tmp_path, "cpu.newton(problem, starts, LIMITS)"))
    same = np.abs(there.x - here.x).max(axis=1) < 1e-9
    assert same.mean() >= 0.9
    np.testing.assert_array_equal(there.status[same], here.status[same])
    np.testing.assert_array_equal(there.index[same], here.index[same])
