"""Landscapes on a screen and in a notebook: short, whatever arrays they hold."""

import numpy as np
import pytest

import simcore

X = np.random.default_rng(0).normal(size=(2000, 8))
LARGE = [
    simcore.LinearNetwork(widths=(30, 4, 30), covariance=np.eye(30)),
    simcore.SigmoidUnit(X, np.where(X[:, 0] > 0, 0.9, 0.1)),
    simcore.MLP(widths=(8, 3, 1), activation="tanh", loss="mse", data=(X, X[:, :1])),
]


@pytest.mark.parametrize("landscape", LARGE, ids=lambda landscape: landscape.name)
def test_arrays_are_shown_by_their_shape(landscape):
    assert len(repr(landscape)) < 300 and len(repr(landscape.draw(seed=1, draw=0))) < 350
    assert len(landscape._repr_html_()) < 1500


@pytest.mark.parametrize("n", [2, 5])
def test_what_is_short_is_shown_in_full(n):
    assert repr(simcore.SphericalSpin(n=n, p=3)) == f"SphericalSpin(n={n}, p=3)"
    assert eval(repr(simcore.GaussianField(n=n)), vars(simcore)) == simcore.GaussianField(n=n)


def test_a_notebook_shows_law_parameters_and_dimension():
    page = simcore.SphericalSpin(n=5, p=3)._repr_html_()
    assert "J iid N(0,1)" in page and "<th>p</th><td>3</td>" in page and "5, 4" in page
    own = simcore.CustomLandscape(
        value=lambda x: x @ x,
        gradient=lambda x: 2 * x,
        hessian=lambda x: 2 * np.eye(2),
        domain=simcore.Box([-1, -1], [1, 1]),
        n=2,
    )
    assert "domain=Box(" in repr(own) and "coefficients=None" in repr(own) and "where" not in own._repr_html_()
    assert "0x" not in repr(own) and "&lt;lambda&gt;" in own._repr_html_()  # no address, and escaped
