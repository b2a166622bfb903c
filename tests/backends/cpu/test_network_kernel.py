"""The compiled network kernel against its reference twin: any depth, loss, activation, shared weights, both ways."""

import numpy as np
import pytest

from simcore import steps
from simcore.backends import cpu, reference
from simcore.backends.cpu import network_points
from simcore.backends.cpu.network import SIZE
from simcore.backends.network_problems import Chain, Layer, Mlp
from simcore.backends.problems import NewtonOptions
from simcore.formulas.outcome import CRITICAL
from simcore.networks.mlp import MLP
from simcore.search import dense
from simcore.search.search import Search
from simcore.search.solvers import LevenbergMarquardt, SaddleFreeNewton
from simcore.search.target import Target


def data(inputs, outputs, samples, loss):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(samples, inputs)), rng.normal(size=(samples, outputs))
    return x, np.eye(outputs)[y.argmax(axis=1)] if loss == "cross_entropy" else y


def problem(widths, activation, samples, loss="mse"):
    return Mlp(widths, activation, loss, *data(widths[0], widths[-1], samples, loss), 0.05)


def convolution(activation="tanh", loss="cross_entropy", samples=19):
    """Two filters at three overlapping places of five inputs, one that sees two of them, two outputs."""
    layers = (
        Layer(2, np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]]), 0, 6),
        Layer(2, np.array([[5, 6, 8, 9], [6, 7, 9, 10]]), 8, 16),
        Layer(2, np.array([[11, 12, 13, 14]]), 18, 26),
    )
    return Chain(layers, activation, loss, *data(5, 2, samples, loss), 0.03, 28)


def recurrence(activation="tanh", loss="mse", samples=19):
    """Two units that see one input and themselves at each of three times, one output."""
    layers = (
        Layer(2, np.array([[0]]), 0, 6),
        Layer(2, np.array([[1, 3, 4]]), 8, 6),
        Layer(2, np.array([[2, 5, 6]]), 8, 6),
        Layer(2, np.array([[7, 8]]), 14, 18),
    )
    return Chain(layers, activation, loss, *data(3, 2, samples, loss), 0.03, 20)


def elman(activation="tanh", loss="mse", samples=19):
    """The same weights at each of three times; the first state is among the inputs."""
    layers = (
        Layer(2, np.array([[0, 1, 2]]), 0, 6),
        Layer(2, np.array([[3, 6, 7]]), 0, 6),
        Layer(2, np.array([[4, 8, 9]]), 0, 6),
        Layer(2, np.array([[10, 11]]), 8, 12),
    )
    return Chain(layers, activation, loss, *data(6, 2, samples, loss), 0.03, 14)


@pytest.fixture(params=["lanes", "single"])
def kernel(request, monkeypatch):
    """Both ways do any number of parameters: each is made to do all."""
    monkeypatch.setattr(network_points, "SINGLE_FROM", 1 if request.param == "single" else 10**9)
    return request.param


SHAPES = [((3, 4, 2), 50), ((2, 3), 21), ((5, 3, 4), 130), ((2, 1, 6), 9), ((4, 3, 2, 2), 33), ((3, 2, 3, 2, 3), 40)]
SHARED = [convolution, recurrence, elman]


def assert_same(given, x):
    for fast, slow in zip(cpu.evaluate(given, x), reference.evaluate(given, x), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=0, atol=4e-14 * np.abs(slow).max())


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", "relu", "linear"])
@pytest.mark.parametrize(("widths", "samples"), SHAPES, ids=str)
def test_compiled_derivatives_are_the_reference_ones(kernel, widths, samples, activation, loss):
    given = problem(widths, activation, samples, loss)
    assert_same(given, np.random.default_rng(8).normal(size=(9, given.dimension)))


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("activation", ["tanh", "softplus"])
@pytest.mark.parametrize("shared", SHARED)
def test_shared_weights(kernel, shared, activation, loss):
    given = shared(activation, loss)
    assert_same(given, np.random.default_rng(8).normal(size=(9, given.dimension)))


@pytest.mark.parametrize("shared", SHARED)
def test_the_twin_of_shared_weights_against_differences(shared):
    """Central differences of the value and of the gradient, error O(h^2) = 1e-10."""
    given = shared()
    x, h = np.random.default_rng(2).normal(size=given.dimension), 1e-5
    _, gradient, hessian = reference.evaluate(given, x[None])
    steps = h * np.eye(given.dimension)
    ahead, behind = reference.evaluate(given, x + steps), reference.evaluate(given, x - steps)
    np.testing.assert_allclose((ahead[0] - behind[0]) / (2 * h), gradient[0], atol=1e-8)
    np.testing.assert_allclose((ahead[1] - behind[1]) / (2 * h), hessian[0], atol=1e-8)


def test_a_chain_of_single_places_is_a_perceptron():
    given = problem((3, 4, 3, 2), "tanh", 30, "cross_entropy")
    from simcore.backends.network_problems import chain

    x = np.random.default_rng(2).normal(size=(3, given.dimension))
    for one, other in zip(reference.evaluate(chain(given), x), reference.evaluate(given, x), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)


@pytest.mark.parametrize("given", [problem((3, 4, 2), "tanh", 21), problem((3, 2, 3, 2), "softplus", 40), elman()])
def test_products_and_batches(given):
    """H v, v given or the gradient; values and gradients alone; each start on samples of its own."""
    rng = np.random.default_rng(5)
    x, v = rng.normal(size=(2, 11, given.dimension))
    value, gradient, hessian = reference.evaluate(given, x)
    for direction in (v, None):
        f, g, bent = network_points.products(given, x, direction)
        expected = np.einsum("sij,sj->si", hessian, gradient if direction is None else v)
        np.testing.assert_allclose(f, value, rtol=1e-12)
        np.testing.assert_allclose(g, gradient, rtol=0, atol=1e-13 * np.abs(gradient).max())
        np.testing.assert_allclose(bent, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_array_equal(network_points.products(given, x, order=0)[0], f)
    np.testing.assert_array_equal(network_points.products(given, x, order=1)[1], g)
    chosen = rng.integers(0, len(given.inputs), (11, 18))
    batches = network_points.products(given, x, v, chosen=chosen)
    for row, some in enumerate(chosen):
        own = given._replace(inputs=given.inputs[some], targets=given.targets[some])
        slope, curve = (part[0] for part in reference.evaluate(own, x[row : row + 1])[1:])
        np.testing.assert_allclose(batches[1][row], slope, rtol=0, atol=1e-13 * np.abs(slope).max())
        np.testing.assert_allclose(batches[2][row], curve @ v[row], rtol=0, atol=1e-12 * np.abs(curve @ v[row]).max())


def test_a_row_does_not_depend_on_its_company(kernel):
    given = problem((3, 4, 3, 2), "tanh", 100)
    x = np.random.default_rng(6).normal(size=(31, given.dimension))
    for a, b in zip(cpu.evaluate(given, x), cpu.evaluate(given, x[[7, 30]]), strict=True):
        np.testing.assert_array_equal(a[[7, 30]], b)


def test_layouts_are_kept_and_dropped():
    given = problem((3, 4, 2), "tanh", 21)
    assert network_points.prepared(given) is network_points.prepared(given)
    others = [given._replace(l2=float(k)) for k in range(20)]
    assert [network_points.prepared(other).l2 for other in others] == list(range(20))
    assert len(network_points._kept) == 16


def test_the_loop_of_all_families_takes_networks():
    """Few parameters and a penalty: paths are not chaotic, so nearly all starts must end alike."""
    given = problem((2, 3, 1), "sigmoid", 400)
    options = NewtonOptions(1.0, 1e-10, 1e-6, 60, 100.0, 1e-10, 1e-3)
    starts = 0.3 * np.random.default_rng(4).normal(size=(30, given.dimension))  # more than a tile: lanes are refilled
    fast, slow = cpu.newton(given, starts, options), reference.newton(given, starts, options)
    same = (fast.status == slow.status) & (np.abs(fast.x - slow.x).max(axis=1) < 1e-6)
    assert same.mean() > 0.8
    both = same & (fast.status == 0)
    assert both.sum() > 5
    np.testing.assert_array_equal(fast.index[both], slow.index[both])


# ---- Levenberg-Marquardt ---------------------------------------------------------------------------------------------
def network(activation, widths=(2, 4, 1), l2=0.02):
    return MLP(widths, activation, "mse", {"kind": "teacher", "widths": [2, 2, 1], "samples": 30, "noise": 0.3}, l2)


@pytest.mark.parametrize("given", [network("tanh"), network("softplus"), network("tanh", (2, 3, 2, 1))], ids=repr)
@pytest.mark.parametrize("solver", [LevenbergMarquardt(), LevenbergMarquardt(step_cap=0.3, max_iterations=60)])
def test_the_compiled_walk_ends_where_the_plain_one_ends(given, solver):
    """Small networks with a penalty: rounding seldom decides where a walk leads, so nearly all starts must agree."""
    draw = given.draw(seed=4)
    starts = given.starts(seed=4, draw=0, first=0, count=60)  # lanes are refilled
    chosen = Search.of(given, seed=4, solver=solver)
    fast, slow = Target.of(chosen, draw).newton(starts), dense.search(draw, starts, solver)
    same = (fast.status == slow.status) & (np.abs(fast.x - slow.x).max(axis=1) < 1e-5)
    assert same.mean() > 0.9
    assert (fast.iterations[same] == slow.iterations[same]).mean() > 0.9
    both = same & (fast.status == 0)
    assert both.sum() > 10
    np.testing.assert_array_equal(fast.index[both], slow.index[both])
    np.testing.assert_array_equal(fast.nullity[both], slow.nullity[both])


def test_a_walk_does_not_depend_on_its_company():
    given = network("tanh")
    starts = given.starts(seed=5, draw=0, first=0, count=31)
    chosen = Search.of(given, seed=5)
    target = Target.of(chosen, given.draw(seed=5))
    together, alone = target.newton(starts), target.newton(starts[[7, 30]])
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a[[7, 30]], b)


# ---- saddle-free Newton ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("index", [0, 2])
@pytest.mark.parametrize("given", [network("tanh"), network("softplus", (2, 3, 2, 1)), network("tanh", (2, 9, 1))])
def test_a_compiled_saddle_free_step_is_the_rules(given, index):
    """One step from each start, to rounding: all eigenvalues by QL in lanes against LAPACK's."""
    draw = given.draw(seed=4)
    starts = given.starts(seed=4, draw=0, first=0, count=19)
    for cap in (0.2, 1e6):
        solver = SaddleFreeNewton(index=index, max_iterations=1, step_cap=cap)
        fast = Target.of(Search.of(given, seed=4, solver=solver), draw).newton(starts)
        _, g, h = reference.evaluate(draw.problem, starts)
        step, _ = solver.rule(solver.options(given)).step((), 0, steps.Here(g, h))
        np.testing.assert_allclose(fast.x - starts, step, rtol=0, atol=1e-11 * np.abs(step).max())
        np.testing.assert_array_equal(fast.iterations, 1)


@pytest.mark.parametrize("given", [network("tanh"), network("softplus")], ids=repr)
def test_saddle_free_searches_end_in_minima(given):
    """What the plain search finds too, status by status; a start's row is its own."""
    draw, solver = given.draw(seed=4), SaddleFreeNewton(max_iterations=100)
    starts = given.starts(seed=4, draw=0, first=0, count=30)
    target = Target.of(Search.of(given, seed=4, solver=solver), draw)
    fast, slow = target.newton(starts), dense.search(draw, starts, solver)
    same = (fast.status == slow.status) & (fast.index == slow.index) & (np.abs(fast.cost - slow.cost) < 1e-9)
    assert same.mean() > 0.8
    ended = fast.status == CRITICAL
    assert ended.mean() > 0.5
    np.testing.assert_array_equal(fast.index[ended], 0)
    for a, b in zip(fast, target.newton(starts[[3, 29]]), strict=True):
        np.testing.assert_array_equal(a[[3, 29]], b)


def test_products_of_wide_networks_need_no_memory_for_hessians():
    """10-500-10, 10,510 parameters: with Hessians the list alone had 1e8 numbers, cleared anew at every step."""
    given = MLP((10, 500, 10), "relu", "cross_entropy", (np.ones((4, 10)), np.eye(10)[:4])).draw(seed=1).problem
    laid = network_points.prepared(given, False)
    parameters = given.dimension
    assert len(laid.table) < 30 * parameters and laid.table[SIZE] < 400 * parameters
