"""simcore.plot, simcore.report, simcore.run and simcore.positions: what users call from Python, on one small run."""

import re

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from simcore_analysis.page import report
from simcore_analysis.writers import Column, Table

import simcore
from simcore import InputError

matplotlib.use("agg")
CONFIGURATION = {
    "seed": 3,
    "landscape": [{"name": "torus_field", "n": [1, 2]}],
    "search": {"method": "enumerate", "draws": 12, "starts": 64},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("doors") / "run<b>"  # a name that HTML must not take for its own
    assert simcore.run(CONFIGURATION, out=out, workers=0) == out
    return out


@pytest.fixture(scope="module")
def found():
    return simcore.enumerate_critical_points(simcore.TorusField(n=2), draw=0, seed=1, spectrum=True)


@pytest.fixture(autouse=True)
def _closed():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def test_a_run_is_plotted_with_the_exact_law(run):
    axis = simcore.plot.ratio(run)
    assert isinstance(axis, Axes) and axis.get_ylabel() == "saddles / minima"
    labels = axis.get_figure().legends[0].get_texts()
    assert {"exact law", "coin flips $2^D-2$"} <= {text.get_text() for text in labels}
    own = axis.get_figure().add_axes((0, 0, 1, 1))
    assert simcore.plot.index_cost(run, ax=own) is own


def test_what_a_frame_holds_is_drawn(run, found):
    rows = simcore.find_critical_points(simcore.TorusField(n=2), draws=3, starts=20, seed=1)
    axis = simcore.plot.outcomes(rows)
    widths = sum(patch.get_width() for patch in axis.patches)
    assert widths == pytest.approx(1)
    cloud = simcore.plot.index_cost(found).collections[0]
    assert len(cloud.get_offsets()) == len(found.points)
    assert len(simcore.plot.ratio(simcore.load(run)).lines) == len(simcore.plot.ratio(run).lines)
    assert "minima" in simcore.plot.spectrum(found).get_legend_handles_labels()[1][1]


def test_hits_of_a_frame_are_labelled_as_hits(found):
    rows = simcore.find_critical_points(simcore.TorusField(n=2), draws=3, starts=20, seed=1)
    figure = simcore.plot.ratio(rows).get_figure()
    assert "Newton hits (biased)" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(
    ("kind", "words"), [("spectrum", "spectrum=True"), ("outcomes", "find_critical_points"), ("ratio", "one of")]
)
def test_a_source_without_the_data_is_refused_in_a_line(kind, words, found):
    source = {"spectrum": found.points.drop(columns="eigenvalues"), "outcomes": found.points}
    with pytest.raises(InputError, match=words):
        getattr(simcore.plot, kind)(source.get(kind, found.points[["cost"]]))
    from matplotlib import pyplot

    with pytest.raises(InputError, match="one Axes a family"):
        simcore.plot.ratio(found, ax=pyplot.subplots(1, 2)[1])


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    """The report of the run, as text."""
    return report([run], tmp_path_factory.mktemp("report") / "page.html").read_text(encoding="utf-8")


def test_the_report_of_a_run_is_one_self_contained_page(run, page, tmp_path):
    assert "run&lt;b&gt;" in page and "run<b>" not in page
    assert (
        page.count("<svg") == 3
        and "sound" in page
        and ("seed = 3" in page or "&quot;seed&quot;: 3" in page)
        and "How to cite" in page
    )
    for outside in ('src="http', 'href="http', "<script", "url(http", "@import"):
        assert outside not in page
    assert report([run], tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_a_damaged_run_is_called_unsound_by_its_report(run, page, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    assert "NOT SOUND" not in page
    record = next(path for path in copy.rglob("*.json") if path.name != "run.json")
    record.unlink()
    assert "NOT SOUND" in report([copy], tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_report_refuses_what_it_cannot_write(run, tmp_path):
    with pytest.raises(InputError, match=r"\.html"):
        report([run], tmp_path / "page.pdf")
    with pytest.raises(InputError, match="no run"):
        report([tmp_path], tmp_path / "page.html")


def test_the_page_of_studies_shows_claim_figure_and_verdicts_of_each(tmp_path):
    from matplotlib.figure import Figure
    from simcore_analysis.estimates import Estimate
    from simcore_analysis.studies.study import Result, Study, write_study
    from simcore_analysis.studies.verdicts import Claim

    def measure(full, out):
        claim = Claim("one is <one>", 1.0, "arithmetic", lambda level: Estimate(1.0, 0, 1.0, 1.0), 0.5, 0.0)
        return Result(Table([Column("n", "n")], [{"n": 5}], "A caption"), Figure(), [claim])

    for name in ("second", "a<b"):
        write_study(Study(name, f"The claim of {name}.", "Someone (2020).", measure), False, tmp_path / name)
    (tmp_path / "second" / "figure.png").unlink()
    page = report(tmp_path, tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.index('<h2 id="a&lt;b">') < page.index('<h2 id="second">')
    about = re.findall(r"</h2>\s*<p>([^<]*)</p>", page)
    assert about[:2] == ["The claim of a&lt;b. Someone (2020).", "The claim of second. Someone (2020)."]
    assert page.count("data:image/png;base64,") == 1 and page.count("one is &lt;one&gt;") >= 2
    assert page.count("Made by ") == 2 and "<one>" not in page


def test_cells_of_a_table_are_escaped():
    from simcore_analysis.page import table_html

    text = table_html(Table([Column("a", "<a>")], [{"a": "x & <b>"}], "c<d"))
    assert "&lt;a&gt;" in text and "x &amp; &lt;b&gt;" in text and "c&lt;d" in text


def test_positions_are_one_array(found):
    rows = simcore.find_critical_points(simcore.TorusField(n=2), draws=2, starts=5, seed=1, positions=True)
    x = simcore.positions(rows)
    assert x.shape == (10, 2) and x.dtype == np.float64 and (x[3] == rows["x"].iloc[3]).all()
    assert simcore.positions(rows.iloc[:0]).shape[0] == 0
    with pytest.raises(InputError, match="positions=True"):
        simcore.positions(rows.drop(columns="x"))


def test_studies_of_an_older_version_are_named_and_left_out(tmp_path):
    """Their verdicts do not say which claims their sources assert."""
    import json

    for name, entry in (("old", {"claim": "a", "verdict": "agrees"}), ("older", {"claim": "b", "verdict": "agrees"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "verdict.json").write_text(json.dumps([entry]))
        (tmp_path / name / "table.md").write_text("")
    with pytest.raises(InputError, match="older version"):
        report([tmp_path], tmp_path / "page.html")
