"""Enumerations with a proof: the search's points, plain hits, and the search itself where a proof fails."""

import numpy as np
import pandas as pd
import pytest

import simcore
from simcore.search.search import Search
from simcore.search.shards import enumerate_rows
from simcore.search.target import Target


def enumerated(target, **options):
    return simcore.enumerate_critical_points(target, threads=1, **options)


def by_cost(found):
    return found.points.sort_values("cost", ignore_index=True)


@pytest.mark.parametrize(("n", "p"), [(2, 2), (7, 2), (4, 3), (8, 3), (5, 4), (3, 5), (4, 5), (3, 6)])
def test_a_proved_list_is_the_search_s(n, p):
    landscape = simcore.SphericalSpin(n=n, p=p)
    for draw in range(3):
        with_proof = enumerated(landscape, draw=draw, seed=5)
        without = enumerated(landscape, draw=draw, seed=5, prove=False)
        assert with_proof.audit["proved"] and with_proof.audit["complete"] and not without.audit["proved"]
        assert without.audit["proof"] is None and without.audit["complete"]
        one, two = by_cost(with_proof), by_cost(without)
        assert np.abs(one["cost"] - two["cost"]).max() < 1e-12
        assert list(one.columns) == list(two.columns) and (one["morse_index"] == two["morse_index"]).all()
        assert one["certified"].all()


def test_proofs_say_how():
    audit = enumerated(simcore.SphericalSpin(n=6, p=3), seed=1).audit
    proof = audit["proof"]
    assert proof["method"] == "bezout" and proof["bound"] == proof["certified"] == 64 and proof["paths"] == 63
    assert audit["distinct"] % 2 == 0 and audit["euler_sum"] == audit["euler_expected"]
    two = enumerated(simcore.SphericalSpin(n=6, p=2), seed=1).audit
    assert two["proof"]["method"] == "eigenvectors" and two["distinct"] == 12


def test_hits_are_those_of_plain_newton_searches():
    landscape = simcore.SphericalSpin(n=7, p=3)
    found = enumerated(landscape, draw=2, seed=5, starts=600)
    rows = simcore.find_critical_points(landscape, draws=1, first_draw=2, starts=600, seed=5)
    assert found.audit["starts"] == 600 and found.audit["critical"] == (rows["status"] == "critical").sum()
    assert found.points["hits"].sum() == found.audit["critical"]
    assert sorted(found.points["hits"][found.points["hits"] > 0]) == sorted(
        rows[rows["point"] >= 0].groupby("point").size()
    )
    hit = found.points[found.points["hits"] > 0]  # in the order of their first starts, those without one last
    assert (hit["point"] == np.arange(len(hit))).all() and found.audit["descended_starts"] == 0


def test_no_starts_leave_hits_out():
    found = enumerated(simcore.SphericalSpin(n=5, p=3), seed=1, starts=0)
    assert found.audit["proved"] and found.audit["starts"] == 0 and np.isnan(found.audit["coverage"])
    assert (found.points["hits"] == 0).all() and found.audit["saturation"] == []


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(threads):
    landscape = simcore.SphericalSpin(n=8, p=3)
    one = enumerated(landscape, seed=9)
    other = simcore.enumerate_critical_points(landscape, seed=9, threads=threads)
    pd.testing.assert_frame_equal(one.points, other.points, check_exact=True)


def test_the_user_s_tensor_in_any_unit():
    rng = np.random.default_rng(0)
    tensor = rng.normal(size=(5, 5, 5))
    counts = [len(enumerated(simcore.SphericalSpin.from_couplings(tensor * unit)).points) for unit in (1, 1e-60, 1e60)]
    assert counts[0] == counts[1] == counts[2]
    assert enumerated(simcore.SphericalSpin.from_couplings(tensor * 1e-60)).audit["proved"]


@pytest.mark.filterwarnings("ignore::simcore.IncompleteWarning")
def test_a_proof_that_fails_falls_back_to_the_search():
    v = np.array([1.0, 2.0, -0.5, 0.3])
    degenerate = simcore.SphericalSpin.from_couplings(np.einsum("i,j,k->ijk", v, v, v))
    zero = simcore.SphericalSpin.from_couplings(np.zeros((3, 3, 3)))
    double = simcore.SphericalSpin.from_couplings(np.diag([1.0, 1.0, 2.0]))
    found = enumerated(degenerate, max_starts=2000, prove=True)
    nothing = enumerated(zero, max_starts=600)
    two = enumerated(double, max_starts=600)
    assert not found.audit["proved"] and not found.audit["complete"]
    assert found.audit["proof"]["method"] == "bezout" and found.audit["proof"]["certified"] < 16
    assert not nothing.audit["proved"] and nothing.audit["proof"] is None
    assert not two.audit["proved"] and two.audit["proof"]["certified"] == 1


NETWORK = simcore.MLP(
    (2, 2, 1), activation="tanh", loss="mse", data={"kind": "teacher", "widths": [2, 2, 1], "samples": 8}, l2=0.05
)


def test_what_cannot_be_proved_says_so():
    landscape = simcore.GaussianField(2)
    with pytest.raises(simcore.InputError, match="compact domain"):
        enumerated(landscape, prove=True)
    with pytest.raises(simcore.InputError, match=r"prove is True.*spherical_spin"):
        enumerated(simcore.SphericalSpin(n=40, p=3), prove=True)
    with pytest.raises(simcore.InputError, match=r"prove is True.*mlp"):
        enumerated(NETWORK, prove=True)
    with pytest.raises(simcore.InputError, match=r"starts is 0.*mlp.*give at least 1$"):
        enumerated(NETWORK, starts=0)
    with pytest.raises(simcore.InputError, match="prove is 'yes'"):
        enumerated(simcore.SphericalSpin(n=4), prove="yes")
    with pytest.raises(simcore.InputError, match="starts is 0"):
        enumerated(simcore.SphericalSpin(n=4), prove=False, starts=0)
    with pytest.raises(simcore.InputError, match="starts is 0"):
        enumerated(simcore.SphericalSpin(n=20), starts=0)  # "auto" does not try


def test_a_proof_that_lost_a_point_is_contradicted_by_the_starts(monkeypatch):
    """Should a proof ever be wrong, a start that ends elsewhere reveals it, and the search is made."""
    from simcore.proof import prove as proofs

    honest = proofs.on_the_sphere

    def lossy(problem, mapped=None):
        found = honest(problem, mapped)
        return proofs.Proof(found.method, found.bound, found.certified, found.work, 0, True, found.x[1:])

    monkeypatch.setattr(proofs, "on_the_sphere", lossy)
    found = enumerated(simcore.SphericalSpin(n=5, p=3), seed=2)
    assert not found.audit["proved"] and found.audit["complete"] and found.audit["starts"] >= 512


def test_shards_carry_the_proof():
    points, audits = enumerate_rows(Search.of(simcore.SphericalSpin(n=5, p=3), seed=1), first_draw=0, draws=4, starts=0)
    assert audits["proved"].all() and (audits["proof_method"] == "bezout").all()
    assert (audits["proof_bound"] == 32).all() and (audits["proof_work"] == 31).all()
    assert (points.groupby("draw").size() == audits.set_index("draw")["distinct"]).all()
    _, without = enumerate_rows(Search.of(simcore.SphericalSpin(n=5, p=3), seed=1), first_draw=0, draws=2, prove=False)
    assert not without["proved"].any() and without["proof_method"].isna().all()


@pytest.mark.parametrize("p", [2, 3])
def test_positions_are_critical_points(p):
    draw = simcore.SphericalSpin(n=6, p=p).draw(seed=3)
    x = np.stack(enumerated(draw, starts=0).points["x"].to_numpy())
    assert np.abs(np.linalg.norm(x, axis=1) - np.sqrt(6)).max() < 1e-12
    assert np.abs(draw.gradient(x)).max() < 1e-12
    assert Target.of(Search.of(draw.landscape, seed=3), draw).problem.p == p
