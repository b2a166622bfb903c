"""Convolutional and recurrent networks: shapes, laws, symmetries, searches, trajectories."""

import numpy as np
import pytest

import simcore
from simcore.backends.reference_network import chain_numbers
from simcore.errors import InputError
from simcore.landscapes import registry
from simcore.networks.shared import _blocks, permuted

IMAGES = {"kind": "gaussian", "spectrum": [1.0] * 16, "samples": 8, "targets": "classes", "outputs": 2}
CONVOLUTION = simcore.ConvolutionalNetwork([2, 2], data=IMAGES, l2=0.05, kernel=2, stride=1)
ELMAN = simcore.RecurrentNetwork(3, 4, l2=0.05, samples=12)
BOTH = pytest.mark.parametrize("landscape", [CONVOLUTION, ELMAN], ids=["convolution", "elman"])


def test_a_convolution_slides_its_kernels_over_the_image():
    """Written as loops over channels, positions and offsets."""
    rng = np.random.default_rng(1)
    draw = CONVOLUTION.draw(seed=2)
    x, images = rng.normal(size=CONVOLUTION.n), draw.problem.inputs
    at, a, side = 0, images.reshape(-1, 1, 4, 4), 4
    for filters in CONVOLUTION.filters:
        channels, side = a.shape[1], side - 1
        w = x[at : at + filters * channels * 4].reshape(filters, channels, 2, 2)
        b = x[at + w.size : at + w.size + filters]
        at += w.size + filters
        z = np.zeros((len(images), filters, side, side))
        for f in range(filters):
            for i in range(side):
                for j in range(side):
                    z[:, f, i, j] = b[f] + (w[f] * a[:, :, i : i + 2, j : j + 2]).sum(axis=(1, 2, 3))
        a = np.tanh(z)
    flat = a.reshape(len(images), -1)
    dense = x[at : at + 2 * flat.shape[1]].reshape(2, -1)
    assert at + dense.size + 2 == CONVOLUTION.n
    np.testing.assert_allclose(draw.outputs(x)[0], flat @ dense.T + x[-2:], rtol=0, atol=1e-13)


def test_an_elman_network_reads_its_sequence_in_time():
    x = np.random.default_rng(1).normal(size=ELMAN.n)
    draw = ELMAN.draw(seed=2)
    w, b, v, c = x[:12].reshape(3, 4), x[12:15], x[15:18], x[18]
    h = np.zeros((12, 3))
    for t in range(4):
        h = np.tanh(draw.problem.inputs[:, t : t + 1] * w[:, 0] + h @ w[:, 1:].T + b)
    o = h @ v + c
    np.testing.assert_allclose(draw.outputs(x)[0, :, 0], o, rtol=0, atol=1e-13)
    np.testing.assert_allclose(draw.problem.targets[:, 0], draw.problem.inputs[:, 0])
    expected = ((o - draw.problem.targets[:, 0]) ** 2).mean() / 2 + 0.025 * x @ x
    assert draw.value(x) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(("task", "value"), [("recall", lambda s: s[:, 0]), ("mean", lambda s: s.sum(axis=1) / 2),
                                             ("parity", lambda s: s.prod(axis=1))])  # fmt: skip
def test_tasks_are_what_they_say(task, value):
    network = simcore.RecurrentNetwork(2, 4, task=task, samples=50)
    problem = network.draw(seed=3, draw=1).problem
    sequences = problem.inputs[:, :4]
    np.testing.assert_allclose(problem.targets[:, 0], value(sequences))
    assert (problem.inputs[:, 4:] == 0).all()
    if task == "parity":
        assert set(np.unique(sequences)) == {-1.0, 1.0}
    classes = simcore.RecurrentNetwork(2, 4, task=task, samples=50, loss="cross_entropy").draw(seed=3, draw=1).problem
    np.testing.assert_array_equal(classes.targets[:, 1] == 1, value(classes.inputs[:, :4]) >= 0)


@BOTH
@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_symmetric_copies_cost_the_same_and_have_one_canonical_form(landscape, activation):
    from dataclasses import replace

    landscape = replace(landscape, activation=activation)
    draw = landscape.draw(seed=2)
    rng = np.random.default_rng(4)
    x = rng.normal(size=(5, landscape.n))
    copies = x.copy()
    for row in copies:
        for _, parameters, _, consumers in _blocks(draw.problem):
            row[:] = permuted(parameters, consumers, rng.permutation(len(parameters)), row)
            if activation == "tanh":
                for i in np.flatnonzero(rng.random(len(parameters)) < 0.5):
                    row[parameters[i]] *= -1
                    row[consumers[i]] *= -1
    assert np.abs(copies - x).max() > 0.1
    np.testing.assert_allclose(draw.value(copies), draw.value(x), rtol=1e-12)
    np.testing.assert_allclose(draw.canonical(copies), draw.canonical(x), rtol=0, atol=1e-12)
    np.testing.assert_allclose(draw.value(draw.canonical(x)), draw.value(x), rtol=1e-12)


def test_rectified_filters_may_be_scaled_and_softmax_outputs_shifted():
    free = simcore.ConvolutionalNetwork([2], "relu", data=IMAGES, l2=0.0, kernel=2)
    draw, x = free.draw(seed=1), np.random.default_rng(1).normal(size=(1, free.n))
    # two filters, and one vector of 2 x 4 weights and a bias that all outputs may share
    assert draw.symmetry_dimension(x)[0] == 2 + 9
    again = draw.canonical(x)
    np.testing.assert_allclose(draw.value(again), draw.value(x), rtol=1e-12)
    null = np.abs(np.linalg.eigvalsh(draw.hessian(x[0]))) < 1e-12
    assert null.sum() >= 9


@BOTH
def test_searches_end_at_points_of_vanishing_gradient(landscape):
    rows = simcore.find_critical_points(landscape, starts=16, seed=1, positions=True, threads=1)
    critical = rows[rows["status"] == "critical"]
    assert len(critical) >= 3
    x = np.stack(critical["x"].to_list())
    draw = landscape.draw(seed=1)
    assert np.linalg.norm(draw.gradient(x), axis=1).max() < 1e-10
    eigenvalues = np.linalg.eigvalsh(draw.hessian(x))
    np.testing.assert_array_equal((eigenvalues < 0).sum(axis=1), critical["morse_index"])
    assert not rows["certified"].any()


@BOTH
@pytest.mark.parametrize("method", ["gradient_descent", "sgd", "adam"])
def test_trajectories_go_down(landscape, method):
    size = 0.02 if method == "adam" else 0.1
    rows = simcore.trajectory(landscape, method=method, step_size=size, steps=60, starts=3, seed=1, index=True)
    ends = rows.groupby("start")["cost"].agg(["first", "last"])
    assert (ends["last"] < ends["first"]).all()
    assert (rows["morse_index"] >= 0).all()


def test_z_of_hidden_units_are_reported():
    z, o = chain_numbers(ELMAN.draw(seed=1).problem, np.zeros((2, ELMAN.n)))
    assert z.shape == (2, 12, 12) and o.shape == (2, 12, 1) and not z.any()


@pytest.mark.parametrize("name", ["convolutional_network", "recurrent_network"])
def test_descriptions_come_back(name):
    landscape = registry.from_dict({"name": name, **registry.get_class(name).example})
    assert registry.from_dict(landscape.to_dict()) == landscape
    assert len(repr(landscape)) < 400


def test_bad_descriptions_are_refused():
    with pytest.raises(InputError, match="no square image"):
        simcore.ConvolutionalNetwork([2], data={**IMAGES, "spectrum": [1.0] * 15})
    with pytest.raises(InputError, match=r"layer 2 sees images of 1 x 1 and kernels of 3 x 3"):
        simcore.ConvolutionalNetwork([2, 2], data=IMAGES)
    with pytest.raises(InputError, match="filters is empty"):
        simcore.ConvolutionalNetwork([], data=IMAGES)
    with pytest.raises(InputError, match="task"):
        simcore.RecurrentNetwork(2, 4, task="copy")
    with pytest.raises(InputError, match="length"):
        simcore.RecurrentNetwork(2, 1)
    with pytest.raises(InputError, match="activation"):
        simcore.RecurrentNetwork(2, 3, activation="linear")


# ---- data of one's own ---------------------------------------------------------------------------------------------
def test_labels_may_be_whole_numbers_or_one_hot():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(9, 16)), np.array([0, 1, 2, 0, 1, 2, 1, 1, 0])
    for make in (
        lambda y: simcore.MLP((16, 2, 3), "tanh", "cross_entropy", (x, y)),
        lambda y: simcore.ConvolutionalNetwork([1], data=(x, y)),
    ):
        assert make(labels) == make(np.eye(3)[labels])
    regression = simcore.MLP((16, 2, 1), "tanh", "mse", (x, labels))
    np.testing.assert_array_equal(regression.draw(seed=0).problem.targets[:, 0], labels)


def test_repr_leaves_the_data_out():
    x, y = np.random.default_rng(0).normal(size=(2, 500, 4))
    network = simcore.MLP((4, 3, 4), "tanh", "mse", (x, y))
    assert "Data('arrays', samples=500, inputs=4, outputs=4)" in repr(network)
    assert len(repr(network)) < 200
