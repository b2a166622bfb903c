"""Compiled derivatives against the reference ones, and what is read off them in the tangent space."""

from __future__ import annotations

import numpy as np
import pytest

import simcore
from simcore.backends import cpu, reference
from simcore.search import targeted
from simcore.search.search import Search
from simcore.search.spectrum import spectra
from simcore.search.target import Target

LANDSCAPES = [
    simcore.TorusField(1),
    simcore.TorusField(2),
    simcore.TorusField(4),
    simcore.GaussianField(7, features=50),
    simcore.ConfinedField(3, 0.5),
    simcore.SphericalSpin(2, p=2),
    simcore.SphericalSpin(7),
    simcore.SphericalSpin(4, p=5),
]


def case(landscape):
    draw = landscape.draw(seed=3)
    target = Target.of(Search.of(landscape, seed=3), draw)
    return target, landscape.starts(seed=3, draw=0, first=0, count=53)


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda x: f"{x.name}{x.n}")
def test_compiled_derivatives_are_the_reference_ones(landscape):
    target, x = case(landscape)
    compiled, plain = cpu.evaluate(target.problem, x), reference.evaluate(target.problem, x)
    for ours, theirs in zip(compiled, plain, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-13 * max(1.0, np.abs(theirs).max()))
    alone = cpu.evaluate(target.problem, x[31:32])
    for whole, row in zip(compiled, alone, strict=True):
        np.testing.assert_array_equal(whole[31], row[0], err_msg="a row depends on its own point alone")
    assert len(cpu.evaluate(target.problem, x[:0])[0]) == 0


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda x: f"{x.name}{x.n}")
def test_tangent_coordinates_are_orthonormal_and_leave_out_the_radius(landscape):
    target, x = case(landscape)
    _, _, hessian = reference.evaluate(target.problem, x)
    tangent = target.domain.tangent_hessian(x, hessian)
    dimension = landscape.dimension
    assert tangent.shape == (53, dimension, dimension)
    basis = target.domain.frame(x)
    np.testing.assert_allclose(
        basis.swapaxes(1, 2) @ basis, np.broadcast_to(np.eye(dimension), tangent.shape), atol=1e-14
    )
    np.testing.assert_allclose(basis @ tangent @ basis.swapaxes(1, 2), hessian, atol=1e-13 * np.abs(hessian).max())
    if landscape.name == "spherical_spin":
        np.testing.assert_allclose(np.einsum("si,sij->sj", x, basis), 0, atol=1e-14)
    np.testing.assert_allclose(spectra(target, x), np.linalg.eigvalsh(tangent), atol=1e-12)


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda x: f"{x.name}{x.n}")
def test_compiled_gradient_steps_are_the_plain_ones(landscape, monkeypatch):
    target, x = case(landscape)
    x = target.domain.retract(x)
    way = np.where(np.arange(len(x)) % 2, 1.0, -1.0)
    compiled = targeted.flow(target, x, way, 3)
    monkeypatch.setattr(cpu, "flow", lambda *given: None)
    plain = targeted.flow(target, x, way, 3)
    monkeypatch.undo()
    moved = np.linalg.norm(plain - x, axis=1)
    assert (moved > 1e-3).all()
    assert landscape.domain.distance(compiled, plain).max() < 1e-11
    longest = targeted.DESCENT_REACH * landscape.scales.length
    alone = cpu.flow(target.problem, x[31:32], way[31:32], 3, longest)
    np.testing.assert_array_equal(alone, cpu.flow(target.problem, x, way, 3, longest)[31:32])
    assert cpu.flow(target.problem, x[:0], way[:0], 3, longest).shape == (0, landscape.n)
