"""Samples of a run: its parameters come from run.json, whatever a table's cells look like."""

from __future__ import annotations

import pytest
from simcore_analysis import samples

from simcore.sweep import load, run_sweep
from simcore.sweep.read import data_columns

CONFIG = {
    "seed": 3,
    "landscape": [
        {"name": "linear_network", "widths": [2, 1, 2], "covariance": [3.0, 1.0]},
        {"name": "spherical_spin", "n": [3, 4], "p": 3},
    ],
    "search": {"method": "newton", "draws": 1, "starts": 24},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("samples") / "run"
    run_sweep(CONFIG, out, workers=0)
    return out


def test_parameters_are_those_of_run_json_and_no_cell_is_parsed(run, monkeypatch):
    monkeypatch.setattr(samples, "_decoded", lambda value: pytest.fail(f"the cell {value!r} was parsed"))
    network, *spins = samples.load_samples(run)
    assert network.entry["widths"] == [2, 1, 2] and network.dimension == network.n == 4
    assert network.parameters["widths"] == "[2,1,2]", "as tables show it"
    assert [(s.landscape, s.n, s.parameters["p"]) for s in spins] == [("spherical_spin", n, 3) for n in (3, 4)]
    assert all(s.starts.sum() == 24 for s in [network, *spins])


def test_a_runs_samples_are_those_of_its_table(run):
    for one, other in zip(samples.load_samples(run), samples.samples_from_starts(load(run)), strict=True):
        assert one.parameters == other.parameters and one.dimension == other.dimension
        assert (one.hits == other.hits).all() and one.statuses == other.statuses


def test_the_number_of_a_combination_is_a_column_that_may_be_asked_for(run):
    rows = load(run, columns=["combination", "landscape", "draw"])
    assert rows["combination"].tolist() == [0] * 24 + [1] * 24 + [2] * 24
    assert "combination" not in load(run) and data_columns(run)[:2] == ["draw", "start"]
