"""Homotopies that fill Kushnirenko's bound: complete lists, certificates against exact arithmetic, and no proof from
zeros that were doubled, dropped or moved."""

import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial import ConvexHull

import simcore
from simcore.backends.problems import Waves
from simcore.landscapes.frequencies import isotropic_frequencies
from simcore.proof import kushnirenko
from simcore.proof import prove as proofs
from simcore.proof.bezout import LEVELS, SINGLE_LEVELS
from simcore.proof.certificate import UNIT
from simcore.proof.kushnirenko import TorusHomotopy, bound, solvable
from simcore.proof.torus_certificate import on_spheres, on_the_torus
from simcore.proof.torus_start import coefficients, critical_points
from simcore.proof.torus_tracker import polish_waves, tables, workspace

BOUNDS = {1: 2, 2: 8, 3: 40, 4: 192, 5: 2976, 6: 23040}


def problem_of(n, draw=0, seed=41):
    return simcore.TorusField(n).draw(seed=seed, draw=draw).problem


def types(n):
    """Frequencies, largest type, whether it is alone."""
    k = isotropic_frequencies(n)[0].astype(np.float64)
    size = np.abs(k).sum(axis=1)
    return k, int(size.max()), bool((size == size.max()).all())


def derivatives(k, p, q, z):
    """Gradient (N, n) and Hessian (N, n, n) in log z of sum p z^k + q z^-k."""
    v = np.log(z) @ k.T
    up, down = p * np.exp(v), q * np.exp(-v)
    return (up - down) @ k, np.einsum("zk,ki,kj->zij", up + down, k, k)


def zeros_of(solver):
    every = np.arange(solver.paths)
    ends, arrived, _ = solver.follow(every, 2)
    assert arrived.all()
    return solver.settle(ends, every)


def complex_points(zeros):
    n = zeros.points.shape[1] // 2
    return zeros.points[:, :n] + 1j * zeros.points[:, n:]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_paths_begin_at_all_critical_points_of_one_sum(n):
    """As many as Kushnirenko's bound, none singular, no two the same."""
    k, m, alone = types(n)
    rng = np.random.default_rng(n)
    a, c = np.exp(2j * np.pi * rng.random(n)), 0.0 if alone else 0.5 + 0.2j
    z = critical_points(a, c, m)
    assert len(z) == bound(n, m) == BOUNDS[n]
    values = coefficients(k, a, c)
    gradient, hessian = derivatives(k, values, values, z)
    size = np.abs(values).sum() * np.exp(m * np.abs(np.log(np.abs(z))).max(axis=1))
    assert (np.abs(gradient).max(axis=1) < 1e-13 * size).all()
    assert np.linalg.cond(hessian).max() < 1e4
    images = on_spheres(np.hstack([z.real, z.imag]), np.zeros(len(z)), np.zeros(len(z)))[0]
    assert len(np.unique(np.round(images, 7) + 0.0, axis=0)) == len(z)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_the_bound_is_the_volume_of_the_frequencies_hull(n):
    k, m, _ = types(n)
    assert math.factorial(n) * ConvexHull(np.vstack([k, -k])).volume == pytest.approx(bound(n, m), rel=1e-9)
    assert solvable(k) and not solvable(2 * k)
    assert bound(6, types(6)[1]) == BOUNDS[6]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_real_zeros_are_the_points_that_boxes_prove(n):
    landscape = simcore.TorusField(n)
    for draw in range(4):
        count = TorusHomotopy(problem_of(n, draw)).run()
        assert count.proved and count.certified == count.bound == count.paths == BOUNDS[n]
        found = simcore.enumerate_critical_points(landscape, seed=41, draw=draw, prove=True, threads=1)
        assert found.audit["proof"]["method"] == "exclusion" and found.audit["proved"]
        x = np.stack(found.points["x"].to_numpy())
        gap = np.abs(x[:, np.newaxis] - count.real)
        distance = np.minimum(gap, 2 * np.pi - gap).max(axis=2)
        assert len(x) == len(count.real) and set(distance.argmin(axis=1)) == set(range(len(x)))
        assert distance.min(axis=1).max() < 1e-9


@pytest.mark.parametrize("n", [2, 3])
def test_the_complex_list_is_what_random_starts_find(n):
    """Newton's method from many complex points ends at zeros of the list only, and at each of them."""
    problem = problem_of(n)
    z = complex_points(zeros_of(TorusHomotopy(problem)))
    p = 0.5 * (problem.cosine - 1j * problem.sine)
    rng = np.random.default_rng(3)
    v = rng.normal(size=(4000, n)) * 1.2 + 1j * rng.uniform(0, 2 * np.pi, size=(4000, n))
    with np.errstate(all="ignore"):
        for _ in range(40):
            gradient, hessian = derivatives(problem.frequencies, p, p.conj(), np.exp(v))
            good = np.isfinite(hessian).all(axis=(1, 2)) & (np.abs(np.linalg.det(np.nan_to_num(hessian))) > 1e-12)
            v, gradient, hessian = v[good], gradient[good], hessian[good]
            step = np.linalg.solve(hessian, gradient[:, :, np.newaxis])[:, :, 0]
            v = v - step * np.minimum(1.0, 1.0 / np.linalg.norm(step, axis=1))[:, np.newaxis]
        gradient, _ = derivatives(problem.frequencies, p, p.conj(), np.exp(v))
    there = np.exp(v[(np.linalg.norm(step, axis=1) < 1e-10) & (np.abs(gradient).max(axis=1) < 1e-9)])
    assert len(there) > 500
    gap = np.abs(there[:, np.newaxis] / z - 1.0).max(axis=2)
    assert gap.min(axis=1).max() < 1e-6 and set(gap.argmin(axis=1)) == set(range(BOUNDS[n]))


def test_the_gradient_s_rounding_is_bounded():
    """Against exact rational arithmetic."""
    n = 3
    problem = problem_of(n)
    solver = TorusHomotopy(problem)
    rng = np.random.default_rng(5)
    points = np.array(zeros_of(solver).points)[rng.integers(0, 40, 60)]
    points *= 1 + 1e-9 * rng.normal(size=points.shape)
    facts = np.empty((len(points), 6))
    polish_waves(solver.ours, solver.tables, n, solver.v, 0, workspace(np.float64, n, solver.waves), points, facts)
    values = solver.ours.reshape(-1, 8)
    for point, fact in zip(points, facts, strict=True):
        exact = [[Fraction(0), Fraction(0)] for _ in range(n)]
        mass = 0.0
        for k, c in zip(problem.frequencies, values, strict=True):
            for sign, (re, im) in ((1, c[:2]), (-1, c[2:4])):
                r, q = Fraction(float(re)), Fraction(float(im))
                for j in np.flatnonzero(k):
                    x, y = Fraction(float(point[j])), Fraction(float(point[n + j]))
                    if sign * k[j] < 0:
                        x, y = x / (x * x + y * y), -y / (x * x + y * y)
                    r, q = r * x - q * y, r * y + q * x
                mass += math.hypot(r, q)
                for j in np.flatnonzero(k):
                    exact[j][0] += sign * int(k[j]) * r
                    exact[j][1] += sign * int(k[j]) * q
        residual = math.sqrt(sum(float(a) ** 2 + float(b) ** 2 for a, b in exact))
        assert mass <= fact[5] * (1 + 1e-12) <= 1.5 * mass  # sqrt 2 at most
        assert abs(residual - fact[2]) <= (solver.waves + 7 * 2 + 2) * UNIT * math.sqrt(2) * mass


def test_the_zero_lies_within_the_radius_and_the_next_one_beyond():
    """Thirty digits for the zero; the other zeros of the list, and the zero's own turns, for R."""
    mpmath = pytest.importorskip("mpmath")
    problem = problem_of(2)
    solver = TorusHomotopy(problem)
    zeros = zeros_of(solver)
    start = complex_points(zeros) * (1 + 1e-5 * np.random.default_rng(1).normal(size=(8, 2)))
    points = np.hstack([start.real, start.imag])
    r, alone, _ = solver.certify(points, 0)
    assert np.isfinite(r).all() and (r > 1e-7).all()
    with mpmath.workdps(30):
        for row in range(8):
            v = mpmath.matrix([mpmath.log(mpmath.mpc(*points[row, [j, 2 + j]])) for j in range(2)])
            first = v.copy()
            for _ in range(8):
                g, h = mpmath.matrix(2, 1), mpmath.matrix(2, 2)
                for k, c in zip(problem.frequencies, 0.5 * (problem.cosine - 1j * problem.sine), strict=True):
                    e = mpmath.exp(sum(int(k[j]) * v[j] for j in range(2)))
                    up, down = mpmath.mpc(c) * e, mpmath.mpc(c.conjugate()) / e
                    for i in range(2):
                        g[i] += int(k[i]) * (up - down)
                        for j in range(2):
                            h[i, j] += int(k[i] * k[j]) * (up + down)
                v -= mpmath.lu_solve(h, g)
            assert mpmath.norm(v - first) <= r[row]
    logs = np.log(complex_points(zeros))
    gap = logs[:, np.newaxis] - logs
    gap = np.linalg.norm(gap.real + 1j * ((gap.imag + np.pi) % (2 * np.pi) - np.pi), axis=2) + 9 * np.eye(8)
    assert (gap.min(axis=1) + 1e-3 >= alone).all()


def test_what_is_on_the_torus_and_what_is_not():
    """The mirror image of a zero within r lies within r + 2 L: it is the zero itself below R, and L > r is off."""
    r, alone = np.full(5, 1e-3), np.full(5, 1e-2)
    logs = np.array([0.0, 0.95e-3, 4.4e-3, 4.6e-3, 1.02e-3])
    points = np.stack([np.exp(logs) * math.cos(1.0), np.exp(logs) * math.sin(1.0)], axis=1)
    on, off = on_the_torus(points, r, alone)
    assert on.tolist() == [True, True, True, False, True] and off.tolist() == [False, False, True, True, True]


def test_spheres_shorten_no_gap_too_much_and_lengthen_none():
    rng = np.random.default_rng(2)
    v = rng.normal(size=(2000, 3)) + 1j * rng.uniform(0, 2 * np.pi, (2000, 3))
    d = rng.normal(size=(2000, 6)) * 10.0 ** rng.uniform(-6, 0, (2000, 1))
    other, R = v + d[:, :3] + 1j * d[:, 3:], np.linalg.norm(d, axis=1)
    z, y = np.exp(v), np.exp(other)
    x, _, alone = on_spheres(np.hstack([z.real, z.imag]), np.zeros(2000), R)
    image = on_spheres(np.hstack([y.real, y.imag]), np.zeros(2000), R)[0]
    gap = np.linalg.norm(x - image, axis=1)
    assert (gap <= R * (1 + 1e-9) + 1e-14).all()  # |dX| <= |dv|
    near = math.pi > R
    assert (alone <= gap)[near].all()  # a zero R away has no image nearer than ``alone``
    line = np.array([[math.cos(0.0), 0.0], [math.cos(1e-5), math.sin(1e-5)]])  # attained on the torus
    image = on_spheres(line, np.zeros(2), np.zeros(2))[0]
    assert np.linalg.norm(image[1] - image[0]) == pytest.approx(1e-5, rel=1e-6)


def planted(monkeypatch, solver, change):
    """Every level's ends are changed before they are certified."""
    follow = solver.follow

    def changed(paths, level):
        ends, arrived, tries = follow(paths, level)
        change(paths, ends, arrived)
        return ends, arrived, tries

    monkeypatch.setattr(solver, "follow", changed)
    return solver.run()


def test_doubled_and_dropped_zeros_are_never_proved(monkeypatch):
    monkeypatch.setattr(kushnirenko, "LEVELS", LEVELS[:SINGLE_LEVELS])  # no more to compile for what no level mends
    solver = TorusHomotopy(problem_of(3))
    source = zeros_of(solver).points

    def doubled(paths, ends, arrived):
        ends[paths == 7] = source[8]

    def dropped(paths, ends, arrived):
        arrived[paths == 7] = False

    for change in (doubled, dropped):
        with monkeypatch.context() as patch:
            count = planted(patch, solver, change)
        assert not count.proved and count.certified == 39 and count.retracked > 0


def test_a_path_that_jumps_once_is_followed_again(monkeypatch):
    solver = TorusHomotopy(problem_of(3))
    source, calls = zeros_of(solver).points, []

    def once(paths, ends, arrived):
        calls.append(len(paths))
        if len(calls) == 1:
            ends[7] = source[8]

    count = planted(monkeypatch, solver, once)
    assert count.proved and calls == [40, 2] and count.retracked == 2


def test_corrupted_zeros_never_change_a_count():
    solver = TorusHomotopy(problem_of(3))
    zeros = zeros_of(solver)
    real = int(zeros.real.sum())
    rng = np.random.default_rng(8)
    for trial in range(300):
        points = zeros.points.copy()
        row = trial % 40
        points[row] += 10.0 ** rng.uniform(-12, 1) * rng.normal(size=6)
        moved = solver.settle(points, np.arange(40))
        count, labels = solver.label(moved)
        assert count <= 40
        if count == 40:
            first = np.unique(labels[labels >= 0], return_index=True)[1]
            assert int(moved.real[labels >= 0][first].sum()) == real


def test_degenerate_functions_are_never_proved():
    problem = problem_of(3)
    one = np.zeros(len(problem.cosine))
    one[0] = 1.0
    ignored = np.where((problem.frequencies[:, 2] == 0), problem.cosine, 0.0)  # of x_3
    for cosine in (one, ignored):
        proof = proofs.on_the_torus(Waves(problem.frequencies, cosine, 0.0 * cosine, 0.0, 2 * np.pi))
        assert proof is not None and not proof.proved and proof.certified < proof.bound
    assert proofs.on_the_torus(Waves(problem.frequencies, 0.0 * one, 0.0 * one, 0.0, 2 * np.pi)) is None
    flat = Waves(np.array([[1.0]]), np.array([0.0]), np.array([2.0]), 0.0, 2 * np.pi)
    proof = proofs.on_the_torus(flat)  # n = 1: two points, both known
    assert proof.proved and np.allclose(np.sort(proof.x[:, 0]), [np.pi / 2, 3 * np.pi / 2], atol=1e-12)


def test_threads_seed_and_chunks_change_nothing(monkeypatch):
    problem = problem_of(4)
    one = TorusHomotopy(problem).run()
    monkeypatch.setattr(kushnirenko, "CHUNK", 37)
    with ThreadPoolExecutor(3) as pool:
        other = TorusHomotopy(problem, mapped=lambda f, items: list(pool.map(f, items))).run()
    assert np.array_equal(one.real, other.real) and one.tries == other.tries
    again = TorusHomotopy(problem, seed=5).run()  # another sum to begin at, the same zeros
    gap = np.abs(one.real[:, np.newaxis] - again.real)
    assert again.proved and np.minimum(gap, 2 * np.pi - gap).max(axis=2).min(axis=1).max() < 1e-9


@pytest.mark.parametrize("n", [5, pytest.param(6, marks=pytest.mark.long)])
def test_a_field_is_proved_and_equals_the_search(n):
    landscape = simcore.TorusField(n)
    found = simcore.enumerate_critical_points(landscape, seed=43, prove=True, starts=0, threads=1)
    proof = found.audit["proof"]
    assert found.audit["proved"] and found.audit["complete"] and (found.points["hits"] == 0).all()
    assert proof["method"] == "kushnirenko" and proof["bound"] == proof["certified"] == proof["paths"] == BOUNDS[n]
    searched = simcore.enumerate_critical_points(landscape, seed=43, prove=False, threads=1)
    assert len(searched.points) == len(found.points) and searched.audit["complete"]
    ours, theirs = (one.points.sort_values("cost") for one in (found, searched))
    assert np.abs(ours["cost"].to_numpy() - theirs["cost"].to_numpy()).max() < 1e-9
    assert (ours["morse_index"].to_numpy() == theirs["morse_index"].to_numpy()).all()


def test_a_proof_that_fails_leaves_it_to_the_search(monkeypatch):
    class Incomplete(TorusHomotopy):
        def run(self):
            problem = super().run()
            return type(problem)(problem.bound, problem.certified - 1, *list(vars(problem).values())[2:])

    monkeypatch.setattr(proofs, "TorusHomotopy", Incomplete)
    found = simcore.enumerate_critical_points(simcore.TorusField(5), seed=43, prove=True, threads=1)
    assert not found.audit["proved"] and found.audit["complete"] and found.audit["starts"] > 0
    assert found.audit["proof"]["certified"] == 2975


def test_which_method_serves_which_dimension():
    """Boxes to n = 4, so that ordinary calls compile no paths; paths for n = 5, 6, where they are asked for."""
    methods = [proofs.method(problem_of(n)) for n in range(1, 8)]
    assert methods == ["exclusion"] * 4 + ["kushnirenko"] * 2 + [None]
    assert [proofs.automatic(problem_of(n)) for n in range(1, 8)] == [True] * 4 + [False] * 3


def test_waves_without_known_paths_are_refused():
    with pytest.raises(ValueError, match="one to three entries"):
        TorusHomotopy(Waves(np.array([[2.0]]), np.ones(1), np.ones(1), 0.0, 2 * np.pi))
    with pytest.raises(ValueError, match="zero or not finite"):
        TorusHomotopy(Waves(np.array([[1.0]]), np.zeros(1), np.zeros(1), 0.0, 2 * np.pi))
    sizes, places = tables(np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]))
    assert sizes.tolist() == [2, 1] and places.tolist() == [[0, 5], [1, 0]]
