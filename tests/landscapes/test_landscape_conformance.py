"""What every landscape of the registry must satisfy, on several instances of each."""

import hashlib
import itertools

import mpmath
import numpy as np
import pytest
from landscape_law import bonferroni, stated_law, tangent_frame, vectors, worst_z

from simcore.backends.problems import Spin, Waves
from simcore.domains import Torus
from simcore.errors import InputError
from simcore.landscapes import registry

RANDOM_FUNCTIONS = [
    {"name": "torus_field", "n": 1},
    {"name": "torus_field", "n": 2},
    {"name": "torus_field", "n": 4},
    {"name": "torus_field", "n": 5},
    {"name": "gaussian_field", "n": 1, "frequencies": "isotropic"},
    {"name": "gaussian_field", "n": 3, "features": 512},
    {"name": "gaussian_field", "n": 4, "frequencies": "isotropic"},
    {"name": "confined_field", "n": 1, "m": 0.5},
    {"name": "confined_field", "n": 3, "m": 0.7},
    {"name": "confined_field", "n": 2, "m": 1.5, "features": 512, "frequencies": "random"},
    {"name": "spherical_spin", "n": 2, "p": 3},
    {"name": "spherical_spin", "n": 4, "p": 2},
    {"name": "spherical_spin", "n": 5, "p": 3},
    {"name": "spherical_spin", "n": 3, "p": 5},
]


def network_examples():
    """Every other class of the registry states small instances of its own as ``conformance``."""
    covered = {table["name"] for table in RANDOM_FUNCTIONS}
    return [
        {"name": name, **parameters}
        for name in registry.names()
        if name not in covered
        for parameters in getattr(registry.get_class(name), "conformance", ())
    ]


def label(table):
    return "-".join(str(value) for value in table.values())[:60]


every_landscape = pytest.mark.parametrize("table", RANDOM_FUNCTIONS + network_examples(), ids=label)
every_random_function = pytest.mark.parametrize("table", RANDOM_FUNCTIONS, ids=label)


def arrays(problem):
    return [np.asarray(part) for part in problem if isinstance(part, np.ndarray)]


def curve(landscape, x, direction):
    """A geodesic through x, of unit speed for a unit tangent direction: t -> point."""
    if landscape.dimension == landscape.n:
        return lambda t: x + t * direction
    radius = np.sqrt(landscape.n)
    return lambda t: np.cos(t / radius) * x + radius * np.sin(t / radius) * direction


def derivative(function, step=1e-3):
    """Fourth-order central difference at 0: error about step^4 times the fifth derivative over 30."""
    return (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (12 * step)


# ---- derivatives ---------------------------------------------------------------------------------------------------
@every_landscape
def test_gradient_and_hessian_are_the_derivatives_of_the_value(table):
    landscape = registry.from_dict(table)
    draw = landscape.draw(seed=3, draw=0)
    x = landscape.starts(seed=3, draw=0, first=5, count=1)[0]
    frame = tangent_frame(landscape, x)
    gradient, hessian = draw.gradient(x), draw.hessian(x)
    scale = landscape.scales.gradient
    for direction in frame.T:
        path = curve(landscape, x, direction)
        slope = derivative(lambda t, path=path: draw.value(path(t)))
        assert slope == pytest.approx(gradient @ direction, abs=1e-7 * scale)
        turning = frame.T @ derivative(lambda t, path=path: draw.gradient(path(t)))
        np.testing.assert_allclose(turning, frame.T @ hessian @ direction, atol=1e-7 * scale)


@every_landscape
def test_hessian_is_symmetric_and_everything_is_tangential(table):
    landscape = registry.from_dict(table)
    x = landscape.starts(seed=4, draw=0, first=0, count=6)
    gradient, hessian = landscape.draw(seed=4).gradient(x), landscape.draw(seed=4).hessian(x)
    size = np.abs(hessian).max()
    np.testing.assert_allclose(hessian, hessian.swapaxes(1, 2), atol=1e-13 * size)
    if landscape.dimension < landscape.n:
        assert np.abs(np.einsum("si,si->s", gradient, x)).max() < 1e-12 * np.abs(gradient).max() * landscape.n
        assert np.abs(np.einsum("sij,sj->si", hessian, x)).max() < 1e-12 * size * landscape.n


def exact_value(problem, x):
    """f(x) from the problem's coefficients in mpmath numbers."""
    if isinstance(problem, Waves):
        total = mpmath.mpf(problem.confinement) / 2 * sum(c * c for c in x)
        for w, a, b in zip(problem.frequencies.tolist(), problem.cosine.tolist(), problem.sine.tolist(), strict=True):
            phase = mpmath.fdot(w, x)
            total += a * mpmath.cos(phase) + b * mpmath.sin(phase)
        return total
    multisets = itertools.combinations_with_replacement(range(problem.n), problem.p)
    terms = zip(problem.coefficients.tolist(), multisets, strict=True)
    return mpmath.fsum(c * mpmath.fprod(x[i] for i in places) for c, places in terms)


@every_random_function
def test_value_gradient_and_hessian_agree_with_fifty_digits(table):
    landscape = registry.from_dict(table | ({"features": 24} if table.get("features") else {}))
    draw = landscape.draw(seed=8, draw=2)
    x = landscape.starts(seed=8, draw=2, first=1, count=1)[0]
    frame = tangent_frame(landscape, x)
    value, gradient, hessian = draw.value(x), frame.T @ draw.gradient(x), frame.T @ draw.hessian(x) @ frame
    assert isinstance(draw.problem, (Waves, Spin))
    with mpmath.workdps(50):
        step = mpmath.mpf(10) ** -12  # differences of 50 digits: error 1e-24 from the step, 1e-25 from rounding
        base = [mpmath.mpf(float(c)) for c in x]

        def along(direction, t):
            moved = [a + t * mpmath.mpf(float(b)) for a, b in zip(base, direction, strict=True)]
            if landscape.dimension == landscape.n:
                return exact_value(draw.problem, moved)
            # a point scaled back to the sphere differs from the geodesic's only in third order
            shrink = mpmath.sqrt(mpmath.fdot(base, base) / mpmath.fdot(moved, moved))
            return exact_value(draw.problem, [shrink * c for c in moved])

        centre = along(x, mpmath.mpf(0))
        tolerance = 2e-13 * (1 + float(np.abs(hessian).max()))
        assert value == pytest.approx(float(centre), abs=tolerance)
        d = landscape.dimension
        for i in range(d):
            plus, minus = along(frame[:, i], step), along(frame[:, i], -step)
            assert gradient[i] == pytest.approx(float((plus - minus) / (2 * step)), abs=tolerance)
            for j in range(i, d):
                both = frame[:, i] + frame[:, j] if i != j else frame[:, i]
                second = (along(both, step) - 2 * centre + along(both, -step)) / step**2
                stated = hessian[i, i] if i == j else hessian[i, i] + hessian[j, j] + 2 * hessian[i, j]
                assert stated == pytest.approx(float(second), abs=4 * tolerance)


# ---- the law -------------------------------------------------------------------------------------------------------
@every_random_function
def test_mean_and_covariance_at_a_point_are_the_stated_ones(table):
    """Every entry of mean and covariance of (f, gradient, Hessian) over 1,500 draws: false-alarm rate of one instance
    below 1e-4 (1e-5 for normal z; the squares' skewness at 1,500 draws at most multiplies it by four)."""
    landscape = registry.from_dict(table)
    x = landscape.starts(seed=11, draw=0, first=0, count=1)[0]
    sample = vectors(landscape, x, draws=1500, seed=20260101)
    z, entries, null = worst_z(sample, *stated_law(landscape, x))
    assert z < bonferroni(entries)
    assert null < 1e-9


def test_one_wrong_variance_is_noticed():
    landscape = registry.from_dict({"name": "spherical_spin", "n": 4, "p": 3})
    x = landscape.starts(seed=11, draw=0, first=0, count=1)[0]
    sample = vectors(landscape, x, draws=2000, seed=20260101)
    mean, covariance = stated_law(landscape, x)
    assert worst_z(sample, mean, covariance)[0] < bonferroni(100)
    sample[:, -1] *= np.sqrt(1.25)  # one entry of the Hessian
    assert worst_z(sample, mean, covariance)[0] > bonferroni(100)


SYMMETRIES = {"torus_field": {1: [-1], 2: [], 4: [1], 5: []}, "spherical_spin": {2: [-1], 4: [1], 5: [-1], 3: [-1]}}
"""Signs s of f(g x) = s f(x) of what is known of the instances above, by name and n: half a period in every coordinate,
and the antipode. Fields on open space have none."""


def signs_of(table):
    return SYMMETRIES.get(table["name"], {}).get(table["n"], [])


@every_random_function
def test_no_symmetry_is_forgotten_or_made_up(table):
    assert [symmetry.sign for symmetry in registry.from_dict(table).draw(seed=2, draw=1).symmetries] == signs_of(table)


@pytest.mark.parametrize("table", [table for table in RANDOM_FUNCTIONS if signs_of(table)], ids=label)
def test_known_symmetries_hold_for_the_function_and_its_derivatives(table):
    landscape = registry.from_dict(table)
    draw = landscape.draw(seed=2, draw=1)
    assert draw.symmetries
    x = landscape.starts(seed=2, draw=1, first=0, count=4)
    for symmetry in draw.symmetries:
        y = symmetry.apply(x)
        np.testing.assert_allclose(draw.value(y), symmetry.sign * draw.value(x), atol=1e-13)
        spectra = np.linalg.eigvalsh(draw.hessian(y)), np.linalg.eigvalsh(symmetry.sign * draw.hessian(x))
        np.testing.assert_allclose(*spectra, atol=1e-12)
        back = np.abs(symmetry.apply(y) - x)
        if isinstance(landscape.domain, Torus):
            back = np.minimum(back, 2 * np.pi - back)
        assert back.max() < 1e-14


# ---- identity ------------------------------------------------------------------------------------------------------
@every_landscape
def test_a_draw_has_the_same_bits_in_any_order(table):
    landscape, again = registry.from_dict(table), registry.from_dict(table)
    last = 0 if landscape.draws == 1 else 3
    forward = [arrays(landscape.draw(seed=7, draw=number).problem) for number in range(last + 1)]
    for number in reversed(range(last + 1)):
        for first, second in zip(forward[number], arrays(again.draw(seed=7, draw=number).problem), strict=True):
            np.testing.assert_array_equal(first, second)
    if last:
        assert any((a != b).any() for a, b in zip(forward[0], forward[1], strict=True))
        other = arrays(landscape.draw(seed=8, draw=0).problem)
        assert any((a != b).any() for a, b in zip(forward[0], other, strict=True))


BITS = {
    "torus_field-1": "562915b36032",
    "torus_field-2": "595517823e0f",
    "torus_field-4": "c1af5a3d515c",
    "torus_field-5": "4a94d1b75144",
    "gaussian_field-1-isotropic": "2f14c510688f",
    "gaussian_field-3-512": "acf39940d3b6",
    "gaussian_field-4-isotropic": "1f358b228ac4",
    "confined_field-1-0.5": "d708f6c0f4d6",
    "confined_field-3-0.7": "f6ff9b48f7cb",
    "confined_field-2-1.5-512-random": "30eafbc1a0b5",
    "spherical_spin-2-3": "a1eeb917efec",
    "spherical_spin-4-2": "220f9cc205a5",
    "spherical_spin-5-3": "f8cf15777408",
    "spherical_spin-3-5": "1277049d1a94",
}
"""First digits of the SHA-256 of draw 5 of seed 9: the same on every machine, or stored runs can't be extended."""


@every_random_function
def test_a_draw_has_the_recorded_bits(table):
    landscape = registry.from_dict(table)
    digest = hashlib.sha256()
    for part in arrays(landscape.draw(seed=9, draw=5).problem):
        digest.update(np.ascontiguousarray(part).tobytes())
    digest.update(landscape.starts(seed=9, draw=5, first=3, count=2).tobytes())
    assert digest.hexdigest()[:12] == BITS[label(table)]


@every_landscape
def test_json_round_trip(table):
    import json

    landscape = registry.from_dict(table)
    text = json.dumps(landscape.to_dict())
    again = registry.from_dict(json.loads(text))
    assert json.dumps(again.to_dict()) == text
    assert again.identity == landscape.identity
    provenance = json.loads(json.dumps(landscape.draw(seed=2**64 - 1, draw=0).to_dict()))
    assert provenance == {"landscape": json.loads(text), "seed": 2**64 - 1, "draw": 0}


@every_landscape
def test_unknown_parameters_are_refused_with_the_choices(table):
    with pytest.raises(InputError, match=r"unknown parameter of .* 'n_features'; choose from"):
        registry.from_dict(table | {"n_features": 3})


# ---- starts --------------------------------------------------------------------------------------------------------
@every_landscape
def test_a_start_is_the_same_alone_and_lies_in_the_domain(table):
    landscape = registry.from_dict(table)
    for law in landscape.start_laws:
        together = landscape.starts(seed=5, draw=0, first=0, count=9, law=law)
        assert together.shape == (9, landscape.n)
        assert together.dtype == np.float64
        assert together.flags.c_contiguous
        for i in (0, 5, 8):
            np.testing.assert_array_equal(together[i], landscape.starts(seed=5, draw=0, first=i, count=1, law=law)[0])
        assert np.abs(together).max() < landscape.scales.region
        if isinstance(landscape.domain, Torus):
            assert together.min() > 0
            assert together.max() < 2 * np.pi
        if landscape.dimension < landscape.n:
            np.testing.assert_allclose((together**2).sum(axis=1), landscape.n, rtol=1e-14)
    with pytest.raises(InputError, match=r"unknown start law of .* choose from"):
        landscape.starts(seed=5, draw=0, first=0, count=1, law="gaussain")


@every_landscape
def test_points_of_the_wrong_shape_are_refused(table):
    landscape = registry.from_dict(table)
    with pytest.raises(InputError, match=rf"give shape \({landscape.n},\)"):
        landscape.draw(seed=0).value(np.zeros(landscape.n + 1))


@every_landscape
def test_scales_are_positive(table):
    scales = registry.from_dict(table).scales
    assert min(scales.length, scales.gradient, scales.step_cap, scales.region) > 0
    assert np.isfinite([scales.length, scales.gradient]).all()


@pytest.mark.parametrize("name", registry.names())
def test_a_description_says_what_configuration_files_need(name, tmp_path):
    import tomllib

    from simcore.sweep.config import read_configuration

    about = registry.describe(name)
    assert about["law"]
    assert about["about"].startswith(about["about"].strip()[0])
    example = tomllib.loads(about["example"])
    table = example["landscape"][0]
    known = {entry["name"] for entry in about["parameters"]}
    assert set(table) - {"name"} <= known
    assert table["name"] == name
    path = tmp_path / "example.toml"
    path.write_text(about["example"])
    assert {table["name"] for table in read_configuration(path).combinations} == {name}
