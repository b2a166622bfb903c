"""Advice that can be followed: what a message tells a user to give is taken, and what it names is what was meant."""

import numpy as np
import pytest

import simcore
from simcore.cli import main
from simcore.errors import InputError
from simcore.sweep.config import Configuration
from simcore.theory.tables import theory_rows

FIELD = simcore.TorusField(2)
LABELS = ([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 2, 1])
SEARCH = {"method": "newton", "draws": 1}


def network(targets=None, loss="mse", outputs=1):
    return simcore.MLP((2, 2, outputs), "tanh", loss, (LABELS[0], targets if targets is not None else [0.0, 1.0, 0.5]))


def said(call):
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("word", ["gpu", "GPU", "nvidia"])
def test_a_gpu_means_cuda(word, tmp_path):
    assert said(lambda: simcore.find_critical_points(FIELD, backend=word)).endswith("did you mean 'cuda'?")
    config = tmp_path / "c.toml"
    config.write_text('[[landscape]]\nname = "torus_field"\nn = 2\n[search]\nmethod = "newton"\ndraws = 1\n')
    from simcore.sweep import run_sweep

    assert said(lambda: run_sweep(config, tmp_path / "run", backend=word)).endswith("did you mean 'cuda'?")


def test_nobody_is_sent_to_the_ball_whom_it_does_not_serve():
    for call in (
        lambda: simcore.enumerate_critical_points(network()),
        lambda: simcore.ball_critical_points(network()),
    ):
        text = said(call)
        assert "find_critical_points" in text and "by ball" not in text and "'ball'" not in text
    assert "ball_critical_points" in said(lambda: simcore.enumerate_critical_points(simcore.GaussianField(2)))
    assert "enumerate_critical_points" in said(lambda: simcore.ball_critical_points(FIELD))
    example = {"name": "linear_network", "widths": [2, 1, 2], "covariance": [1.0, 2.0]}
    for method in ("enumerate", "ball"):
        text = said(
            lambda m=method: Configuration.from_mapping({"landscape": [example], "search": SEARCH | {"method": m}})
        )
        assert text.split(";")[-1].strip().startswith('give method = "newton"')
        assert 'or "ball"' not in text
    Configuration.from_mapping({"landscape": [example], "search": SEARCH})  # what it says is taken


def test_numbers_that_are_no_labels_are_told_to_be_one_hot_and_that_works():
    text = said(lambda: network([0.5, 2.0, 1.0], "cross_entropy", 3))
    assert "one-hot" in text and "numpy.eye(3)[labels]" in text
    assert network(np.eye(3)[LABELS[1]], "cross_entropy", 3) == network(LABELS[1], "cross_entropy", 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: simcore.find_critical_points(simcore.TorusField),
        lambda: simcore.enumerate_critical_points(simcore.TorusField),
        lambda: simcore.expected_counts(simcore.TorusField),
        lambda: simcore.trajectory(simcore.TorusField, method="newton", steps=1),
    ],
)
def test_a_class_is_named_as_one(call):
    text = said(call)
    assert "is the class TorusField; give an instance, such as TorusField(" in text


def test_a_solver_class_is_named_as_one():
    text = said(lambda: simcore.find_critical_points(FIELD, solver=simcore.Newton))
    assert "solver is the class Newton; give an instance" in text


def test_an_index_beyond_the_dimension_is_refused():
    solver = simcore.SaddleFreeNewton(index=99)
    assert "give an index from 0 to 5" in said(
        lambda: simcore.find_critical_points(simcore.TorusField(5), solver=solver)
    )
    sphere = simcore.SphericalSpin(5)
    assert "from 0 to 4" in said(lambda: simcore.find_critical_points(sphere, solver=simcore.SaddleFreeNewton(index=5)))
    rows = simcore.find_critical_points(sphere, starts=4, solver=simcore.SaddleFreeNewton(index=4))
    assert len(rows) == 4


@pytest.mark.parametrize("given", [2**31, 2**40, True, 0, 1.5])
def test_iterations_fit_their_column(given):
    assert f"max_iterations is {given!r}; give" in said(lambda: simcore.Newton(max_iterations=given))


def test_threads_are_a_number_that_a_machine_can_have():
    assert "threads is 18446744073709551616; give a whole number from 1 to" in said(
        lambda: simcore.find_critical_points(FIELD, threads=2**64)
    )


@pytest.mark.parametrize("sizes", ["1:2:3", "1:10:2,4"])
def test_a_range_with_a_step_is_explained(sizes, capsys):
    assert main(["theory", "torus_field", "--n", sizes]) == 2
    assert "has two colons; give first:last, such as 1:20, or a list 1,3,5" in capsys.readouterr().err


def test_no_message_says_a_enumerate_run():
    from simcore.sweep.schema import check_kind

    for method in ("enumerate", "newton", "ball"):
        assert " a enumerate" not in said(lambda m=method: check_kind(m, "tables"))


@pytest.mark.parametrize(
    ("name", "parameters"), [("torus_field", {}), ("gaussian_field", {}), ("spherical_spin", {"p": 3})]
)
def test_theory_prints_zero_where_it_is_zero(name, parameters):
    """By f -> -f the mean cost at the middle index is 0; a torus function of one wave has one minimum, ln 1 = 0."""
    for row in theory_rows(name, range(2, 24), **parameters):
        dimension = row["n"] - (name == "spherical_spin")
        assert (row["mean_cost"] == 0.0) == (2 * row["morse_index"] == dimension)
    if name == "torus_field":
        assert [row["log_mean_count"] for row in theory_rows(name, 1)] == [0.0, 0.0]
