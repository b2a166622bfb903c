"""Single rules of networks: streams of random data, orbits, start laws, saturation; each where a slip would show."""

import numpy as np
import pytest

import simcore
from simcore.networks.starts import noise_amplitudes

TEACHER = {"kind": "teacher", "widths": [2, 3, 1], "samples": 400, "activation": "tanh", "scale": 1.0, "noise": 0.0}


def data_of(**changes):
    network = simcore.MLP((2, 3, 1), "tanh", "mse", TEACHER | changes)
    found = network.data.load(seed=5, draw=2, stream=1234)  # one stream, so that noise alone differs
    return tuple(np.asarray(part) for part in found)


# ---- random data -------------------------------------------------------------------------------------------------
def test_noise_of_a_teacher_is_a_stream_of_its_own():
    """Its first values are those of counter 2 of the stream; inputs have 0, weights 1."""
    from simcore.formulas.random import normals

    (x, clean), (same, noisy) = data_of(), data_of(noise=0.5)
    np.testing.assert_array_equal(x, same)
    noise = (noisy - clean).ravel() / 0.5
    np.testing.assert_allclose(noise, normals(5, 1234, 2, 2, 400), atol=1e-12)
    for other in (normals(5, 1234, 2, 0, 400), normals(5, 1234, 2, 1, 400), x[:, 0]):
        assert abs(np.corrcoef(noise, other)[0, 1]) < 4 / np.sqrt(400)


RECORDED = {
    "gaussian": (
        {"kind": "gaussian", "spectrum": [1.0, 0.25], "samples": 50, "outputs": 1, "targets": "normal"}, (2, 1),
    ),
    "teacher": (TEACHER | {"noise": 0.1}, (2, 1)),
}  # fmt: skip


@pytest.mark.parametrize("kind", RECORDED)
def test_random_data_have_their_law(kind):
    """Inputs N(0, spectrum), fresh in every draw, the same for the same address; false-alarm rate below 1e-4."""
    description, (inputs, outputs) = RECORDED[kind]
    network = simcore.MLP((inputs, 3, outputs), "tanh", "mse", description)
    problems = [network.draw(seed=1, draw=d).problem for d in range(40)]
    x = np.concatenate([p.inputs for p in problems])
    spectrum = np.array(description.get("spectrum", [1.0, 1.0]))
    np.testing.assert_allclose(x.var(axis=0), spectrum, rtol=4 * np.sqrt(2 / len(x)))
    assert np.abs(x.mean(axis=0) / np.sqrt(spectrum / len(x))).max() < 4
    again = network.draw(seed=1, draw=3).problem
    np.testing.assert_array_equal(again.inputs, problems[3].inputs)
    np.testing.assert_array_equal(again.targets, problems[3].targets)
    assert not (problems[0].inputs == problems[1].inputs).any()


# ---- orbits ------------------------------------------------------------------------------------------------------
def point(network, weights):
    x = np.array(weights, float)
    assert x.shape == (network.n,)
    return x[None]


def test_a_bias_alone_makes_a_rectified_unit_rescalable():
    """(w, b) -> c (w, b), v -> v/c moves a unit with w = 0, b = 1, v = 0; one with all three 0 stays."""
    network = simcore.MLP((1, 2, 1), "relu", "mse", ([[0.5], [1.0]], [0.0, 1.0]))
    draw = network.draw(seed=0)
    # W_1 (2), b_1 (2), W_2 (2), b_2 (1)
    cases = (
        ([1.0, 0.5, 0.1, 0.2, 1.0, -1.0, 0.3], 2),
        ([0.0, 0.5, 1.0, 0.2, 0.0, -1.0, 0.3], 2),
        ([0.0, 0.5, 0.0, 0.2, 0.0, -1.0, 0.3], 1),
        ([0.0, 0.5, 0.0, 0.2, 2.0, -1.0, 0.3], 2),
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3], 0),
    )
    for weights, dimension in cases:
        assert draw.symmetry_dimension(point(network, weights))[0] == dimension, weights


def test_softmax_outputs_may_all_be_shifted():
    labels = np.eye(3)[[0, 1, 2, 0]]
    free = simcore.MLP((2, 4, 3), "tanh", "cross_entropy", (np.arange(8.0).reshape(4, 2), labels))
    bound = simcore.MLP((2, 4, 3), "tanh", "cross_entropy", (np.arange(8.0).reshape(4, 2), labels), 0.1)
    x = np.random.default_rng(1).normal(size=(1, free.n))
    assert free.draw(seed=0).symmetry_dimension(x)[0] == 4 + 1
    assert bound.draw(seed=0).symmetry_dimension(x)[0] == 0


# ---- start laws --------------------------------------------------------------------------------------------------
def test_noise_amplitudes_run_from_1e_minus_4_to_1e_minus_1_uniformly_in_the_logarithm():
    """Kolmogorov-Smirnov at a false-alarm rate of 1e-4."""
    from scipy.stats import kstest

    network = simcore.MLP((2, 3, 1), "tanh", "mse", TEACHER)
    amplitudes = noise_amplitudes(network, "adam", 3, 0, np.arange(400))
    logs = np.log10(amplitudes)
    assert -4 <= logs.min() < -3.9 and -1.1 < logs.max() <= -1
    assert kstest((logs + 4) / 3, "uniform").pvalue > 1e-4


@pytest.mark.parametrize(("law", "scale"), [("gaussian_0.1", 0.1), ("gaussian_0.3", 0.3), ("gaussian_1", 1.0)])
def test_gaussian_starts_have_their_scale(law, scale):
    network = simcore.MLP((2, 3, 1), "tanh", "mse", TEACHER)
    x = network.starts(seed=2, draw=0, first=0, count=200, law=law)
    assert x.std() == pytest.approx(scale, rel=4 / np.sqrt(2 * x.size))


# ---- saturation --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("activation", "limit"), [("tanh", 8.0), ("sigmoid", 15.0)])
def test_a_unit_is_saturated_beyond_its_limit(activation, limit):
    """One input of 1, one unit: its argument is w + b."""
    network = simcore.MLP((1, 1, 1), activation, "mse", ([[1.0], [0.0]], [0.0, 1.0]))
    draw = network.draw(seed=0)
    for argument, expected in ((0.99 * limit, False), (1.01 * limit, True)):
        for weights in ([argument, 0.0, 1.0, 0.0], [0.0, -argument, 1.0, 0.0], [argument / 2, argument / 2, 1.0, 0.0]):
            assert draw.saturated(point(network, weights))[0] == expected
    for penalised_or_open in (
        simcore.MLP((1, 1, 1), activation, "mse", ([[1.0], [0.0]], [0.0, 1.0]), 0.1),
        simcore.MLP((1, 1, 1), "softplus", "mse", ([[1.0], [0.0]], [0.0, 1.0])),
    ):
        assert not penalised_or_open.draw(seed=0).saturated(point(network, [50.0, 0.0, 1.0, 0.0]))[0]


def test_units_are_tied_in_groups_or_dead_and_never_all_apart():
    """A uniform number u per unit: label floor(u (h + 1)) - 1 for tanh, where -1 is dead, floor(u h) without it."""
    from simcore.networks.starts import _ties

    def labels(activation, *u):
        problem = simcore.MLP((2, 3, 1), activation, "mse", TEACHER).draw(seed=1).problem
        return _ties(problem, np.array(u))[0].tolist()

    assert labels("tanh", 0.1, 0.6, 0.9) == [-1, 1, 2]
    assert labels("tanh", 0.3, 0.6, 0.9) == [1, 1, 2], "all apart and alive: the first joins the second"
    assert labels("tanh", 0.3, 0.3, 0.9) == [0, 0, 2]
    assert labels("sigmoid", 0.1, 0.4, 0.99) == [1, 1, 2] and labels("sigmoid", 0.1, 0.1, 0.5) == [0, 0, 1]
