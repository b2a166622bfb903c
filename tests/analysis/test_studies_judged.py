"""Studies are judged as their sources word them: what is asserted, what is a false picture, what is only measured."""

import json
import math
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from simcore_analysis import studies
from simcore_analysis.estimates import Estimate
from simcore_analysis.samples import Sample, build_landscape
from simcore_analysis.studies import (
    bands,
    choromanska_2014,
    dauphin_2014,
    fluctuations,
    goodfellow_2015,
    gradient_norm_test,
    growth,
    ill_conditioning,
    index_cost,
    minibatch_gradient,
    origin_saddle,
    pennington_bahri_2017,
    ratio_growth,
    saddle_escape,
)
from simcore_analysis.studies.summary import summary_table, tally
from simcore_analysis.studies.verdicts import KEYS, Claim, judge, measurement, read_verdicts, verdict, write_verdicts

import simcore
from simcore.errors import InputError
from simcore.theory.tables import log_saddles_over_minima
from simcore.theory.wishart_wigner import index_fraction


def fixed(low, high, value=None, kind="mean"):
    """An estimate that is the same at every level."""
    return lambda level: Estimate(0.5 * (low + high) if value is None else value, 0.1, low, high, level, kind=kind)


def counted(parameters, counts) -> Sample:
    """A sample with the given counts and nothing else."""
    landscape = build_landscape(parameters)
    table = np.asarray(counts, float)
    whole = np.full(len(table), 512.0)
    return Sample(parameters, landscape.dimension, table, table, 0 * table, np.ones(len(table), bool), whole)


# ---- verdicts ----------------------------------------------------------------------------------------------------
def test_what_has_no_reference_is_measured_and_not_judged():
    (entry,) = judge([measurement("how often it happens", "here", fixed(0.0, 1.0))])
    assert (entry["verdict"], entry["reference"], entry["resolution"]) == ("measured", None, None)
    assert verdict(0.9, 1.1, None, None) == "measured"
    with pytest.raises(InputError, match="no reference"):
        judge([Claim("c", None, "s", fixed(0, 1), 0.5)])


def test_an_interval_that_agrees_excludes_the_nearest_rival():
    claim = Claim("c", 1.0, "s", fixed(0.8, 1.15), 0.4, 1.5)
    with pytest.raises(InputError, match="half the distance"):
        judge([claim])
    with pytest.raises(InputError, match="names no rival"):
        judge([Claim("c", 1.0, "s", fixed(0.8, 1.15), 0.4)])
    assert judge([Claim("c", 1.0, "s", fixed(0.8, 1.15), 0.25, 1.5)])[0]["verdict"] == "undecided"
    assert judge([Claim("c", 0.0, "s", fixed(0, 1e-9, kind="bound"), 1e-6)])[0]["verdict"] == "agrees"


def test_false_pictures_are_tallied_apart_and_disagreements_are_explained():
    claims = [
        Claim("law", 1.0, "s", fixed(0.9, 1.1), 0.5, 2.0),
        Claim("off", 1.0, "s", fixed(1.2, 1.3), 0.5, 2.0, because="It is small."),
        Claim("odd", 1.0, "s", fixed(1.2, 1.3), 0.5, 2.0),
        Claim("picture", 2.0, "s", fixed(0.9, 1.1), 0.5, 1.0, expected=False),
        measurement("number", "s", fixed(0.9, 1.1)),
    ]
    entries = judge(claims, 4)
    assert tally(entries) == ([1, 0, 2], [1, 0, 0], 1)
    assert [bool(e["because"]) for e in entries] == [False, True, True, False, False]
    table = summary_table({"one": entries})
    assert [row["claim"] for row in table.rows] == ["law", "off", "odd", "number", "picture"]
    assert [row["kind"] for row in table.rows] == ["asserted"] * 3 + ["", "false picture"]
    text = table.markdown()
    assert "It is small." in text and "By chance alone" not in text and "by chance alone" in text
    assert "1 agree, 0 undecided, 2 disagree; false pictures: 1 refuted" in text and "reference: 1;" in text
    assert "2 of the 2 asserted claims that disagree still do" in text
    older = [{key: value for key, value in entry.items() if key not in ("because", "beyond")} for entry in entries]
    text = summary_table({"one": older}).markdown()
    assert "2 disagree" in text and "still do" not in text


def test_a_directory_of_studies_tells_all_that_the_studies_told(tmp_path):
    """The sentences and what is excluded over all studies too outlive the files; known studies come first."""
    off = Claim("off", 1.0, "s", fixed(1.2, 1.3), 0.5, 2.0, because="It is small.")
    entries = {name: judge([off], 4) for name in ("b", "a", "unknown")}
    for name in entries:
        (tmp_path / name).mkdir()
        write_verdicts(tmp_path / name, entries[name])
        (kept,) = json.loads((tmp_path / name / "verdict.json").read_text())
        assert list(kept) == list(KEYS) and kept["verdict"] == "disagrees"
    read = read_verdicts(tmp_path, ("b", "never_run", "a"))
    assert list(read) == ["b", "a", "unknown"] and read == entries
    text = summary_table(read).markdown()
    assert text.count("It is small.") == 3 and "3 of the 3 asserted claims that disagree still do" in text
    write_verdicts(tmp_path / "a", judge([Claim("law", 1.0, "s", fixed(0.9, 1.1), 0.5, 2.0)]))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["verdict.json"], "reasons of an earlier measurement"


def test_exclusions_are_repeated_at_the_level_of_all_studies():
    """An interval that widens with the level: excluded within the study, not over a hundred of them."""

    def widening(level):
        half = 0.1 * -math.log10(1 - level)
        return Estimate(1.0, 0.1, 1 - half, 1 + half, level)

    claim = Claim("c", 1.2, "s", widening, 0.1, 2.0)
    assert [judge([claim], n)[0]["verdict"] for n in (1, 100)] == ["disagrees", "disagrees"]
    assert judge([claim], 1)[0]["beyond"] and not judge([claim], 100)[0]["beyond"]


def test_no_two_studies_share_their_functions():
    modules = [import_module(f"simcore_analysis.studies.{name}") for name in studies.names()]
    seeds = [module.SEED for module in modules if hasattr(module, "SEED")]
    assert len(set(seeds)) == len(seeds) >= 18
    assert all(0 <= seed < 2**63 for seed in seeds)


# ---- prevalences -------------------------------------------------------------------------------------------------
def test_how_often_is_not_judged_against_one():
    step, good = np.arange(61), np.linspace(1, 2, 61)[None].repeat(3, axis=0)
    run = ill_conditioning.Training("mse", "tanh", 8, step, good, good, good**3, good[:, ::-1], np.zeros((3, 1)))
    claims = [ill_conditioning.growth_claim(run), ill_conditioning.curvature_claim(run)]
    nothing, none = np.zeros(61), None
    calm = np.linspace(2, 1, 61)
    path = goodfellow_2015.Run(
        none, step, calm, calm, nothing, good.T, np.ones(141), calm, none, math.nan, -1, math.nan
    )
    claims += goodfellow_2015.run_claims("mse", [path] * 12)
    shares = np.tile([1.0, 0, 0, 0, 0], (20, 1))
    ends = dict.fromkeys(saddle_escape.METHODS, shares)
    claims += [c for c in saddle_escape.end_claims(ends) if c.expected]
    assert len(claims) >= 8
    assert {c.reference for c in claims} == {None}
    assert {entry["verdict"] for entry in judge(claims)} == {"measured"}


def test_the_signs_of_dauphins_groups_are_one_question():
    rng = np.random.default_rng(1)
    names = [dauphin_2014.CRITICAL, dauphin_2014.UNTIED, dauphin_2014.WITHIN, "source: a, untied", "noise 1, untied"]

    def groups(slope_of_last):
        found = {}
        for name in names:
            cost = rng.normal(size=60)
            slope = slope_of_last if name == names[-1] else 1.0
            found[name] = pd.DataFrame({"data_cost": cost, "fraction": slope * cost + 0.3 * rng.normal(size=60)})
        return found

    for slope, expected in ((1.0, "agrees"), (0.0, "undecided")):
        entries = judge(dauphin_2014.trend_claims(groups(slope)))
        judged = [e for e in entries if e["reference"] is not None]
        assert [e["verdict"] for e in judged] == [expected]  # one claim, and one exception leaves it open


def test_the_norm_test_is_judged_against_a_test_that_tells_nothing():
    norm = np.array([[1.0, 0.5, 0.5]] * 30 + [[1.0, 1e-6, 1e-6]] * 30)
    arrives = np.repeat([False, True], 30)
    case = gradient_norm_test.Case("", "", np.arange(3), norm, norm, arrives, np.zeros(60))
    claim = gradient_norm_test.wrong_claim("here", [case])
    assert (claim.reference, claim.rival) == (0.0, 0.5)
    assert judge([claim])[0]["verdict"] == "agrees"
    wrong = gradient_norm_test.Case("", "", np.arange(3), norm, norm, ~arrives, np.zeros(60))
    assert judge([gradient_norm_test.wrong_claim("here", [wrong])])[0]["verdict"] == "disagrees"


def test_a_test_without_resolution_is_no_claim():
    who = minibatch_gradient.linear_student()
    run = minibatch_gradient.fresh(who, np.ones(who.parameters), 4, 4000, 0)
    claims = minibatch_gradient.fresh_claims({"linear": run}, [run, run], 1.0)
    assert not [c for c in claims if "Hotelling" in c.claim]


def test_the_saddle_where_the_weights_are_zero():
    """A network so small that its Hessian there is known: hidden units times the cross-covariance's rank."""
    rng = np.random.default_rng(6)
    inputs, labels = rng.normal(size=(40, 3)), rng.integers(0, 4, 40)
    network = simcore.MLP((3, 2, 4), "tanh", "mse", (inputs, np.eye(4)[labels]), l2=1e-3)
    draw = network.draw(seed=0)
    paths = 0.1 * rng.normal(size=(12, 5, network.n))
    norms = [np.linalg.norm(draw.gradient(path), axis=1) for path in paths]
    origin = origin_saddle.origin_of(draw, (3, 2, 4), list(paths), norms, 3)
    assert origin.saddle.index == 2 * 3 == origin.expected
    assert np.abs(origin.saddle.x[:-4]).max() == 0
    verdicts = [e["verdict"] for e in judge(origin_saddle.origin_claims("here", origin, "figure 8.2"))]
    assert verdicts == ["agrees"] * 3 + ["measured"] * 2
    np.testing.assert_allclose(np.diff(origin.escape.escaped), np.log(10), rtol=1e-3)


# ---- growth ------------------------------------------------------------------------------------------------------
def family_of(n, ratio, draws=4000, seed=0):
    """Samples of spherical 3-spins whose counts are Poisson with a given ratio of saddles to minima."""
    rng = np.random.default_rng(seed)
    found = []
    for k in n:
        counts = np.zeros((draws, k))
        counts[:, 0] = rng.poisson(10, draws)
        counts[:, 1] = rng.poisson(10 * ratio(k), draws)
        found.append(counted({"landscape": "spherical_spin", "n": k, "p": 3}, counts))
    return found


def test_a_power_law_passes_for_no_exponential():
    """Intervals simultaneous at 95 %: a false alarm in 5 % of seeds; the seed is fixed."""
    c, n = ratio_growth.CLASSES[1], (4, 5, 6, 7, 8, 9, 10)

    def told(family):
        entries = judge(ratio_growth.class_claims(c, family))
        return [next(e["verdict"] for e in entries if word in e["claim"]) for word in ("bends", "as a power")]

    assert told(family_of(n, lambda k: 0.5 * (k - 2) ** 2.2)) == ["disagrees", "agrees"]
    assert told(family_of(n, lambda k: math.exp(ratio_growth.exact(c, k)))) == ["agrees", "disagrees"]


def test_coin_flips_never_agree_with_the_exact_ratio():
    """Nine per cent away at n = 5 on the torus: with few draws the verdict is open, with many it is against."""
    c, verdicts = ratio_growth.CLASSES[0], []
    for draws in (50, 100_000):
        rng = np.random.default_rng(draws)
        family = []
        for n in (2, 3, 4, 5):
            means = 4.0 * np.array([math.comb(n, k) for k in range(n + 1)])
            family.append(counted({"landscape": "torus_field", "n": n}, rng.poisson(means, (draws, n + 1))))
        verdicts.append(judge(ratio_growth.class_claims(c, family))[0]["verdict"])
    assert verdicts == ["undecided", "disagrees"]


def test_the_two_spin_is_told_apart():
    counts = {n: np.full((40, n), 2.0) for n in (4, 5, 6, 8, 10)}
    family = [counted({"landscape": "spherical_spin", "n": n, "p": 2}, c) for n, c in counts.items()]
    entries = judge(ratio_growth.control_claims(ratio_growth.CLASSES[-1], family))
    assert [(e["verdict"], e["expected"]) for e in entries] == [("agrees", True)] * 2 + [("disagrees", False)] * 2
    assert entries[1]["measured"] == pytest.approx(0, abs=1e-12)


def test_stored_laws_are_the_theorys():
    """Those up to n = 50 here; the rest were made by the command that the file names."""
    for n in (12, 30):
        assert ratio_growth.stored()["torus_field"][str(n)] == pytest.approx(log_saddles_over_minima("torus_field", n))
        for p in (3, 4, 5):
            stored = ratio_growth.stored()[f"spherical_spin {p}"][str(n)]
            assert stored == pytest.approx(log_saddles_over_minima("spherical_spin", n, p), rel=1e-9)
    assert ratio_growth.stored()["torus_field"]["200"] == pytest.approx(179.98984, abs=5e-6)
    for c in ratio_growth.CLASSES:
        assert abs(ratio_growth.exact_slope(c, 100, 200) - c.limit) < 0.1


def test_statistics_of_growth_are_what_they_say():
    n = np.array([4.0, 5, 6, 8, 10])
    assert growth.slope_weights(n) @ (3 + 0.7 * n) == pytest.approx(0.7)
    assert growth.bend_weights(n) @ (3 + 0.7 * n + 0.2 * n**2) == pytest.approx(0.2)
    logs = [Estimate(v, 0.01, v - 0.02, v + 0.02, draws=50) for v in 1.5 * np.log(n)]
    rate, chi, degrees = growth.misfit(np.log(n), logs)
    assert (rate, chi, degrees) == (pytest.approx(1.5), pytest.approx(0, abs=1e-9), 3)
    assert growth.misfit(n, logs)[1] > 100
    slopes = growth.local_slopes(np.log(n), logs)
    assert [e.value for e in slopes] == pytest.approx([1.5] * 4)
    assert slopes[0].se == pytest.approx(0.01 * math.sqrt(2) / math.log(5 / 4))


# ---- the conditional law -----------------------------------------------------------------------------------------
def test_the_conditional_law_is_judged_in_bands():
    """Points drawn from the exact law agree with it, points whose index forgets the cost don't (the seed is fixed)."""
    parameters = {"landscape": "spherical_spin", "n": 6, "p": 4}
    law = build_landscape(parameters).expected_counts().sort_values("morse_index")
    edges = bands.band_edges(law)
    sample = counted(parameters, np.zeros((400, 6)))
    share, fractions = bands.exact_bands(sample, edges)
    rng = np.random.default_rng(2)
    size = 400 * 130
    band = rng.choice(len(share), size=size, p=share / share.sum())
    cost = np.clip(edges, -2, 2)[band] + 1e-6
    draw = rng.integers(0, 400, size)
    for rows, expected in ((fractions[band], ["agrees", "disagrees"]), (np.tile(law["fraction"], (size, 1)), None)):
        index = (rows.cumsum(axis=1) < rng.random((size, 1))).sum(axis=1)
        points = pd.DataFrame({"draw": draw, "cost": cost, "morse_index": index})
        entries = judge(index_cost.conditional_claims("here", sample, points))
        verdicts = [e["verdict"] for e in entries]
        assert verdicts == (expected or ["disagrees", "agrees"]) * 2


# ---- pennington_bahri_2017 ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("phi", pennington_bahri_2017.RATIOS)
def test_the_theory_passes_its_own_test(phi):
    """Points on the random matrices' curve, with a floor of E_c: exponent and E_c agree with themselves."""
    fraction = np.linspace(0.004, 0.4, 100)
    energy = pennington_bahri_2017.model_energies(phi, fraction)
    rng = np.random.default_rng(3)
    saddles, minima = [], []
    for draw in range(12):
        off = 0.02 * rng.normal()
        chosen = rng.choice(len(fraction), 30, replace=False)
        saddles.append(pd.DataFrame({"draw": draw, "fraction": fraction[chosen], "energy": energy[chosen] + off}))
        floor = pennington_bahri_2017.critical_energy(phi) + off
        minima.append(pd.DataFrame({"draw": draw, "morse_index": 0, "energy": [floor]}))
    found = pennington_bahri_2017.Found(phi, pd.concat(saddles), pd.concat(minima))
    onset, exponent, critical, _ = pennington_bahri_2017.ratio_claims(found, True)
    entries = judge([onset, exponent])
    assert entries[0]["verdict"] == "agrees" and entries[1]["verdict"] != "disagrees"
    assert entries[1]["measured"] == pytest.approx(entries[1]["reference"], abs=1e-3)
    assert critical.estimate(0.95).covers(critical.reference)


def test_an_observation_is_judged_at_the_size_where_it_was_made():
    """Pennington and Bahri's minimisers are networks of n = 16: at n = 5 their energy is measured, not judged."""
    rows = pd.DataFrame({"draw": [0, 1], "morse_index": 0, "energy": 0.125, "fraction": 0.05})
    found = pennington_bahri_2017.Found(0.5, rows, rows)
    small, paper = (pennington_bahri_2017.minimiser_claim(found, full) for full in (False, True))
    assert small.reference is None and "n = 5" in small.claim
    assert paper.reference == pytest.approx(0.125) and "n = 16" in paper.claim


def test_the_theorys_curve_is_inverted():
    for phi in pennington_bahri_2017.RATIOS:
        fraction = np.array([0.003, 0.03, 0.1])
        energy = pennington_bahri_2017.model_energies(phi, fraction)
        back = [index_fraction(float(e), phi) for e in energy]
        np.testing.assert_allclose(back, fraction, rtol=0.02)


# ---- choromanska_2014 --------------------------------------------------------------------------------------------
def test_layers_are_told_from_the_next():
    rng = np.random.default_rng(4)
    laws = [choromanska_2014.exact_minima(8, k) for k in range(3)]
    rows = [
        (draw, k, rng.normal(*laws[k]))
        for draw in range(200)
        for k, number in enumerate((5, 18, 40))
        for _ in range(rng.poisson(number))
    ]
    points = pd.DataFrame(rows, columns=["draw", "morse_index", "cost"])
    assert [e["verdict"] for e in judge(choromanska_2014.layer_claims(8, points))] == ["agrees"] * 3
    mixed = points.assign(morse_index=rng.permutation(points["morse_index"].to_numpy()))
    assert "agrees" not in [e["verdict"] for e in judge(choromanska_2014.layer_claims(8, mixed))][:2]


# ---- fluctuations ------------------------------------------------------------------------------------------------
def test_overlaps_of_minima_are_over_pairs_of_one_draw():
    x = np.sqrt(3) * np.eye(3)
    rows = [(0, 0, x[0]), (0, 0, -x[0]), (0, 0, x[1]), (0, 1, x[2]), (2, 0, x[0]), (2, 0, (x[0] + x[1]) / np.sqrt(2))]
    points = pd.DataFrame(rows, columns=["draw", "morse_index", "x"])
    np.testing.assert_allclose(
        fluctuations.squared_overlaps(points, 3, 4), [[1, 3], [0, 0], [0.5, 1], [0, 0]], atol=1e-12
    )


def test_poisson_counts_have_their_own_fluctuations():
    """Var N/E[N]^2 = 1/mean, no correlation between indices; intervals at 1 - 1e-4 (the seed is fixed)."""
    rng = np.random.default_rng(7)
    minima, saddles = rng.poisson(20, 2000).astype(float), rng.poisson(50, 2000).astype(float)
    level = 1 - 1e-4
    assert fluctuations.relative_variance(minima, level).covers(np.log(1 / 20))
    assert not fluctuations.relative_variance(minima, level).covers(np.log(1 / 50))
    assert fluctuations.gap(minima, level).covers(0.5 / 20 + 5 / (12 * 20**2))  # the next term is 2e-4 of it
    sample = counted({"landscape": "spherical_spin", "n": 3, "p": 3}, np.stack([minima, saddles, minima], axis=1))
    entries = judge(fluctuations.last_claims(sample, np.ones((2000, 2))))
    assert [e["verdict"] for e in entries] == ["measured"] * 3 + ["agrees", "measured"]
