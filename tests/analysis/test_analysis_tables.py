"""Samples, tables and figures from small frames whose every number is known."""

import csv
import dataclasses
import io
import math

import numpy as np
import pandas as pd
import pytest
from simcore_analysis import canvas, figures, tables, writers
from simcore_analysis.estimates import Estimate
from simcore_analysis.samples import Sample, build_landscape, samples_from_frames, samples_from_starts
from simcore_analysis.tolerance import tolerance_rows, tolerance_sums
from simcore_analysis.writers import Column, Table

import simcore
from simcore.errors import InputError

EULER_SPIN = 2  # of the sphere in R^5


def spin_frames(draws=8, n=5, complete=True):
    """Draw i of a 3-spin on the sphere in R^5 has 2 + 2 (i % 2) minima and maxima, saddles to match; draw 3 none."""
    rows, audits = [], []
    for draw in range(draws):
        minima = 2 + 2 * (draw % 2)
        counts = [minima, 2 * minima, 2 * minima + EULER_SPIN, 2 * minima, minima] if draw != 3 else [0] * 5
        point = 0
        for k, number in enumerate(counts):
            for _ in range(number):
                rows.append((draw, point, 0.5 * (k - 2) + 0.01 * point, k, 0, 1e-12, 10 - 2 * abs(k - 2), True))
                point += 1
        audits.append((draw, point, 512, complete or draw != 1, 0.999))
    points = pd.DataFrame(
        rows, columns=["draw", "point", "cost", "morse_index", "nullity", "grad_norm", "hits", "certified"]
    )
    audit = pd.DataFrame(audits, columns=["draw", "distinct", "starts", "complete", "coverage"])
    for frame in (points, audit):
        frame.insert(0, "landscape", "spherical_spin")
        frame.insert(1, "n", n)
        frame.insert(2, "p", 3)
    return points, audit


def sample(**changes) -> Sample:
    return samples_from_frames(*spin_frames(**changes))[0]


def starts_frame():
    rows = []
    for draw in range(6):
        for start in range(40):
            k = [0, 1, 1, 2, 2, 2, 3, 3][(start + draw) % 8]
            status = "max_iterations" if start % 20 == 7 else "gradient_flat" if start % 20 == 9 else "critical"
            norm = 1e-3 if status != "critical" else 1e-12 * (1 + start)
            rows.append((draw, start, status, 0.4 * k - 0.6 + 0.01 * draw, norm, k))
    frame = pd.DataFrame(rows, columns=["draw", "start", "status", "cost", "grad_norm", "morse_index"])
    frame["status"] = frame["status"].astype("category")
    frame.insert(0, "landscape", "torus_field")
    frame.insert(1, "n", 3)
    return frame


# ---- samples -----------------------------------------------------------------------------------------------------
def test_draws_without_points_count():
    s = sample()
    assert s.draws == 8
    assert s.dimension == 4
    assert s.parameters == {"landscape": "spherical_spin", "n": 5, "p": 3}
    assert s.counts[3].sum() == 0
    assert s.minima.tolist() == [2, 4, 2, 0, 2, 4, 2, 4]
    assert s.saddles.tolist() == [14, 26, 14, 0, 14, 26, 14, 26]
    assert s.ratio().value == pytest.approx(134 / 20)
    assert s.ratio_quenched().draws == 7
    assert s.hits[0].tolist() == [12, 32, 60, 32, 12]


def test_frames_of_two_combinations_stay_apart_and_missing_parameters_too():
    a, b = spin_frames(draws=4), spin_frames(draws=3, n=6)
    torus = [f.assign(landscape="torus_field", n=4).drop(columns="p") for f in spin_frames(draws=2)]
    both = [pd.concat(parts, ignore_index=True) for parts in zip(a, b, torus, strict=True)]
    both = [frame.astype({"p": "Int64", "landscape": "category"}) for frame in both]
    found = samples_from_frames(*both)
    assert [(s.landscape, s.n, s.draws, s.dimension) for s in found] == [
        ("spherical_spin", 5, 4, 4), ("spherical_spin", 6, 3, 5), ("torus_field", 4, 2, 4),
    ]  # fmt: skip
    assert found[2].parameters == {"landscape": "torus_field", "n": 4}
    assert found[1].counts.sum() == sum(b[0]["n"] == 6)


def test_points_without_an_audit_or_with_an_impossible_index_are_refused():
    points, audits = spin_frames()
    with pytest.raises(InputError, match="without an audit"):
        samples_from_frames(points, audits[audits["draw"] != 2])
    (kept,) = samples_from_frames(points, audits[audits["draw"] != 2], drop_unaudited=True)
    assert kept.draws == 7
    assert kept.counts.sum() == (points["draw"] != 2).sum()
    with pytest.raises(InputError, match=r"outside 0\.\.4"):
        samples_from_frames(points.assign(morse_index=5), audits)
    for impossible in (-1, 5):  # one point among sound ones
        strange = points["morse_index"].where(points.index != 3, impossible)
        with pytest.raises(InputError, match=r"outside 0\.\.4"):
            samples_from_frames(points.assign(morse_index=strange), audits)
    with pytest.raises(InputError, match="no audits"):
        samples_from_frames(points.assign(n=6), audits)


def test_starts_give_hits_and_statuses_but_no_counts():
    (s,) = samples_from_starts(starts_frame())
    assert s.method == "newton"
    assert s.counts.sum() == 0
    assert s.statuses == {"critical": 216, "gradient_flat": 12, "max_iterations": 12}
    assert s.hits.sum() == 216
    assert s.starts.tolist() == [40] * 6


def test_rows_of_networks_name_their_landscape_again():
    row = {"landscape": "linear_network", "n": 16, "widths": "[4,2,4]", "covariance": "[4.0,3.0,2.0,1.0]"}
    landscape = build_landscape(row)
    assert landscape.dimension == 16
    assert tuple(landscape.widths) == (4, 2, 4)


def test_titles_leave_out_matrices_and_waves_that_n_fixes():
    s = sample()
    field = {"landscape": "confined_field", "n": 5, "m": 0.5, "features": 60, "frequencies": "isotropic"}
    assert dataclasses.replace(s, parameters=field).title == "confined field, $m = 0.5$"
    network = {"landscape": "linear_network", "n": 16, "widths": "[4,2,4]", "covariance": "[4.0,3.0,2.0,1.0]" * 3}
    assert dataclasses.replace(s, parameters=network).title == "linear network, widths [4,2,4]"


# ---- tables ------------------------------------------------------------------------------------------------------
def test_demo_csv_has_the_contracts_columns_and_blanks():
    line = samples_from_frames(
        *[f.assign(landscape="torus_field", n=1).drop(columns="p").query("draw < 2") for f in _one_dimensional()]
    )[0]
    text = tables.demo_csv(tables.count_table([sample(draws=24), sample(draws=24, complete=False), line]))
    rows = list(csv.DictReader(io.StringIO(text)))
    contract = "landscape n functions complete proved critical_points minima ratio_distinct ratio_distinct_se"
    assert list(rows[0]) == [*contract.split(), "ratio_exact", "z", "ratio_hits", "ratio_coin_flip"]
    assert [r["functions"] for r in rows] == ["24", "24", "2"]
    assert [r["complete"] for r in rows] == ["24", "23", "2"]
    assert rows[0]["minima"] == "68"
    assert rows[0]["ratio_coin_flip"] == "14"
    z = (float(rows[0]["ratio_distinct"]) - float(rows[0]["ratio_exact"])) / float(rows[0]["ratio_distinct_se"])
    assert float(rows[0]["z"]) == pytest.approx(z)
    assert rows[1]["z"] == ""  # a draw is incomplete
    assert (rows[2]["ratio_distinct"], rows[2]["z"], rows[2]["ratio_coin_flip"]) == (
        "0.0",
        "",
        "0",
    )


def _one_dimensional():
    points, audits = spin_frames(draws=2)
    return points[points["morse_index"] < 2], audits


def test_tables_name_hits_incomplete_draws_and_their_data():
    text = tables.count_table([sample(draws=24, complete=False)], ["Data: simcore 0, seed 1."]).markdown()
    assert "1 of 24 draws are incomplete" in text
    assert "by hits" in text
    assert "Data: simcore 0, seed 1." in text
    assert "6.676 ±" in text or "6.68 ±" in text
    newton = tables.hits_table(samples_from_starts(starts_frame()))
    for column in newton.columns:
        if "minima" in column.heading or "saddles" in column.heading:
            assert "hits" in column.heading
    assert "gradient flat" in newton.markdown()


def test_tables_say_that_too_few_draws_cannot_tell():
    table = tables.count_table([sample(draws=9)])
    markdown, (row,) = table.markdown(), csv.DictReader(io.StringIO(tables.demo_csv(table)))
    assert "6.73 (too few draws)" in markdown and "±" not in markdown
    assert "cannot tell: too few draws, 9 of the 10 that are needed" in markdown
    assert "{6.73 (too few draws)}" in table.latex()
    assert row["z"] == "" and float(row["ratio_distinct"]) == pytest.approx(148 / 22)
    assert "±" in tables.count_table([sample(draws=16)]).markdown()


def two_dimensional(draws, complete=True) -> Sample:
    """Counts on a torus of two dimensions: 2 + j % 3 minima and maxima and twice as many saddles in draw j."""
    minima = np.array([2.0 + j % 3 for j in range(draws)])
    counts = np.stack([minima, 2 * minima + np.arange(draws) % 2, minima], axis=1)
    return Sample(
        {"landscape": "torus_field", "n": 2}, 2, counts, 5 * counts, 0 * counts, np.full(draws, complete),
        np.full(draws, 64.0),
    )  # fmt: skip


def test_in_two_dimensions_a_ratio_is_judged_and_one_that_cannot_be_told_says_why():
    """The smallest dimension with saddles; on a circle there are none, and nothing is to be said."""
    whole, few, open_ = two_dimensional(40), two_dimensional(9), two_dimensional(40, complete=False)
    assert [row["z"] is None for row in tables.count_table([whole, open_]).rows] == [False, True]
    assert "n = 2: cannot tell: too few draws" in tables.count_table([few]).markdown()
    circle = Sample(
        {"landscape": "torus_field", "n": 1}, 1, few.counts[:, :2], few.hits[:, :2], few.cost_sums[:, :2], few.complete,
        few.starts,
    )  # fmt: skip
    assert "cannot tell" not in tables.count_table([circle]).markdown()


def test_latex_is_booktabs_and_siunitx():
    text = tables.count_table([sample(draws=24)]).latex()
    for word in ("\\toprule", "\\midrule", "\\bottomrule", "S[table-format=", "spherical\\_spin", "siunitx"):
        assert word in text
    body = [line for line in text.splitlines() if line.strip().endswith("\\\\")]
    assert len({line.count("&") for line in body}) == 1
    assert body[1].count("(") == 1  # one uncertain number: value(error)


@pytest.mark.parametrize(
    ("value", "se", "shown"),
    [
        (14.9312, 0.4149, ("14.93", "0.41")),
        (14.9312, 0.0996, ("14.93", "0.10")),
        (1234.5, 123.4, ("1230", "120")),
        (1234.5, 99.6, ("1230", "100")),
        (0.0123, 0.00012, ("0.01230", "0.00012")),
        (2.0, 0.0, ("2", "0")),
    ],
)
def test_uncertain_numbers_show_two_digits_of_their_error(value, se, shown):
    assert writers.rounded(value, se) == shown


def test_tiny_numbers_are_written_with_a_power_of_ten():
    table = Table([Column("r", "|r|")], [{"r": Estimate(5.64e-6, 2e-7, 5e-6, 6e-6)}, {"r": Estimate(0.5, 0.1, 0, 1)}])
    assert "| (5.64 ± 0.20)e-06 |" in table.markdown() and "0.50 ± 0.10" in table.markdown()
    assert table.markdown().splitlines()[0].endswith(" \\|r\\| |")  # a bare | would end the cell
    assert writers.scaled(2.27603465730964061, 2.5e-16) == ("2.276", "0", 0)
    assert "5.64(20)e-6" in table.latex() and "S[table-format=1.2(2)e1]" in table.latex()


def test_a_long_table_may_run_over_pages():
    columns = [Column("claim", "claim"), Column("r", "r")]
    table = Table(columns, [{"claim": "x_1", "r": 2.5}], "A caption", ["A note."])
    assert table.markdown().startswith("A caption\n\n| claim ")
    text = table.latex(long=True)
    order = ("\\begin{longtable}{l S[", "\\caption{A caption} \\\\", "\\endfirsthead", "\\endhead", "\\bottomrule",
             "\\endlastfoot", "x\\_1 & 2.5", "\\end{longtable}", "A note.")  # fmt: skip
    places = [text.index(word) for word in order]
    assert places == sorted(places) and "longtable" in text.splitlines()[0]


def test_one_sided_bounds_are_written_as_bounds():
    bound = Estimate(math.nan, math.nan, 123.4, math.inf, sides=1)
    table = Table([Column("r", "r")], [{"r": bound}, {"r": Estimate(5.0, 0.5, 4.0, 6.0)}])
    assert "> 123" in table.markdown()
    assert "{$> 123$}" in table.latex()
    rows = list(csv.reader(io.StringIO(table.csv())))
    assert rows == [["r", "r_se", "r_low", "r_high"], ["", "", "123.4", "inf"], ["5.0", "0.5", "4.0", "6.0"]]


def test_unknown_formats_and_kinds_name_the_choices(tmp_path):
    with pytest.raises(InputError, match="markdown"):
        tables.run_table(tmp_path, "html")
    with pytest.raises(InputError, match="index_cost"):
        figures.run_figure(tmp_path, "rations")
    with pytest.raises(InputError, match=r"\.png"):
        figures.run_figure(tmp_path, "ratio", "ratio.jpg")
    with pytest.raises(InputError, match=r"run\.json"):
        tables.run_table(tmp_path)


def test_provenance_stands_in_the_footnote(monkeypatch):
    facts = {
        "versions": ["1.2.3"], "backend": "cpu", "configuration_hash": "ab" * 32,
        "configuration": {"seed": 7, "method": "enumerate"}, "sessions": [{"software": {"commit": "c" * 40}}],
    }  # fmt: skip
    monkeypatch.setattr(tables, "run_provenance", lambda run: facts)
    note = tables.provenance_note("run")
    for fact in ("simcore 1.2.3", "seed 7", "backend cpu", "method enumerate", "commit cccccccccccc", "abababababab"):
        assert fact in note


# ---- figures -----------------------------------------------------------------------------------------------------
def labels(axis) -> list[str]:
    return axis.get_legend_handles_labels()[1]


def test_ratio_figure_shows_points_hits_exact_law_and_coin_flips():
    figure = figures.ratio_figure([sample(), sample(n=6 - 1, draws=7)])
    axis = figure.axes[0]
    assert axis.get_yscale() == "log"
    assert set(labels(axis)) == {
        "distinct points, 95 % interval",
        "Newton hits (biased)",
        "exact law",
        "coin flips $2^D-2$",
    }
    assert "dimension" in figure.axes[-1].get_xlabel()


def test_estimated_ratios_are_drawn_apart_and_those_below_one_too():
    fewer_saddles = np.tile([[4.0, 2.0, 4.0], [3.0, 1.0, 3.0]], (8, 1))
    trusted = Sample(
        {"landscape": "torus_field", "n": 2}, 2, fewer_saddles, fewer_saddles, fewer_saddles, np.ones(16, bool),
        np.ones(16), method="walk",
    )  # fmt: skip
    axis = figures.ratio_figure([trusted]).axes[0]
    assert "estimated, 95 % interval" in labels(axis) and "estimated, not trusted" not in labels(axis)
    doubted = dataclasses.replace(trusted, complete=np.arange(16) > 0)
    upper, lower = figures.ratio_figure([doubted]).axes
    assert "estimated, not trusted, 95 % interval" in labels(upper)
    assert [text.get_text() for text in lower.texts] == ["estimates, not trusted: not compared"]


def test_one_estimated_draw_has_no_bar_rather_than_one_of_no_length():
    counts = np.array([[4.0, 8.0, 4.0]])
    lone = Sample(
        {"landscape": "torus_field", "n": 2}, 2, counts, 0 * counts, 0 * counts, np.ones(1, bool), np.ones(1), "paths"
    )
    upper, lower = figures.ratio_figure([lone]).axes
    assert "estimated, too few draws for an interval" in labels(upper)
    for axis in (upper, lower):
        bars = [bar for group in axis.collections for bar in group.get_segments()]
        assert not any(len(bar) and np.isfinite(bar).all() for bar in bars)


def test_a_line_without_starts_has_no_ratio_by_hits():
    """On a circle the ratio is 0 where there are hits; where there were no starts it is blank, as everywhere."""
    circle = {"landscape": "torus_field", "n": 1}
    two, none = np.ones((3, 2)), np.zeros((3, 2))
    rows = [
        tables.count_table([Sample(circle, 1, two, hits, two, np.ones(3, bool), np.ones(3))]).rows[0]["ratio_hits"]
        for hits in (two, none)
    ]
    assert rows == [0.0, None]


def test_index_cost_figure_shows_the_conditional_means_beside_the_exact_ones():
    points, _ = spin_frames()
    figure = figures.index_cost_figure([sample()], points)
    axis = figure.axes[0]
    assert any("exact" in label for label in labels(axis))
    marks = next(line for line in axis.lines if line.get_marker() == "o")
    expected = points.groupby("morse_index")["cost"].mean()
    np.testing.assert_allclose(marks.get_xdata(), expected)
    np.testing.assert_allclose(marks.get_ydata(), np.arange(5) / 4)


def test_spectrum_needs_eigenvalues():
    points, _ = spin_frames()
    with pytest.raises(InputError, match="spectrum = true"):
        figures.spectrum_figure([sample()], points)
    points["eigenvalues"] = [np.arange(4.0) - k + 0.5 for k in points["morse_index"]]
    assert "minima: 20" in labels(figures.spectrum_figure([sample()], points).axes[0])


def curves(axis):
    """Return the lines that depend on the cutoff: not those of the exact means."""
    return [line for line in axis.lines if len(line.get_xdata()) > 2]


def test_tolerance_figure_counts_what_each_cutoff_accepts():
    frame = starts_frame()
    frame.loc[frame["status"] != "critical", "morse_index"] = -1
    share, index, cost = figures.tolerance_figure(
        samples_from_starts(frame), tolerance_sums([frame[:70], frame[70:]])
    ).axes
    critical, every, flat = (dict(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in share.lines)
    tight, loose = (min(critical, key=lambda c, at=at: abs(c - at)) for at in (1e-8, 10.0))
    assert critical[tight] == every[tight] == pytest.approx(216 / 240)
    assert critical[loose] == pytest.approx(216 / 240)
    assert every[loose] == 1
    assert max(flat.values()) == pytest.approx(12 / 240)
    assert len(curves(index)) == 1, "the index where a search failed is not known without positions"
    assert len(curves(cost)) == 2
    whole = figures.tolerance_figure(samples_from_starts(starts_frame()), tolerance_sums([starts_frame()])).axes
    assert len(curves(whole[1])) == 2


def test_tolerance_rows_know_the_index_where_a_search_failed(tmp_path):
    from simcore.cli import main

    config = tmp_path / "c.toml"
    config.write_text("""
seed = 3
[[landscape]]
name = "torus_field"
n = [2, 3]
[search]
method = "newton"
draws = 2
starts = 40
positions = true
[solver]
method = "levenberg_marquardt"
""")
    assert main(["run", str(config), "--out", str(tmp_path / "run"), "--workers", "1"]) == 0
    stored = simcore.load(tmp_path / "run")
    rows = pd.concat(tolerance_rows(tmp_path / "run"), ignore_index=True)
    flat = (stored["status"] == "gradient_flat").to_numpy()
    assert flat.any() and (stored.loc[flat, "morse_index"] == -1).all()
    assert rows.loc[~flat, "morse_index"].equals(stored.loc[~flat, "morse_index"].astype(rows["morse_index"].dtype))
    for (n, draw, x), index in zip(
        stored.loc[flat, ["n", "draw", "x"]].to_numpy(), rows.loc[flat, "morse_index"], strict=True
    ):
        hessian = simcore.TorusField(n).draw(seed=3, draw=draw).hessian(x)
        assert (np.linalg.eigvalsh(hessian) < 0).sum() == index


def test_outcomes_and_coverage_figures_have_their_bars_and_curves():
    bars = figures.outcomes_figure(samples_from_starts(starts_frame())).axes[0]
    assert sum(patch.get_width() for patch in bars.patches) == pytest.approx(1)
    assert labels(bars) == ["critical", "gradient flat", "max iterations"], "statuses that no start has are left out"
    with pytest.raises(InputError, match="newton"):
        figures.outcomes_figure([sample()])
    curve = figures.coverage_figure([sample()], *spin_frames()).axes[0].lines[0]
    assert curve.get_ydata()[-1] == 1
    assert (np.diff(curve.get_ydata()) > 0).all()


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_files_are_the_same_bytes_each_time(tmp_path, suffix):
    points, _ = spin_frames()
    written = []
    for name in "ab":
        path = canvas.save(figures.index_cost_figure([sample()], points), tmp_path / f"{name}{suffix}")
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert len(written[0]) > 1000


def test_figures_leave_no_global_state():
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.ratio_figure([sample()])
    assert dict(matplotlib.rcParams) == before


def test_many_combinations_have_looks_of_their_own_and_titles_that_fit():
    assert len({str(canvas.line_look(j)) for j in range(49)}) == 49
    with canvas.style():
        figure, axes = canvas.grid(1, 2, width=3.0)
        canvas.title(axes[0, 0], "mlp, activation softplus, l2 0.01, loss mse, widths [10,5,10], $n = 115$")
        figure.canvas.draw()
        assert axes[0, 0].title.get_window_extent().width < 3.0 * figure.dpi
    lines = axes[0, 0].get_title().splitlines()
    assert " ".join(lines) == "mlp, activation softplus, l2 0.01, loss mse, widths [10,5,10], $n = 115$"


def test_one_draw_has_a_ratio_and_no_interval_in_the_figure():
    starts = starts_frame()
    figure = figures.ratio_figure(samples_from_starts(starts[starts["draw"] == 0]))
    low, high = figure.axes[0].get_ylim()
    assert 0.1 < low < high < 100


def test_a_family_without_counts_says_so_beside_one_with_counts():
    hits = samples_from_starts(starts_frame())
    figure = figures.ratio_figure([sample(), sample(n=6, draws=7), *hits])
    assert any("hits only" in text.get_text() for axis in figure.axes for text in axis.texts)


def test_latex_shows_the_description_of_data_as_it_is():
    from simcore_analysis.writers import escape

    assert escape('{"kind":"a_b"}') == r'\{"kind":"a\_b"\}'
    assert escape("50 % \\ x") == "50 \\% \\textbackslash{} x"
