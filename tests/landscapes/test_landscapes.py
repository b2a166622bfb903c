"""What is particular to one landscape: frequencies, coefficients of multisets, radii, user functions, messages."""

import itertools
import math

import numba
import numpy as np
import pytest
from scipy import stats

import simcore
from simcore.errors import InputError
from simcore.landscapes import registry, starts
from simcore.landscapes.frequencies import (
    haar_rotation,
    half_period_symmetries,
    isotropic_frequencies,
    second_moment,
    wave_count,
)
from simcore.landscapes.spin import multiplicities, multiset_ranks, sum_over_orderings


# ---- frequencies ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n", "waves"), [(1, 1), (2, 4), (3, 9), (4, 12), (5, 60), (6, 110), (7, 140), (8, 784)])
def test_frequencies_are_isotropic_to_fourth_order(n, waves):
    k, w = isotropic_frequencies(n)
    assert len(k) == wave_count(n) == waves
    assert (w > 0).all()
    assert w.sum() == pytest.approx(1, abs=1e-14)
    assert set(np.unique(k)) <= {-1, 0, 1}
    both = np.concatenate([k, -k])
    assert len(np.unique(both, axis=0)) == len(both)
    floats = k.astype(float)
    second = np.einsum("m,mi,mj->ij", w, floats, floats)
    np.testing.assert_allclose(second, float(second_moment(n)) * np.eye(n), atol=1e-14)
    if n > 1:
        fourth = np.einsum("m,mi,mj,mk,ml->ijkl", w, floats, floats, floats, floats)
        d = np.eye(n)
        isotropic = sum(np.einsum(s, d, d) for s in ("ij,kl->ijkl", "ik,jl->ijkl", "il,jk->ijkl"))
        np.testing.assert_allclose(fourth, float(second_moment(n)) / 3 * isotropic, atol=1e-14)


def test_the_largest_sets_have_the_stated_sizes():
    assert [wave_count(n) for n in (9, 10, 12)] == [1344, 1680, 16632]
    assert len(isotropic_frequencies(10)[0]) == 1680


@pytest.mark.parametrize("n", range(1, 9))
def test_only_single_type_sets_have_half_period_symmetries(n):
    """Compared with a search through all 2^n translations of the frequencies themselves."""
    k = isotropic_frequencies(n)[0].astype(int)
    brute = []
    for s in itertools.product((0, 1), repeat=n):
        parity = set((k @ np.array(s)) % 2)
        if any(s) and len(parity) == 1:
            brute.append((s, -1 if parity == {1} else 1))
    assert sorted(half_period_symmetries(isotropic_frequencies(n)[0])) == sorted(brute)
    assert brute == ([((1,) * n, (-1) ** ((n + 2) // 3))] if n % 3 == 1 else [])


def test_elimination_finds_every_solution_of_a_set_with_many():
    k = np.array([[1, 1, 0, 0], [1, -1, 0, 0], [0, 0, 1, 1]], dtype=np.int8)
    found = dict(half_period_symmetries(k))
    assert found == {
        (1, 1, 0, 0): 1,
        (0, 0, 1, 1): 1,
        (1, 1, 1, 1): 1,
        (1, 0, 1, 0): -1,
        (1, 0, 0, 1): -1,
        (0, 1, 1, 0): -1,
        (0, 1, 0, 1): -1,
    }


def test_rotations_are_orthogonal_and_uniform():
    normals = np.random.default_rng(5).standard_normal((4000, 3, 3))
    rotations = np.array([haar_rotation(z) for z in normals])
    np.testing.assert_allclose(
        rotations @ rotations.swapaxes(1, 2), np.broadcast_to(np.eye(3), (4000, 3, 3)), atol=1e-15
    )
    # each entry is uniform on (-1, 1) for n = 3, and the trace has variance 1; p-values below 1e-5 refuse, ten tests
    for entry in rotations.reshape(4000, 9).T:
        assert stats.kstest(entry, "uniform", args=(-1, 2)).pvalue > 1e-5
    trace = np.trace(rotations, axis1=1, axis2=2)
    assert abs(np.mean(trace**2) - 1) < 4.5 * np.std(trace**2) / math.sqrt(4000)


def test_a_nearly_dependent_matrix_still_gives_an_orthogonal_one():
    z = np.ones((4, 4)) + 1e-10 * np.random.default_rng(1).standard_normal((4, 4))
    rotation = haar_rotation(z)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-14)


# ---- fields --------------------------------------------------------------------------------------------------------
def test_torus_field_is_periodic_and_stationary():
    field = simcore.TorusField(n=3).draw(seed=1)
    x = np.array([0.3, 1.0, 4.0])
    assert field.value(x + 2 * np.pi * np.array([1, -2, 3])) == pytest.approx(field.value(x), abs=1e-13)
    assert field.landscape.draw(seed=1).problem.period == 2 * np.pi


def test_every_field_states_its_law():
    torus = simcore.expected_counts(simcore.TorusField(n=2), finite_features=True)
    assert torus["mean_count"].sum() == pytest.approx(0.3675525969 * (2 * np.pi) ** 2 / 3, rel=1e-8)
    assert (torus["mean_count_se"] == 0).all()
    plain = simcore.expected_counts(simcore.GaussianField(n=2))
    assert plain.attrs["unit"] == "per unit volume"
    waves = simcore.expected_counts(simcore.GaussianField(n=2, frequencies="isotropic"))
    np.testing.assert_array_equal(plain["mean_count"], waves["mean_count"])
    np.testing.assert_allclose(waves["sd_cost"] ** 2, plain["sd_cost"] ** 2 - 4 / 9, rtol=1e-12)
    with pytest.raises(InputError, match="not a sum of random features"):
        simcore.expected_counts(simcore.SphericalSpin(n=3), finite_features=True)


def test_a_torus_field_beyond_twelve_dimensions_has_a_law_but_no_draw():
    field = simcore.TorusField(n=20)
    assert field.scales.gradient > 0
    with pytest.raises(InputError, match="draw n <= 12, or use gaussian_field"):
        _ = field.draw(seed=0).problem


def test_confined_field_is_a_gaussian_field_in_a_parabola():
    field = simcore.ConfinedField(n=2, m=0.5)
    draw = field.draw(seed=4, draw=2)
    x = np.array([0.4, -1.1])
    waves = draw.problem
    phase = waves.frequencies @ x
    bare = waves.cosine @ np.cos(phase) + waves.sine @ np.sin(phase)
    assert draw.value(x) == pytest.approx(bare + 0.25 * math.sqrt(2) * (x @ x), abs=1e-14)
    assert field.features == 4
    assert np.linalg.norm(waves.frequencies[0]) == pytest.approx(math.sqrt(3), abs=1e-14)


def test_one_wave_is_a_field():
    """The smallest number of features: f = A sin(w.x + phase), with A^2/2 = 1 on average over draws."""
    field = simcore.GaussianField(1, features=1)
    assert field.features == 1 and field.draw(seed=1).value([0.3]) != 0
    assert simcore.ConfinedField(1, m=1.0, features=1).features == 1


@pytest.mark.parametrize(("n", "m"), [(1, 0.5), (2, 0.1), (2, 0.5), (3, 0.7), (5, 0.5), (5, 1.5), (8, 1.0)])
def test_the_estimate_behind_the_critical_radius_is_above_the_exact_mean_count(n, m):
    field = simcore.ConfinedField(n=n, m=m)
    mu = field.confinement
    total = simcore.expected_counts(field)["mean_count"].sum()
    assert total < (1 + (n + 2) / mu**2) ** (n / 2)
    assert total * stats.chi(n).sf(mu * field.critical_radius()) < 1e-12
    assert total * stats.chi(n).sf(mu * field.critical_radius(probability=0.1)) < 0.1
    assert field.scales.region == pytest.approx(2 * field.critical_radius())


def test_isotropic_waves_have_the_stated_law_of_the_cost():
    """n = 1, one wave: every critical point by a sign change of f' on a grid, 6,000 draws, against the exact law.

    Eight z-scores (counts, mean cost, mean squared cost, mean mu^2 x^2; by the draw): false alarms below 1e-4 at 4.5.
    """
    field = simcore.ConfinedField(n=1, m=0.5)
    waves = [field.draw(seed=31, draw=number).problem for number in range(6000)]
    a, b = (np.array([getattr(wave, part) for wave in waves]) for part in ("cosine", "sine"))
    w, mu = math.sqrt(3), field.confinement

    def slope(x, a, b):
        return mu * x + w * (b * np.cos(w * x) - a * np.sin(w * x))

    grid = np.arange(-16, 16, 0.05)
    values = slope(grid, a, b)
    number, cell = np.nonzero(values[:, :-1] * values[:, 1:] < 0)
    a, b, x = a[number, 0], b[number, 0], grid[cell] + 0.025
    for _ in range(6):
        bend = mu - 3 * (a * np.cos(w * x) + b * np.sin(w * x))
        x = np.clip(x - slope(x, a, b) / bend, grid[cell], grid[cell + 1])
    assert np.abs(slope(x, a, b)).max() < 1e-6
    wave = a * np.cos(w * x) + b * np.sin(w * x)
    cost = mu / 2 * x * x + wave
    index = (mu - 3 * wave < 0).astype(int)

    exact = simcore.expected_counts(field)
    assert list(exact["mean_count"].round(6)) == [1.939162, 0.939162]
    assert list(simcore.expected_counts(field, finite_features=True)["mean_count_se"]) == [0, 0]
    for k, row in exact.iterrows():
        mean, square = row["mean_cost"], row["mean_cost"] ** 2 + row["sd_cost"] ** 2
        one = (index == k).astype(float)
        for errors in (one, one * (cost - mean), one * (cost**2 - square), one * (mu * mu * x * x - 1)):
            draws = np.bincount(number, weights=errors, minlength=6000)
            expected = row["mean_count"] if errors is one else 0.0
            assert abs(draws.mean() - expected) < 4.5 * draws.std() / math.sqrt(6000)


@pytest.mark.parametrize(("n", "m"), [(1, 0.5), (2, 0.3), (3, 1.0)])
def test_the_proved_radius_holds_where_the_field_can_balance_the_parabola(n, m):
    """On the sphere of that radius the parabola wins: x . grad f > 0, so no critical point lies on or beyond it."""
    draw = simcore.ConfinedField(n=n, m=m).draw(seed=3)
    radius = draw.critical_radius
    directions = np.random.default_rng(0).standard_normal((500, n))
    x = radius * directions / np.linalg.norm(directions, axis=1)[:, None]
    assert (np.einsum("si,si->s", draw.gradient(x), x) > 0).all()
    # and it is not idle: the bound is reached within a factor of a few by some gradient
    waves = draw.problem._replace(confinement=0.0)
    from simcore.backends.reference import evaluate

    steepest = np.linalg.norm(evaluate(waves, 0.2 * x)[1], axis=1).max()
    assert steepest > 0.2 * radius * draw.problem.confinement
    assert math.isinf(simcore.GaussianField(n=n, features=8).draw(seed=1).critical_radius)


def test_a_ball_start_law_is_uniform():
    z = starts.ball(17, 1, 0, 0, 4000, 3, 2.0)
    radius = np.linalg.norm(z, axis=1)
    assert stats.kstest((radius / 2) ** 3, "uniform").pvalue > 1e-5
    assert stats.kstest(starts.ball(17, 1, 0, 0, 4000, 1, 2.0)[:, 0], "uniform", args=(-2, 4)).pvalue > 1e-5
    assert stats.kstest(z[:, 0] / radius, "uniform", args=(-1, 2)).pvalue > 1e-5


# ---- spherical spin ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n", "p"), [(2, 2), (3, 2), (4, 3), (3, 5), (2, 9)])
def test_multiplicities_and_ranks_follow_the_lexicographic_order(n, p):
    multisets = list(itertools.combinations_with_replacement(range(n), p))
    assert multiplicities(n, p).tolist() == [len(set(itertools.permutations(m))) for m in multisets]
    place = {m: i for i, m in enumerate(multisets)}
    tuples = itertools.product(range(n), repeat=p)
    assert multiset_ranks(n, p, np.arange(n**p)).tolist() == [place[tuple(sorted(t))] for t in tuples]


def test_couplings_of_the_user_give_the_energy_per_spin():
    rng = np.random.default_rng(3)
    for n, p in [(4, 3), (3, 4), (5, 2)]:
        couplings = rng.standard_normal((n,) * p)
        draw = simcore.SphericalSpin.from_couplings(couplings)
        x = draw.landscape.starts(seed=1, draw=0, first=0, count=3)
        letters = "abcd"[:p]
        energy = np.einsum(letters + "," + ",".join("s" + c for c in letters) + "->s", couplings, *[x] * p)
        np.testing.assert_allclose(draw.value(x), n ** (-(p - 1) / 2) * energy / n, atol=1e-14)
        assert draw.landscape == simcore.SphericalSpin(n=n, p=p)
        assert len(draw.to_dict()["couplings_sha256"]) == 64


@pytest.mark.parametrize(("n", "p"), [(2, 2), (5, 3), (3, 4), (3, 6)])
def test_packed_coefficients_and_the_full_tensor_agree(n, p, monkeypatch):
    landscape = simcore.SphericalSpin(n=n, p=p)
    x = landscape.starts(seed=2, draw=0, first=0, count=3)
    full, packed = landscape.draw(seed=1), landscape.draw(seed=1)
    expected = full.value(x), full.gradient(x), full.hessian(x)
    monkeypatch.setattr("simcore.landscapes.spin._DENSE_ENTRIES", 0)
    assert "_tensor" in vars(full)
    np.testing.assert_allclose(packed.value(x), expected[0], atol=1e-13)
    np.testing.assert_allclose(packed.gradient(x), expected[1], atol=1e-13)
    np.testing.assert_allclose(packed.hessian(x), expected[2], atol=1e-13)
    assert "_tensor" not in vars(packed)


def test_large_tensors_are_summed_in_pieces():
    couplings = np.random.default_rng(0).standard_normal((110, 110, 110))  # more than one piece
    total = sum_over_orderings(couplings)
    assert len(total) == math.comb(112, 3)
    assert total.sum() == pytest.approx(couplings.sum(), rel=1e-9)
    assert total[0] == couplings[0, 0, 0]
    # the last but one multiset is (108, 109, 109)
    last = couplings[108, 109, 109] + couplings[109, 108, 109] + couplings[109, 109, 108]
    assert total[-2] == pytest.approx(last, abs=1e-14)


@pytest.mark.parametrize(
    ("couplings", "message"),
    [
        (np.zeros((3, 4, 3)), r"shape \(3, 4, 3\); give a tensor with p >= 2 equal sides"),
        (np.zeros(3), r"shape \(3,\)"),
        (np.full((2, 2, 2), np.nan), r"coupling \(0, 0, 0\) is nan; give finite numbers"),
        ([["a", "b"], ["c", "d"]], "give an array of real numbers"),
        (np.zeros((2, 2), dtype=complex), "give an array of real numbers"),
        ([[1, 2], [3]], "give an array of real numbers"),
        (np.zeros((1, 1)), "n is 1; give a whole number of at least 2"),
    ],
)
def test_wrong_couplings_are_refused(couplings, message):
    with pytest.raises(InputError, match=message):
        simcore.SphericalSpin.from_couplings(couplings)


def test_too_many_couplings_are_refused_before_memory_is_asked_for():
    with pytest.raises(InputError, match="GiB; draw at most"):
        simcore.SphericalSpin(n=3000, p=3).draw(seed=0)


# ---- the user's own ------------------------------------------------------------------------------------------------
def quartic(x):
    return float((x**4).sum() / 4 - (x**2).sum() / 2)


def quartic_gradient(x):
    return x**3 - x


def quartic_hessian(x):
    return np.diag(3 * x**2 - 1)


def custom(domain, n, **changes):
    functions = {"value": quartic, "gradient": quartic_gradient, "hessian": quartic_hessian} | changes
    return simcore.CustomLandscape(**functions, domain=domain, n=n)


def test_plain_and_compiled_functions_give_the_same_landscape():
    plain = custom(simcore.Space(3), 3)
    compiled = custom(
        simcore.Space(3),
        3,
        value=numba.njit(lambda x: (x**4).sum() / 4 - (x**2).sum() / 2),
        gradient=numba.njit(quartic_gradient),
    )
    x = np.array([[0.1, 0.5, -2.0], [1.0, -1.0, 0.0]])
    np.testing.assert_allclose(plain.draw(seed=0).value(x), compiled.draw(seed=0).value(x), atol=1e-15)
    np.testing.assert_allclose(plain.draw(seed=0).gradient(x), compiled.draw(seed=0).gradient(x), atol=1e-15)
    assert plain.draw(seed=0).gradient(np.array([1.0, -1.0, 0.0])).tolist() == [0, 0, 0]


def test_euclidean_derivatives_become_riemannian_on_the_sphere():
    landscape = custom(simcore.Sphere(4), 4)
    draw = landscape.draw(seed=0)
    x, direction = landscape.starts(seed=1, draw=0, first=0, count=2)
    direction = direction - (direction @ x) / 4 * x
    direction /= np.linalg.norm(direction)

    def along(t):
        return draw.value(np.cos(t / 2) * x + 2 * np.sin(t / 2) * direction)

    assert along(1e-4) - along(-1e-4) == pytest.approx(2e-4 * draw.gradient(x) @ direction, abs=1e-11)
    second = (along(1e-3) - 2 * along(0.0) + along(-1e-3)) / 1e-6
    assert second == pytest.approx(direction @ draw.hessian(x) @ direction, abs=1e-5)
    assert np.abs(draw.hessian(x) @ x).max() < 1e-14
    assert landscape.dimension == 3


def test_a_users_functions_can_be_searched_and_enumerated():
    box = custom(simcore.Box([-2, -1.5], [2, 3]), 2)
    rows = simcore.find_critical_points(box, starts=60, positions=True)
    found = rows[rows["status"] == "critical"].drop_duplicates("point")
    assert len(found) == 9
    for x, index in zip(found["x"], found["morse_index"], strict=True):
        x = np.array(x)
        np.testing.assert_allclose(x, np.round(x), atol=1e-9)  # entries -1, 0, 1; each 0 is a maximum in its coordinate
        assert index == (np.round(x) == 0).sum()

    matrix = np.diag([1.0, 2.0, 3.0, 5.0])
    sphere = simcore.CustomLandscape(
        lambda x: float(x @ matrix @ x / 2), lambda x: matrix @ x, lambda x: matrix, simcore.Sphere(4), 4
    )
    result = simcore.enumerate_critical_points(sphere, max_starts=1000)  # two eigenvectors of each index
    assert result.audit["complete"]
    assert sorted(result.points["morse_index"]) == [0, 0, 1, 1, 2, 2, 3, 3]
    np.testing.assert_allclose(sorted(result.points["cost"]), [2, 2, 4, 4, 6, 6, 10, 10], atol=1e-12)


def test_domains_of_the_user_start_inside():
    box = simcore.Box([0, -2], [1, 5])
    x = custom(box, 2).starts(seed=0, draw=0, first=0, count=500)
    assert (x >= box.low).all()
    assert (x <= box.high).all()
    assert custom(box, 2).scales.region == 5
    waves = simcore.CustomLandscape(
        lambda x: np.sin(x).sum(), np.cos, lambda x: -np.diag(np.sin(x)), simcore.Torus(2), 2
    )
    torus = waves.starts(seed=0, draw=0, first=0, count=50)
    assert 0 < torus.min() < torus.max() < 2 * np.pi
    assert custom(simcore.Space(2), 2).start_laws == ("normal",)
    assert waves.draw(seed=0).problem.domain == simcore.Torus(2)


def test_scales_of_the_user_are_measured_or_given():
    measured = custom(simcore.Space(2), 2).scales
    assert 0.2 < measured.length < 2
    assert measured.gradient > 0
    given = simcore.CustomLandscape(
        quartic, quartic_gradient, quartic_hessian, simcore.Space(2), 2, length=3, gradient_scale=7.0
    ).scales
    assert (given.length, given.gradient) == (3.0, 7.0)
    constant = custom(
        simcore.Space(1), 1, value=lambda x: 1.0, gradient=lambda x: np.zeros(1), hessian=lambda x: np.zeros((1, 1))
    )
    assert constant.scales.length == constant.scales.gradient == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: custom(simcore.Space(3), 2), "the domain has 3 coordinates"),
        (lambda: custom("sphere", 2), "domain is 'sphere'; give Box"),
        (lambda: custom(simcore.Space(2), 2, value=3), "value is 3; give a function"),
        (lambda: custom(simcore.Sphere(1), 1), "n is 1 on a sphere"),
        (lambda: simcore.Box([0, 1], [1]), "as many finite lows as highs"),
        (lambda: simcore.Box([0, 1], [1, 1]), "each low below its high"),
        (lambda: simcore.Box(0, 1), "give two sequences of numbers"),
        (lambda: simcore.Torus(0), "n is 0; give a whole number of at least 1"),
        (lambda: custom(simcore.Space(2), 2).draw(seed=0, draw=1), "one function, draw 0"),
        (
            lambda: custom(simcore.Space(2), 2, hessian=lambda x: np.ones(2)).draw(seed=0).hessian(np.ones(2)),
            r"hessian returned shape \(2,\) for x of shape \(2,\); return shape \(2, 2\)",
        ),
        (
            lambda: custom(simcore.Space(2), 2, value=lambda x: "high").draw(seed=0).value(np.ones(2)),
            "what value returned holds text",
        ),
    ],
)
def test_what_a_user_may_get_wrong_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


# ---- messages of the registry and the constructors -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "a landscape has no name"),
        ({"name": "torus"}, "unknown landscape 'torus'; choose from .*did you mean 'torus_field'"),
        ({"name": 3}, "unknown landscape 3"),
        ({"name": "torus_field"}, "torus_field has no n; its parameters are n"),
        ({"name": "torus_field", "n": 0}, "n is 0; give a whole number of at least 1"),
        ({"name": "torus_field", "n": -3}, "n is -3"),
        ({"name": "torus_field", "n": 2.0}, r"n is 2\.0; give a whole number"),
        ({"name": "torus_field", "n": True}, "n is True"),
        ({"name": "torus_field", "n": "4"}, "n is '4'"),
        ({"name": "spherical_spin", "n": 4, "p": 1}, "p is 1; give a whole number from 2 to"),
        ({"name": "spherical_spin", "n": 4, "q": 1}, "unknown parameter of spherical_spin 'q'; choose from n, p"),
        ({"name": "spherical_spin", "n": 1}, "n is 1; give a whole number of at least 2"),
        ({"name": "gaussian_field", "n": 2, "features": 0}, "features is 0"),
        ({"name": "gaussian_field", "n": 2, "frequencies": "isotrop"}, "did you mean 'isotropic'"),
        ({"name": "gaussian_field", "n": 9, "frequencies": "isotropic"}, "from 1 to 8; use frequencies='random'"),
        ({"name": "confined_field", "n": 2}, "confined_field has no m"),
        ({"name": "confined_field", "n": 2, "m": 0.0}, r"m is 0\.0; give a finite number above 0"),
        ({"name": "confined_field", "n": 2, "m": math.nan}, "m is nan"),
        ({"name": "confined_field", "n": 2, "m": "half"}, "m is 'half'"),
        ({"name": "confined_field", "n": 2, "m": True}, "m is True"),
    ],
)
def test_wrong_parameters_are_named_with_what_is_allowed(table, message):
    with pytest.raises(InputError, match=message):
        registry.from_dict(table)


def test_numpy_numbers_are_canonical():
    assert simcore.TorusField(n=np.int64(3)) == simcore.TorusField(n=3)
    assert type(simcore.SphericalSpin(n=np.int32(3)).n) is int
    assert simcore.ConfinedField(n=2, m=np.float32(0.5)) == simcore.ConfinedField(n=2, m=0.5)
    assert simcore.ConfinedField(n=2, m=1).identity == simcore.ConfinedField(n=2, m=1.0).identity
    with pytest.raises(InputError, match="n is "):
        simcore.TorusField(n=np.bool_(True))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ({"seed": -1}, "seed is -1; give a whole number from 0 to 18446744073709551615"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
        ({"seed": 1.5}, r"seed is 1\.5"),
        ({"seed": 1, "draw": -1}, "draw is -1"),
        ({"seed": 1, "draw": 2**32}, "draw is 4294967296"),
    ],
)
def test_addresses_of_draws_are_checked(address, message):
    for landscape in (simcore.TorusField(n=2), simcore.SphericalSpin(n=3)):
        with pytest.raises(InputError, match=message):
            landscape.draw(**address)
    with pytest.raises(InputError, match="start numbers end at"):
        simcore.TorusField(n=2).starts(seed=0, draw=0, first=2**32 - 1, count=2)


def test_different_laws_have_different_streams():
    streams = {
        landscape.stream(purpose)
        for landscape in (simcore.SphericalSpin(n=4), simcore.SphericalSpin(n=4, p=4), simcore.TorusField(n=4))
        for purpose in ("coefficients", "starts:uniform")
    }
    assert len(streams) == 6
