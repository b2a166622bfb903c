"""Families of the user's own: coefficients with an address, njit functions inside the compiled loop, plain ones too."""

import pickle

import numba
import numpy as np
import pandas as pd
import pytest

import simcore
from simcore.backends import cpu, reference
from simcore.backends.cpu import own
from simcore.errors import InputError
from simcore.landscapes.base import Landscape
from simcore.landscapes.drawn import addressed

NEWTON = simcore.Newton(step_cap=0.3)  # long steps would amplify last digits


def value(x, a, b):
    total = np.cos(x[0] + x[1] + x[2])
    for i in range(3):
        total += a[i] * np.cos(x[i]) + b[i] * np.sin(2 * x[i])
    return total


def gradient(x, a, b):
    g = np.empty(3)
    for i in range(3):
        g[i] = -a[i] * np.sin(x[i]) + 2 * b[i] * np.cos(2 * x[i]) - np.sin(x[0] + x[1] + x[2])
    return g


def hessian(x, a, b):
    h = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            h[i, j] = -np.cos(x[0] + x[1] + x[2])
        h[i, i] -= a[i] * np.cos(x[i]) + 4 * b[i] * np.sin(2 * x[i])
    return h


def coefficients(rng):
    return rng.normal(size=3), rng.normal(size=3)


PLAIN = (value, gradient, hessian)
COMPILED = COMPILED_VALUE, COMPILED_GRADIENT, COMPILED_HESSIAN = tuple(map(numba.njit, PLAIN))


def family(functions=COMPILED, domain=None, **changes):
    domain = domain or simcore.Torus(3)
    return simcore.CustomLandscape(*functions, domain, 3, **{"coefficients": coefficients} | changes)


def test_draws_have_addresses():
    law = family()
    assert law.draws is None and family(PLAIN).draw(seed=0).problem.arrays
    a, b = law.draw(seed=5, draw=7).problem.arrays
    again = law.draw(seed=5, draw=7).problem.arrays
    assert (a == again[0]).all() and (b == again[1]).all()
    expected = coefficients(addressed(5, 7, law.stream("coefficients")))
    assert (a == expected[0]).all() and (b == expected[1]).all()
    others = [law.draw(seed=s, draw=k).problem.arrays[0][0] for s, k in ((5, 6), (6, 7), (2**64 - 1, 2**32 - 1))]
    assert len({a[0], *others}) == 4


def test_the_generator_is_numpys_philox_at_the_address():
    words = np.random.Philox(key=[3, 0], counter=[0, 0, 9, 77]).random_raw(4)
    assert (addressed(3, 9, 77).bit_generator.random_raw(4) == words).all()


@pytest.mark.parametrize("domain", [simcore.Torus(3), simcore.Sphere(3), simcore.Box([1, 1, 1], [6, 5, 4])])
def test_njit_plain_and_reference_search_alike(domain):
    settings = {"draws": 2, "seed": 1, "starts": 60, "solver": NEWTON, "positions": True, "threads": 1}
    compiled = simcore.find_critical_points(family(domain=domain, length=1.0, gradient_scale=2.0), **settings)
    plain = simcore.find_critical_points(family(PLAIN, domain, length=1.0, gradient_scale=2.0), **settings)
    twin = simcore.find_critical_points(
        family(domain=domain, length=1.0, gradient_scale=2.0), backend="reference", **settings
    )
    assert (twin["status"] == "critical").sum() > 20
    for found in (compiled, plain):
        same = found["status"] == twin["status"]
        assert same.mean() > 0.9
        both = same & (twin["status"] == "critical")
        near = domain.distance(np.stack(found["x"][both]), np.stack(twin["x"][both])) < 1e-6
        assert near.mean() > 0.9
        assert (found["morse_index"][both][near] == twin["morse_index"][both][near]).all()


@pytest.mark.parametrize("functions", [COMPILED, PLAIN])
@pytest.mark.parametrize("domain", [simcore.Torus(3), simcore.Sphere(3)])
def test_the_loop_evaluates_what_the_twin_does(functions, domain):
    law = family(functions, domain)
    x = law.starts(seed=0, draw=4, first=0, count=30)
    x[20:] = x[0]  # copies of a lane, as where tiles are filled up
    problem = law.draw(seed=0, draw=4).problem
    for ours, theirs in zip(cpu.evaluate(problem, x), reference.evaluate(problem, x), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-13)


def test_a_family_of_the_form_of_the_spin_has_the_spins_points():
    couplings = np.random.default_rng(4).normal(size=(4, 4, 4))
    tensor = sum(couplings.transpose(p) for p in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))) / 6

    @numba.njit
    def bent(x, t):
        h = np.zeros((4, 4))
        for i in range(4):
            for j in range(4):
                for k in range(4):
                    h[i, j] += t[i, j, k] * x[k] * (6 / 16)
        return h

    @numba.njit
    def slope(x, t):
        h, g = bent(x, t), np.zeros(4)
        for i in range(4):
            for j in range(4):
                g[i] += h[i, j] * x[j] / 2
        return g

    @numba.njit
    def height(x, t):
        g, total = slope(x, t), 0.0
        for i in range(4):
            total += g[i] * x[i] / 3
        return total

    law = simcore.CustomLandscape(height, slope, bent, simcore.Sphere(4), 4, lambda rng: (tensor,))
    ours = simcore.enumerate_critical_points(law, seed=2, positions=True)
    theirs = simcore.enumerate_critical_points(simcore.SphericalSpin.from_couplings(couplings), positions=True)
    assert ours.audit["complete"] and len(ours.points) == len(theirs.points) >= 6
    for name in ("cost", "morse_index"):
        np.testing.assert_allclose(sorted(ours.points[name]), sorted(theirs.points[name]), atol=1e-10)


def test_ten_draws_compile_once():
    functions = tuple(map(numba.njit, PLAIN))
    before = own._shared.cache_info().misses
    simcore.find_critical_points(family(functions), draws=10, starts=10, threads=1)
    assert own._shared.cache_info().misses == before + 1
    assert [len(function.signatures) for function in functions] == [1, 1, 1]
    assert family(functions).draw(seed=3).problem.arrays
    simcore.find_critical_points(family(functions), draws=2, seed=3, starts=10, threads=1)
    assert own._shared.cache_info().misses == before + 1


def test_only_lanes_with_a_start_are_evaluated():
    calls = []

    def counted(x, a, b):
        calls.append(1)
        return hessian(x, a, b)

    law = family((value, gradient, counted))
    problem = law.draw(seed=0).problem
    x, counters = law.starts(seed=0, draw=0, first=0, count=41), np.zeros(3, np.int64)
    options = NEWTON.options(law)
    calls.clear()
    cpu.newton(problem, x, options, counters)
    assert 41 < len(calls) == counters[1] < counters[0]


def test_functions_that_write_into_their_argument_move_nothing():
    def careless(function):
        @numba.njit
        def writing(x, a, b):
            result = function(x, a, b)
            x[:] = 0.0
            return result

        return writing

    law = family()
    tidy = law.draw(seed=1).problem
    value, gradient, hessian = map(careless, COMPILED)
    untidy = tidy._replace(value=value, gradient=gradient, hessian=hessian)
    x = law.starts(seed=1, draw=0, first=0, count=40)
    ours, theirs = (cpu.newton(problem, x, NEWTON.options(law)) for problem in (untidy, tidy))
    assert (ours.cost == theirs.cost).all() and (ours.status == theirs.status).all()


def test_errors_of_functions_come_out():
    inner = COMPILED[2]

    def at_the_wall(x, a, b):
        if x[0] < 0.3:
            raise ValueError("no Hessian here")
        return inner(x, a, b)

    compiled = (*COMPILED[:2], numba.njit(at_the_wall))
    for functions in (compiled, (value, gradient, at_the_wall)):
        with pytest.raises(ValueError, match="no Hessian here"):
            simcore.find_critical_points(family(functions), draws=1, starts=200, threads=1)

    @numba.njit
    def cut(x, a, b):
        h = inner(x, a, b)
        return h[:2] if x[0] < 0.3 else h

    with pytest.raises(InputError, match=r"hessian returned shape \(2, 3\)"):
        simcore.find_critical_points(family((*COMPILED[:2], cut)), draws=1, starts=200, threads=1)


def test_draws_travel_by_pickle():
    draw = pickle.loads(pickle.dumps(family().draw(seed=2, draw=3)))
    again = pickle.loads(pickle.dumps(draw))
    x = np.array([0.1, 0.2, 0.3])
    assert again.value(x) == draw.value(x) == family().draw(seed=2, draw=3).value(x)


def writes(x, a, b):
    a[0] += 1e-9
    return value(x, a, b)


state = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coefficients": 3}, "coefficients is 3; give a function of a numpy.random.Generator"),
        ({"coefficients": lambda rng: 1.0}, "coefficients returned float; return a tuple of arrays"),
        ({"coefficients": lambda rng: (1.0, 2.0)}, "entry 0 of what coefficients returned is a float"),
        ({"coefficients": lambda rng: (np.array(["a"]),)}, "an array of <U1; return arrays of numbers"),
        ({"coefficients": lambda rng: (np.array([np.nan]),)}, "array 0 .* holds NaN or infinity"),
        ({"coefficients": lambda rng: rng.nothing()}, "coefficients raised AttributeError"),
        ({"coefficients": lambda rng: (state.normal(size=3), np.ones(3))}, "other arrays when it was called again"),
        ({"functions": (writes, gradient, hessian)}, "writes into its coefficients"),
        ({"functions": (value, lambda x, a, b: -gradient(x, a, b), hessian)}, "wrong sign"),
        ({"coefficients": None}, "value raised TypeError"),
        ({"batch": 3}, "batch is 3; give a function of points"),
    ],
)
def test_what_is_wrong_is_said_at_construction(change, message):
    with pytest.raises(InputError, match=message):
        family(**{"functions": PLAIN} | change)


def test_a_draw_of_another_kind_is_refused():
    def changing(rng):
        a = rng.normal(size=3)
        return a, a if rng.random() < 0.5 else np.ones((3, 1))[:, 0].astype(int)

    law = family(PLAIN, coefficients=changing)
    kinds = [tuple(a.dtype.kind for a in changing(addressed(0, k, law.stream("coefficients")))) for k in range(20)]
    other = next(k for k in range(20) if kinds[k] != tuple(a.dtype.kind for a in law._trial))
    with pytest.raises(InputError, match="return arrays of the same kinds for all"):
        law.draw(seed=0, draw=other).value(np.zeros(3))


def batch(x, a, b):
    return tuple(np.stack([function(row, a, b) for row in x]) for function in PLAIN)


@numba.njit
def compiled_batch(x, a, b):
    points, n = x.shape
    v, g, h = np.empty(points), np.empty((points, n)), np.empty((points, n, n))
    for k in range(points):
        v[k], g[k], h[k] = COMPILED_VALUE(x[k], a, b), COMPILED_GRADIENT(x[k], a, b), COMPILED_HESSIAN(x[k], a, b)
    return v, g, h


@pytest.mark.parametrize("domain", [simcore.Torus(3), simcore.Sphere(3), simcore.Box([1, 1, 1], [6, 5, 4])])
def test_an_njit_batch_runs_inside_the_loop(domain):
    """Same rows as the three functions that it calls, with no call from Python; 41 starts leave lanes without one."""
    settings = {"draws": 2, "starts": 41, "solver": NEWTON, "threads": 1, "positions": True}
    changes = {"domain": domain, "length": 1.0, "gradient_scale": 2.0}
    law = family(batch=compiled_batch, **changes)
    problem = law.draw(seed=0).problem
    assert isinstance(own.compiled(problem), own.Compiled)
    ours = simcore.find_critical_points(law, **settings)
    theirs = simcore.find_critical_points(family(**changes), **settings)
    pd.testing.assert_frame_equal(ours, theirs)
    assert (ours["status"] == "critical").sum() > 10

    def refused(x, a, b):
        raise AssertionError("called from Python")

    only_batch = problem._replace(value=refused, gradient=refused, hessian=refused)
    x = law.starts(seed=0, draw=0, first=0, count=41)
    ours, theirs = (cpu.newton(one, x, NEWTON.options(law)) for one in (only_batch, problem))
    assert (ours.cost == theirs.cost).all() and (ours.status == theirs.status).all()


def test_errors_of_an_njit_batch_come_out():
    @numba.njit
    def at_the_wall(x, a, b):
        if x[:, 0].min() < 0.3:
            raise ValueError("no Hessian here")
        return compiled_batch(x, a, b)

    @numba.njit
    def cut(x, a, b):
        v, g, h = compiled_batch(x, a, b)
        return (v, g, h[:, :2]) if x[:, 0].min() < 0.3 else (v, g, h)

    for batch, error, message in (
        (at_the_wall, ValueError, "no Hessian here"),
        (cut, InputError, r"batch returned a hessian of shape \(24, 2, 3\)"),
    ):
        assert isinstance(own.compiled(family(batch=batch).draw(seed=0).problem), own.Compiled)
        with pytest.raises(error, match=message):
            simcore.find_critical_points(family(batch=batch), draws=1, starts=200, threads=1)

    @numba.njit
    def flat(x, a, b):
        v, g, h = compiled_batch(x, a, b)
        return v, g, h[0]

    with pytest.raises(InputError, match=r"hessian of shape \(3, 3\) for 24 points"):
        family(batch=flat)
    with pytest.raises(InputError, match="batch returned float; return value, gradient and Hessian of 24 points"):
        family(batch=lambda x, a, b: 0.0)


def test_a_batch_serves_instead_and_is_held_to_the_functions():
    settings = {"draws": 2, "starts": 30, "solver": NEWTON, "threads": 1}
    whole = simcore.find_critical_points(family(PLAIN, batch=batch), **settings)
    assert (whole["cost"] == simcore.find_critical_points(family(PLAIN), **settings)["cost"]).all()

    def placed(x, a, b):
        v, g, h = batch(x, a, b)
        return v * (1 + 1e-15 * np.arange(24)), g, h

    with pytest.raises(InputError, match="last digits of what batch returns depend"):
        family(PLAIN, batch=placed)
    with pytest.raises(InputError, match="another gradient than the function gradient"):
        family(PLAIN, batch=lambda x, a, b: (batch(x, a, b)[0], 2 * batch(x, a, b)[1], batch(x, a, b)[2]))
    with pytest.raises(InputError, match=r"value of shape \(\) for 24 points; return \(24,\)"):
        family(PLAIN, batch=lambda x, a, b: (0.0, *batch(x, a, b)[1:]))


def test_only_what_numba_compiled_is_thought_fast():
    """Plans reckon a millisecond and a half a start for functions that are called from the loop."""
    law = simcore.CustomLandscape(
        lambda x: np.cos(x).sum(), lambda x: -np.sin(x), lambda x: np.diag(-np.cos(x)), simcore.Torus(2), 2
    )
    called, compiled = value, numba.njit(value)  # never run here
    cases = {
        (called, called, None): False,
        (compiled, compiled, None): True,
        (compiled, called, None): False,  # all three or none
        (compiled, compiled, called): False,  # the batch is called instead
        (called, called, compiled): True,
    }
    for (first, other, batch), fast in cases.items():
        for name, given in (("value", first), ("gradient", other), ("hessian", other), ("batch", batch)):
            object.__setattr__(law, name, given)  # as if made of these; making it would run them
        assert law.seconds_per_start == pytest.approx(Landscape.seconds_per_start.fget(law) + (0.0 if fast else 1.5e-3))
