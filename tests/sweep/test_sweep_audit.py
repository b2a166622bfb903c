"""The scientific audit of whole runs: silent on sound ones, loud on points that are missing.

The tests themselves: tests/statistics/test_audit.py.
"""

import pytest

import simcore
from simcore.statistics.combination import Counts, audit, bound
from simcore.sweep.verify import verify_run


# ---- whole runs --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An enumeration of 60 draws of a torus field and a spin model."""
    out = tmp_path_factory.mktemp("audit") / "run"
    tables = {
        "seed": 21,
        "landscape": [{"name": "torus_field", "n": [1, 2]}, {"name": "spherical_spin", "n": 4, "p": 3}],
        "search": {"method": "enumerate", "draws": 60, "starts": 96},
    }
    from simcore.sweep import run_sweep

    assert int(run_sweep(tables, out, workers=0)) == 0
    return out


def test_a_sound_run_passes_its_audit(run):
    report = verify_run(run)
    assert report.ok, report.text()
    assert [one.complete for one in report.audits] == [60, 60, 60]
    assert all(one.euler_right == 60 and one.certified_fraction > 0.99 and one.tests for one in report.audits)


def gathered(run, combination, keep=None):
    points = simcore.load(run)
    audits = simcore.load(run, kind="audits")
    name, n = [("torus_field", 1), ("torus_field", 2), ("spherical_spin", 4)][combination]
    landscape = simcore.SphericalSpin(4, p=3) if name == "spherical_spin" else simcore.TorusField(n)
    mine = points[(points["landscape"] == name) & (points["n"] == n)]
    counts = Counts.empty(60, landscape.dimension)
    counts.add(mine if keep is None else mine[keep(mine)])
    counts.audits.append(audits[(audits["landscape"] == name) & (audits["n"] == n)])
    return landscape, counts


def test_a_run_without_its_rarely_hit_points_fails(run):
    """Throw away the points with the fewest hits, as a careless search does."""
    landscape, counts = gathered(run, 2, lambda points: points["hits"] > points["hits"].quantile(0.3))
    result = audit(landscape, counts, "spin")
    assert min(test.p for test in result.tests) < bound([result])
    whole = audit(*gathered(run, 2), "spin")
    assert min(test.p for test in whole.tests) > bound([whole])


def test_incomplete_draws_are_not_judged(run):
    landscape, counts = gathered(run, 1)
    counts.audits[0] = counts.audits[0].assign(complete=[False] + 59 * [True])
    result = audit(landscape, counts, "torus")
    assert not result.tests and "1 draws are incomplete" in result.line(1e-5)


def test_too_few_draws_are_not_judged(tmp_path):
    from simcore.sweep import run_sweep

    tables = {
        "seed": 1,
        "landscape": [{"name": "torus_field", "n": 1}],
        "search": {"method": "enumerate", "draws": 29, "starts": 32},
    }
    run_sweep(tables, tmp_path / "run", workers=0)
    report = verify_run(tmp_path / "run")
    assert report.ok and not report.audits[0].tests and "too few draws to be judged, 30 are needed" in report.text()


def test_hits_are_not_audited(tmp_path):
    from simcore.sweep import run_sweep

    tables = {
        "seed": 1,
        "landscape": [{"name": "torus_field", "n": 2}],
        "search": {"method": "newton", "draws": 40, "starts": 32},
    }
    run_sweep(tables, tmp_path / "run", workers=0)
    report = verify_run(tmp_path / "run")
    assert report.ok and not report.audits and "can't be audited" in report.text()
