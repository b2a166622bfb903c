"""The CUDA search in the simulator against the reference: the same draws, the same starts, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simcore
from simcore import backends
from simcore.backends.cuda import shape as shapes
from simcore.backends.cuda.shape import Shape
from simcore.backends.problems import NewtonOptions, Outcome, Spin, Waves
from simcore.errors import InputError, RunError
from simcore.formulas.outcome import CRITICAL, DEGENERATE, GRADIENT_FLAT, LEFT_DOMAIN, MAX_ITERATIONS, NOT_FINITE

cuda, reference = backends.get("cuda"), backends.get("reference")

# Newton's map is chaotic: after many capped steps rounding decides where a start ends. Measured, 3 of 48 starts
# on the sphere with p = 4, n = 4 and 10 of 48 with p = 3, n = 6 end elsewhere, as many as between any two backends, and
# none of those took fewer than 45 steps.
_SHORT = 30

LANDSCAPES = [
    (simcore.TorusField(n=1), 6, 0.0),
    (simcore.TorusField(n=2), 24, 0.0),
    (simcore.TorusField(n=3), 24, 0.0),
    (simcore.GaussianField(n=3, features=70), 8, 0.0),
    (simcore.ConfinedField(n=2, m=0.5, features=32), 12, 0.0),
    (simcore.SphericalSpin(n=4, p=2), 12, 0.0),
    (simcore.SphericalSpin(n=5, p=3), 24, 0.15),
    (simcore.SphericalSpin(n=3, p=5), 12, 0.15),
]


def problem_of(landscape: Any, count: int, seed: int = 1) -> tuple[Any, Any, NewtonOptions]:
    """Return problem, starts (count, n) and options of draw 0."""
    starts = landscape.starts(seed=seed, draw=0, first=0, count=count, law=landscape.start_laws[0])
    return landscape.draw(seed=seed, draw=0).problem, starts, simcore.Newton().options(landscape)


def same(a: Outcome, b: Outcome) -> None:
    """Assert that two outcomes are equal bit for bit."""
    for name in Outcome._fields:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.mark.parametrize("landscape, count, elsewhere", LANDSCAPES, ids=repr)
def test_starts_end_where_the_reference_ends(landscape: Any, count: int, elsewhere: float) -> None:
    problem, starts, options = problem_of(landscape, count)
    ours, theirs = cuda.newton(problem, starts, options), reference.newton(problem, starts, options)

    kept = (ours.status == CRITICAL) & (theirs.status == CRITICAL)  # elsewhere x itself is chaotic
    agree = (ours.status == theirs.status) & (ours.index == theirs.index) & (ours.nullity == theirs.nullity)
    agree &= ~kept | (np.abs(ours.x - theirs.x).max(axis=1) < 1e-8)
    short = np.maximum(ours.iterations, theirs.iterations) <= _SHORT
    assert short.any()
    assert agree[short].all()
    assert 1 - agree.mean() <= elsewhere
    found = agree & kept
    np.testing.assert_allclose(ours.cost[found], theirs.cost[found], rtol=0, atol=1e-9)
    assert (ours.iterations == theirs.iterations)[short].all()


@pytest.mark.parametrize(
    "landscape",
    [simcore.TorusField(n=3), simcore.ConfinedField(n=3, m=0.7, features=70), simcore.SphericalSpin(n=4, p=4)],
    ids=repr,
)
def test_values_and_first_step_agree_to_rounding(landscape: Any) -> None:
    problem, starts, options = problem_of(landscape, 6, seed=3)
    options = options._replace(max_iterations=1, step_cap=np.inf)
    ours, theirs = cuda.newton(problem, starts, options), reference.newton(problem, starts, options)
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-9, atol=1e-9)  # after one uncapped Newton step
    for name in ("cost", "grad_norm", "decrement"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(
    "landscape",
    [simcore.TorusField(n=2), simcore.GaussianField(n=5, features=130), simcore.SphericalSpin(n=4, p=3)],
    ids=repr,
)
def test_the_shape_of_a_block_changes_no_bit(landscape: Any) -> None:
    problem, starts, options = problem_of(landscape, 5, seed=5)
    options = options._replace(max_iterations=6)
    plain = cuda.newton(problem, starts, options, Shape(1, 1, 3))
    same(cuda.newton(problem, starts, options, Shape(2, 3, 2)), plain)
    same(cuda.newton(problem, starts, options, Shape(3, 1, 5)), plain)


def test_a_row_depends_on_its_start_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, starts, options = problem_of(simcore.TorusField(n=2), 14)
    together = cuda.newton(problem, starts, options, Shape(2, 1, 2))
    same(
        cuda.newton(problem, starts[9:12], options, Shape(1, 1, 2)),
        Outcome(*(field[9:12] for field in together)),
    )
    monkeypatch.setattr(shapes.device, "free_memory", lambda: 3000)  # seven starts a batch, few blocks at a time
    assert len(shapes.batches(14, 2)) > 1
    same(cuda.newton(problem, starts, options, Shape(1, 1, 2)), together)


def test_no_starts_give_no_rows() -> None:
    problem, starts, options = problem_of(simcore.TorusField(n=2), 3)
    assert cuda.newton(problem, starts[:0], options).x.shape == (0, 2)


# ---- outcomes other than critical, on both routes --------------------------------------------------------------------
@pytest.fixture(params=["fused", "pool"])
def route(request: pytest.FixtureRequest) -> str:
    return request.param


OPTIONS = NewtonOptions(
    step_cap=1.0,
    gradient_tolerance=1e-9,
    decrement_tolerance=1e-6,
    max_iterations=40,
    region=np.inf,
    zero_tolerance=1e-10,
    flat_tolerance=1e-3,
)


def one_wave(cosine: float, frequency: list[float], confinement: float = 0.0) -> Waves:
    return Waves(np.array([frequency]), np.array([cosine]), np.zeros(1), confinement, 0.0)


def outcome_of(route: str, problem: Any, x: list[float], **changes: float) -> tuple[Outcome, Outcome]:
    """Return the outcome of one start here, on one route, and in the reference."""
    options = OPTIONS._replace(**changes)
    starts = np.array([x])
    return cuda.newton(problem, starts, options, route=route), reference.newton(problem, starts, options)


def test_a_flat_direction_is_degenerate(route: str) -> None:
    ours, theirs = outcome_of(route, one_wave(1.0, [1.0, 0.0]), [2.9, 0.4])  # f = cos x_1
    assert ours.status[0] == theirs.status[0] == DEGENERATE
    assert (ours.index[0], ours.nullity[0]) == (theirs.index[0], theirs.nullity[0]) == (0, 1)


def test_leaving_the_region(route: str) -> None:
    ours, theirs = outcome_of(route, one_wave(1.0, [1.0, 0.5], 0.1), [2.0, 8.0], region=5.0)
    assert ours.status[0] == theirs.status[0] == LEFT_DOMAIN
    assert ours.iterations[0] == theirs.iterations[0] == 0
    assert ours.index[0] == -1


def test_numbers_that_are_not_finite(route: str) -> None:
    ours, _ = outcome_of(route, one_wave(float("nan"), [1.0, 0.5]), [2.0, 1.0])
    assert ours.status[0] == NOT_FINITE


def test_running_out_of_iterations(route: str) -> None:
    ours, theirs = outcome_of(route, one_wave(1.0, [1.0, 0.5], 0.1), [2.0, 1.0], max_iterations=1, step_cap=0.1)
    assert ours.status[0] == theirs.status[0] == MAX_ITERATIONS
    assert ours.iterations[0] == 1


def test_a_gradient_in_the_kernel_of_the_hessian_is_flat(route: str) -> None:
    # f = sin x near x = pi/2 - 1e-6 ... with curvature elsewhere: H = diag(~0, 1), g = (~1, 0)
    waves = Waves(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.0, 1.0]), np.array([1.0, 0.0]), 0.0, 0.0)
    ours, theirs = outcome_of(route, waves, [1e-6, 0.0], max_iterations=1, step_cap=1e-9)
    assert ours.status[0] == theirs.status[0] == GRADIENT_FLAT
    assert ours.index[0] == -1


def test_a_vanishing_first_pivot_is_solved_with_row_exchanges(route: str) -> None:
    # H = [[0, -a], [-a, 0]] at the start: the plain factorisation divides by zero, the Newton step is fine
    waves = Waves(np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([0.5, -0.5]), np.array([0.1, 0.2]), 0.0, 0.0)
    start = [0.0, 0.0]
    ours, theirs = outcome_of(route, waves, start, max_iterations=1, step_cap=np.inf)
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-14)
    ours, theirs = outcome_of(route, waves, start)
    assert ours.status[0] == theirs.status[0]
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-12)


# ---- refusals -------------------------------------------------------------------------------------------------------
def test_a_problem_without_a_kernel_is_refused_by_name() -> None:
    landscape = simcore.CustomLandscape(
        value=lambda x: float(x @ x),
        gradient=lambda x: 2 * x,
        hessian=lambda x: 2 * np.eye(2),
        domain=simcore.Space(2),
        n=2,
    )
    with pytest.raises(InputError, match=r"no kernel for Custom.*Mlp.*Spin, Waves.*backend='cpu'"):
        cuda.newton(landscape.draw(seed=1, draw=0).problem, np.zeros((1, 2)), OPTIONS)


def test_too_large_a_problem_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes.device, "free_memory", lambda: 2**20)
    problem = Spin(100, 3, np.zeros(100 * 101 * 102 // 6))
    with pytest.raises(RunError, match=r"dimension 100 need \d+ MiB .* 1 MiB free"):
        cuda.newton(problem, np.ones((1, 100)), OPTIONS, Shape(32, 1, 8), route="fused")


def test_fewer_blocks_where_memory_has_gone_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, starts, options = problem_of(simcore.TorusField(n=2), 8)
    expected = cuda.newton(problem, starts, options, Shape(1, 1, 2))
    plain, asked = shapes.device.empty, []

    def scarce(shape: Any, dtype: Any, stream: Any = 0) -> Any:
        asked.append(shape)
        if shape > 100:
            raise RunError("the device refused")
        return plain(shape, dtype, stream)

    monkeypatch.setattr(shapes.device, "empty", scarce)
    same(cuda.newton(problem, starts, options, Shape(1, 1, 2)), expected)
    assert max(asked) > 100
    monkeypatch.setattr(shapes.device, "empty", lambda *_: scarce(101, float))
    with pytest.raises(RunError, match="refused"):
        cuda.newton(problem, starts, options, Shape(1, 1, 2))
