"""Verdicts, the files of a study, the studies' claims on samples with a known law, and the demo in small."""

import csv
import json
import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from simcore_analysis import estimates, report, studies
from simcore_analysis.estimates import Estimate
from simcore_analysis.figures import ratio_figure, run_figure
from simcore_analysis.samples import Sample, build_landscape, load_samples, ratio_of_law, samples_from_frames
from simcore_analysis.studies import coin_flip, index_cost, newton_bias, ratio_growth, topology_trivialisation
from simcore_analysis.studies.study import Result, Study, shown, write_study
from simcore_analysis.studies.verdicts import Claim, judge, verdict
from simcore_analysis.tables import DEMO_COLUMNS, run_table
from simcore_analysis.writers import Column, Table

import simcore.sweep
from simcore.errors import InputError, RunError

KEYS = ["claim", "reference", "source", "measured", "low", "high", "resolution", "verdict", "expected"]


def poisson_sample(name, n, draws, seed, hits_per_point=20.0, **parameters) -> Sample:
    """A sample whose counts are Poisson with the exact means and whose hits do not depend on the index."""
    given = {"landscape": name, "n": n, **parameters}
    landscape = build_landscape(given)
    law = landscape.expected_counts().sort_values("morse_index")
    rng = np.random.default_rng(seed)
    counts = rng.poisson(law["mean_count"].to_numpy(), (draws, len(law))).astype(float)
    costs = counts * law["mean_cost"].to_numpy() + np.sqrt(counts) * law["sd_cost"].to_numpy() * rng.normal(
        size=counts.shape
    )
    hits = rng.poisson(hits_per_point * counts).astype(float)
    return Sample(given, landscape.dimension, counts, hits, costs, np.ones(draws, bool), np.full(draws, 512.0))


# ---- verdicts ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("low", "high", "reference", "resolution", "expected"),
    [
        (0.9, 1.1, 1.0, 0.5, "agrees"),
        (0.9, 1.1, 1.0, 0.2, "undecided"),  # as wide as the resolution is not narrower
        (0.5, 1.5, 1.0, 0.5, "undecided"),
        (1.1, 1.2, 1.0, 0.5, "disagrees"),
        (0.5, 1.5, 2.0, 0.5, "disagrees"),  # an exclusion needs no precision
        (1.0, 1.2, 1.0, 0.5, "agrees"),  # an end belongs to the interval
        (2.0, 2.0, 2.0, 0.1, "agrees"),
        (3.0, math.inf, 5.0, 1.0, "undecided"),
        (3.0, math.inf, 2.0, 1.0, "disagrees"),
        (-math.inf, math.inf, 2.0, 1.0, "undecided"),
        (math.nan, math.nan, 2.0, 1.0, "undecided"),
        (-1e-18, 1e-18, 3e-18, 0.1, "agrees"),  # rounding
    ],
)
def test_verdict_rule(low, high, reference, resolution, expected):
    assert verdict(low, high, reference, resolution) == expected


def test_intervals_are_simultaneous_and_open_ends_are_null():
    levels = []

    def measured(level):
        levels.append(level)
        return Estimate(1.0, 0.1, 0.8, math.inf, level)

    entries = judge([Claim(f"claim {i}", 1.0, "here", measured, 0.5, 2.0) for i in range(5)])
    assert levels == [pytest.approx(0.99)] * 5
    assert list(entries[0]) == [*KEYS, "because", "beyond"]
    assert entries[0]["high"] is None
    assert entries[0]["verdict"] == "undecided"
    json.dumps(entries, allow_nan=False)
    with pytest.raises(InputError, match="resolution"):
        judge([Claim("c", 1.0, "s", measured, 0.0, 2.0)])


def test_a_study_writes_its_six_files(tmp_path):
    sample = poisson_sample("spherical_spin", 5, 40, 1, p=3)

    def measure(full, out):
        table = Table([Column("n", "n"), Column("r", "r")], [{"n": 5, "r": sample.ratio()}], "A caption")
        claim = Claim("exact", sample.ratio_exact, "theory", lambda level: sample.ratio(level), 2.5, 0.0)
        return Result(table, ratio_figure([sample]), [claim])

    entries = write_study(Study("small", "A claim.", "Someone (2020).", measure), False, tmp_path)
    names = {"table.md", "table.tex", "table.csv", "figure.png", "figure.pdf", "verdict.json"}
    assert {p.name for p in tmp_path.iterdir()} == names
    assert json.loads((tmp_path / "verdict.json").read_text()) == [{key: e[key] for key in KEYS} for e in entries]
    text = (tmp_path / "table.md").read_text()
    assert "quick version" in text and "Made by `simcore reproduce small`, simcore" in text
    assert "\\toprule" in (tmp_path / "table.tex").read_text()


def test_shown_numbers_keep_two_digits_of_their_interval():
    judged = {"verdict": "agrees", "expected": True}
    kept = {**judged, "kind": "asserted"}
    entry = {"measured": 0.99999163, "low": 0.99998021, "high": 1.00000305}
    assert shown({**entry, **judged}) == {"measured": 0.999992, "low": 0.99998, "high": 1.000003, **kept}
    assert shown({"measured": 33.70908, "low": 31.2641, "high": None, **judged})["measured"] == 33.71
    assert shown({"measured": None, "low": 0.0, "high": 2.0, **judged}) == {
        "measured": None, "low": 0.0, "high": 2.0, **kept,
    }  # fmt: skip


def test_all_studies_make_one_summary_and_a_failure_stops_none(tmp_path, monkeypatch, capsys):
    def measured(value):
        def measure(full, out):
            if value is None:
                raise RunError("shards are missing")
            claim = Claim(
                f"it is {value} | nothing", 1.0, "theory", lambda level: Estimate(value, 0, value, value), 0.5, 0.0
            )
            return Result(Table([Column("n", "n")], [{"n": 5}], "A caption"), Figure(), [claim])

        return measure

    values = {"right": 1.0, "broken": None, "wrong_one": 2.0}
    made = {name: Study(name, "A claim.", "Someone (2020).", measured(v)) for name, v in values.items()}
    monkeypatch.setattr(studies, "STUDIES", tuple(made))
    monkeypatch.setattr(studies, "get", made.__getitem__)
    monkeypatch.setattr(studies.together, "possible", lambda: False)
    assert not studies.reproduce(all=True, out=tmp_path)
    printed = capsys.readouterr()
    assert "broken failed: shards are missing" in printed.err and "study 3 of 3, wrong_one: claims 1" in printed.err
    assert printed.out == (tmp_path / "summary.md").read_text()
    assert "Asserted by their sources: 1 agree, 0 undecided, 1 disagree;" in printed.out
    assert "right 1/0/0, 0/0/0, 0; wrong_one 0/0/1, 0/0/0, 0." in printed.out
    assert "1 of the 1 asserted claims that disagree still do" in printed.out
    rows = list(csv.DictReader((tmp_path / "summary.csv").read_text().splitlines()))
    assert [(row["study"], row["verdict"]) for row in rows] == [
        ("right", "agrees"), ("wrong_one", "disagrees"), ("broken", "failed"),
    ]  # fmt: skip
    latex = (tmp_path / "summary.tex").read_text()
    assert "\\begin{longtable}" in latex and "wrong\\_one & it is 2.0 $|$ nothing" in latex
    with pytest.raises(RunError):
        studies.reproduce(["broken"], out=tmp_path)
    assert studies.reproduce(["right"], out=tmp_path)


def test_registry_knows_its_studies_and_names_the_choices(tmp_path):
    for name in studies.names():
        study = studies.get(name)
        assert study.name == name
        assert study.claim
        assert study.source
    assert len(studies.listing()) == len(studies.names())
    with pytest.raises(InputError, match="did you mean 'ratio_growth'"):
        studies.reproduce(["ratio_grow"], out=tmp_path)
    with pytest.raises(InputError, match="no study"):
        studies.reproduce([], out=tmp_path)
    assert not list(tmp_path.iterdir())


# ---- claims ------------------------------------------------------------------------------------------------------
def test_ratio_growth_claims_on_a_family_with_the_exact_law():
    """Ten thousand Poisson draws a row: agreement with the law, none with the false pictures (fixed seeds; simultaneous
    95 % intervals, so a correct implementation fails for 5 % of seeds)."""
    family = [poisson_sample("spherical_spin", n, 10_000, n, p=3) for n in range(4, 11)]
    entries = judge(ratio_growth.class_claims(ratio_growth.CLASSES[1], family))
    assert [entry["verdict"] for entry in entries] == ["agrees"] * 3 + ["disagrees"] * 3
    assert [entry["expected"] for entry in entries] == [True] * 3 + [False] * 3


def test_coin_flip_claims_tell_the_law_from_coins():
    torus = [poisson_sample("torus_field", n, 4000, n) for n in (2, 5)]
    verdicts = [entry["verdict"] for entry in judge(coin_flip.family_claims(torus))]
    assert verdicts == ["agrees", "disagrees", "disagrees", "agrees"]


def test_sampled_matrices_have_the_exact_probability():
    """False alarm 1e-4: |z| below 3.9."""
    share = coin_flip.positive_definite(2, 40_000)
    assert abs(share.z(0.5 - math.sqrt(2) / 4)) < 3.9
    assert coin_flip.positive_definite(2, 40_000) == share


def test_regression_slope_of_points_and_of_their_law_agree():
    """Points drawn from a law with normal costs: the slope from sums is the law's, |z| < 3.9 (false alarm 1e-4)."""
    sample = poisson_sample("torus_field", 3, 400, 7)
    law = sample.law.sort_values("morse_index")
    rng = np.random.default_rng(8)
    rows = [
        (draw, k, rng.normal(law["mean_cost"].iloc[k], law["sd_cost"].iloc[k]))
        for draw in range(sample.draws)
        for k in range(4)
        for _ in range(int(sample.counts[draw, k]))
    ]
    points = pd.DataFrame(rows, columns=["draw", "morse_index", "cost"])
    sums = index_cost.moment_sums(sample, points)
    slope = estimates.jackknife(index_cost.slope_of_sums, sums)
    assert slope.value == pytest.approx(np.polyfit(points["cost"], points["morse_index"] / 3, 1)[0])
    assert abs(slope.z(index_cost.slope_of_law(law))) < 3.9


def test_unbiased_hits_have_no_excess_and_equal_basins():
    sample = poisson_sample("spherical_spin", 5, 2000, 9, p=3)
    rng = np.random.default_rng(10)
    minima = [(draw, 0, rng.normal(), 5) for draw in range(2000) for _ in range(int(sample.counts[draw, 0]))]
    points = pd.DataFrame(minima, columns=["draw", "morse_index", "cost", "hits"])
    comparison = newton_bias.Comparison(sample, {3.7: sample}, points)
    assert abs(comparison.excess(3.7).value) < 0.05
    assert all(abs(b.value) < 0.05 for b in comparison.basins(3.7))
    assert comparison.deep_minima().value == pytest.approx(0, abs=1e-9)  # equal hits: no shift at all
    deep = points.assign(hits=np.where(points["cost"] < 0, 10, 1))
    assert newton_bias.Comparison(sample, {3.7: sample}, deep).deep_minima().high < 0


def test_trivialisation_claims_on_the_exact_law():
    keys = {(n, m) for n, m in topology_trivialisation.JUDGED} | {(3, 0.5), (5, 2.0)}
    samples = {}
    for n, m in keys:
        s = poisson_sample("confined_field", n, 400, n, m=m)
        samples[n, m] = s
    entries = judge(topology_trivialisation.claims_of(samples))
    exact = [e for e in entries if e["source"] == topology_trivialisation.EXACT]
    assert len(exact) == 12
    assert all(e["verdict"] != "disagrees" for e in exact)
    growth = [e for e in entries if "n = 1..5" in e["claim"]]
    assert [e["expected"] for e in growth] == [True, False]
    assert growth[0]["verdict"] != "disagrees"
    assert growth[1]["verdict"] == "disagrees"  # the rate of large n is not that of n = 1..5
    assert [e["verdict"] for e in entries if e["claim"].startswith("exact law")] == ["agrees", "agrees"]


def test_references_are_the_laws_own():
    law = build_landscape({"landscape": "torus_field", "n": 3}).expected_counts()
    assert ratio_of_law(law) == pytest.approx(2 * (29 + 6 * math.sqrt(6)) / (29 - 6 * math.sqrt(6)))  # BBKS 1986
    assert ratio_growth.goe_ratio(2) == pytest.approx((1 - 2 * (0.5 - math.sqrt(2) / 4)) / (0.5 - math.sqrt(2) / 4))


# ---- end to end --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def small_demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    patch = pytest.MonkeyPatch()
    landscapes = [{"name": "torus_field", "n": [1, 2]}, {"name": "spherical_spin", "n": [3, 4], "p": 3}]
    search = {"method": "enumerate", "draws": 8, "starts": 128}
    patch.setattr(report, "CONFIGURATION", {"seed": 5, "landscape": landscapes, "search": search})
    patch.setattr(simcore.sweep, "run_sweep", partial(simcore.sweep.run_sweep, workers=0))  # compiles once, here
    report.demo(out)
    patch.undo()
    return out


def test_demo_writes_table_figures_and_run(small_demo):
    names = {p.name for p in small_demo.iterdir()}
    figures = {f"{kind}{suffix}" for kind in ("ratio", "index_cost") for suffix in (".png", ".pdf")}
    assert names == {"run", "table.csv", "table.md", "table.tex"} | figures
    rows = list(csv.DictReader((small_demo / "table.csv").read_text().splitlines()))
    assert tuple(rows[0]) == DEMO_COLUMNS
    assert [(r["landscape"], r["n"]) for r in rows] == [
        ("torus_field", "1"), ("torus_field", "2"), ("spherical_spin", "3"), ("spherical_spin", "4"),
    ]  # fmt: skip
    assert all(r["functions"] == r["complete"] == "8" for r in rows)
    for r in rows[1:]:
        exact = float(r["ratio_exact"])
        assert r["z"] == ""  # eight draws cannot tell; Student's t with 7 degrees: false alarm 2e-4 a row
        assert abs(float(r["ratio_distinct"]) - exact) < 7 * float(r["ratio_distinct_se"])
        assert 0.3 < float(r["ratio_distinct"]) / exact < 3
    assert "seed 5" in (small_demo / "table.md").read_text()


def test_reading_shard_by_shard_gives_the_same_samples(small_demo):
    from simcore.sweep import load

    run = small_demo / "run"
    for a, b in zip(load_samples(run), samples_from_frames(load(run), load(run, kind="audits")), strict=True):
        assert a.parameters == b.parameters
        assert a.statuses == b.statuses
        for name in ("counts", "hits", "complete", "starts"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        np.testing.assert_allclose(a.cost_sums, b.cost_sums, rtol=1e-12, atol=1e-12)


def test_the_shipped_demo_has_enough_draws_and_the_promised_dimensions():
    assert report.CONFIGURATION["seed"] == 20260101
    assert report.CONFIGURATION["search"]["draws"] >= 30
    sizes = {t["name"]: t["n"] for t in report.CONFIGURATION["landscape"]}
    assert sizes == {"torus_field": [1, 2, 3, 4, 5, 6], "spherical_spin": [3, 4, 5, 6, 7, 8, 9, 10]}


@pytest.mark.parametrize("kind", ["ratio", "index_cost", "outcomes", "coverage"])
def test_figures_of_a_run(small_demo, tmp_path, kind):
    path = run_figure(small_demo / "run", kind, tmp_path / f"{kind}.svg")
    assert path.read_text().startswith("<?xml")


def test_newton_runs_are_hits_in_table_and_figures(tmp_path):
    from simcore.sweep import run_sweep

    tables = {
        "seed": 1,
        "landscape": [{"name": "torus_field", "n": [2, 3]}],
        "search": {"method": "newton", "draws": 3, "starts": 24, "spectrum": True},
    }
    run_sweep(tables, tmp_path / "run", workers=0)
    text = run_table(tmp_path / "run")
    assert "minima (hits)" in text
    assert "saddles/minima (hits)" in text
    for kind in ("tolerance", "outcomes", "spectrum", "ratio"):
        assert run_figure(tmp_path / "run", kind, tmp_path / f"{kind}.png").stat().st_size > 5000
    with pytest.raises(InputError, match="enumerate"):
        run_figure(tmp_path / "run", "coverage", tmp_path / "c.png")
    rows = list(csv.DictReader(run_table(tmp_path / "run", "csv").splitlines()))
    assert [int(r["starts"]) for r in rows] == [72, 72]
    assert all(int(r["critical"]) + int(r["max_iterations"]) <= 72 for r in rows)
