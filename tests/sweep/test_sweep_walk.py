"""Sweeps of method ``walk``: rows a (draw, index), the same however often they are resumed, and the word where they are
not trusted."""

import csv
import io

import numpy as np
import pytest

import simcore
from simcore.sweep import run_sweep, verify_run
from simcore.sweep.config import Configuration

WALK = {
    "seed": 3,
    "landscape": [{"name": "spherical_spin", "n": [5, 6]}],
    "search": {"method": "walk", "draws": 2, "moves": 6400},
}


def configured(**search):
    return Configuration.from_mapping(WALK | {"search": WALK["search"] | search})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("walk") / "run"
    assert int(run_sweep(configured(draws=1), path, workers=0)) == 0
    assert int(run_sweep(configured(), path, workers=1)) == 0
    return path


def test_rows_are_those_of_estimate_counts(run):
    rows = simcore.load(run)
    assert list(rows.columns[:4]) == ["landscape", "n", "p", "draw"]
    assert len(rows) == 2 * 5 + 2 * 6
    for n in (5, 6):
        alone = simcore.estimate_counts(simcore.SphericalSpin(n=n), draw=1, seed=3, moves=6400, threads=1)
        mine = rows[(rows.n == n) & (rows.draw == 1)]
        for name in alone.counts:
            np.testing.assert_array_equal(mine[name], alone.counts[name])
        assert (mine.trusted == alone.trusted).all()
    audits = simcore.load(run, kind="audits")
    assert len(audits) == 4
    assert {"total", "total_se", "minima", "trusted", "reasons", "round_trips", "moves"} <= set(audits.columns)
    assert (audits.moves == 6400).all()


def test_verify_finds_the_run_whole_and_says_that_counts_are_estimates(run):
    report = verify_run(run)
    assert report.ok, report.text()
    assert "estimates by method 'walk'" in report.text()


def test_table_and_figure_say_the_word(run, tmp_path):
    from simcore_analysis.figures import run_figure
    from simcore_analysis.tables import run_table

    assert "trusted" in run_table([run])
    short = tmp_path / "short"
    run_sweep(configured(moves=160, draws=2), short, workers=0)
    text = run_table([short])
    assert "not trusted" in text
    rows = list(csv.DictReader(io.StringIO(run_table([run, short], "csv"))))
    assert [row["trusted"] for row in rows[2:]] == ["0", "0"] and all(row["functions"] == "2" for row in rows)
    assert {row[key] for row in rows for key in ("complete", "proved", "ratio_hits")} == {""}, "there is no list"
    for key in rows[0]:  # every heading, alone; and still with the word
        (heading, *_) = run_table([short], "csv", [key]).splitlines()
        assert heading == (key if key == "trusted" else f"{key},trusted")
    assert run_table([short], "csv", ["ratio_distinct_se", "trusted", "n"]).startswith("ratio_distinct_se,trusted,n\n")
    assert "not trusted" in run_table([short], "markdown", ["n", "ratio_distinct"])
    assert not simcore.load(short).trusted.any()
    picture = run_figure([short], "ratio", tmp_path / "ratio.svg").read_text()
    assert "not trusted" in picture


@pytest.mark.parametrize("kind", ["index_cost", "spectrum", "outcomes", "tolerance", "coverage", "disconnectivity"])
def test_figures_of_points_are_refused_in_one_line(run, kind):
    from simcore_analysis.figures import run_figure

    doors = [
        lambda: run_figure([run], kind),
        *([lambda: getattr(simcore.plot, kind)(run)] if hasattr(simcore.plot, kind) else []),
    ]
    for door in doors:
        with pytest.raises(simcore.InputError) as refused:
            door()
        for word in (str(run), '"walk"', "counts by index only", f"the figure {kind} needs", "choose among ratio"):
            assert word in str(refused.value)


@pytest.mark.parametrize(
    ("search", "word"),
    [
        ({"starts": 100}, "starts"),
        ({"positions": True}, "positions"),
        ({"target_error": 0.1}, "target_error"),
        ({"max_draws": 64}, "draws"),
        ({"walkers": 1}, "walkers"),
        ({"method": "enumerate"}, "moves"),
    ],
)
def test_settings_of_other_methods_are_refused(search, word):
    with pytest.raises(simcore.InputError, match=word):
        configured(**search)


@pytest.mark.parametrize("method", ["enumerate", "newton", "ball", "walk", "paths"])
def test_the_method_of_a_file_can_be_changed_alone(method):
    """The example of the documents, whose ``prove``, ``starts`` and ``start_law`` are defaults."""
    name = "gaussian_field" if method == "ball" else "spherical_spin"
    search = {"prove": "auto", "draws": 200, "starts": 512, "positions": False, "spectrum": False}
    law = simcore.GaussianField(n=4).start_laws[0] if method == "ball" else "uniform"
    solver = {"method": "auto", "step_cap": "auto", "tolerance": 1e-10, "max_iterations": 200}
    tables = {"seed": 1, "landscape": [{"name": name, "n": [4, 6]}], "solver": solver}
    whole = Configuration.from_mapping(tables | {"search": search | {"method": method, "start_law": law}})
    if method in ("walk", "paths", "ball"):
        bare = Configuration.from_mapping(tables | {"search": {"method": method, "draws": 200}})
        assert whole == bare and whole.hash == bare.hash
        with pytest.raises(simcore.InputError, match=r"search\.prove is given, but method"):
            Configuration.from_mapping(tables | {"search": search | {"method": method, "prove": True}})


def test_settings_belong_to_the_identity_of_a_run():
    assert configured().hash != configured(moves=3200).hash
    assert configured(draws=7).hash == configured().hash
    again = Configuration.from_dict(configured().to_dict())
    assert again == configured()
