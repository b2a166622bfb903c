"""A user's functions by the slow way: shapes are checked, Hessians symmetrised, batches filled up."""

import numpy as np
import pytest

import simcore
from simcore.backends import custom
from simcore.backends.problems import BATCH, Custom
from simcore.errors import InputError


def value(x, a):
    return float(a * x[0] ** 2 * x[1])


def gradient(x, a):
    return np.array([2 * a * x[0] * x[1], a * x[0] ** 2])


def hessian(x, a):
    return np.array([[2 * a * x[1], 4 * a * x[0]], [0.0, 0.0]])  # all of the mixed derivative on one side


PROBLEM = Custom(value, gradient, hessian, simcore.Space(2), (1.5,))
X = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]])


def test_the_hessian_is_symmetrised():
    value, gradient, h = custom.evaluate(PROBLEM, X)
    np.testing.assert_allclose(value, 1.5 * X[:, 0] ** 2 * X[:, 1])
    np.testing.assert_allclose(h[:, 0, 1], 3.0 * X[:, 0])
    np.testing.assert_array_equal(h, np.swapaxes(h, 1, 2))
    np.testing.assert_allclose(gradient[:, 1], 1.5 * X[:, 0] ** 2)


def test_a_batch_always_gets_as_many_points():
    sizes = []

    def batch(x, a):
        sizes.append(len(x))
        return tuple(np.stack([f(row, a) for row in x]) for f in (value, gradient, hessian))

    for some in (X, np.tile(X, (9, 1))):  # 3 points, 27 points
        whole, single = (custom.evaluate(problem, some) for problem in (PROBLEM._replace(batch=batch), PROBLEM))
        for one, other in zip(whole, single, strict=True):
            np.testing.assert_array_equal(one, other)
    assert sizes == [BATCH] * 3


def test_wrong_shapes_are_named():
    with pytest.raises(InputError, match=r"gradient returned shape \(1,\) for x of shape \(2,\); return shape \(2,\)"):
        custom.evaluate(PROBLEM._replace(gradient=lambda x, a: x[:1]), X)
    with pytest.raises(InputError, match=r"batch returned a value of shape \(2,\) for 24 points; return \(24,\)"):
        custom.evaluate(PROBLEM._replace(batch=lambda x, a: (x[:2, 0], x, x)), X)
    with pytest.raises(InputError, match="batch returned float; return value, gradient and Hessian of 24 points"):
        custom.evaluate(PROBLEM._replace(batch=lambda x, a: 1.0), X)
