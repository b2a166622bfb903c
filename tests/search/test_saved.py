"""Enumerations on disk: the same points and audit come back, and an altered file is never believed."""

import numpy as np
import pytest

import simcore
from simcore import Enumeration, InputError, RunError


@pytest.fixture(scope="module")
def found():
    return simcore.enumerate_critical_points(simcore.TorusField(n=2), draw=0, seed=1, spectrum=True)


def test_an_enumeration_comes_back_as_it_was(found, tmp_path):
    again = Enumeration.load(found.save(tmp_path / "found.npz"))
    plain = [column for column in found.points if column not in ("x", "eigenvalues")]
    assert again.points[plain].equals(found.points[plain])
    assert (again.points[plain].dtypes == found.points[plain].dtypes).all()
    np.testing.assert_array_equal(again.positions, found.positions)
    np.testing.assert_array_equal(np.stack(again.points.eigenvalues), np.stack(found.points.eigenvalues))
    assert again.summary() == found.summary() and again.audit["complete"] is found.audit["complete"]
    assert again.audit == found.audit and found.audit["saturation"]


def test_no_flipped_bit_gives_other_points(found, tmp_path):
    path = found.save(tmp_path / "found.npz")
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    for place in rng.integers(len(whole), size=300):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            again = Enumeration.load(path)
        except (InputError, RunError):
            continue
        np.testing.assert_array_equal(again.positions, found.positions)  # a bit that says nothing of the rows
        assert again.audit["complete"] == found.audit["complete"]


@pytest.mark.parametrize(("name", "words"), [("found.csv", r"\.npz"), ("none.npz", "does not exist")])
def test_a_wrong_name_is_one_line(name, words, found, tmp_path):
    with pytest.raises(InputError, match=words):
        Enumeration.load(tmp_path / name)


def test_another_archive_is_no_enumeration(found, tmp_path):
    np.savez(tmp_path / "other.npz", x=found.positions)
    with pytest.raises(InputError, match="holds no enumeration"):
        Enumeration.load(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("nothing")
    with pytest.raises(RunError, match="damaged"):
        Enumeration.load(tmp_path / "text.npz")


def test_a_notebook_shows_the_summary_and_ten_points(found):
    page = found._repr_html_()
    assert page.count("<tr") == 1 + min(10, len(found.points)) and "Enumeration" not in page
    assert len(repr(found)) < 2000
