"""Where training data come from: shapes, provenance, files of the user's own, configuration files."""

import gzip
import json
import struct
import tomllib

import numpy as np
import pytest

import simcore
from simcore.cli import main
from simcore.errors import InputError
from simcore.landscapes import registry
from simcore.networks.data import Data, source
from simcore.networks.linear import LinearNetwork
from simcore.networks.mlp import MLP
from simcore.networks.sigmoid_unit import SigmoidUnit


def test_digits_are_centred_whitened_and_one_hot():
    data = source({"kind": "digits", "pca": 10, "samples": 500})
    x, y = data.load()
    assert data.shape == (500, 10, 10)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-8)
    np.testing.assert_allclose(x.T @ x / 500, np.eye(10), atol=1e-7)
    np.testing.assert_array_equal(y.sum(axis=1), 1)
    assert len(data.digest()) == 64
    assert source("digits").shape == (1797, 64, 10)
    assert source({"kind": "digits", "bins": 4}).shape == (1797, 16, 10)
    raw = source({"kind": "digits", "pca": 3, "whiten": False}).load()[0]
    assert (np.diff(raw.var(axis=0)) < 0).all()


def test_fewer_samples_are_the_first_of_more():
    few, many = (source({"kind": "digits", "samples": s}).load()[1] for s in (50, 80))
    np.testing.assert_array_equal(few, many[:50])
    assert len(np.unique(few.argmax(axis=1))) == 10


def test_gaussian_inputs_have_the_spectrum():
    """Variance of 20,000 normals: relative error 0.01 a standard deviation; 5 of them, three entries: 2e-6."""
    data = source({"kind": "gaussian", "spectrum": [4.0, 1.0, 0.25], "samples": 20000})
    x, y = data.load(seed=3, draw=1, stream=7)
    np.testing.assert_allclose(x.var(axis=0), [4.0, 1.0, 0.25], rtol=0.05)
    np.testing.assert_array_equal(x, y)
    assert data.random
    assert data.digest() is None
    other = data.load(seed=3, draw=2, stream=7)[0]
    assert (x != other).all()


def test_random_targets_are_what_they_say():
    table = {"kind": "gaussian", "spectrum": [1.0], "samples": 400, "outputs": 3}
    classes = source(table | {"targets": "classes"}).load(seed=1)[1]
    assert set(np.unique(classes)) == {0.0, 1.0}
    assert classes.sum(axis=0).min() > 90
    normal = source(table | {"targets": "normal"}).load(seed=1)[1]
    assert normal.shape == (400, 3)


def test_a_teacher_is_a_network_of_its_draw():
    table = {"kind": "teacher", "widths": [2, 3, 1], "samples": 5, "activation": "tanh"}
    x, y = source(table).load(seed=1, draw=4, stream=9)
    clean = source(table | {"noise": 0.5}).load(seed=1, draw=4, stream=9)
    np.testing.assert_array_equal(x, clean[0])
    assert np.abs(y - clean[1]).max() > 0.01
    mlp = MLP((2, 3, 1), "tanh", "mse", table)
    assert mlp.draws is None
    a, b = (mlp.draw(seed=1, draw=d).problem for d in (0, 1))
    assert (a.inputs != b.inputs).all()


def test_a_perfect_student_costs_nothing():
    """The teacher's own weights, rebuilt from the documented stream, are a zero of the student's cost."""
    from simcore.formulas.random import normals

    mlp = MLP(
        (2, 3, 1), "softplus", "mse", {"kind": "teacher", "widths": [2, 3, 1], "samples": 9, "activation": "softplus"}
    )
    weights = normals(5, mlp.stream("data"), 0, 1, mlp.n)
    weights[:6] /= np.sqrt(2)
    weights[9:12] /= np.sqrt(3)
    assert mlp.draw(seed=5).value(weights) == pytest.approx(0, abs=1e-30)


def test_arrays_and_files_give_the_same_function(tmp_path):
    rng = np.random.default_rng(1)
    x, labels = rng.integers(0, 256, size=(12, 2, 2)).astype(np.uint8), rng.integers(0, 3, size=12).astype(np.uint8)
    labels[:3] = [0, 1, 2]
    centred = x.reshape(12, 4) / 255 - (x.reshape(12, 4) / 255).mean(axis=0)
    np.savez(tmp_path / "set.npz", inputs=x / 255, targets=labels)
    for name, array in (("images", x), ("labels", labels)):
        raw = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
        (tmp_path / name).write_bytes(gzip.compress(raw) if name == "images" else raw)
    descriptions = [
        (centred, np.eye(3)[labels]),
        {"kind": "npz", "path": str(tmp_path / "set.npz")},
        {"kind": "idx", "images": str(tmp_path / "images"), "labels": str(tmp_path / "labels")},
    ]
    point = rng.normal(size=4 * 2 + 2 + 2 * 3 + 3)
    values = [MLP((4, 2, 3), "tanh", "cross_entropy", d).draw(seed=0).value(point) for d in descriptions]
    np.testing.assert_allclose(values, values[0], rtol=1e-8)

    described = source(descriptions[1]).describe()
    assert len(described["sha256"]) == 64
    np.savez(tmp_path / "set.npz", inputs=x / 254, targets=labels)
    with pytest.raises(InputError, match="has SHA-256"):
        source(described)


def test_broken_files_are_refused(tmp_path):
    bad = tmp_path / "bad"
    bad.write_bytes(b"not an archive")
    with pytest.raises(InputError, match=r"is not an \.npz"):
        source({"kind": "npz", "path": str(bad)}).load()
    with pytest.raises(InputError, match="is not an IDX file"):
        source({"kind": "idx", "images": str(bad), "labels": str(bad)}).load()
    (tmp_path / "short").write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">I", 9) + b"abc")
    with pytest.raises(InputError, match="cut short"):
        source({"kind": "idx", "images": str(tmp_path / "short"), "labels": str(tmp_path / "short")}).load()
    with pytest.raises(InputError, match="can't be read"):
        source({"kind": "npz", "path": str(tmp_path / "none.npz")})
    np.savez(tmp_path / "object.npz", inputs=np.array([{}], dtype=object), targets=np.zeros(1))
    with pytest.raises(InputError, match=r"is not an \.npz"):
        source({"kind": "npz", "path": str(tmp_path / "object.npz")}).load()


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("digit", "unknown kind of data 'digit'; .*did you mean 'digits'"),
        ({"kind": "digits", "pcs": 3}, "unknown option of data 'digits' 'pcs'"),
        ({"kind": "digits", "pca": 65}, "at most 64"),
        ({"kind": "digits", "samples": 5000}, "the data have 1797"),
        ({"kind": "digits", "bins": 3}, "divisor of 8"),
        ({"kind": "digits", "whiten": 1}, "give true or false"),
        ({"kind": "gaussian", "samples": 5}, "has no spectrum"),
        ({"kind": "gaussian", "samples": 5, "spectrum": [-1.0]}, "variances of at least 0"),
        ({"kind": "gaussian", "samples": 5, "spectrum": [1.0], "targets": "normal"}, "outputs is None"),
        ({"kind": "teacher", "samples": 5, "widths": [2]}, "at least two"),
        ({"kind": "teacher", "samples": 5, "widths": [2, 1], "spectrum": [1.0]}, "make them equal"),
        (([[1.0]], [[1.0], [2.0]]), "the same N"),
        (([[np.nan]], [[1.0]]), "NaN"),
        (3, "give a kind"),
        ({"kind": ["digits"]}, "unknown kind of data"),
        ({"kind": "teacher", "samples": 5, "widths": [2, 1], "activation": "tan"}, "did you mean 'tanh'"),
        ({"kind": "npz", "path": 5}, "path is 5; give a path"),
        ({"kind": "arrays", "inputs": [["a"]], "targets": [1.0]}, "give arrays of numbers"),
        ((["a"], [1.0]), "give arrays of numbers"),
    ],
)
def test_wrong_descriptions_say_what_to_give(description, message):
    with pytest.raises(InputError, match=message):
        source(description).load()


@pytest.mark.parametrize(
    "landscape",
    [
        MLP((10, 5, 10), "softplus", "mse", {"kind": "digits", "pca": 10, "samples": 500}, 0.01),
        MLP((1, 1, 1), "tanh", "mse", ([[0.1], [0.2]], [0.3, 1 / 3])),
        LinearNetwork((3, 2, 1), [[2.0, 0.1, 0], [0.1, 1, 0], [0, 0, 1]], [[1.0, 0.5, 0.25]]),
        SigmoidUnit([[1.0], [100.0]], [0.9, 0.1]),
    ],
)
def test_descriptions_survive_json(landscape):
    again = registry.from_dict(json.loads(json.dumps(landscape.to_dict())))
    assert again == landscape
    assert again.identity == landscape.identity
    x = landscape.starts(seed=1, draw=0, first=0, count=2)
    np.testing.assert_array_equal(again.draw(seed=1).value(x), landscape.draw(seed=1).value(x))


def test_a_configuration_file_names_data():
    from simcore.sweep.config import Configuration

    text = """
seed = 1
[[landscape]]
name = "mlp"
widths = [[64, 2, 10], [64, 3, 10]]
activation = "tanh"
loss = ["mse", "cross_entropy"]
data = "digits"
[[landscape]]
name = "mlp"
widths = [10, 5, 10]
activation = "softplus"
loss = "mse"
data = { kind = "digits", pca = 10, samples = 500 }
l2 = [0.01, 0.1]
[[landscape]]
name = "linear_network"
widths = [4, 2, 4]
covariance = [4.0, 3.0, 2.0, 1.0]
[search]
method = "newton"
draws = 1
starts = 8
"""
    configuration = Configuration.from_mapping(tomllib.loads(text))
    assert len(configuration.combinations) == 4 + 2 + 1


def test_a_sweep_cuts_the_starts_of_a_dear_network():
    from simcore.sweep.config import Configuration
    from simcore.sweep.plan import layout

    table = {"name": "mlp", "widths": [10, 5, 10], "activation": "softplus", "loss": "mse", "l2": 0.01}
    table["data"] = {"kind": "digits", "pca": 10, "samples": 500}
    search = {"method": "newton", "draws": 1, "starts": 1080}
    cut = layout(Configuration.from_mapping({"seed": 1, "landscape": [table], "search": search}), 0)
    assert cut.split
    assert cut.start_block <= 128


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP((9, 5, 10), "tanh", "mse", "digits"), "the data have 64 inputs and 10 outputs"),
        (lambda: MLP((64, 0, 10), "tanh", "mse", "digits"), "each of widths is 0"),
        (lambda: MLP((64, 10), "sine", "mse", "digits"), "unknown activation 'sine'"),
        (lambda: MLP((64, 10), "tanh", "mae", "digits"), "unknown loss 'mae'"),
        (lambda: MLP((64, 10), "tanh", "mse", "digits", -1), "l2 is -1"),
        (lambda: MLP((1, 1), "tanh", "cross_entropy", ([[1.0]], [[1.0]])), "at least 2 outputs"),
        (lambda: MLP((1, 2), "tanh", "cross_entropy", ([[1.0]], [[1.0, 1.0]])).draw(seed=0).problem, "summing to 1"),
        (lambda: MLP((64, 10), "tanh", "mse", "digits").draw(seed=0, draw=1), "has draw 0 alone"),
        (lambda: LinearNetwork((3, 2, 2), [1.0, 2.0, 3.0]), "as many outputs as inputs"),
        (lambda: LinearNetwork((2, 2), [[1.0, 2.0], [2.0, 1.0]]), "covariance is not one"),
        (lambda: LinearNetwork((2, 1), [1.0, 0.0], [[0.0, 1.0]]), "outside the range"),
        (lambda: LinearNetwork((2, 1), [1.0, 1.0], [[0.0]]), "cross_covariance has shape"),
        (lambda: LinearNetwork((2, 1, 2), [1.0, 1.0]).critical_classes(), "not distinct"),
        (lambda: LinearNetwork((2, 1, 1, 2), [1.0, 2.0]).critical_classes(), "one hidden layer"),
        (lambda: SigmoidUnit([[1.0]], [1.5]), "targets run from"),
        (lambda: SigmoidUnit([[1.0]], [0.5], [0]), "multiplicity has"),
        (lambda: SigmoidUnit([[1.0]], [0.5, 0.5]), "give a list of 1"),
        (lambda: SigmoidUnit([["a"]], [0.5]), "inputs holds text"),
        (lambda: SigmoidUnit([[0.0]], [0.5]), "all inputs are zero"),
    ],
)
def test_wrong_networks_say_what_to_give(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_equal_descriptions_are_equal_data():
    assert source("digits") == source({"kind": "digits"}) == source({"kind": "digits", "whiten": True})
    assert isinstance(source(source("digits")), Data)
    assert source(([[1.0]], [2.0])) == source(([[1.0]], [[2.0]]))
    assert hash(source("digits")) == hash(source({"kind": "digits"}))


def test_a_run_records_the_hash_of_its_data_and_refuses_others(tmp_path, capsys, monkeypatch):
    path, out = tmp_path / "c.toml", tmp_path / "run"
    path.write_text(
        'seed = 1\n[search]\nmethod = "newton"\ndraws = 1\nstarts = 2\n[[landscape]]\nname = "mlp"\n'
        'widths = [4, 1, 10]\nactivation = "tanh"\nloss = "mse"\nl2 = 0.1\n'
        'data = { kind = "digits", bins = 2, samples = 20 }\n'
    )
    assert simcore.run(path, out=out, workers=0) == out
    document = json.loads((out / "run.json").read_text())
    assert document["data"] == [source({"kind": "digits", "bins": 2, "samples": 20}).digest()]
    monkeypatch.setattr(Data, "digest", lambda self: "0" * 64)  # as if scikit-learn had come with other digits
    assert main(["run", str(path), "--out", str(out)]) == 2
    assert "other training data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("widths", "targets", "message"),
    [
        ((1, 2, 2), [0.5, 1.0, 0.0], "one number a sample, not all labels 0 to 1"),
        ((1, 2, 2), [0.0, 1.0, 2.0], "one number a sample, not all labels 0 to 1"),
        ((1, 2, 1), [0.0, 1.0, 0.0], "at least 2 outputs"),
    ],
)
def test_classes_are_labels_or_columns(widths, targets, message):
    with pytest.raises(InputError, match=message):
        MLP(widths, "tanh", "cross_entropy", ([[0.0], [1.0], [2.0]], targets))
    assert MLP((1, 2, 2), "tanh", "cross_entropy", ([[0.0], [1.0]], [0.0, 1.0])).data.shape == (2, 1, 2)
