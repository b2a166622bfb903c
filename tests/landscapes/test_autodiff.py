"""Derivatives by JAX and PyTorch: the same points as functions written by hand, in double precision or refused."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import simcore
from simcore.errors import InputError
from simcore.landscapes import checks

N = 3
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # PyTorch's own, on its first import


def plain(x, a):
    return float(a @ np.cos(x) + np.cos(2 * x.sum()))


def slope(x, a):
    return -a * np.sin(x) - 2 * np.sin(2 * x.sum())


def bent(x, a):
    return np.diag(-a * np.cos(x)) - 4 * np.cos(2 * x.sum())


def coefficients(rng):
    return (rng.normal(size=N),)


@pytest.fixture(params=["jax", "torch"])
def library(request):
    module = pytest.importorskip(request.param)
    if request.param == "jax":
        before = module.config.jax_enable_x64
        module.config.update("jax_enable_x64", True)
        yield "jax", module.numpy, simcore.from_jax
        module.config.update("jax_enable_x64", before)
    else:
        yield "torch", module, simcore.from_torch


def value_of(numbers):
    def value(x, a):
        return (a * numbers.cos(x)).sum() + numbers.cos(2 * x.sum())

    return value


@pytest.mark.parametrize("domain", [simcore.Torus(N), simcore.Sphere(N)])
def test_it_finds_what_functions_written_by_hand_do(library, domain):
    _, numbers, make = library
    law = make(value_of(numbers), domain, N, coefficients, length=1.0, gradient_scale=2.0)
    twin = simcore.CustomLandscape(plain, slope, bent, domain, N, coefficients, length=1.0, gradient_scale=2.0)
    problem, other = law.draw(seed=1).problem, twin.draw(seed=1).problem
    problem = problem._replace(arrays=other.arrays)  # their streams differ, as their functions have other names
    x = twin.starts(seed=1, draw=0, first=0, count=30)
    from simcore.backends import cpu

    for ours, theirs in zip(cpu.evaluate(problem, x), cpu.evaluate(other, x), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    options = simcore.Newton(step_cap=0.3).options(twin)
    ours, theirs = cpu.newton(problem, x, options), cpu.newton(other, x, options)
    both = (ours.status == 0) & (theirs.status == 0)
    assert both.sum() > 15
    near = domain.distance(ours.x[both], theirs.x[both]) < 1e-6
    assert near.mean() > 0.9 and (ours.index[both][near] == theirs.index[both][near]).all()


def test_a_row_depends_on_its_start_alone(library):
    _, numbers, make = library
    law = make(value_of(numbers), simcore.Torus(N), N, coefficients)
    settings = {"solver": simcore.Newton(step_cap=0.3), "seed": 2}
    whole = simcore.find_critical_points(law.draw(seed=2), starts=130, threads=2, **settings)
    part = simcore.find_critical_points(law.draw(seed=2), starts=40, threads=1, **settings)
    assert (whole["cost"][:40] == part["cost"]).all() and (whole["iterations"][:40] == part["iterations"]).all()


def test_rows_that_depend_on_their_place_are_evaluated_one_by_one(library, monkeypatch):
    _, numbers, make = library
    answers = iter([False, True])
    monkeypatch.setattr("simcore.landscapes.autodiff.alone", lambda *a: next(answers))
    law = make(value_of(numbers), simcore.Torus(N), N, coefficients)
    assert law.batch.__self__._by_rows
    x = np.array([0.1, 0.2, 0.3])
    a = law.draw(seed=0).problem.arrays[0]
    assert law.draw(seed=0).value(x) == pytest.approx(plain(x, a), abs=1e-14)
    assert checks.alone(law.batch, np.random.default_rng(0).normal(size=(4, N)), (a,))


def test_single_precision_is_refused(library):
    name, _, make = library

    def value(x, a):
        small = x.astype(np.float32) if name == "jax" else x.float()
        return (small * small).sum()

    with pytest.raises(InputError, match="value computes in float32"):
        make(value, simcore.Space(N), N, coefficients)


def test_jax_must_be_in_double_precision():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(
            InputError, match=r"JAX computes in float32; call jax.config.update\('jax_enable_x64', True\)"
        ):
            simcore.from_jax(value_of(jax.numpy), simcore.Torus(N), N, coefficients)
    finally:
        jax.config.update("jax_enable_x64", before)


def test_what_a_library_can_not_differentiate_is_said(library):
    _, _, make = library
    with pytest.raises(InputError, match="can't evaluate or differentiate"):
        make(lambda x, a: float(x[0]), simcore.Torus(N), N, coefficients)
    with pytest.raises(InputError, match="value is 3; give a function"):
        make(3, simcore.Torus(N), N)


def jax_value(x, a):
    import jax.numpy

    return (a * jax.numpy.cos(x)).sum()


def torch_value(x, a):
    return (a * x.cos()).sum()


def test_a_draw_travels_by_pickle(library):
    name, _, make = library
    draw = make(jax_value if name == "jax" else torch_value, simcore.Torus(N), N, coefficients).draw(seed=4, draw=2)
    again = pickle.loads(pickle.dumps(draw))
    x = np.array([0.1, 0.2, 0.3])
    assert again.value(x) == draw.value(x) and "_value" in draw.landscape.to_dict()["value"]


def test_without_the_library_a_line_says_what_to_install(monkeypatch):
    import sys

    for name, make in (("jax", simcore.from_jax), ("torch", simcore.from_torch)):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(InputError, match="is not installed; install it with pip"):
            make(torch_value, simcore.Torus(N), N, coefficients)


def test_calls_from_many_threads_do_not_meet(library):
    _, numbers, make = library
    draw = make(value_of(numbers), simcore.Torus(N), N, coefficients).draw(seed=1)
    x = np.random.default_rng(0).uniform(0, 2 * np.pi, (24, N))
    with ThreadPoolExecutor(4) as pool:
        several = list(pool.map(lambda _: draw.hessian(x), range(80)))
    assert all((one == draw.hessian(x)).all() for one in several)
