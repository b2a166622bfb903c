"""What each family says of itself: products are the Hessian's, sample gradients average to the gradient, reasons."""

import numpy as np
import pytest

import simcore
from simcore.backends import families
from simcore.backends.cpu import network_products
from simcore.backends.families import Without, custom, linear, network, sigmoid
from simcore.backends.family import Family
from simcore.backends.problems import Custom
from simcore.errors import InputError

RANDOM = np.random.default_rng(4)
DATA = (RANDOM.normal(size=(7, 2)), RANDOM.normal(size=(7, 1)))
NETWORK = simcore.MLP(widths=[2, 3, 1], activation="tanh", loss="mse", data=DATA, l2=0.1)
LINEAR = simcore.LinearNetwork([2, 3, 2], np.diag([2.0, 0.5]))
UNIT = simcore.SigmoidUnit(DATA[0], [0.1, 0.9, 0.4, 0.5, 0.2, 0.8, 0.3], multiplicity=[1, 2, 1, 1, 3, 1, 1])


@pytest.mark.parametrize(
    ("landscape", "products"), [(NETWORK, network_products.Passes), (LINEAR, linear.DeepLinear)], ids=["mlp", "linear"]
)
def test_products_are_the_hessians(landscape, products):
    problem = landscape.draw(seed=0).problem
    x, v = RANDOM.normal(size=(2, 5, landscape.n))
    value, gradient, hessian = families.of(problem).evaluate(problem, x)
    for at_once in (False, True):
        here = products(problem, x, at_once)
        np.testing.assert_allclose(here.value, value, rtol=1e-12)
        np.testing.assert_allclose(here.gradient, gradient, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(here.times(v), np.einsum("sij,sj->si", hessian, v), rtol=1e-10, atol=1e-11)
        along = np.einsum("sij,sj->si", hessian, here.gradient)
        np.testing.assert_allclose(here.times(here.gradient), along, rtol=1e-10, atol=1e-11)
    assert type(families.of(problem).local(problem, x)) is products


@pytest.mark.parametrize(
    ("landscape", "given"),
    [(NETWORK, network_products.sample_gradient), (UNIT, sigmoid.sample_gradient)],
    ids=["mlp", "sigmoid"],
)
def test_gradients_on_samples_average_to_the_gradient(landscape, given):
    problem = landscape.draw(seed=0).problem
    x = np.repeat(RANDOM.normal(size=(1, landscape.n)), 7, axis=0)
    each = given(problem, x, np.arange(7)[:, None])
    gradient = families.of(problem).evaluate(problem, x[:1])[1][0]
    np.testing.assert_allclose(each.mean(axis=0), gradient, rtol=1e-12, atol=1e-13)
    assert (np.ptp(each, axis=0) > 1e-3).all()
    pairs = given(problem, x[:1], np.array([[2, 5]]))
    np.testing.assert_allclose(pairs[0], (each[2] + each[5]) / 2, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(families.of(problem).gradient_on_samples(problem, x[:1], np.array([[2, 5]])), pairs)


def test_a_family_without_samples_says_so():
    problem = LINEAR.draw(seed=0).problem
    with pytest.raises(InputError, match="Linear has no samples: the cost is that of the population"):
        families.of(problem).gradient_on_samples(problem, np.zeros((1, LINEAR.n)), np.zeros((1, 1), int))


def test_flops_of_a_network_by_hand():
    """13 parameters, 7 samples, 1 output: 7 (13 14 + 6 13) + 13^3/3 + 2 13^2."""
    assert network.flops(NETWORK.draw(seed=0).problem) == pytest.approx(7 * (182 + 78) + 2197 / 3 + 338)


def test_what_is_unknown_of_own_functions_is_a_reason():
    record = families.of(Custom(None, None, None, simcore.Torus(2)))
    assert record is custom.CUSTOM
    parts = (record.products, record.sample_gradient, record.bounds, record.flops)
    assert all(isinstance(part, Without) and "user's functions" in part.reason for part in parts)


@pytest.mark.parametrize("products", [None, "module without a colon", 3.0])
def test_a_part_is_a_function_its_place_or_a_reason(products):
    parts = {name: vars(custom.CUSTOM)[name] for name in Family.__dataclass_fields__}
    with pytest.raises(InputError, match=r"products of Custom is .*; give a function or Without\(why\)"):
        Family(**parts | {"products": products})
