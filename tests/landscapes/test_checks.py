"""A user's functions are tried at construction: each way of being wrong is refused in one line, right ones pass."""

import numba
import numpy as np
import pytest

import simcore
from simcore.errors import InputError
from simcore.landscapes import checks

SKEW = np.array([[1.0, -1.0], [-1.0, 1.0]])
TORUS = simcore.Torus(2)


def value(x):
    return np.sin(x).sum() + np.cos(x[0] - x[1])


def gradient(x):
    return np.cos(x) - np.sin(x[0] - x[1]) * np.array([1.0, -1.0])


def hessian(x):
    return -np.diag(np.sin(x)) - np.cos(x[0] - x[1]) * SKEW


def own(domain=TORUS, n=2, **changes):
    return simcore.CustomLandscape(
        **{"value": value, "gradient": gradient, "hessian": hessian} | changes, domain=domain, n=n
    )


WRONG = {
    "value times seven": (
        {"value": lambda x: 7 * value(x)},
        r"gradient is not the derivative of value.*relative error of 0\.86.*7 times gradient",
    ),
    "gradient's sign": ({"gradient": lambda x: -gradient(x)}, "gradient is not the derivative of value.*wrong sign"),
    "hessian's sign": ({"hessian": lambda x: -hessian(x)}, "hessian is not the derivative of gradient.*wrong sign"),
    "both signs": (
        {"gradient": lambda x: -gradient(x), "hessian": lambda x: -hessian(x)},
        "gradient is not the derivative of value.*relative error of 2 .*wrong sign",
    ),
    "one component": (
        {"gradient": lambda x: gradient(x) + np.array([0.0, 1e-4])},
        "gradient is not the derivative of value.*give the derivatives of one function",
    ),
    "one entry": (
        {"hessian": lambda x: hessian(x) + np.array([[0.0, 0.0], [0.0, 1e-3]])},
        "hessian is not the derivative of gradient",
    ),
    "not symmetric": (
        {"hessian": lambda x: hessian(x) + np.array([[0.0, 1e-3], [0.0, 0.0]])},
        r"hessian is not symmetric: entries \(0, 1\) and \(1, 0\)",
    ),
    "not periodic": (
        {"value": lambda x: float(x @ x), "gradient": lambda x: 2 * x, "hessian": lambda x: 2 * np.eye(2)},
        r"value changes by [\d.]+ from x to x \+ 2 pi in coordinate 0",
    ),
    "period 4 pi in the second coordinate": (
        {
            "value": lambda x: np.sin(x[0]) + np.sin(x[1] / 2),
            "gradient": lambda x: np.array([np.cos(x[0]), np.cos(x[1] / 2) / 2]),
            "hessian": lambda x: -np.diag([np.sin(x[0]), np.sin(x[1] / 2) / 4]),
        },
        r"value changes by .* in coordinate 1",
    ),
    "wrapped, with jumps that cancel where all coordinates wrap at once": (
        {
            "value": lambda x: float(np.mod(x[0], 2 * np.pi) ** 2 - np.mod(x[1], 2 * np.pi) ** 2),
            "gradient": lambda x: 2 * np.mod(x, 2 * np.pi) * np.array([1.0, -1.0]),
            "hessian": lambda x: 2 * np.diag([1.0, -1.0]),
        },
        "value jumps by .* where coordinates go from 2 pi to 0",
    ),
    "wrapped, but with a jump": (
        {
            "value": lambda x: float((np.mod(x, 2 * np.pi) ** 2).sum()),
            "gradient": lambda x: 2 * np.mod(x, 2 * np.pi),
            "hessian": lambda x: 2 * np.eye(2),
        },
        "value jumps by .* where coordinates go from 2 pi to 0",
    ),
    "float32": (
        {
            "value": lambda x: np.float32(value(x)),
            "gradient": lambda x: gradient(x).astype(np.float32),
            "hessian": lambda x: hessian(x).astype(np.float32),
        },
        "the functions return float32.*JAX needs jax_enable_x64",
    ),
    "float32 gradient alone": ({"gradient": lambda x: gradient(x).astype(np.float32)}, r"float32 \(gradient\)"),
    "not finite": ({"hessian": lambda x: hessian(x) * np.nan}, "hessian is not finite at x = "),
    "shape": ({"gradient": lambda x: gradient(x)[:1]}, r"gradient returned shape \(1,\).*return shape \(2,\)"),
    "complex": ({"value": lambda x: value(x) + 0j}, "what value returned holds complex numbers"),
    "text": ({"value": lambda x: "1.5"}, "what value returned holds text"),
    "raises": ({"value": lambda x: 1 / 0}, r"value raised ZeroDivisionError \(.*\) at x = \["),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_functions_are_refused_at_construction_in_one_line(name):
    changes, message = WRONG[name]
    with pytest.raises(InputError, match=message) as caught:
        own(**changes)
    assert "\n" not in str(caught.value)


def test_the_points_are_the_same_every_time():
    def wrong():
        with pytest.raises(InputError) as caught:
            own(value=lambda x: 7 * value(x))
        return str(caught.value)

    assert wrong() == wrong()


def test_the_functions_are_called_few_times():
    calls = {"value": 0, "gradient": 0, "hessian": 0}

    def counted(what, function):
        def call(x):
            calls[what] += 1
            return function(x)

        return call

    own(
        **{
            what: counted(what, function)
            for what, function in (("value", value), ("gradient", gradient), ("hessian", hessian))
        }
    )
    assert calls["value"] <= 40
    assert calls["gradient"] <= 50
    assert calls["hessian"] <= 20


MATRIX = np.add(*(lambda a: (a, a.T))(np.random.default_rng(0).normal(size=(6, 6))))


def _projector(x):
    return np.eye(6) - np.outer(x, x) / 6


RIGHT = {
    "torus": (simcore.Torus(2), 2, value, gradient, hessian),
    "compiled": (
        simcore.Torus(2), 2, numba.njit(lambda x: np.sin(x).sum()), numba.njit(lambda x: np.cos(x)),
        numba.njit(lambda x: -np.diag(np.sin(x))),
    ),
    "short waves": (
        simcore.Space(3), 3, lambda x: np.sin(2e3 * x).sum(),
        lambda x: 2e3 * np.cos(2e3 * x), lambda x: -4e6 * np.diag(np.sin(2e3 * x)),
    ),
    "a large constant": (
        simcore.Box([0, -5], [3, 40]), 2, lambda x: 1e9 + np.sin(x).sum(), np.cos, lambda x: -np.diag(np.sin(x)),
    ),
    "large units": (
        simcore.Box([-1e7] * 2, [1e7] * 2), 2, lambda x: 1e20 * np.sin(x / 1e6).sum(), lambda x: 1e14 * np.cos(x / 1e6),
        lambda x: -1e8 * np.diag(np.sin(x / 1e6)),
    ),
    "euclidean on the sphere": (
        simcore.Sphere(6), 6, lambda x: x @ MATRIX @ x / 2, lambda x: MATRIX @ x, lambda x: MATRIX,
    ),
    "riemannian on the sphere": (
        simcore.Sphere(6), 6, lambda x: x @ MATRIX @ x / 2, lambda x: _projector(x) @ MATRIX @ x,
        lambda x: _projector(x) @ (MATRIX - (x @ MATRIX @ x) / 6 * np.eye(6)) @ _projector(x),
    ),
    "undefined in half of R^n": (
        simcore.Space(1), 1, lambda x: np.log(x[0]), lambda x: 1 / x,
        lambda x: np.diag(-1 / x**2) if x[0] > 0 else np.full((1, 1), np.nan),
    ),
    "constant": (simcore.Space(2), 2, lambda x: 1.0, lambda x: np.zeros(2), lambda x: np.zeros((2, 2))),
    "whole numbers": (simcore.Space(2), 2, lambda x: x @ x, lambda x: 2 * x, lambda x: 2 * np.eye(2, dtype=int)),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right_functions_pass(name):
    domain, n, *functions = RIGHT[name]
    assert simcore.CustomLandscape(*functions, domain, n).n == n


def test_a_large_constant_hides_nothing():
    with pytest.raises(InputError, match="7 times gradient"):
        own(value=lambda x: 1e6 + 7 * value(x))


@pytest.mark.parametrize("ours", [simcore.TorusField(3), simcore.SphericalSpin(5), simcore.GaussianField(4)])
def test_a_draw_of_ours_passes_as_a_function_of_the_users(ours):
    f = ours.draw(seed=2)
    domain = simcore.Space(4) if isinstance(ours, simcore.GaussianField) else ours.domain
    assert simcore.CustomLandscape(f.value, f.gradient, f.hessian, domain, ours.n).dimension == ours.dimension


def test_the_hessian_on_the_sphere_is_judged_along_the_sphere():
    with pytest.raises(InputError, match="hessian is not the derivative of gradient"):
        simcore.CustomLandscape(
            lambda x: x @ MATRIX @ x / 2, lambda x: MATRIX @ x, lambda x: 1.001 * MATRIX, simcore.Sphere(6), 6
        )


def test_jax_functions_need_double_precision():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", False)
    function = lambda x: jax.numpy.sin(x).sum()  # noqa: E731
    with pytest.raises(InputError, match=r"float32.*jax_enable_x64"):
        simcore.CustomLandscape(function, jax.grad(function), jax.hessian(function), simcore.Torus(3), 3)
    jax.config.update("jax_enable_x64", True)
    try:
        made = simcore.CustomLandscape(function, jax.grad(function), jax.hessian(function), simcore.Torus(3), 3)
        assert made.n == 3
    finally:
        jax.config.update("jax_enable_x64", False)


def test_the_agreement_asked_for_is_far_above_what_right_functions_reach():
    """A twentieth of the tolerance passes too: the limit is not tuned to the functions above."""
    problem = own().draw(seed=0).problem
    before = checks.AGREEMENT
    try:
        checks.AGREEMENT = before / 20
        checks.check_functions(problem, 1.0)
    finally:
        checks.AGREEMENT = before
