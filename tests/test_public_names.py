"""Every public name: documented, keyword-only after the first argument, and clear about bad input."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import simcore

NAMES = [name for name in simcore.__all__ if name != "__version__"]
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(simcore, name))]
SOLVERS = ["Auto", "Newton", "RegularisedNewton", "PseudoInverseNewton", "LevenbergMarquardt", "SaddleFreeNewton"]


def test_the_names_of_the_contract_are_there():
    contract = {
        "SphericalSpin", "TorusField", "GaussianField", "ConfinedField", "MLP", "LinearNetwork", "SigmoidUnit",
        "CustomLandscape", "Box", "Torus", "Sphere", "Space", "Newton", "Enumeration", "find_critical_points",
        "enumerate_critical_points", "expected_counts", "load", "iter_shards", "trajectory", "theory",
    }  # fmt: skip
    assert contract <= set(NAMES)
    assert set(NAMES) <= set(dir(simcore))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_documented(name):
    thing = getattr(simcore, name)
    text = inspect.getdoc(thing)
    assert text and len(text) > 40
    if inspect.isclass(thing):
        assert thing.__doc__ is not None, "inherited"
        assert not text.startswith(f"{name}("), "made by dataclass"
    if name in FUNCTIONS:
        assert all(f"{word}" in text for word in ("Parameters", "Raises")) or name == "iter_shards"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_keywords_only_after_the_first_argument(name):
    first, *others = inspect.signature(getattr(simcore, name)).parameters.values()
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    library = ["domain", "n", "coefficients"]
    pair = {"audit_counts": ["law"], "register": ["factory"], "from_jax": library, "from_torch": library}.get(name, [])
    assert all(p.kind is p.KEYWORD_ONLY for p in others if p.name not in pair)  # as the contract writes them


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_mirror_the_table_of_a_configuration(name):
    from simcore.search.solvers import solver_from_dict

    kind = getattr(simcore, name)
    assert all(p.kind is p.KEYWORD_ONLY for p in inspect.signature(kind).parameters.values())
    solver = kind(step_cap=0.5, tolerance=1e-9, max_iterations=77)
    assert solver_from_dict(solver.to_dict()) == solver
    with pytest.raises(simcore.InputError, match="tolerance"):
        kind(tolerance=0)
    with pytest.raises(simcore.InputError, match="max_iterations"):
        kind(max_iterations=0)


LANDSCAPES = [
    simcore.TorusField(2),
    simcore.GaussianField(2, features=32),
    simcore.SphericalSpin(4),
    simcore.ConfinedField(2, 0.5),
    simcore.LinearNetwork([4, 2, 4], [4, 3, 2, 1]),
    simcore.SigmoidUnit([[1.0], [100.0]], [0.9, 0.1]),
]


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda x: x.name)
def test_landscapes_say_what_a_user_must_know(landscape):
    text = inspect.getdoc(type(landscape))
    assert '"auto"' in text and "egion" in text.replace("left the domain", "region").replace("outside", "region")
    assert all(law in text for law in landscape.start_laws)
    assert "Source" in text and "Raises" in text
    f = landscape.draw(seed=1, draw=0)
    assert repr(f) == f"{landscape!r}.draw(seed=1, draw=0)"
    x = landscape.starts(seed=1, draw=0, first=0, count=3)
    assert f.value(list(x[0])) == pytest.approx(f.value(x)[0], rel=1e-12)
    np.testing.assert_allclose(f.gradient(x)[1], f.gradient(x[1]), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(f.hessian(x)[2], f.hessian(x[2]), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: simcore.TorusField(13).draw(seed=1), "draw n <= 12"),
        (lambda: LANDSCAPES[0].draw(seed=1).value("far"), "real numbers"),
        (lambda: LANDSCAPES[0].draw(seed=1).gradient([1, 2j]), "real numbers"),
        (lambda: LANDSCAPES[0].draw(seed=1).hessian(np.zeros(3)), r"give shape \(2,\)"),
        (lambda: simcore.find_critical_points(LANDSCAPES[0], starts=-2), "from 1 to"),
        (lambda: simcore.enumerate_critical_points(LANDSCAPES[0], draw=-1), "^draw is -1"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(simcore.InputError, match=words):
        call()


def test_a_ball_is_counted_from_python_as_in_a_run():
    found = simcore.ball_critical_points(simcore.GaussianField(2), draw=0, seed=1)
    assert isinstance(found, simcore.Enumeration)
    centre = np.array(found.audit["centre"])
    assert all(np.linalg.norm(x - centre) <= found.audit["radius"] for x in found.points["x"])
    assert found.audit["euler_expected"] is None
